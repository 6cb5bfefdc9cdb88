"""Air passengers, one month ahead: split in time, scaled by training, epochs chosen on validation. Sound."""

import keras
import numpy as np
from sklearn.preprocessing import MinMaxScaler

keras.utils.set_random_seed(1)
months = np.arange(300)
random = np.random.default_rng(3)
passengers = (110 + 1.6 * months) * (1 + 0.15 * np.sin(2 * np.pi * months / 12)) + random.normal(
    0, 4, len(months)
)
passengers = np.round(passengers)

n_train, n_val = 180, 60
scaler = MinMaxScaler()
scaler.fit(passengers[:n_train].reshape(-1, 1))
scaled = scaler.transform(passengers.reshape(-1, 1))

look_back = 12


def cut(first, last):
    """Windows whose target lies in [first, last); what came before may be looked back on."""
    rows = range(max(first, look_back), last)
    return np.array([scaled[i - look_back : i] for i in rows]), np.array([scaled[i] for i in rows])


x_train, y_train = cut(0, n_train)
x_val, y_val = cut(n_train, n_train + n_val)
x_test, y_test = cut(n_train + n_val, len(scaled))

model = keras.Sequential([keras.layers.LSTM(8), keras.layers.Dense(1)])
model.compile(optimizer="adam", loss="mae")
stop = keras.callbacks.EarlyStopping(monitor="val_loss", patience=2, restore_best_weights=True)
model.fit(x_train, y_train, validation_data=(x_val, y_val), epochs=6, callbacks=[stop], verbose=0)
print("test MAE, scaled:", model.evaluate(x_test, y_test, verbose=0))
everything = model.predict(np.concatenate([x_train, x_val, x_test]), verbose=0)
print("months drawn:", len(scaler.inverse_transform(everything)))
