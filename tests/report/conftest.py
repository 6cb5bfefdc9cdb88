"""Small run directories of each kind, written as a study writes them, and eyes for the figures drawn of them.

What is drawn of a case of `CASES` is drawn once a session.
"""

from __future__ import annotations

import csv
import functools
import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from sunhwan import rundir
from sunhwan.report import study, style
from sunhwan.report.pictures import plots

HOUR = np.timedelta64(3600, "s")

METRICS = {"forecast": ("mae", "degC"), "text": ("accuracy", "accuracy"), "adding": ("mse", "squared error")}

MANY = tuple(f"gru_of_a_rather_long_name_number_{number}" for number in range(12))


def write(
    folder: Path,
    kind: str,
    facts: dict,
    *,
    metrics: dict | None = None,
    history: list[dict] | None = None,
    predictions: dict | None = None,
    series: dict | None = None,
) -> Path:
    """A run directory of the given parts; a part that is None is not there.

    `facts` change run.json. Readings without a series are of one.
    """
    metric, unit = METRICS[kind]
    run = rundir.record("study", [], {}, {"made": "ab"}) | {"state": "finished"}
    run |= {"study": "parts", "study_kind": kind, "question": "Which is best?", "notes": ["made up"]}
    run |= {"metric": metric, "unit": unit, "target": "T (degC)"}
    run |= {"epochs": 6, "seeds": 2, "few_epochs": False, "steps_per_epoch": 50, **facts}
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
            if "time" in arrays:
                time = arrays["time"]
                one = {"series": np.zeros(len(time), int), "edges": np.repeat(time.max(), 2)}
                arrays = {**one, "series_names": np.array(list("abcdefgh")), **arrays}
            np.savez(folder / f"{name}.npz", **arrays)
    return folder


