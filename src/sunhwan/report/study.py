"""The run of a study as its page and its pictures show it: scores, learning curves, predictions.

A file that is missing, as in a run that was stopped, is an empty part; one that cannot be read, or holds
something else than a run writes, is a `SunhwanError`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from sunhwan import rundir
from sunhwan.errors import SunhwanError
from sunhwan.report.groups import group_means
from sunhwan.report.style import BASELINE, NETWORK, SEQUENCE, Mark
from sunhwan.report.words import count, elide, quantity, symbol
from sunhwan.rundir import Run

KINDS = ("forecast", "text", "adding")
METRICS = {"mae": "mean absolute error", "mse": "mean squared error", "accuracy": "accuracy"}
FACTS = ("study", "metric", "unit", "target", "epochs", "seeds", "few_epochs", "steps_per_epoch")
"""What the report needs of run.json, besides the study's kind."""

CHANCE_ERROR = 1 / 6
"""Mean squared error of always answering 1 to the adding problem: the variance of a sum of two uniforms."""
SOLVED = 0.01
"""Mean squared error below which the adding problem counts as solved."""

Curve = dict[str, np.ndarray]
"""One seed of one model: (epochs,) of history.csv's `epoch`, `loss`, `val_loss`; of texts the accuracies."""


@dataclass(frozen=True)
class Score:
    """A model's or baseline's error (or accuracy) on both parts; NaN for what is not known.

    Attributes:
        name: its key in metrics.json.
        label: how people call it.
        network: whether it is a model of the study, not a baseline.
        validation, test: the mean over seeds.
        spread: the standard deviation over seeds on the test part; NaN for one seed and for baselines.
    """

    name: str
    label: str
    network: bool
    validation: float
    test: float
    spread: float


