"""What tests of baselines share: windows of made-up weather."""

import numpy as np
import polars as pl
import pytest

from sunhwan.data.preparation import ForecastSpec, prepare
from sunhwan.data.table import Table


@pytest.fixture(scope="session")
def weather():
    """Makes readings of two numbers and a plan, prepared for a forecast of 6 rows from 12."""

    def make(rows=1500, targets=("T",), known=(), interval=3600, season=24):
        random = np.random.default_rng(1)
        hours = np.arange(rows)
        slow = np.cumsum(random.normal(size=rows)) / 5
        columns = {
            "T": 10 + 5 * np.sin(2 * np.pi * hours / season) + slow + random.normal(size=rows),
            "p": 1000 + 3 * np.cos(2 * np.pi * hours / 50) + random.normal(size=rows),
            "plan": (random.random(rows) < 0.2) * 1.0,
        }
        columns["T"] += 3 * columns["plan"]
        step = np.timedelta64(interval, "s")
        readings = Table(
            np.datetime64("2020-01-01", "s") + hours * step,
            np.zeros(rows, np.int32),
            ("",),
            pl.DataFrame(columns),
            step,
            "made.csv",
            "",
        )
        return prepare(readings, ForecastSpec(targets, 6, 12, known))

    return make
