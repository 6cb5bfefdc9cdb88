"""Household energy, the next three hours, with three seeds; windows are cut and then split in time. Sound."""

import keras
import numpy as np

random = np.random.default_rng(11)
hours = np.arange(24 * 60)
load = (
    1.2
    + 0.5 * np.sin(2 * np.pi * hours / 24)
    + 0.1 * np.convolve(random.normal(size=len(hours)), np.ones(5), "same")
)
load = load.astype("float32")
train_rows = int(0.7 * len(load))
load = (load - load[:train_rows].mean()) / load[:train_rows].std()

width, ahead = 24, 3
x = np.lib.stride_tricks.sliding_window_view(load, width)[:-ahead][..., None]
y = np.lib.stride_tricks.sliding_window_view(load[width:], ahead)
last_train = train_rows - width - ahead
last_val = int(0.85 * len(load)) - width - ahead
parts = {
    "train": slice(0, last_train),
    "val": slice(train_rows - width, last_val),
    "test": slice(last_val + ahead, None),
}

found = []
for seed in range(3):
    keras.utils.set_random_seed(seed)
    inputs = keras.Input((width, 1))
    outputs = keras.layers.Dense(ahead)(keras.layers.GRU(8)(inputs))
    model = keras.Model(inputs, outputs)
    model.compile(optimizer="adam", loss="mse", metrics=["mae"])
    model.fit(
        x[parts["train"]], y[parts["train"]], epochs=2, verbose=0,
        validation_data=(x[parts["val"]], y[parts["val"]]),
    )  # fmt: skip
    found.append(model.evaluate(x[parts["test"]], y[parts["test"]], verbose=0)[1])
print(f"test MAE {np.mean(found):.3f} +- {np.std(found):.3f}")
