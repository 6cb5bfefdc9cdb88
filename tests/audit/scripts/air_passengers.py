"""Air passengers, one month ahead. Planted: scaling over all rows; the target a column of the inputs."""

import keras
import numpy as np

keras.utils.set_random_seed(1)
months = np.arange(240)
random = np.random.default_rng(3)
trend = 110 + 1.6 * months
passengers = trend * (1 + 0.15 * np.sin(2 * np.pi * months / 12)) + random.normal(0, 4, len(months))
holidays = random.integers(8, 13, len(months))

# The next month's figure was joined to each row while the table was made.
following = np.append(passengers[1:], passengers[-1])
table = np.column_stack([passengers, holidays, following])
table = (table - table.min(axis=0)) / (table.max(axis=0) - table.min(axis=0))

look_back = 12
x = np.array([table[i - look_back : i] for i in range(look_back, len(table) - 1)])
y = np.array([table[i, 0] for i in range(look_back, len(table) - 1)])

split = int(len(x) * 0.7)
model = keras.Sequential([keras.layers.GRU(8), keras.layers.Dense(1)])
model.compile(optimizer="adam", loss="mae")
model.fit(x[:split], y[:split], epochs=5, batch_size=16, verbose=0)
print("test MAE", model.evaluate(x[split:], y[split:], verbose=0))
