"""River level six hours ahead with an LSTM: split in time, and compared with persistence. Sound."""

import keras
import numpy as np
from keras import layers
from sklearn.preprocessing import StandardScaler

LOOKBACK, AHEAD = 48, 6  # hours

# Hourly rain and the level that answers it: a quick and a slow store of water
rng = np.random.default_rng(7)
hours = 24 * 150
rain = rng.gamma(0.6, 4.0, hours) * (rng.random(hours) < 0.05)
rain = np.convolve(rain, [0.2, 0.5, 0.3])[:hours]
level = np.empty(hours)
quick = slow = 0.0
for t in range(hours):
    quick = 0.93 * quick + 0.05 * (rain[t - 3] if t >= 3 else 0.0)
    slow = 0.997 * slow + 0.004 * rain[t]
    level[t] = 0.8 + quick + slow + rng.normal(0, 0.01)
season = 2 * np.pi * np.arange(hours) / (24 * 365)
table = np.column_stack([level, rain, np.sin(season), np.cos(season)])

# Everything is split by the hour that is forecast: 60 % to train, 20 % to validate, 20 % to test
train_end, val_end = int(0.6 * hours), int(0.8 * hours)

# The scalers see the training hours alone
inputs = StandardScaler().fit(table[:train_end]).transform(table)


def windows(first, last):
    """Inputs that end AHEAD hours before each hour of [first, last), the level then and the change since."""
    now = np.arange(max(first, LOOKBACK + AHEAD), last) - AHEAD
    x = np.stack([inputs[t - LOOKBACK + 1 : t + 1] for t in now])
    return x.astype("float32"), level[now], level[now + AHEAD] - level[now]


x_train, _, change_train = windows(0, train_end)
x_val, _, change_val = windows(train_end, val_end)
x_test, now_test, change_test = windows(val_end, hours)

answer = StandardScaler().fit(change_train[:, None])
y_train = answer.transform(change_train[:, None])
y_val = answer.transform(change_val[:, None])


def build():
    model = keras.Sequential(
        [
            layers.Input(shape=(LOOKBACK, table.shape[1])),
            layers.LSTM(24),
            layers.Dense(1),
        ]
    )
    model.compile(optimizer=keras.optimizers.Adam(3e-3), loss="mse")
    return model


# Three seeds, all decided beforehand and all reported
actual = now_test + change_test
errors = []
for seed in (1, 2, 3):
    keras.utils.set_random_seed(seed)
    model = build()
    model.fit(
        x_train,
        y_train,
        validation_data=(x_val, y_val),
        epochs=12,
        batch_size=64,
        callbacks=[keras.callbacks.EarlyStopping(patience=3, restore_best_weights=True)],
        verbose=0,
    )
    change = answer.inverse_transform(model.predict(x_test, verbose=0))[:, 0]
    forecast = now_test + change
    errors.append(np.mean(np.abs(forecast - actual)))

persistence = np.mean(np.abs(now_test - actual))
print(f"LSTM: {np.mean(errors):.4f} m, from {min(errors):.4f} to {max(errors):.4f} over 3 seeds")
print(f"Persistence: {persistence:.4f} m")