@dataclass(frozen=True)
class Predictor:
    """Predictions `values` (n,) of a network or baseline.

    `role`: "best network" or "best baseline", without "best" if there are no scores; "" for the others.
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
class StudyRun:
    """The run of a study.

    Attributes:
        run: the run directory.
        metrics: metrics.json.
        curves: history.csv: a curve for each seed, by model.
        predictions, series: the arrays of predictions.npz and series.npz.
    """

    run: Run
    metrics: dict
    curves: dict[str, list[Curve]]
    predictions: dict[str, np.ndarray]
    series: dict[str, np.ndarray]

    @property
    def record(self) -> dict:
        """run.json."""
        return self.run.record

    @property
    def kind(self) -> str:
        """One of `KINDS`."""
        return self.record["study_kind"]

    @property
    def name(self) -> str:
        return elide(self.record["study"], 50)

    @property
    def accuracy(self) -> bool:
        """Whether the metric is accuracy: then more is better."""
        return self.record["metric"] == "accuracy"

    @property
    def measure(self) -> str:
        """The metric with its unit, as an axis label: "mean absolute error (°C)"."""
        return quantity(METRICS[self.record["metric"]], self.record["unit"])

    @property
    def loss(self) -> tuple[str, str]:
        """What the loss is, and its unit."""
        if self.kind == "text":
            return "cross-entropy", "nats"
        if self.kind == "adding":
            return "mean squared error", ""
        return "mean absolute error", "training standard deviations"

    @property
    def target(self) -> str:
        """What is forecast, with its unit, as an axis label: "T (°C)"."""
        return quantity(self.record["target"], self.record["unit"])

    @property
    def array(self) -> str:
        """How the arrays of predictions are named: `forecast:NAME` or `probability:NAME`."""
        return "probability" if self.kind == "text" else "forecast"

    def amount(self, number: str) -> str:
        """A printed number with the run's unit: "2.24 °C"."""
        # With a space at which no line breaks.
        return f"{number}\u00a0{symbol(self.record['unit'])}".rstrip()

    @property
    def note(self) -> str:
        """The footnote of every picture."""
        if not self.record["few_epochs"]:
            return ""
        epochs, seeds = count(self.record["epochs"], "epoch"), count(self.record["seeds"], "seed")
        return f"few epochs: a demonstration ({epochs}, {seeds})"

    def label(self, name: str) -> str:
        """How people call a model or baseline, as the run says."""
        return self.metrics.get("names", {}).get(name, name)

    @cached_property
    def scores(self) -> list[Score]:
        """Models, then baselines, in the order of metrics.json."""

        def number(value: float | None) -> float:
            # JSON has no NaN: it says null.
            return math.nan if value is None else value

        def score(name: str, network: bool, *values: float | None) -> Score:
            return Score(name, self.label(name), network, *map(number, values))

        models, baselines = self.metrics.get("models", {}), self.metrics.get("baselines", {})
        return [
            score(name, True, part["validation"]["mean"], part["test"]["mean"], part["test"]["std"])
            for name, part in models.items()
        ] + [score(name, False, part["validation"], part["test"], None) for name, part in baselines.items()]

    @property
    def ranked(self) -> list[Score]:
        """The scores, the best on the test part first; of the adding problem, length by length."""
        return sorted(self.scores, key=lambda row: (self.length(row.name), self.cost(row.test)))

    def length(self, name: str) -> int:
        """The sequence length of an entry of the adding problem, within which errors compare; else 0."""
        return cell_and_length(name)[1] if self.kind == "adding" else 0

    def cost(self, value: float) -> float:
        """`value` of the metric as something to be made small; infinite where it is not a number."""
        if not math.isfinite(value):
            return math.inf
        return -value if self.accuracy else value

    def predictors(self) -> list[Predictor]:
        """The best network, the best baseline, then the other baselines; those that have predictions.

        "Best" is by the validation part: what is chosen by the test part is flattered by it.
        """
        values = {
            name.removeprefix(f"{self.array}:"): array
            for name, array in self.predictions.items()
            if name.startswith(f"{self.array}:") and np.isfinite(array).any()
        }
        cost = {name: math.inf for name in values} | {
            row.name: self.cost(row.validation) for row in self.scores
        }
        ranked = sorted(values, key=cost.get)
        # A run that was stopped has its networks in the history only.
        known = {row.name for row in self.scores if row.network} | set(self.curves)

        chosen = []
        networks = [name for name in ranked if name in known]
        baselines = [name for name in ranked if name not in known]
        for kind, names, marks in (("network", networks, [NETWORK]), ("baseline", baselines, SEQUENCE[1:])):
            for name, mark in zip(names, marks, strict=False):
                role = f"best {kind}" if math.isfinite(cost[name]) else kind
                role = role if mark in (NETWORK, BASELINE) else ""
                chosen.append(Predictor(self.label(name), role, mark, values[name]))
        return chosen

    def best(self) -> list[Predictor]:
        """The best network and the best baseline of `predictors`."""
        return [predictor for predictor in self.predictors() if predictor.role]

    def reliabilities(self) -> list[tuple[Predictor, Reliability]]:
        """How often predicted probabilities of texts come true, of the best network and the best baseline.

        Those with too few texts to tell are left out; other kinds of studies have none.
        """
        tables = []
        for predictor in self.best() if self.kind == "text" else []:
            known = np.isfinite(predictor.values)
            probability, actual = predictor.values[known], self.predictions["truth"][known]
            place = np.clip((probability * 10).astype(int), 0, 9)
            number = np.bincount(place, minlength=10)
            # Ten texts or fewer say nothing about a share, and one share says nothing about reliability.
            enough = number > 10
            if enough.sum() >= 2:
                predicted, positive = (group_means(place, part, 10)[enough] for part in (probability, actual))
                table = Reliability(predicted, positive, number[enough], number / len(probability))
                tables.append((predictor, table))
        return tables


