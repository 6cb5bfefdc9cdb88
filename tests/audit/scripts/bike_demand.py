"""Hourly bike rentals. Planted: a centred average, a scaler of all rows, the epoch chosen on the test."""

import keras
import numpy as np
import pandas as pd
from keras import layers
from sklearn.metrics import mean_absolute_error, mean_squared_error
from sklearn.preprocessing import MinMaxScaler

keras.utils.set_random_seed(42)
rng = np.random.default_rng(42)

# 1. Load the data: 100 days of hourly rentals
n_hours = 100 * 24
index = pd.date_range("2023-03-01", periods=n_hours, freq="h")
hour = index.hour.to_numpy()
weekend = (index.dayofweek >= 5).astype(int)
temp = 12 + 0.08 * np.arange(n_hours) / 24 + 5 * np.sin(2 * np.pi * (hour - 9) / 24)
temp = temp + np.convolve(rng.normal(0, 1, n_hours), np.ones(12) / 4, mode="same")
commute = 150 * np.exp(-((hour - 8) ** 2) / 4) + 180 * np.exp(-((hour - 18) ** 2) / 6)
leisure = 120 * np.exp(-((hour - 14) ** 2) / 20)
level = np.where(weekend == 1, leisure, commute) + 20 + 4 * temp
cnt = np.maximum(0, level * rng.lognormal(0, 0.25, n_hours)).round()

df = pd.DataFrame({"cnt": cnt, "temp": temp, "weekend": weekend}, index=index)
print(df.describe())

# 2. Feature engineering
df["hour_sin"] = np.sin(2 * np.pi * df.index.hour / 24)
df["hour_cos"] = np.cos(2 * np.pi * df.index.hour / 24)
# The rentals are noisy, so a smoothed version helps the network to see the trend
df["cnt_smooth"] = df["cnt"].rolling(window=5, center=True).mean()
df = df.dropna()

# 3. Neural networks like values between 0 and 1
scaler = MinMaxScaler()
scaled = scaler.fit_transform(df)


# 4. Turn the table into sequences of the last 24 hours
def create_dataset(data, time_steps=24):
    Xs, ys = [], []
    for i in range(len(data) - time_steps):
        Xs.append(data[i : i + time_steps])
        ys.append(data[i + time_steps, 0])
    return np.array(Xs), np.array(ys)


X, y = create_dataset(scaled)
train_size = int(len(X) * 0.8)
X_train, X_test = X[:train_size], X[train_size:]
y_train, y_test = y[:train_size], y[train_size:]
print(X_train.shape, X_test.shape)

# 5. Build and train the model
model = keras.Sequential(
    [
        layers.Input(shape=X_train.shape[1:]),
        layers.GRU(32),
        layers.Dropout(0.2),
        layers.Dense(16, activation="relu"),
        layers.Dense(1),
    ]
)
model.compile(optimizer=keras.optimizers.Adam(0.002), loss="mse")

early_stop = keras.callbacks.EarlyStopping(monitor="val_loss", patience=4, restore_best_weights=True)
history = model.fit(
    X_train,
    y_train,
    epochs=20,
    batch_size=64,
    validation_data=(X_test, y_test),
    callbacks=[early_stop],
    verbose=2,
)

# 6. Evaluate on unseen data, in rentals per hour
pred = model.predict(X_test, verbose=0)


def to_rentals(column):
    padded = np.zeros((len(column), scaled.shape[1]))
    padded[:, 0] = np.ravel(column)
    return scaler.inverse_transform(padded)[:, 0]


actual, forecast = to_rentals(y_test), to_rentals(pred)
rmse = np.sqrt(mean_squared_error(actual, forecast))
print(f"Test RMSE: {rmse:.1f} rentals per hour")
print(f"Test MAE: {mean_absolute_error(actual, forecast):.1f} rentals per hour")
