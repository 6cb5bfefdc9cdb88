"""A search: it sees training rows alone, stops what falls behind, and gives up what is not clearly better."""

import csv
import json
import sys
from dataclasses import asdict

import numpy as np
import polars as pl
import pytest
from click.testing import CliRunner

from sunhwan.cli import group
from sunhwan.data import table
from sunhwan.data.files.records import Records
from sunhwan.data.preparation import ForecastSpec
from sunhwan.errors import SunhwanError
from sunhwan.forecast import network
from sunhwan.forecast.network import Trained
from sunhwan.forecast.options import Options, Settings
from sunhwan.forecast.search import UNSTOPPED, search
from sunhwan.training.progress import Nobody

WANTED = ForecastSpec(("T",), "6h", split=(50, 25, 25))


def station(rows=1200):
    random, hours = np.random.default_rng(0), np.arange(rows)
    time = np.datetime64("2024-03-01", "ms") + hours * np.timedelta64(3_600_000, "ms")
    wave = 5 * np.sin(2 * np.pi * hours / 24) + np.cumsum(random.normal(size=rows)) / 10
    return pl.DataFrame(
        {"time": pl.Series(time).dt.to_string("%F %T"), "T": wave, "p": random.normal(size=rows)}
    )


def as_table(frame):
    return table.assemble(Records(frame, "station.csv", ""), time=["time"])


class Tried:
    """In place of training: a loss by the settings, and a note of what was seen."""

    def __init__(self, loss):
        self.loss, self.settings, self.seen, self.windows = loss, [], [], []

    def __call__(self, train, validation, ridge, offsets, level, settings, seed, watcher):
        self.settings.append((settings, train.plan.grid.lookback))
        self.seen.append(max(rows.time.max() for rows in (train.rows, validation.rows)))
        self.windows.append((train.rows.time[train.last], validation.rows.time[validation.last]))
        watcher.begin("gru", 5, 1)
        for epoch in range(1, 6):
            watcher.epoch({"epoch": epoch, "val_loss": self.loss(settings) + 1 / epoch, "loss": 0.0})
        return Trained(None, settings, self.loss(settings), 0.0, ())


@pytest.fixture
def trying(monkeypatch):
    def begin(loss):
        tried = Tried(loss)
        monkeypatch.setattr(network, "train", tried)
        return tried

    return begin


def of_units(settings):
    return 1 / settings.units + settings.dropout / 100


def test_training_rows_alone_are_seen(trying):
    tried = trying(of_units)
    found = search(as_table(station()), WANTED, Options(), Nobody(), 12)
    end = np.datetime64("2024-03-01") + np.timedelta64(599, "h")
    assert set(tried.seen) == {end}
    # Losses are of the same validation windows, whatever the lookback, none of which begins in training.
    lookbacks = {lookback for _, lookback in tried.settings}
    assert lookbacks == {24, 48, 96}
    for train, val in tried.windows:
        np.testing.assert_array_equal(val, tried.windows[0][1])
        assert train.max() + np.timedelta64(6, "h") < val.min() - np.timedelta64(95, "h")
    wild = station().with_columns(pl.when(pl.int_range(1200) >= 600).then(99.5).otherwise("T").alias("T"))
    again = search(as_table(wild), WANTED, Options(), Nobody(), 12)
    times = {"seconds": 0}
    assert [row | times for row in again.trials] == [row | times for row in found.trials]


def test_the_best_is_chosen_and_what_falls_behind_is_stopped(trying):
    tried = trying(of_units)
    found = search(as_table(station()), WANTED, Options(), Nobody(), 25)
    assert [settings.relative for settings, _ in tried.settings[:2]] == [False, True]
    usual = asdict(Settings())
    for settings, lookback in tried.settings[:2]:
        assert asdict(settings) == usual | {"relative": settings.relative} and lookback == 48
    finished = [row for row in found.trials if row["state"] == "complete"]
    best = min(finished, key=lambda row: row["val_loss"])
    assert found.options.settings.units == best["units"] == 96 and found.wanted.lookback == best["lookback"]
    assert found.options.relative is best["relative"]
    assert best["val_loss"] == pytest.approx(of_units(found.options.settings))
    stopped = [row for row in found.trials if row["state"] == "stopped"]
    assert len(stopped) == found.summary["stopped"] > 0 and {row["epochs"] for row in stopped} == {2}
    assert all(row["state"] == "complete" for row in found.trials[:UNSTOPPED])
    assert found.summary["chosen"] == best["setting"] and "lower loss there than the defaults" in found.note


def test_what_is_hardly_better_is_not_taken(trying):
    trying(lambda settings: 1 - settings.units / 1e5)
    options = Options(Settings(epochs=7))
    found = search(as_table(station()), WANTED, options, Nobody(), 10)
    assert found.options == options and found.wanted == WANTED and found.summary["chosen"] is None
    assert "so the defaults are used" in found.note


def test_a_lookback_that_is_named_stays(trying):
    tried = trying(of_units)
    search(as_table(station()), ForecastSpec(("T",), "6h", "30h"), Options(), Nobody(), 6)
    assert {lookback for _, lookback in tried.settings} == {30}


def test_too_few_rows_and_no_optuna_are_said(monkeypatch):
    with pytest.raises(SunhwanError, match=r"on the latest 33% of it, but there .*leave out --search"):
        search(as_table(station(300)), WANTED, Options(), Nobody(), 5)
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(SunhwanError, match=r"pip install 'sunhwan\[search\]'"):
        search(as_table(station()), WANTED, Options(), Nobody(), 5)


def test_the_command_trains_what_was_chosen_and_keeps_what_was_tried(tmp_path, monkeypatch):
    monkeypatch.setattr("sunhwan.forecast.search.UNITS", (4, 8))
    monkeypatch.setattr("sunhwan.forecast.search.WORTH", -10.0)  # so that the best is taken in any case
    station().write_csv(tmp_path / "station.csv")
    run = tmp_path / "run"
    done = CliRunner().invoke(
        group,
        ["forecast", str(tmp_path / "station.csv"), "--target", "T", "--horizon", "6h", "--lookback", "12h",
         "--epochs", "1", "--seeds", "1", "--search", "4", "--out", str(run), "--json"],
        catch_exceptions=False,
    )  # fmt: skip
    metrics = json.loads(done.stdout.splitlines()[-1])
    with open(run / "search.csv") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == metrics["search"]["tried"] == 4
    best = rows[metrics["search"]["chosen"] - 1]
    model = json.loads((run / "model.json").read_text())
    assert {key: str(model["settings"][key]) for key in ("cell", "units", "layers", "relative")} == {
        key: best[key] for key in ("cell", "units", "layers", "relative")
    }
    assert float(best["val_loss"]) == min(
        float(row["val_loss"]) for row in rows if row["state"] == "complete"
    )
    assert json.loads((run / "run.json").read_text())["search"] == metrics["search"]
    assert "4 settings were tried within the training part" in done.stdout