@dataclass(frozen=True)
class Reliability:
    """Predicted probabilities of the positive class in ten bins; those of few texts are left out.

    Attributes:
        predicted: (bins,) the mean probability.
        positive: (bins,) the share of positive texts.
        texts: (bins,) how many there are.
        frequency: (10,) the share of all predictions in each bin.
    """

    predicted: np.ndarray
    positive: np.ndarray
    texts: np.ndarray
    frequency: np.ndarray


def read(folder: Path) -> StudyRun:
    """The run of a study, as far as it goes.

    Raises:
        SunhwanError: it is not the run of a study, or a file that is there cannot be read.
    """
    return of(rundir.load(folder))


def of(run: Run) -> StudyRun:
    """The same of a run directory."""
    known = run.record
    kind, metric = known.get("study_kind"), known.get("metric")
    missing = [name for name in FACTS if name not in known]
    if missing or kind not in KINDS or metric not in METRICS:
        raise SunhwanError(
            f"{str(run.path('run'))!r} has the study_kind {kind!r} and the metric {metric!r}, and lacks "
            f"{', '.join(missing) or 'nothing'}; expected one of {', '.join(KINDS)} and one of "
            f"{', '.join(METRICS)}: run the study again"
        )
    measured = ["loss", "val_loss", "accuracy", "val_accuracy"] if kind == "text" else ["loss", "val_loss"]
    predicted = ["truth", "time", "series", "series_names"] if kind == "forecast" else ["truth"]
    stored = ["time", "value", "series", "series_names", "edges"]
    return StudyRun(
        run,
        run.metrics if run.has("metrics") else {},
        curves(run, measured),
        run.read("predictions", predicted) if run.has("predictions") else {},
        run.read("series", stored) if run.has("series") else {},
    )


def curves(run: Run, measured: list[str]) -> dict[str, list[Curve]]:
    """history.csv, whose rows are in the order of epochs, as the curves of each model."""
    if not run.has("history"):
        return {}
    rows: dict[str, dict[int, list[list[float]]]] = {}
    for number, row in enumerate(run.read("history", ["model", "seed", "epoch", *measured]), start=2):
        try:
            seed, epoch = int(row["seed"]), int(row["epoch"])
            values = [float(row[name]) for name in measured]
        except (TypeError, ValueError) as error:
            raise SunhwanError(
                f"{str(run.path('history'))!r}, line {number}: {error}; expected whole numbers for seed and "
                "epoch and a number in each other column: run the study again"
            ) from error
        rows.setdefault(row["model"], {}).setdefault(seed, []).append([epoch, *values])
    return {
        model: [dict(zip(["epoch", *measured], np.array(values).T, strict=True)) for values in seeds.values()]
        for model, seeds in rows.items()
    }


def cell_and_length(name: str) -> tuple[str, int]:
    """The cell and the number of timesteps in a name of the adding problem's models and baselines.

    Example:
        >>> cell_and_length("simple_rnn_50")
        ('simple_rnn', 50)
    """
    cell, length = name.rsplit("_", 1)
    return cell, int(length)


def best_epochs(curves: Sequence[Curve], column: str) -> list[tuple[float, float]]:
    """(epoch, its value of `column`) of each seed: the first with the lowest validation loss.

    A seed without a finite validation loss has none.
    """
    epochs = []
    for curve in curves:
        cost = curve["val_loss"]
        if np.isfinite(cost).any():
            at = np.argmin(np.where(np.isfinite(cost), cost, np.inf))
            epochs.append((curve["epoch"][at], curve[column][at]))
    return epochs


def rows_of_each_series(arrays: dict[str, np.ndarray]) -> list[tuple[str, np.ndarray]]:
    """(name, rows) of each series in `arrays`: the indices of its rows, in the order of time."""
    series = []
    for code in np.unique(arrays["series"]):
        rows = np.flatnonzero(arrays["series"] == code)
        rows = rows[np.argsort(arrays["time"][rows], kind="stable")]
        series.append((elide(str(arrays["series_names"][code]), 60), rows))
    return series
