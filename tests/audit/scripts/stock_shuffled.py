"""Stock prices by LSTM. Planted: scaling over all rows; windows shuffled before the split."""

import keras
import numpy as np
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import MinMaxScaler

keras.utils.set_random_seed(42)
random = np.random.default_rng(7)
close = 100 * np.exp(np.cumsum(random.normal(0.0005, 0.015, 900)))

scaler = MinMaxScaler(feature_range=(0, 1))
scaled = scaler.fit_transform(close.reshape(-1, 1))

look_back = 60
X, y = [], []
for i in range(look_back, len(scaled)):
    X.append(scaled[i - look_back : i, 0])
    y.append(scaled[i, 0])
X, y = np.array(X), np.array(y)
X = np.reshape(X, (X.shape[0], X.shape[1], 1))

X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.2, random_state=42)

model = keras.Sequential(
    [
        keras.layers.Input((look_back, 1)),
        keras.layers.LSTM(12, return_sequences=True),
        keras.layers.LSTM(12),
        keras.layers.Dense(1),
    ]
)
model.compile(optimizer="adam", loss="mean_squared_error")
model.fit(X_train, y_train, epochs=2, batch_size=32, verbose=0)

predicted = scaler.inverse_transform(model.predict(X_test, verbose=0))
actual = scaler.inverse_transform(y_test.reshape(-1, 1))
print("RMSE", np.sqrt(np.mean((predicted - actual) ** 2)))
