"""A run directory, read and checked: the evidence that plots show.

A file that is not there, as in a run that was stopped, is empty evidence; one that cannot be read, or says
something else than a run writes, is a `SunhwanError`.
"""

from __future__ import annotations

import csv
import math
import zipfile
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from sunhwan.errors import SunhwanError
from sunhwan.files import read_json
from sunhwan.report.style import BASELINE, NETWORK, SEQUENCE, Mark
from sunhwan.report.words import count, elide, quantity, symbol

KINDS = ("forecast", "text", "adding")
METRICS = {"mae": "mean absolute error", "mse": "mean squared error", "accuracy": "accuracy"}
FACTS = ("study", "kind", "metric", "unit", "target", "epochs", "seeds", "few_epochs", "steps_per_epoch")
"""What plots need of run.json."""

Curve = dict[str, np.ndarray]
"""One seed of one model: (epochs,) of history.csv's `epoch`, `loss`, `val_loss`; of texts the accuracies."""


@dataclass(frozen=True)
class Score:
    """A model's or baseline's error (or accuracy) on both parts; NaN for what is not known.

    `spread` is the standard deviation over seeds on the test part; NaN for one seed and for baselines.
    """

    name: str
    network: bool
    val: float
    test: float
    spread: float


@dataclass(frozen=True)
class Predictor:
    """Predictions `values` (n,) of a network or baseline.

    `role`: "best network" or "best baseline", without "best" where no scores say so; "" for other baselines.
    """

    name: str
    role: str
    mark: Mark
    values: np.ndarray

    @property
    def label(self) -> str:
        name = elide(self.name, 24)
        return f"{name} ({self.role})" if self.role else name


@dataclass(frozen=True)
class Evidence:
    """A run directory, read.

    Attributes:
        run, metrics: run.json and metrics.json.
        curves: history.csv: a curve a seed, by model.
        predictions, series: the arrays of predictions.npz and series.npz.
    """

    run: dict
    metrics: dict
    curves: dict[str, list[Curve]]
    predictions: dict[str, np.ndarray]
    series: dict[str, np.ndarray]

    @property
    def study(self) -> str:
        return elide(self.run["study"], 50)

    @property
    def accuracy(self) -> bool:
        """Whether the metric is accuracy: then more is better."""
        return self.run["metric"] == "accuracy"

    @property
    def measure(self) -> str:
        """The metric with its unit, as an axis label: "mean absolute error (°C)"."""
        return quantity(METRICS[self.run["metric"]], self.run["unit"])

    @property
    def target(self) -> str:
        """What is forecast, with its unit, as an axis label: "T (°C)"."""
        return quantity(self.run["target"], self.run["unit"])

    def amount(self, number: str) -> str:
        """A printed number with the run's unit: "2.24 °C"."""
        # With a space at which no line breaks.
        return f"{number}\u00a0{symbol(self.run['unit'])}".rstrip()

    @property
    def note(self) -> str:
        """The footnote of every picture."""
        if not self.run["few_epochs"]:
            return ""
        epochs, seeds = count(self.run["epochs"], "epoch"), count(self.run["seeds"], "seed")
        return f"few epochs: a demonstration ({epochs}, {seeds})"

    @cached_property
    def scores(self) -> list[Score]:
        """Models, then baselines, in the order of metrics.json."""

        def number(value: float | None) -> float:
            # JSON has no NaN: it says null.
            return math.nan if value is None else value

        models, baselines = self.metrics.get("models", {}), self.metrics.get("baselines", {})
        return [
            Score(name, True, *map(number, (got["val"]["mean"], got["test"]["mean"], got["test"]["std"])))
            for name, got in models.items()
        ] + [
            Score(name, False, number(got["val"]), number(got["test"]), math.nan)
            for name, got in baselines.items()
        ]

    def cost(self, value: float) -> float:
        """`value` of the metric as something to be made small; infinite where it is not a number."""
        if not math.isfinite(value):
            return math.inf
        return -value if self.accuracy else value

    def predictors(self, what: str) -> list[Predictor]:
        """The best network, the best baseline, then the other baselines; those that have predictions.

        "Best" is by the validation part: what is chosen by the test part is flattered by it. `what` is
        "forecast" or "probability", as the arrays of predictions.npz are named.
        """
        given = {
            name.removeprefix(f"{what}:"): values
            for name, values in self.predictions.items()
            if name.startswith(f"{what}:") and np.isfinite(values).any()
        }
        cost = {name: math.inf for name in given} | {row.name: self.cost(row.val) for row in self.scores}
        ranked = sorted(given, key=cost.get)
        # A run that was stopped has its networks in the history only.
        known = {row.name for row in self.scores if row.network} | set(self.curves)

        chosen = []
        networks = [name for name in ranked if name in known]
        baselines = [name for name in ranked if name not in known]
        for kind, names, marks in (("network", networks, [NETWORK]), ("baseline", baselines, SEQUENCE[1:])):
            for name, mark in zip(names, marks, strict=False):
                role = f"best {kind}" if math.isfinite(cost[name]) else kind
                role = role if mark in (NETWORK, BASELINE) else ""
                chosen.append(Predictor(name, role, mark, given[name]))
        return chosen

    def best(self, what: str) -> list[Predictor]:
        """The best network and the best baseline of `predictors(what)`."""
        return [predictor for predictor in self.predictors(what) if predictor.role]


