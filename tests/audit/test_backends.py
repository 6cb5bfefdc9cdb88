"""Scripts on each backend, with the models and the data that it has besides: one leak is proved in all."""

import json
import os
import subprocess
import sys
from importlib.util import find_spec

import pytest

HEAD = """
import keras
import numpy as np

keras.utils.set_random_seed(0)
series = np.cumsum(np.random.default_rng(0).normal(size=500)).astype("float32")
x = np.stack([series[i : i + 16] for i in range(484)])[..., None]
y = series[16:, None]
order = np.random.default_rng(1).permutation(len(x))
train, test = order[:384], order[384:]
"""

JUDGED = """
model.fit(x[train], y[train], epochs=1, verbose=0)
model.evaluate(x[test], y[test], verbose=0)
"""

SEQUENTIAL = """
model = keras.Sequential([keras.layers.LSTM(4), keras.layers.Dense(1)])
model.compile("adam", "mse", metrics=["mae"])
"""

FUNCTIONAL = """
inputs = keras.Input((16, 1))
model = keras.Model(inputs, keras.layers.Dense(1)(keras.layers.Bidirectional(keras.layers.GRU(3))(inputs)))
model.compile("adam", "mse", metrics=["mae"])
"""

SUBCLASSED = """
class Network(keras.Model):
    def __init__(self):
        super().__init__()
        self.memory, self.head = keras.layers.GRU(3), keras.layers.Dense(1)
    def call(self, x):
        return self.head(self.memory(x))
model = Network()
model.compile("adam", "mse", metrics=["mae"])
"""

OF_TENSORFLOW = """
import tensorflow as tf
def dataset(rows):
    return tf.data.Dataset.from_tensor_slices((x[rows], y[rows])).batch(32)
model.fit(dataset(train), epochs=1, verbose=0)
model.evaluate(dataset(test), verbose=0)
"""

OF_TORCH = """
import torch
def loader(rows):
    pairs = torch.utils.data.TensorDataset(torch.from_numpy(x[rows]), torch.from_numpy(y[rows]))
    return torch.utils.data.DataLoader(pairs, batch_size=32)
model.fit(loader(train), epochs=1, verbose=0)
model.evaluate(loader(test), verbose=0)
"""

CASES = [
    ("jax", SUBCLASSED + JUDGED),
    ("jax", FUNCTIONAL + JUDGED),
    ("tensorflow", SEQUENTIAL + JUDGED),
    ("tensorflow", SUBCLASSED + OF_TENSORFLOW),
    ("torch", SUBCLASSED + JUDGED),
    ("torch", SEQUENTIAL + OF_TORCH),
]


@pytest.mark.parametrize(("backend", "text"), CASES)
def test_the_leak_is_proved_and_the_network_scored(backend, text, tmp_path):
    if find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    (tmp_path / "script.py").write_text(HEAD + text)
    ended = subprocess.run(
        [
            *(sys.executable, "-W", "ignore", "-c", "from sunhwan.cli import main; main()"),
            *("audit", "--json", "--strict", "script.py"),
        ],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=os.environ | {"KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3"},
    )
    assert ended.returncode == 3, ended.stderr
    audit = json.loads(ended.stdout.splitlines()[-1])
    assert [finding["name"] for finding in audit["findings"] if finding["level"] == "leak"] == [
        "window_overlap"
    ]
    fit = audit["fits"][0]
    assert (fit["rows"], fit["part"], fit["metric"]) == (100, "test", "mae")
    assert fit["baselines"]["last_value"] < fit["network"]
    assert fit["improvements"]["last_value"]["interval"]
