"""Activities from windows of a worn sensor, split by recording before windows are cut. Sound."""

import keras
import numpy as np
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

keras.utils.set_random_seed(5)
random = np.random.default_rng(5)
recordings, activity = [], []
for _ in range(60):
    kind = int(random.integers(3))
    steps = np.arange(int(random.integers(120, 240)))
    noise = np.round(random.normal(0, 1, (len(steps), 3)), 1)
    recordings.append(noise + (0.6 * kind * np.sin(steps / (2 + kind))).round(1)[:, None])
    activity.append(kind)

numbers = np.arange(len(recordings))
train, test = train_test_split(numbers, test_size=0.25, random_state=0, stratify=activity)
scaler = StandardScaler().fit(np.concatenate([recordings[r] for r in train]))


def cut(chosen, width=48, hop=24):
    x, y = [], []
    for recording in chosen:
        rows = scaler.transform(recordings[recording])
        for start in range(0, len(rows) - width + 1, hop):
            x.append(rows[start : start + width])
            y.append(activity[recording])
    order = random.permutation(len(x))
    return np.array(x)[order], np.array(y)[order]


x_train, y_train = cut(train)
x_test, y_test = cut(test)
model = keras.Sequential(
    [keras.layers.Bidirectional(keras.layers.LSTM(8)), keras.layers.Dense(3, activation="softmax")]
)
model.compile(optimizer="adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
model.fit(x_train, y_train, epochs=3, verbose=0)
print("test accuracy", model.evaluate(x_test, y_test, verbose=0)[1])
