"""Small programs, audited: each beside one that deserves no finding."""

import pytest

SERIES = """
import keras, numpy as np
from sklearn.preprocessing import MinMaxScaler, StandardScaler
keras.utils.set_random_seed(0)
random = np.random.default_rng(0)
series = np.cumsum(random.normal(size=400))

def cut(values, width=12, ahead=1):
    starts = range(len(values) - width - max(ahead, 0) + 1)
    x = np.array([values[s : s + width] for s in starts])
    y = np.array([np.ravel(values[s + width + ahead - 1])[0] for s in starts])
    return x.reshape(len(x), width, -1), y

def network(units=2, outputs=1, activation=None, loss="mse", metrics=()):
    model = keras.Sequential([keras.layers.GRU(units), keras.layers.Dense(outputs, activation=activation)])
    model.compile("adam", loss, metrics=list(metrics))
    return model
"""


@pytest.fixture
def named(audited):
    """The names of the findings of a level in a program on windows of a series, and its audit."""

    def run(text, level="leak"):
        audit = audited(SERIES + text, baselines=False)
        return [finding.name for finding in audit if finding.level == level], audit

    return run


@pytest.fixture
def findings(on_noise):
    """The findings of a program on noise, by name."""
    return lambda text, baselines=False: {finding.name: finding for finding in on_noise(text, baselines)}