def read(run: Path) -> Evidence:
    """The run directory `run`, as far as it goes.

    Raises:
        SunhwanError: run.json is not there, or a file that is there cannot be read.
    """
    path = run / "run.json"
    if not path.is_file():
        raise SunhwanError(
            f"{run} holds no run.json, so it is no directory of a run; `sunhwan runs` lists those that are"
        )
    facts = read_json(path)
    kind, metric = facts.get("kind"), facts.get("metric")
    missing = [name for name in FACTS if name not in facts]
    if missing or kind not in KINDS or metric not in METRICS:
        raise SunhwanError(
            f"{path} says kind {kind!r} and metric {metric!r}, and lacks {', '.join(missing) or 'nothing'}; "
            f"expected one of {', '.join(KINDS)} and one of {', '.join(METRICS)}; run the study again"
        )
    measured = ["loss", "val_loss", "accuracy", "val_accuracy"] if kind == "text" else ["loss", "val_loss"]
    predicted = ["truth", "time", "series", "series_names"] if kind == "forecast" else ["truth"]
    metrics = run / "metrics.json"
    return Evidence(
        run=facts,
        metrics=read_json(metrics) if metrics.is_file() else {},
        curves=_history(run / "history.csv", measured),
        predictions=arrays(run / "predictions.npz", predicted),
        series=arrays(run / "series.npz", ["time", "value", "series", "series_names", "edges"]),
    )


def _history(path: Path, measured: list[str]) -> dict[str, list[Curve]]:
    """history.csv, whose rows stand in the order of epochs, as the curves of each model."""
    if not path.is_file():
        return {}
    rows: dict[str, dict[int, list[list[float]]]] = {}
    with open(path, encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file)
        missing = {"model", "seed", "epoch", *measured} - set(reader.fieldnames or ())
        if missing:
            raise SunhwanError(f"{path} has no column {', '.join(sorted(missing))}; run the study again")
        for row in reader:
            try:
                seed, epoch = int(row["seed"]), int(row["epoch"])
                values = [float(row[name]) for name in measured]
            except (TypeError, ValueError) as error:
                raise SunhwanError(
                    f"{path}, line {reader.line_num}: {error}; expected whole numbers for seed and epoch and "
                    "a number in each other column; run the study again"
                ) from error
            rows.setdefault(row["model"], {}).setdefault(seed, []).append([epoch, *values])
    return {
        model: [dict(zip(["epoch", *measured], np.array(values).T, strict=True)) for values in seeds.values()]
        for model, seeds in rows.items()
    }


def arrays(path: Path, expected: list[str]) -> dict[str, np.ndarray]:
    """The arrays of an .npz file, the `expected` among them; {} when there is none."""
    if not path.is_file():
        return {}
    try:
        with np.load(path, allow_pickle=False) as stored:
            arrays = dict(stored)
    except (ValueError, EOFError, OSError, zipfile.BadZipFile) as error:
        # Not NumPy's own words, which advise to allow pickle.
        raise SunhwanError(f"{path} cannot be read: it holds no plain arrays; make the run again") from error
    missing = [name for name in expected if name not in arrays]
    if missing:
        raise SunhwanError(f"{path} has no array {', '.join(missing)}; make the run again")
    return arrays


def rows_of_each_series(arrays: dict[str, np.ndarray]) -> list[tuple[str, np.ndarray]]:
    """(name, rows) of each series in `arrays`: the indices of its rows, in the order of time."""
    found = []
    for code in np.unique(arrays["series"]):
        rows = np.flatnonzero(arrays["series"] == code)
        rows = rows[np.argsort(arrays["time"][rows], kind="stable")]
        found.append((elide(str(arrays["series_names"][code]), 60), rows))
    return found


def group_means(group: np.ndarray, value: np.ndarray, groups: int) -> np.ndarray:
    """(groups,) the mean of the `value`s in each group; NaN for a group without any.

    Example:
        >>> group_means(np.array([0, 0, 2]), np.array([1.0, 3.0, 5.0]), 3)
        array([ 2., nan,  5.])
    """
    number = np.bincount(group, minlength=groups)
    total = np.bincount(group, weights=value, minlength=groups)
    return np.divide(total, number, out=np.full(groups, np.nan), where=number > 0)
