"""Time the two ways that data takes on every run: gathering windows, and reading a large table.

    make bench

Prints medians and ranges for people, and one JSON object as the last line.
"""

from __future__ import annotations

import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl

from sunhwan.data import table
from sunhwan.data.features.encoder import Encoder
from sunhwan.data.features.kinds import Number
from sunhwan.data.features.scale import Scale
from sunhwan.data.grid import Grid
from sunhwan.data.windows import EncodedRows, WindowPlan

ROWS, REPEATS = 420_000, 7


def timed(work: Callable[[], object]) -> list[float]:
    """Seconds of each repeat, after one that is not counted."""
    work()
    seconds = []
    for _ in range(REPEATS):
        began = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - began)
    return seconds


def gather_windows() -> list[float]:
    """500 batches of (128, 240, 14) float32 windows, hourly steps over 10-minute rows, drawn at random."""
    random = np.random.default_rng(0)
    values = random.normal(size=(ROWS, 14)).astype(np.float32)
    encoder = Encoder(
        tuple(Number(f"c{i}") for i in range(14)),
        Scale(np.zeros(14), np.ones(14)),
        0,
        np.timedelta64(600, "s"),
    )
    plan = WindowPlan(("c1",), (), encoder, Grid(lookback=1440, step=6, horizon=144), (144,))
    time, series = np.zeros(ROWS, "datetime64[s]"), np.zeros(ROWS, np.int64)
    windows = EncodedRows(plan, values, values[:, [1]], time, series, ("",)).windows()
    batches = random.integers(0, len(windows), (500, 128))
    assert windows.gather(batches[0])[0].shape == (128, 240, 14)

    def work() -> None:
        for batch in batches:
            windows.gather(batch)

    return timed(work)


def read_table() -> list[float]:
    """A CSV of 420,000 rows x 15 columns, a time and 14 numbers, into a checked table."""
    random = np.random.default_rng(0)
    times = np.datetime64("2009-01-01T00:10:00") + np.arange(ROWS) * np.timedelta64(600, "s")
    columns = {"Date Time": pl.Series(times.astype("datetime64[us]")).dt.strftime("%d.%m.%Y %H:%M:%S")}
    columns |= {f"c{i} (unit)": random.normal(100, 10, ROWS).round(2) for i in range(14)}
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "large.csv"
        pl.DataFrame(columns).write_csv(file)
        return timed(lambda: table.load(file))


def main() -> None:
    figures = {"gather_500_batches_s": gather_windows(), "read_420000x15_csv_s": read_table()}
    for name, seconds in figures.items():
        spread = f"range {min(seconds):.3f} .. {max(seconds):.3f}"
        print(f"{name:<24} median {statistics.median(seconds):.3f}  {spread}")
    print(json.dumps({name: statistics.median(seconds) for name, seconds in figures.items()}))


if __name__ == "__main__":
    main()
