"""Small run directories of each kind, written as a study writes them."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest

HOUR = np.timedelta64(3600, "s")


def write(
    folder: Path,
    run: dict,
    *,
    metrics: dict | None = None,
    history: list[dict] | None = None,
    predictions: dict | None = None,
    series: dict | None = None,
) -> Path:
    """A run directory of the given parts; a part that is None is not there."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "run.json").write_text(json.dumps(run), encoding="utf-8")
    if metrics is not None:
        (folder / "metrics.json").write_text(json.dumps(metrics), encoding="utf-8")
    if history:
        with open(folder / "history.csv", "w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, fieldnames=list(history[0]))
            writer.writeheader()
            writer.writerows(history)
    for name, arrays in (("predictions", predictions), ("series", series)):
        if arrays is not None:
            np.savez(folder / f"{name}.npz", **arrays)
    return folder


def scores(unit: str, models: dict[str, tuple], baselines: dict[str, tuple]) -> dict:
    """metrics.json; models: {name: (val, test, std)}, baselines: {name: (val, test)}."""
    return {
        "unit": unit,
        "models": {
            name: {
                "val": {"mean": val, "std": std},
                "test": {"mean": test, "std": std},
                "seconds_per_epoch": 1.5,
                "parameters": 1000,
            }
            for name, (val, test, std) in models.items()
        },
        "baselines": {name: {"val": val, "test": test} for name, (val, test) in baselines.items()},
    }


def epochs(models, seeds: int, count: int, *, accuracy: bool = False) -> list[dict]:
    """history.csv of curves that fall, and whose validation turns back up; a little different for each."""
    random = np.random.default_rng(0)
    rows = []
    for number, model in enumerate(models):
        for seed in range(seeds):
            for epoch in range(1, count + 1):
                row = {
                    "model": model,
                    "seed": seed,
                    "epoch": epoch,
                    "seconds": 1.5,
                    "loss": 0.2 + 0.15 * np.exp(-epoch / 4) + random.normal(0, 0.003),
                    "val_loss": 0.27 + 0.002 * abs(epoch - 5 - number) + random.normal(0, 0.003),
                }
                if accuracy:
                    row["accuracy"] = 1 - row["loss"]
                    row["val_accuracy"] = 0.86 - 0.004 * abs(epoch - 3) + random.normal(0, 0.002)
                rows.append(row)
    return rows


def hourly(days: int, names=("north", "south")) -> dict:
    """series.npz: `days` of hourly temperatures of each station, with a gap of a day and single holes."""
    random = np.random.default_rng(1)
    time = np.datetime64("2013-01-01T00:00:00", "s") + HOUR * np.arange(24 * days)
    value = []
    for number in range(len(names)):
        hours = np.arange(len(time))
        one = 8 + number + 5 * np.sin(hours * 2 * np.pi / 24) + random.normal(0, 1, len(time))
        one[[5, 77]] = np.nan
        one[len(time) // 2 : len(time) // 2 + 24] = np.nan
        value.append(one)
    return {
        "time": np.tile(time, len(names)),
        "value": np.concatenate(value),
        "series": np.repeat(np.arange(len(names)), len(time)),
        "series_names": np.array(names),
        "edges": np.array([time[int(0.6 * len(time))], time[int(0.8 * len(time))]]),
    }


@pytest.fixture
def write_run(tmp_path):
    """write_run(kind, ...) writes a run directory of the given parts only; see `write`."""

    def make(kind: str = "forecast", name: str = "parts", facts: dict | None = None, **parts) -> Path:
        metric, unit = {"forecast": ("mae", "degC"), "text": ("accuracy",) * 2, "adding": ("mse",) * 2}[kind]
        run = {"study": "parts", "kind": kind, "metric": metric, "unit": unit, "target": "T (degC)"}
        return write(tmp_path / name, {**run, **(facts or {})}, **parts)

    return make


@pytest.fixture
def score_table():
    """`scores`: metrics.json from (val, test, std) of models and (val, test) of baselines."""
    return scores


@pytest.fixture
def forecast_run(tmp_path):
    """forecast_run(...) writes a whole run of kind forecast and returns its directory."""

    def make(
        models=("gru", "lstm"),
        baselines=("last_value", "ridge"),
        seeds: int = 2,
        count: int = 6,
        days: int = 120,
        names=("north", "south"),
        name: str = "run",
        **changes,
    ) -> Path:
        random = np.random.default_rng(2)
        series = hourly(days, names)
        test = (series["time"] > series["edges"][1]) & np.isfinite(series["value"])
        truth = series["value"][test]
        predictions = {
            "time": series["time"][test],
            "series": series["series"][test],
            "series_names": series["series_names"],
            "truth": truth,
        }
        table = ({}, {})
        for number, one in enumerate((*models, *baselines)):
            forecast = truth + random.normal(0, 1.5 + 0.2 * number, len(truth))
            predictions[f"forecast:{one}"] = forecast
            error = float(np.abs(forecast - truth).mean())
            if one in models:
                table[0][one] = (error, error, 0.04 if seeds > 1 else None)
            else:
                table[1][one] = (error, error)
        run = {
            "study": "tomorrow",
            "kind": "forecast",
            "question": "How warm will it be tomorrow?",
            "metric": "mae",
            "unit": "degC",
            "target": "T (degC)",
            "epochs": count,
            "seeds": seeds,
            "few_epochs": False,
            **changes,
        }
        return write(
            tmp_path / name,
            run,
            metrics=scores("degC", *table),
            history=epochs(models, seeds, count),
            predictions=predictions,
            series=series,
        )

    return make


@pytest.fixture
def text_run(tmp_path):
    """text_run(...) writes a whole run of kind text and returns its directory."""

    def make(seeds: int = 2, count: int = 6, **changes) -> Path:
        random = np.random.default_rng(3)
        truth = random.integers(0, 2, 2000)
        score = random.normal(0, 1, 2000) + 2.4 * (truth - 0.5)
        spread = 0.004 if seeds > 1 else None
        run = {
            "study": "reviews",
            "kind": "text",
            "question": "Was it liked?",
            "metric": "accuracy",
            "unit": "accuracy",
            "target": "label",
            "epochs": count,
            "seeds": seeds,
            "few_epochs": False,
            **changes,
        }
        return write(
            tmp_path / "texts",
            run,
            metrics=scores(
                "accuracy",
                {"simple_rnn": (0.86, 0.853, spread), "lstm": (0.88, 0.874, spread)},
                {"majority": (0.5, 0.5), "nb_svm": (0.91, 0.916)},
            ),
            history=epochs(["simple_rnn", "lstm"], seeds, count, accuracy=True),
            predictions={
                "truth": truth,
                "probability:simple_rnn": 1 / (1 + np.exp(-4 * score)),
                "probability:lstm": 1 / (1 + np.exp(-2.4 * score)),
                "probability:majority": np.full(2000, 0.5),
                "probability:nb_svm": 1 / (1 + np.exp(-1.5 * score)),
            },
        )

    return make


@pytest.fixture
def adding_run(tmp_path):
    """adding_run(...) writes a whole run of kind adding and returns its directory."""

    def make(seeds: int = 2, count: int = 8, lengths=(50, 100, 200), **changes) -> Path:
        history, models = [], {}
        for length in lengths:
            for cell in ("gru", "simple_rnn"):
                name = f"{cell}_{length}"
                for seed in range(seeds):
                    for epoch in range(1, count + 1):
                        learnt = 0 if cell == "simple_rnn" else max(epoch - length / 40 - 0.2 * seed, 0)
                        error = 0.17 * float(np.exp(-learnt)) + 0.001
                        history.append(
                            {
                                "model": name,
                                "seed": seed,
                                "epoch": epoch,
                                "seconds": 1.0,
                                "loss": error,
                                "val_loss": error,
                            }
                        )
                models[name] = (error, error, 0.1 * error if seeds > 1 else None)
        run = {
            "study": "adding_problem",
            "kind": "adding",
            "question": "How far back does it remember?",
            "metric": "mse",
            "unit": "mse",
            "target": "sum",
            "epochs": count,
            "seeds": seeds,
            "steps_per_epoch": 50,
            "few_epochs": False,
            **changes,
        }
        metrics = scores("mse", models, {"mean": (0.1667, 0.1669)})
        return write(tmp_path / "adding", run, metrics=metrics, history=history)

    return make
