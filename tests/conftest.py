"""What all tests share: the backend, seeded examples, the real files, and tables of made-up readings."""

import os
from pathlib import Path

# Keras reads its backend once, when it is first imported.
os.environ.setdefault("KERAS_BACKEND", "jax")
# Keras imports TensorFlow where it is installed, whatever its backend, and with oneDNN that writes to stderr.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")

import numpy as np
import polars as pl
import pytest
from hypothesis import settings

from sunhwan.data.table import Table

settings.register_profile("seeded", derandomize=True, deadline=None)
settings.load_profile("seeded")


@pytest.fixture
def real_file():
    """Finds one of the large real files, which lie in the folder that SUNHWAN_TEST_DATA names."""

    def find(name):
        folder = os.environ.get("SUNHWAN_TEST_DATA")
        if not folder:
            pytest.skip("SUNHWAN_TEST_DATA names no folder of real files")
        return Path(folder) / name

    return find


@pytest.fixture(scope="session")
def make_table():
    """Makes a `Table` of columns; `rows` gives the length of each series where there are several."""

    def make(columns, rows=None, interval=3600, start="2024-01-01"):
        length = len(next(iter(columns.values())))
        rows = rows or [length]
        assert sum(rows) == length
        within = np.concatenate([np.arange(count) for count in rows])
        return Table(
            time=np.datetime64(start, "s") + within * np.timedelta64(interval, "s"),
            series=np.repeat(np.arange(len(rows), dtype=np.int32), rows),
            series_names=tuple("abcdefgh"[: len(rows)]) if len(rows) > 1 else ("",),
            columns=pl.DataFrame(columns).with_columns(pl.selectors.float().fill_nan(None)),
            interval=np.timedelta64(interval, "s"),
            name="made up",
            fingerprint="",
        )

    return make
