"""A small weather station, and a study of it that trains in a second."""

import numpy as np
import pytest

from sunhwan.studies.problem import Examples, Metric, Problem
from sunhwan.studies.study import Study

HOUR = np.timedelta64(1, "h")


@pytest.fixture(scope="session")
def station(tmp_path_factory):
    """A CSV of 300 hours: a daily wave of temperature with noise, and a pressure that wanders."""
    random = np.random.default_rng(0)
    hours = np.arange(300)
    temperature = 10 + 5 * np.sin(hours / 24 * 2 * np.pi) + random.normal(0, 1, 300)
    pressure = 1000 + np.cumsum(random.normal(0, 1, 300))
    times = np.datetime64("2024-01-01T00:00") + hours * HOUR
    rows = zip(times, temperature, pressure, strict=True)
    path = tmp_path_factory.mktemp("data") / "station.csv"
    path.write_text("time,T (degC),p (mbar)\n" + "".join(f"{t},{a:.2f},{b:.2f}\n" for t, a, b in rows))
    return path


@pytest.fixture
def study(station):
    """Makes a study of the station; `dense` trains fastest."""

    def make(**given):
        declared = {
            "name": "small",
            "question": "Does it run?",
            "kind": "forecast",
            "models": ("dense",),
            "baselines": ("last_value", "ridge"),
            "epochs": 2,
            "batch_size": 16,
            "data": {"name": "table", "path": str(station)},
            "prepare": {"target": "T (degC)", "lookback": "6h", "horizon": "3h"},
        }
        return Study(**{**declared, **given})

    return make


@pytest.fixture(scope="session")
def tiny():
    """A problem of 44 / 21 / 10 sequences of 5 timesteps and 2 features, whose target is a mean."""
    random = np.random.default_rng(1)

    def part(count):
        inputs = random.normal(size=(count, 5, 2)).astype(np.float32)
        return Examples(inputs, inputs.mean(axis=(1, 2)))

    return Problem(part(44), part(21), part(10), (5, 2), Metric("mae", "degC", "mae", factor=3.0))
