"""The command `sunhwan`, called as a shell calls it, and a small file to call it with."""

import signal
import sys
from dataclasses import dataclass

import numpy as np
import pytest

from sunhwan.cli import main

SMALL = """
question = "Does it run?"
kind = "forecast"
models = ["dense", "wide"]
baselines = ["last_value", "ridge"]
epochs = 2
batch_size = 16

[data]
name = "table"

[prepare]
target = "T (degC)"
lookback = "6h"
horizon = "3h"

[model.wide]
builder = "dense"
units = 64
"""


@pytest.fixture(autouse=True)
def ctrl_c_interrupts():
    """A suite that was started in the background of a script inherits SIGINT ignored; these tests send it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@dataclass(frozen=True)
class Ended:
    """What a command left: its exit status and what it printed."""

    status: int
    out: str
    err: str


@pytest.fixture
def sunhwan(tmp_path, monkeypatch, capsys):
    """Calls `main` with arguments, in a folder of the test's own; what it raises fails the test."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SUNHWAN_CACHE", str(tmp_path / "cache"))

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["sunhwan", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        return Ended(ended.value.code, *capsys.readouterr())

    return call


@pytest.fixture
def refuses(sunhwan, tmp_path):
    """Calls `main` and holds it to its word on bad input: status 2, one sentence, nothing written."""

    def call(*arguments):
        before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
        ended = sunhwan(*arguments)
        assert ended.status == 2
        assert ended.err.startswith("sunhwan: ")
        assert ended.err.count("\n") == 1
        assert ended.err.endswith("\n")
        assert "Traceback" not in ended.err
        assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before
        return ended.err

    return call


@pytest.fixture
def station(tmp_path):
    """A CSV of 300 hours: a daily wave of temperature with noise, and a pressure that wanders."""
    random = np.random.default_rng(0)
    hours = np.arange(300)
    temperature = 10 + 5 * np.sin(hours / 24 * 2 * np.pi) + random.normal(0, 1, 300)
    pressure = 1000 + np.cumsum(random.normal(0, 1, 300))
    times = np.datetime64("2024-01-01T00:00") + hours * np.timedelta64(1, "h")
    rows = zip(times, temperature, pressure, strict=True)
    path = tmp_path / "station.csv"
    path.write_text("time,T (degC),p (mbar)\n" + "".join(f"{t},{a:.2f},{b:.2f}\n" for t, a, b in rows))
    return path


@pytest.fixture
def small(tmp_path):
    """A study file of two models that train in a second."""
    path = tmp_path / "small.toml"
    path.write_text(SMALL)
    return path
