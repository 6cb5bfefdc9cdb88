"""What tests of forecasts share: a station's readings, and a run on three of them."""

from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest

from sunhwan import rundir
from sunhwan.data import table
from sunhwan.data.preparation import ForecastSpec
from sunhwan.files import new_run
from sunhwan.forecast.options import Options, Settings
from sunhwan.forecast.run import learn, save
from sunhwan.forecast.source import Source
from sunhwan.training.progress import Nobody


@pytest.fixture(scope="session")
def small():
    """Options of a quick training."""
    return Options(Settings(units=8, dense=16, epochs=2), seeds=1)


@pytest.fixture(scope="session")
def station():
    """Makes a frame of hourly readings: T has a daily wave, a slow drift, a plan that lifts it, and noise."""

    def make(rows=700, series=1, seed=0):
        frames = []
        for number in range(series):
            random = np.random.default_rng([seed, number])
            hours = np.arange(rows)
            plan = (random.random(rows) < 0.2) * 1.0
            t = 10 + 5 * np.sin(2 * np.pi * hours / 24) + np.cumsum(random.normal(size=rows)) / 5 + 3 * plan
            frames.append(
                pl.DataFrame(
                    {
                        "time": [
                            str(np.datetime64("2024-03-01T00:00") + np.timedelta64(int(hour), "h"))
                            for hour in hours
                        ],
                        "place": f"s{number}",
                        "T (degC)": t + 20 * number + random.normal(size=rows),
                        "p": 1000 + random.normal(size=rows),
                        "wind": random.choice(["N", "SE"], rows),
                        "plan": plan,
                    }
                )
            )
        frame = pl.concat(frames)
        return frame if series > 1 else frame.drop("place")

    return make


@pytest.fixture(scope="session")
def wanted():
    def make(**how):
        return ForecastSpec(**{"targets": ("T (degC)",), "horizon": "6h", "lookback": "12h", **how})

    return make


@pytest.fixture
def tabled(tmp_path):
    """Writes a frame and reads it as a table."""

    def make(frame, name="station.csv", series=None):
        frame.write_csv(tmp_path / name)
        return table.load(tmp_path / name, series=series)

    return make


@pytest.fixture(scope="session")
def run(tmp_path_factory, station, wanted, small):
    """A run of three series with a plan: its folder's parent, its table, its result and its metrics."""
    home = tmp_path_factory.mktemp("run")
    station(series=3).write_csv(home / "station.csv")
    readings = table.load(home / "station.csv", series="place")
    result = learn(readings, wanted(known=("plan",)), small, Nobody())
    _, source = Source(home / "station.csv", ("time",), "place").read()
    record = rundir.record("forecast", [], {}, {})
    metrics = save(result, record, new_run("forecast", home / "run"), source)
    return SimpleNamespace(home=home, readings=readings, result=result, metrics=metrics)
