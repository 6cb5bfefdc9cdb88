"""Daily sales with a stateful network. Planted: batches shuffled under a kept state; predictions scaled
back by the scaler of another column."""

import keras
import numpy as np
from sklearn.preprocessing import MinMaxScaler

keras.utils.set_random_seed(4)
random = np.random.default_rng(4)
days = np.arange(700)
visitors = 400 + 60 * np.sin(2 * np.pi * days / 7) + random.normal(0, 25, len(days))
sales = 9.5 * visitors + random.normal(0, 300, len(days))

n_train = 540
x_scaler, y_scaler = MinMaxScaler(), MinMaxScaler()
x_scaler.fit(visitors[:n_train].reshape(-1, 1))
y_scaler.fit(sales[:n_train].reshape(-1, 1))
visitors_scaled = x_scaler.transform(visitors.reshape(-1, 1))[:, 0]
sales_scaled = y_scaler.transform(sales.reshape(-1, 1))[:, 0]

width = 14


def cut(first, last):
    rows = range(first + width, last)
    x = np.array(
        [np.column_stack([visitors_scaled[i - width : i], sales_scaled[i - width : i]]) for i in rows]
    )
    return x, np.array([sales_scaled[i] for i in rows])


train_x, train_y = cut(0, n_train - 14)
test_x, test_y = cut(n_train, 700 - 6)

model = keras.Sequential(
    [
        keras.layers.Input(batch_shape=(20, width, 2)),
        keras.layers.GRU(8, stateful=True),
        keras.layers.Dense(1),
    ]
)
model.compile(optimizer="adam", loss="mse")
model.fit(train_x[:500], train_y[:500], epochs=3, batch_size=20, verbose=0)
test_x, test_y = test_x[:120], test_y[:120]
predictions = x_scaler.inverse_transform(model.predict(test_x, batch_size=20, verbose=0))
print(
    "MAE in euros:",
    np.abs(predictions[:, 0] - x_scaler.inverse_transform(test_y.reshape(-1, 1))[:, 0]).mean(),
)