def scores(unit: str, models: dict[str, tuple], baselines: dict[str, tuple]) -> dict:
    """metrics.json; models: {name: (val, test, std)}, baselines: {name: (val, test)}."""
    return {
        "unit": unit,
        "models": {
            name: {
                "validation": {"mean": val, "std": std, "values": [val, val]},
                "test": {"mean": test, "std": std, "values": [test, test]},
                "best_epochs": [5, 6],
                "seconds_per_epoch": 1.5,
                "parameters": 1000,
            }
            for name, (val, test, std) in models.items()
        },
        "baselines": {name: {"validation": val, "test": test} for name, (val, test) in baselines.items()},
        "verdict": "The verdict, with 1 number.",
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


def forecast_run(
    folder: Path,
    models=("gru", "lstm"),
    baselines=("last_value", "ridge"),
    seeds: int = 2,
    count: int = 6,
    days: int = 120,
    names=("north", "south"),
    **facts,
) -> Path:
    """A whole run of kind forecast."""
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
    return write(
        folder,
        "forecast",
        {"study": "tomorrow", "epochs": count, "seeds": seeds, **facts},
        metrics=scores("degC", *table),
        history=epochs(models, seeds, count),
        predictions=predictions,
        series=series,
    )


def text_run(folder: Path, seeds: int = 2, count: int = 6, **facts) -> Path:
    """A whole run of kind text."""
    random = np.random.default_rng(3)
    truth = random.integers(0, 2, 2000)
    score = random.normal(0, 1, 2000) + 2.4 * (truth - 0.5)
    spread = 0.004 if seeds > 1 else None
    return write(
        folder,
        "text",
        {"study": "reviews", "epochs": count, "seeds": seeds, **facts},
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


def adding_run(folder: Path, seeds: int = 2, count: int = 8, lengths=(50, 100, 200), **facts) -> Path:
    """A whole run of kind adding."""
    history, models = [], {}
    for length in lengths:
        for cell in ("gru", "simple_rnn"):
            for seed in range(seeds):
                for epoch in range(1, count + 1):
                    learnt = 0 if cell == "simple_rnn" else max(epoch - length / 40 - 0.2 * seed, 0)
                    error = 0.17 * float(np.exp(-learnt)) + 0.001
                    row = {"model": f"{cell}_{length}", "seed": seed, "epoch": epoch, "seconds": 1.0}
                    history.append(row | {"loss": error, "val_loss": error})
            models[f"{cell}_{length}"] = (error, error, 0.1 * error if seeds > 1 else None)
    return write(
        folder,
        "adding",
        {"study": "adding_problem", "epochs": count, "seeds": seeds, **facts},
        metrics=scores("mse", models, {f"mean_{length}": (0.1667, 0.1669) for length in lengths}),
        history=history,
    )


CASES = {
    "forecast": forecast_run,
    "text": text_run,
    "adding": adding_run,
    "forecast, one epoch": functools.partial(forecast_run, seeds=1, count=1, days=40, few_epochs=True),
    "forecast, baselines": functools.partial(forecast_run, models=(), days=15),
    "forecast, one series": functools.partial(
        forecast_run, models=("gru",), names=("here",), unit="hPa", target="p ($)", days=15
    ),
    "forecast, long names": functools.partial(
        forecast_run,
        models=MANY,
        baselines=("same_time_yesterday", "ridge_with_a_calendar_of_features", "boosting", "mean"),
        study="measurements_of_the_air_temperature_at_three_stations_from_a_file",
        target="air temperature at two metres above the ground (degC)",
        names=("a station whose name goes on and on and on", "b", "c"),
    ),
    "text, one epoch": functools.partial(text_run, seeds=1, count=1, few_epochs=True),
    "adding, four lengths": functools.partial(adding_run, seeds=1, lengths=(50, 100, 200, 400)),
}


def draw_pictures(run: Path, *names: str) -> dict[str, style.Picture]:
    """Every plot that the run has, or of those in `names`; not written."""
    read = study.read(run)
    with style.applied():
        drawn = {name: plots.PLOTS[name](read) for name in names or plots.PLOTS}
    return {name: picture for name, picture in drawn.items() if picture}


@pytest.fixture(scope="session")
def case(tmp_path_factory):
    """case(name): the run directory of a case of `CASES` and its pictures; to be looked at, not changed."""

    @functools.cache
    def find(name: str) -> tuple[Path, dict[str, style.Picture]]:
        run = CASES[name](tmp_path_factory.mktemp("case") / "run")
        return run, draw_pictures(run)

    return find


@pytest.fixture(scope="session")
def cases():
    """The names of all cases."""
    return list(CASES)


@pytest.fixture
def write_run(tmp_path):
    """write_run(kind, **parts) writes a run directory of the given parts only; see `write`."""

    def make(kind: str = "forecast", facts: dict | None = None, **parts) -> Path:
        return write(tmp_path / "parts", kind, facts or {}, **parts)

    return make


@pytest.fixture
def write_case(tmp_path):
    """write_case(kind, ...) writes a whole run of a kind, changed as its function says, to be changed."""

    def make(kind: str, **changes) -> Path:
        return CASES[kind](tmp_path / "run", **changes)

    return make


@pytest.fixture
def write_forecasts(write_run):
    """A run whose forecasts are its truth and the given errors: {name: (n,)}, by default hourly."""

    def make(errors: dict, models: dict, baselines: dict, step=HOUR) -> Path:
        length = len(next(iter(errors.values())))
        time = np.datetime64("2024-06-01", "s") + step * np.arange(length)
        truth = np.sin(np.arange(length))
        predictions = {"time": time, "truth": truth}
        predictions |= {f"forecast:{name}": truth + error for name, error in errors.items()}
        return write_run(metrics=scores("degC", models, baselines), predictions=predictions)

    return make


@pytest.fixture
def score_table():
    """`scores`: metrics.json from (val, test, std) of models and (val, test) of baselines."""
    return scores


@pytest.fixture
def pictures():
    """`draw_pictures`: {name: Picture} of a run."""
    return draw_pictures


@pytest.fixture
def figure_of():
    """figure_of(run, name): the figure of one plot."""
    return lambda run, name: draw_pictures(run, name)[name].figure


@pytest.fixture
def said():
    """said(figure): its title, subtitle, labels and footnote, without line breaks."""

    def read(figure) -> str:
        return " ".join(text.get_text() for text in figure.texts).replace("\n", " ").replace("\u00a0", " ")

    return read


@pytest.fixture
def line_like():
    """line_like(axes, x, y): the lines of `axes` that go through exactly (x, y)."""

    def find(axes, x, y) -> list:
        return [
            line
            for line in axes.lines
            if len(line.get_xdata()) == len(x)
            and np.allclose(np.asarray(line.get_xdata(), float), x, equal_nan=True)
            and np.allclose(np.asarray(line.get_ydata(), float), y, equal_nan=True)
        ]

    return find


def station(target: str, rows: int = 600) -> pl.DataFrame:
    """Hourly readings of two places: a daily wave, noise, a gap of a day, a column that drifts."""
    frames = []
    for number, place in enumerate(("Ulm", "Köln")):
        random = np.random.default_rng(number)
        hours = np.arange(rows)
        t = 10 + 5 * np.sin(hours / 24 * 2 * np.pi) + random.normal(size=rows) + 8 * number
        gap = (hours > 520) & (hours < 545)
        frames.append(
            pl.DataFrame(
                {
                    "time": np.datetime64("2024-03-01T00", "ms") + hours * np.timedelta64(1, "h"),
                    "place": [place] * rows,
                    target: pl.Series(t).set(pl.Series(gap), None),
                    "p": 1000 + hours / 50 + random.normal(size=rows),
                }
            )
        )
    return pl.concat(frames)


@pytest.fixture(scope="session")
def forecast_run(tmp_path_factory):
    """A run of `forecast`, really made: two targets, the first of an evil name, in two series."""
    from sunhwan.data import table
    from sunhwan.data.preparation import ForecastSpec
    from sunhwan.forecast.options import Options, Settings
    from sunhwan.forecast.run import learn, save
    from sunhwan.forecast.source import Source
    from sunhwan.training.progress import Nobody

    target = "T </script><b onclick=x>&'\""
    home = tmp_path_factory.mktemp("report")
    station(target).write_parquet(home / "station.parquet")
    readings = table.load(home / "station.parquet", series="place")
    options = Options(Settings(units=4, dense=8, epochs=2), seeds=2)
    result = learn(readings, ForecastSpec((target, "p"), "6h", "12h"), options, Nobody())
    folder = home / "run"
    known = rundir.record("forecast", ["sunhwan", "forecast", "a file"], {"seeds": 2}, {"station": "ab"})
    source = Source(home / "station.parquet", ("time",), "place")
    save(result, known, folder, source)
    return folder


@pytest.fixture(scope="session")
def classify_run(tmp_path_factory):
    """A run of `classify`, really made: three classes, one of an evil name, and words that sometimes lie."""
    from sunhwan.classify import run as classify
    from sunhwan.classify.texts.classifier import Options
    from sunhwan.classify.texts.network import Settings
    from sunhwan.data.texts.labelled import Labelled
    from sunhwan.training.progress import Nobody

    words = {"good": ["fine", "lovely"], "</script>bad": ["dull", "weak"], "so-so": ["plain", "medium"]}
    random = np.random.default_rng(0)
    labels = random.choice(list(words), 300)
    texts = []
    for number, label in enumerate(labels):
        told = random.choice(list(words)) if random.random() < 0.2 else label
        texts.append(" ".join([*random.choice(["the", "film", "a"], 5), *words[told], f"<b>{number}"]))
    source = Labelled(pl.Series(texts), pl.Series(labels), "made.csv", "")
    options = Options(Settings(units=4, embedding=4, epochs=1), seeds=1)
    result = classify.learn(source, (60, 20, 20), options, Nobody())
    folder = tmp_path_factory.mktemp("classify") / "run"
    classify.save(result, rundir.record("classify", [], {}, {"made.csv": "ab"}), folder)
    return folder


@pytest.fixture
def audited():
    """What `sunhwan audit --json` prints of a script with two fits."""
    first = {
        "model": "LSTM 12 x 2, 672 windows of 60 x 1 -> 1",
        "lines": [34],
        "where": "line 34",
        "rows": 168,
        "part": "test",
        "metric": "mae",
        "metric_label": "MAE",
        "units": None,
        "network": 2.0,
        "baselines": {"last_value": 1.5, "ridge": 1.4, "boosting": 2.5},
        "names": {"last_value": "last value", "ridge": "ridge", "boosting": "boosting"},
        "labels": {"last_value": "last value", "ridge": "ridge on </script> windows", "boosting": "boosting"},
        "figures": {"network": "2", "last_value": "1.5", "ridge": "1.4", "boosting": "2.5"},
        "best_baseline": "ridge",
        "better_baselines": ["last_value", "ridge"],
        "improvements": {
            "last_value": {"percent": 25.0, "interval": [20.0, 30.0], "text": "25% lower error"},
            "ridge": {"percent": 30.0, "interval": [24.0, 35.0], "text": "30% lower error"},
            "boosting": {"percent": -25.0, "interval": [-40.0, 5.0], "text": "25% higher error"},
        },
        "skipped": {},
        "declined": None,
        "speedup": 3.1,
        "step_seconds": {"stock": 0.031, "accelerated": 0.01},
        "steps_timed": 40,
        "not_timed": None,
    }
    second = {
        **first,
        "model": "GRU 3, 100 windows of 10 x 1 -> 2 classes",
        "metric": "accuracy",
        "metric_label": "accuracy",
        "network": 0.9,
        "baselines": {"majority": 0.6, "logistic": 0.85},
        "names": {"majority": "majority", "logistic": "logistic regression", "minirocket": "MiniRocket"},
        "labels": {"majority": "majority", "logistic": "logistic regression"},
        "figures": {"network": "90.0%", "majority": "60.0%", "logistic": "85.0%"},
        "best_baseline": "logistic",
        "better_baselines": [],
        "improvements": {
            "majority": {"percent": -300.0, "interval": [-350.0, -250.0], "text": "300% higher error"},
            "logistic": {"percent": -50.0, "interval": None, "text": "50% higher error"},
        },
        "skipped": {"minirocket": "the budget is spent"},
        "speedup": None,
        "step_seconds": None,
        "not_timed": "the budget is spent",
    }
    finding = {
        "level": "leak",
        "name": "scaled_on_test",
        "text": "MinMaxScaler was fitted on 900 rows, including those of the test part",
        "certain": True,
        "lines": [13, 34],
        "code": ["scaled = scaler.fit_transform(close.reshape(-1, 1))", "model.fit(X, y) # <b onclick=x>"],
        "evidence": [
            {
                "fit": 1,
                "part": "test",
                "rows": 900,
                "examples": [{"test": 0, "train": 17}],
                "share": 0.98765,
            }
        ],
        "fix": "Fit scalers on the training rows only.",
        "fits": [1],
    }
    note = {**finding, "level": "note", "name": "one_seed", "text": "one seed", "lines": [], "code": []}
    likely = {
        **finding,
        "level": "warning",
        "certain": False,
        "name": "likely_thing",
        "lines": ["cell 3, line 1"],
    }
    return {
        "script": "stock.py",
        "verdict": "1 leak is proved: the result looks better than it is.",
        "counts": {"leak": 1, "warning": 1, "note": 1},
        "fits": [first, second],
        "findings": [
            finding,
            {**likely, "lines": ["cell 3, line 1"], "code": ["x = 1"], "evidence": [{"fit": 1}]},
            note,
        ],
        "remarks": ["2 more calls of fit were not audited"],
        "speed": "accelerated: 41 s instead of about 8 min 20 s",
        "seconds": 41.0,
        "seconds_otherwise": 500.0,
    }
