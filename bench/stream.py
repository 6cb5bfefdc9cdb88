"""Time one line of a stream, whole and part by part: 10,000 hourly readings of 11 columns, a day ahead.

    .venv/bin/python bench/stream.py

The forecaster is as large as one of `sunhwan forecast` by default (two GRU(32) over 48 timesteps, a straight
line); its networks' weights are drawn, since what they say takes no other time than if they had learnt.
Prints medians for people, and one JSON object as the last line.
"""

from __future__ import annotations

import json
import os
import statistics
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl

from sunhwan.baselines.names import NETWORK
from sunhwan.baselines.ridge import Ridge
from sunhwan.data import table
from sunhwan.data.files.records import Records
from sunhwan.data.preparation import ForecastSpec, Prepared, prepare
from sunhwan.evaluation.intervals import Calibration
from sunhwan.forecast import stream
from sunhwan.forecast.calibrations import Calibrations
from sunhwan.forecast.clock import Clock
from sunhwan.forecast.exact import Network, relative_features
from sunhwan.forecast.model import ForecastModel
from sunhwan.forecast.options import Settings
from sunhwan.forecast.stream import DurableStream, Stream
from sunhwan.recurrence.cells import CELLS

LINES = 10_000


def readings(rows: int) -> pl.DataFrame:
    """A station's hours: a time, ten numbers and a word."""
    random = np.random.default_rng(0)
    hours = np.arange(rows)
    time = np.datetime64("2020-01-01", "us") + hours * np.timedelta64(3600, "s").astype("timedelta64[us]")
    columns = {"time": pl.Series(time).dt.strftime("%Y-%m-%d %H:%M:%S")}
    for i in range(9):
        wave = 5 * np.sin(2 * np.pi * (hours + i) / 24) + np.cumsum(random.normal(size=rows)) / 20
        columns[f"c{i}"] = (wave + random.normal(size=rows)).round(1)
    return pl.DataFrame({**columns, "wind": random.choice(["N", "SE", "W"], rows)})


def drawn(learnt: Prepared, settings: Settings, seed: int) -> Network:
    """A network with drawn weights."""
    plan, random = learnt.plan, np.random.default_rng(seed)
    gates, units = CELLS[settings.cell].gates, settings.units
    features, known = len(plan.names), plan.steps * len(plan.known_features)
    read = units + features + plan.outputs + known
    shapes = {
        "recurrent_0_kernel": (features, len(gates) * units),
        "recurrent_0_recurrent_kernel": (units, len(gates) * units),
        "recurrent_0_bias": (2, len(gates) * units) if settings.cell == "gru" else (len(gates) * units,),
        "dense_kernel": (read, settings.dense),
        "dense_bias": (settings.dense,),
        "correction_kernel": (settings.dense, 3 * plan.outputs),
        "correction_bias": (3 * plan.outputs,),
    }
    weights = {name: (random.normal(size=shape) / 10).astype(np.float32) for name, shape in shapes.items()}
    return Network(settings.cell, True, 0.8, relative_features(plan), weights)


def trained(frame: pl.DataFrame) -> ForecastModel:
    """What forecasts c0 a day ahead."""
    learnt = prepare(table.assemble(Records(frame, "readings", "")), ForecastSpec(("c0",), "24h", "48h"))
    validation = learnt.windows("val")
    ridge = Ridge.fit(learnt.windows("train"), validation)
    networks = tuple(drawn(learnt, Settings(), seed) for seed in range(2))
    model = ForecastModel(learnt.plan, {"ridge": ridge}, networks, {NETWORK: 1.0}, {}, 0.8, None)
    bounds = model.quantiles(validation)[..., 1:]
    return replace(model, calibrations=Calibrations.fit(validation, bounds, model.level))


class Parts:
    """Microseconds of parts of each line; a part is a function that is wrapped where it is kept."""

    def __init__(self):
        self.lines: dict[str, list[float]] = {}

    def watch(self, owner: object, name: str, part: str) -> None:
        """Count what `owner.name` takes."""
        function, spent = getattr(owner, name), self.lines.setdefault(part, [])

        def watched(*arguments):
            began = time.perf_counter()
            found = function(*arguments)
            spent[-1] += 1e6 * (time.perf_counter() - began)
            return found

        setattr(owner, name, watched)

    def next(self) -> None:
        """Another line begins."""
        for spent in self.lines.values():
            spent.append(0.0)


def answered(forecast: ForecastModel, times: list[str], lines: list[str], parts: Parts) -> list[float]:
    """Microseconds of each line, from text to text, its reading kept in the journal."""
    micros = []
    with tempfile.TemporaryDirectory() as folder, open(os.devnull, "w") as out:
        durable = DurableStream(
            Stream(forecast, Clock(["time"], {"time": times})), Path(folder) / "state.json", "bench"
        )
        for line in lines:
            parts.next()
            began = time.perf_counter()
            out.write(stream.text_of(durable.line(line)) + "\n")
            out.flush()
            micros.append(1e6 * (time.perf_counter() - began))
        durable.close()
    return micros


def main() -> None:
    frame = readings(LINES + 4_000)
    forecast, times = trained(frame[:4_000]), frame["time"][:2].to_list()
    lines = [json.dumps(row) + "\n" for row in frame[4_000:].to_dicts()]
    whole = answered(forecast, times, lines, Parts())
    # Anew, since watching takes time as well.
    parts = Parts()
    for owner, name, part in [
        (Stream, "line", "line"),
        (Stream, "reading", "line, but for JSON"),
        (Stream, "quantiles", "networks and straight line"),
        (Calibration, "update", "intervals learn"),
        (Calibration, "issue", "intervals are said"),
        (stream, "text_of", "text"),
    ]:
        parts.watch(owner, name, part)
    answered(forecast, times, lines, parts)
    figures = {
        "line_us": statistics.median(whole),
        "parts_us": {part: statistics.median(spent) for part, spent in parts.lines.items()},
    }
    low, high = np.percentile(whole, [5, 95])
    print(f"a line: median {figures['line_us']:.0f} us, from {low:.0f} to {high:.0f} in nine of ten")
    for part, micros in figures["parts_us"].items():
        print(f"  {part:<28}{micros:6.1f} us")
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
