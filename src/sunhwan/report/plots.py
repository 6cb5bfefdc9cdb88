"""A run directory becomes pictures: `draw(run)` writes plots/NAME.png and .svg, and plots/alt.json.

What is read, and what it becomes (a file that is not there, as in a run that was stopped, is a picture less):

    metrics.json      results                 networks and baselines on the test part, with spread
                      final_error             adding problem: test error by length
    history.csv       loss, accuracy          training dots and validation line by epoch, a panel a model
                      validation_error        adding problem: by updates, a panel a length
    series.npz        series                  the whole series, its training, validation and test parts
                      first_ten_days
    predictions.npz   forecast                ten days of the test part: truth, network, baseline
                      forecast_against_truth  every forecast of the test part against what came
                      error_by_hour           mean absolute error by hour of day
                      reliability             texts: share of positives against the predicted probability

Each plot is one function from the evidence to a picture, or to None where the run has nothing for it.

Try: python -c "import pathlib, sunhwan.report.plots as p; print(p.draw(pathlib.Path('runs/NAME')))"
"""

from __future__ import annotations

import csv
import math
import zipfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.dates import date2num
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullFormatter, NullLocator

from sunhwan.errors import SunhwanError
from sunhwan.files import read_json, write_json
from sunhwan.report import style
from sunhwan.report.style import BASELINE, CHANCE, KEPT, NETWORK, SEQUENCE, TRAINING, TRUTH, VALIDATION, Mark

KINDS = ("forecast", "text", "adding")
METRICS = {"mae": "mean absolute error", "mse": "mean squared error", "accuracy": "accuracy"}

CHANCE_ERROR = 1 / 6
"""Mean squared error of always answering 1 to the adding problem: the variance of a sum of two uniforms."""
SOLVED = 0.01
"""Mean squared error under which the adding problem counts as solved."""
TEN_DAYS = np.timedelta64(10, "D")


# ---- what a run directory holds ---------------------------------------------------------------------------


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
class Curve:
    """One seed of one model: `epoch` (epochs,) ascending from 1, and history.csv's columns beside it."""

    seed: int
    epoch: np.ndarray
    columns: dict[str, np.ndarray]


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
        name = style.elide(self.name, 24)
        return f"{name} ({self.role})" if self.role else name


@dataclass(frozen=True)
class Evidence:
    """A run directory, read. What is not there is empty."""

    run: dict
    metrics: dict
    curves: dict[str, list[Curve]]
    predictions: dict[str, np.ndarray]
    series: dict[str, np.ndarray]

    @property
    def kind(self) -> str:
        return self.run["kind"]

    @property
    def study(self) -> str:
        return style.elide(self.run["study"], 50)

    @property
    def accuracy(self) -> bool:
        """Whether the metric is accuracy: then more is better."""
        return self.run.get("metric") == "accuracy"

    @property
    def measure(self) -> str:
        """The metric with its unit, as an axis label: "mean absolute error (°C)"."""
        metric = self.run.get("metric") or "error"
        return style.quantity(METRICS.get(metric, metric), self.run.get("unit"))

    @property
    def target(self) -> str:
        """What is forecast, with its unit, as an axis label: "T (°C)"."""
        return style.quantity(str(self.run.get("target") or "value"), self.run.get("unit"))

    def amount(self, number: str) -> str:
        """A printed number with the run's unit: "2.24 °C"."""
        # With a space at which no line breaks.
        return f"{number}\u00a0{style.symbol(self.run.get('unit'))}".rstrip()

    @property
    def note(self) -> str:
        """The footnote of every picture."""
        if not self.run.get("few_epochs"):
            return ""
        counted = [_count(self.run[f"{one}s"], one) for one in ("epoch", "seed") if f"{one}s" in self.run]
        return "few epochs: a demonstration" + (f" ({', '.join(counted)})" if counted else "")

    @cached_property
    def scores(self) -> list[Score]:
        """Models, then baselines, in the order of metrics.json."""
        rows = []
        for name, parts in (self.metrics.get("models") or {}).items():
            val, test = parts.get("val") or {}, parts.get("test") or {}
            numbers = (val.get("mean"), test.get("mean"), test.get("std"))
            rows.append(Score(name, True, *map(_number, numbers)))
        for name, parts in (self.metrics.get("baselines") or {}).items():
            rows.append(Score(name, False, _number(parts.get("val")), _number(parts.get("test")), math.nan))
        return rows

    @property
    def networks(self) -> set[str]:
        """The names of all networks; a run that was stopped has them in its history only."""
        return {score.name for score in self.scores if score.network} | set(self.curves)

    def cost(self, value: float) -> float:
        """`value` of the metric as something to be made small; infinite where it is not a number."""
        if not math.isfinite(value):
            return math.inf
        return -value if self.accuracy else value

    def predictors(self, kind: str) -> list[Predictor]:
        """The best network, the best baseline, then the other baselines; those that have predictions.

        "Best" is by the validation part: what is chosen by the test part is flattered by it. `kind` is
        "forecast" or "probability".
        """
        truth = self.predictions.get("truth", np.array([]))
        given = {
            name.removeprefix(f"{kind}:"): values.astype(float)
            for name, values in self.predictions.items()
            if name.startswith(f"{kind}:") and np.isfinite(values - truth).any()
        }
        cost = {score.name: self.cost(score.val) for score in self.scores}
        ranked = sorted(given, key=lambda name: cost.get(name, math.inf))
        networks = [name for name in ranked if name in self.networks][:1]
        baselines = [name for name in ranked if name not in self.networks][: len(SEQUENCE) - 1]

        def role(name: str, kind: str) -> str:
            # A run that was stopped has predictions, but no scores to be the best by.
            return f"best {kind}" if math.isfinite(cost.get(name, math.inf)) else kind

        chosen = [Predictor(name, role(name, "network"), NETWORK, given[name]) for name in networks]
        for name, mark in zip(baselines, SEQUENCE[1:], strict=False):
            said = role(name, "baseline") if mark is BASELINE else ""
            chosen.append(Predictor(name, said, mark, given[name]))
        return chosen


def read(run: Path) -> Evidence:
    """The run directory `run`, as far as it goes.

    Raises: SunhwanError if run.json is not there, or a file that is there cannot be read.
    """
    path = run / "run.json"
    if not path.is_file():
        raise SunhwanError(
            f"{run} holds no run.json, so it is no directory of a run; `sunhwan runs` lists those that are"
        )
    facts = read_json(path)
    if not isinstance(facts.get("study"), str) or facts.get("kind") not in KINDS:
        raise SunhwanError(
            f"{path} says study {facts.get('study')!r} and kind {facts.get('kind')!r}; expected a study's "
            f"name and one of {', '.join(KINDS)}; run the study again into a new directory"
        )
    metrics = run / "metrics.json"
    return Evidence(
        run=facts,
        metrics=read_json(metrics) if metrics.is_file() else {},
        curves=_history(run / "history.csv"),
        predictions=_arrays(
            run / "predictions.npz", "truth", *(["time"] if facts["kind"] == "forecast" else [])
        ),
        series=_arrays(run / "series.npz", "time", "value"),
    )


def _history(path: Path) -> dict[str, list[Curve]]:
    """history.csv as the curves of each model, seeds ascending; of two rows an epoch the later counts."""
    if not path.is_file():
        return {}
    rows: dict[str, dict[int, dict[int, list[float]]]] = {}
    with open(path, encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file)
        missing = {"model", "seed", "epoch", "loss", "val_loss"} - set(reader.fieldnames or ())
        if missing:
            raise SunhwanError(f"{path} has no column {', '.join(sorted(missing))}; run the study again")
        measured = [name for name in reader.fieldnames if name not in ("model", "seed", "epoch")]
        for row in reader:
            try:
                seed, epoch = int(row["seed"]), int(row["epoch"])
                # An empty cell is a number that was not measured; a cell that is not there is a torn file.
                values = [math.nan if row[name] == "" else float(row[name]) for name in measured]
            except (TypeError, ValueError) as error:
                raise SunhwanError(
                    f"{path}, line {reader.line_num}: {error}; expected whole numbers for seed and epoch and "
                    "a number in each other column; run the study again"
                ) from error
            rows.setdefault(row["model"], {}).setdefault(seed, {})[epoch] = values
    curves: dict[str, list[Curve]] = {}
    for model, seeds in rows.items():
        for seed, epochs in sorted(seeds.items()):
            order = sorted(epochs)
            columns = np.array([epochs[epoch] for epoch in order]).T
            curve = Curve(seed, np.array(order), dict(zip(measured, columns, strict=True)))
            curves.setdefault(model, []).append(curve)
    return curves


def _arrays(path: Path, *expected: str) -> dict[str, np.ndarray]:
    """The arrays of an .npz file; {} when there is none. A row a reading: the `expected` are equally long."""
    if not path.is_file():
        return {}
    try:
        with np.load(path, allow_pickle=False) as stored:
            arrays = dict(stored)
    except (ValueError, EOFError, OSError, zipfile.BadZipFile) as error:
        raise SunhwanError(f"{path} cannot be read ({error}); run the study again") from error
    missing = [name for name in expected if name not in arrays]
    if missing:
        raise SunhwanError(f"{path} has no array {', '.join(missing)}; run the study again")
    length = len(arrays[expected[0]])
    rows = [name for name in arrays if name in (*expected, "series") or ":" in name]
    uneven = [f"{len(arrays[name])} of {name}" for name in rows if len(arrays[name]) != length]
    if uneven:
        raise SunhwanError(
            f"{path} has {length} rows of {expected[0]} but {', '.join(uneven)}; expected equally many; "
            "run the study again"
        )
    return arrays


# ---- numbers and words ------------------------------------------------------------------------------------


def _number(value: float | None) -> float:
    """JSON has no NaN: it says null."""
    return math.nan if value is None else float(value)


def _count(number: int, one: str) -> str:
    return f"{number} {one}" if number == 1 else f"{number} {one}s"


def _sentence(words: str) -> str:
    return words[:1].upper() + words[1:]


def _decimals(value: float) -> int:
    """How many decimals print three digits of `value`."""
    return min(max(2 - math.floor(math.log10(abs(value))), 0), 6) if value and math.isfinite(value) else 2


def _printed(values: Iterable[float]) -> Callable[[float], str]:
    """How numbers beside each other are printed: with three digits of the typical one.

    Example:
        >>> show = _printed([2.24, 2.7, 11.0]); show(2.2449), show(11)
        ('2.24', '11.00')
    """
    sizes = sorted(abs(value) for value in values if math.isfinite(value))
    decimals = _decimals(sizes[len(sizes) // 2]) if sizes else 2
    return lambda value: f"{value:.{decimals}f}" if abs(value) < 1e5 else f"{value:.1e}"


def _three_digits(value: float) -> str:
    """A number where its neighbours differ by orders of magnitude.

    Example:
        >>> _three_digits(1 / 6), _three_digits(0.00123)
        ('0.167', '0.00123')
    """
    return f"{value:.{_decimals(value)}f}" if abs(value) < 1e5 else f"{value:.1e}"


def _days(time: np.ndarray) -> str:
    """How long ascending `time` lasts, each reading one step, rounded, in words."""
    step = np.median(np.diff(time)) if len(time) > 1 else np.timedelta64(0, "s")
    days = (time[-1] - time[0] + step) / np.timedelta64(1, "D")
    if round(days) == 10:
        return "ten days"
    return _count(round(days), "day") if days >= 1 else _count(max(round(days * 24), 1), "hour")


@dataclass(frozen=True)
class Picture:
    """A finished page, and in one sentence what it shows to those who cannot see it."""

    figure: Figure
    alt: str


# ---- results ----------------------------------------------------------------------------------------------


def results(evidence: Evidence) -> Picture | None:
    """Networks and baselines on the test part, the best on top, with the numbers beside them."""
    adding = evidence.kind == "adding"

    def length(row: Score) -> int:
        # Errors of the adding problem compare within a length; baselines know no length.
        parsed = _cell_and_length(row.name) if adding else None
        return parsed[1] if parsed else 0

    rows = sorted(evidence.scores, key=lambda row: (length(row), evidence.cost(row.test)))
    finite = [row for row in rows if math.isfinite(row.test)]
    if not finite:
        return None
    # Of each length; what knows no length stands beside all of them.
    best = {length(row): row for row in reversed(finite) if length(row) or not adding}
    show = _printed(row.test for row in finite)

    def printed(row: Score) -> str:
        if not math.isfinite(row.test):
            return "no number"
        decimals = f".{_decimals(row.test)}f"
        one = (lambda value: f"{value:{decimals}}") if adding else show
        return one(row.test) + (f" ± {one(row.spread)}" if math.isfinite(row.spread) else "")

    labels = [style.fold(row.name, 24) for row in rows]
    folded = any("\n" in label for label in labels)
    figure, (axes,) = style.page(0.7 + (0.42 if folded else 0.32) * len(rows))
    if adding:
        style.logarithmic(axes.xaxis)
    low, high = _score_limits(evidence, finite)
    axes.set_xlim(low, high)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    beside = axes.get_yaxis_transform()
    inside = {"linestyle": "none", "markersize": 8, "markeredgewidth": 1.8}
    for place, row in enumerate(rows):
        weight = "bold" if row in best.values() else "normal"
        axes.text(1.02, place, printed(row), transform=beside, va="center_baseline", weight=weight)
        mark = NETWORK if row.network else BASELINE
        # Filled and hollow: told apart without colour.
        face = mark.color if row.network else "white"
        if row.test > high:
            axes.plot([0.985], [place], transform=beside, marker=">", color=mark.color, mfc=face, **inside)
        elif math.isfinite(row.test):
            if math.isfinite(row.spread):
                # On a logarithmic axis the lower end may fall below zero: it ends at the axis.
                reach = [max(row.test - row.spread, low), min(row.test + row.spread, high)]
                axes.plot(reach, [place, place], color=mark.color, linewidth=2, marker="|", markersize=9)
            axes.plot([row.test], [place], marker=mark.marker, color=mark.color, mfc=face, **inside)
    axes.set_yticks(range(len(rows)), labels)
    for label, row in zip(axes.get_yticklabels(), rows, strict=True):
        label.set_weight("bold" if row in best.values() else "normal")
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)

    handles = []
    if any(row.network for row in rows):
        handles.append(NETWORK.legend("network", line=False, marker=True, **inside))
    if not all(row.network for row in rows):
        handles.append(BASELINE.legend("baseline", line=False, marker=True, mfc="white", **inside))
    order = "by sequence length, then best first" if adding else "best first"
    subtitle = f"{_sentence(evidence.measure)} on the test part, {order}."
    if any(math.isfinite(row.spread) for row in rows):
        subtitle += f" Networks: mean ± standard deviation over {evidence.run.get('seeds', 'several')} seeds."
    elif any(row.network for row in rows):
        subtitle += " One seed a network: the spread is not known."
    if any(row.test > high for row in finite):
        subtitle += " An arrow: off the scale."
    if adding:
        title = f"{evidence.study}: test error of each cell at each sequence length"
    else:
        first = finite[0]
        superlative = "highest test accuracy" if evidence.accuracy else "lowest test error"
        title = f"{evidence.study}: {style.elide(first.name, 30)} has the {superlative}, "
        title += evidence.amount(show(first.test))
        rival = next((row for row in finite if row.network != first.network), None)
        if rival:
            kind = "network" if rival.network else "baseline"
            title += f"; best {kind} {style.elide(rival.name, 30)}, {evidence.amount(show(rival.test))}"
    style.finish(
        figure, title, subtitle, handles=handles, x_label=f"test {evidence.measure}", note=evidence.note
    )
    listed = (f"{row.name} ({'network' if row.network else 'baseline'}) {printed(row)}" for row in rows)
    return Picture(
        figure,
        f"{_sentence(evidence.measure)} on the test part of {evidence.study}, {order}: {', '.join(listed)}.",
    )


def _score_limits(evidence: Evidence, rows: Sequence[Score]) -> tuple[float, float]:
    """The ends of the axis of scores: all that are of the usual size, and a tenth of that size wide at least.

    A network three times as wrong as the median has diverged; it must not press the others together.
    """
    ends = [row.test + sign * (row.spread if row.spread > 0 else 0) for row in rows for sign in (-1, 1)]
    if evidence.kind == "adding":
        positive = [end for end in ends if end > 0] or [CHANCE_ERROR]
        low = min([row.test for row in rows if row.test > 0] or positive)
        # A spread may reach below zero, where a logarithmic axis does not.
        return max(min(*positive, low), low / 3) / 1.3, max(min(max(positive), 12 * CHANCE_ERROR), low) * 1.3
    limit = math.inf if evidence.accuracy else 3 * float(np.median([row.test for row in rows]))
    near = [end for end in ends if end <= limit]
    low, high = min(near), max(near)
    lacking = max(0.1 * abs(high) - (high - low), 0) or (0 if high > low else 1)
    pad = lacking / 2 + 0.06 * (high - low + lacking)
    return low - pad, high + pad


# ---- learning curves --------------------------------------------------------------------------------------


def loss(evidence: Evidence) -> Picture | None:
    """Training dots and validation line of the loss, a panel a model, on one scale."""
    if evidence.kind == "adding":
        return None
    forecast = evidence.kind == "forecast"
    unit = "training standard deviations" if forecast else "nats"
    meaning = "mean absolute error" if forecast else "cross-entropy"
    return _learning_curves(evidence, "loss", f"loss ({unit})", f"The loss is the {meaning} in {unit}")


def accuracy(evidence: Evidence) -> Picture | None:
    """Training dots and validation line of the accuracy, a panel a model, on one scale."""
    return _learning_curves(evidence, "accuracy", "accuracy", "Share of texts that are told right")


def _learning_curves(evidence: Evidence, column: str, label: str, subtitle: str) -> Picture | None:
    pair = (column, f"val_{column}")
    models = {
        name: curves
        for name, curves in evidence.curves.items()
        if all(part in curve.columns for curve in curves for part in pair)
        and any(np.isfinite(curve.columns[part]).any() for curve in curves for part in pair)
    }
    if not models:
        return None
    low, high, cut = _curve_limits(models, pair)
    count = len(models)
    columns = {1: 1, 2: 2, 3: 3, 4: 2, 5: 3, 6: 3, 9: 3}.get(count, 4)
    rows = math.ceil(count / columns)
    height, letters = {1: (3.4, 60), 2: (2.7, 38), 3: (2.3, 24), 4: (2.0, 17)}[columns]
    height += 0.4 if rows == 1 else 0
    figure, panels = style.page(height * rows, rows, columns, sharex=True, sharey=True)
    told, kept = [], {}
    for axes, (name, curves) in zip(panels, models.items(), strict=False):
        notes = _draw_curves(evidence, axes, curves, pair, high)
        axes.set_title("\n".join([style.fold(name, letters), *notes]))
        found = [(curve, at) for curve in curves if (at := _kept(evidence, curve)) is not None]
        best = [(curve.epoch[at], curve.columns[pair[1]][at]) for curve, at in found]
        told.append(f"{name} " + (", ".join(f"{v:.3g} (epoch {e})" for e, v in best) or "no number"))
        if best:
            kept[name] = float(np.mean([value for _, value in best]))
    last = max(int(curve.epoch[-1]) for curves in models.values() for curve in curves)
    panels[0].set_ylim(low, high)
    panels[0].set_xlim(0.5, last + max(0.03 * last, 0.5))
    panels[0].xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True, min_n_ticks=1))
    _spare(panels, count, columns)

    several = any(len(curves) > 1 for curves in models.values())
    handles = [TRAINING.legend("training", line=False, marker=True)]
    handles.append(VALIDATION.legend("validation, mean" if several else "validation", linewidth=2))
    if several:
        handles.append(VALIDATION.legend("validation, each seed", linewidth=0.7))
    handles.append(KEPT.legend("epoch kept", line=False, marker=True, mfc="white", markersize=6))
    title = f"{evidence.study}: {column} by epoch"
    # The kept epochs of a study of texts are the best in accuracy; their losses say nothing of the best.
    if kept and (column == "accuracy") == evidence.accuracy:
        best = (max if column == "accuracy" else min)(kept, key=kept.get)
        superlative = "highest" if column == "accuracy" else "lowest"
        title += f"; {superlative} on validation: {style.elide(best, 30)}, {kept[best]:.3f}"
    subtitle += "; the same scale in each panel." if count > 1 else "."
    style.finish(
        figure,
        title,
        subtitle + (" ▲: off the scale." if cut else ""),
        handles=handles,
        x_label="epoch",
        y_label=label,
        note=evidence.note,
    )
    return Picture(
        figure,
        f"Training and validation {column} by epoch in {evidence.study}, up to epoch {last}; on "
        f"validation at the epoch kept: {'; '.join(told)}.",
    )


def _kept(evidence: Evidence, curve: Curve) -> int | None:
    """Index in `curve` of the epoch that is kept: the first of the best by validation; None: no number."""
    by_accuracy = evidence.accuracy and "val_accuracy" in curve.columns
    cost = -curve.columns["val_accuracy"] if by_accuracy else curve.columns["val_loss"]
    return int(np.argmin(np.where(np.isfinite(cost), cost, np.inf))) if np.isfinite(cost).any() else None


def _mean_curve(curves: Sequence[Curve], column: str) -> tuple[np.ndarray, np.ndarray]:
    """Mean over seeds at the epochs that every seed has finished: with fewer seeds the mean would jump."""
    shared = [epoch for epoch in curves[0].epoch if all(epoch in curve.epoch for curve in curves)]
    values = [curve.columns[column][np.isin(curve.epoch, shared)] for curve in curves]
    return np.array(shared), np.mean(values, axis=0)


def _curve_limits(models: dict[str, list[Curve]], pair: tuple[str, str]) -> tuple[float, float, bool]:
    """The ends of the axis that the panels share, and whether a loss is beyond them.

    A loss may explode. Five times the lower quartile of the calmest model's validation loss is more than
    healthy curves need, first epoch and overfitting included; what is beyond is marked at the edge.
    """

    def finite(curves: Sequence[Curve], *columns: str) -> np.ndarray:
        values = np.concatenate([curve.columns[column] for curve in curves for column in columns])
        return values[np.isfinite(values)]

    values = np.concatenate([finite(curves, *pair) for curves in models.values()])
    calm = [np.quantile(part, 0.25) for curves in models.values() if len(part := finite(curves, pair[1]))]
    limit = 5 * min(calm) if calm and pair[0] == "loss" else math.inf
    inside = values[values <= limit]
    low, high = float(inside.min()), float(inside.max())
    pad = 0.06 * (high - low) or 0.05 * abs(high) or 0.05
    everything = [curve.columns[part] for curves in models.values() for curve in curves for part in pair]
    return low - pad, high + pad, any((values > high + pad).any() for values in everything)


def _draw_curves(
    evidence: Evidence, axes: Axes, curves: Sequence[Curve], pair: tuple[str, str], high: float
) -> list[str]:
    """Draw the seeds of one model; returns what the panel's title must say beside the name."""
    several = len(curves) > 1
    dots = {"linestyle": "none", "marker": TRAINING.marker, "color": TRAINING.color, "markeredgewidth": 0}
    line = {"color": VALIDATION.color}
    beyond, broken = [], []
    for curve in curves:
        training, validation = (curve.columns[part] for part in pair)
        # A line through one epoch is nothing to see: it gets a dot.
        line["marker"] = VALIDATION.marker if len(curve.epoch) == 1 else "none"
        if several:
            axes.plot(curve.epoch, training, alpha=0.5, **{**dots, "markersize": 2.5})
            axes.plot(curve.epoch, validation, alpha=0.8, linewidth=0.7, **line)
        else:
            axes.plot(curve.epoch, training, **dots)
            axes.plot(curve.epoch, validation, linewidth=2, **line)
        for values in (training, validation):
            beyond += [
                (epoch, value) for epoch, value in zip(curve.epoch, values, strict=True) if value > high
            ]
            broken += list(curve.epoch[np.isnan(values)])
    if several:
        axes.plot(*_mean_curve(curves, pair[0]), **dots)
        axes.plot(*_mean_curve(curves, pair[1]), linewidth=2, **line)
    for curve in curves:
        at = _kept(evidence, curve)
        if at is not None and curve.columns[pair[1]][at] <= high:
            axes.plot(
                curve.epoch[at],
                curve.columns[pair[1]][at],
                color=KEPT.color,
                marker=KEPT.marker,
                mfc="white",
                markersize=4.5 if several else 6,
                zorder=4,
            )
    notes = []
    if beyond:
        axes.plot([e for e, _ in beyond], [high] * len(beyond), "^", color=style.VERMILLION, clip_on=False)
        notes.append(f"▲ up to {max(value for _, value in beyond):.1g}")
    if broken:
        notes.append(f"no number: epoch {min(broken)}")
    return notes


def _spare(panels: Sequence[Axes], used: int, columns: int) -> None:
    """Remove the panels after the first `used`, and give the panels above them their ticks' numbers back."""
    for axes in panels[used:]:
        axes.remove()
    for axes in panels[max(used - columns, 0) : used]:
        axes.tick_params(labelbottom=True)


# ---- adding problem ---------------------------------------------------------------------------------------


def _cell_and_length(name: str) -> tuple[str, int] | None:
    """`gru_200` is GRU at 200 steps; None for another name.

    Example:
        >>> _cell_and_length("simple_rnn_50"), _cell_and_length("gru")
        (('simple_rnn', 50), None)
    """
    cell, _, length = name.rpartition("_")
    return (cell, int(length)) if cell and length.isdecimal() else None


def _cell_marks(cells: Iterable[str]) -> dict[str, Mark]:
    """A mark for each cell, the same in each picture."""
    known = ["gru", "simple_rnn", "lstm"]
    order = sorted(set(cells), key=lambda cell: (known.index(cell) if cell in known else len(known), cell))
    return {cell: SEQUENCE[at % len(SEQUENCE)] for at, cell in enumerate(order)}


def _chance(panels: Iterable[Axes]) -> None:
    for axes in panels:
        axes.axhline(CHANCE_ERROR, color=CHANCE.color, linestyle=CHANCE.line, linewidth=1.2)


def _cell_handles(marks: dict[str, Mark]) -> list:
    chance = CHANCE.legend(f"always answering 1: {CHANCE_ERROR:.3f}", linewidth=1.2)
    return [*[mark.legend(cell, marker=True) for cell, mark in marks.items()], chance]


def validation_error(evidence: Evidence) -> Picture | None:
    """The adding problem: validation error against updates, a panel a length, a line a cell."""
    found = {
        name: parsed
        for name, curves in evidence.curves.items()
        if (parsed := _cell_and_length(name)) and any((c.columns["val_loss"] > 0).any() for c in curves)
    }
    if evidence.kind != "adding" or not found:
        return None
    marks = _cell_marks(cell for cell, _ in found.values())
    lengths = sorted({length for _, length in found.values()})
    block = evidence.run.get("steps_per_epoch") or 1
    columns = min(len(lengths), 2 if len(lengths) <= 4 else 3)
    rows = math.ceil(len(lengths) / columns)
    figure, panels = style.page(
        (3.4 if columns == 1 else 2.4) * rows, rows, columns, sharex=True, sharey=True
    )
    _chance(panels)
    told = {length: [] for length in lengths}
    for name, (cell, length) in found.items():
        axes, mark, curves = panels[lengths.index(length)], marks[cell], evidence.curves[name]
        for curve in curves if len(curves) > 1 else []:
            axes.plot(
                curve.epoch * block, curve.columns["val_loss"], color=mark.color, linewidth=0.6, alpha=0.6
            )
        epochs, mean = _mean_curve(curves, "val_loss")
        # A few markers tell the lines apart in greyscale; one at each epoch would hide them.
        every = max(1, len(epochs) // 6)
        look = {"color": mark.color, "linestyle": mark.line, "marker": mark.marker, "markevery": every}
        axes.plot(epochs * block, mean, **look)
        if len(mean) and math.isfinite(mean[-1]):
            told[length].append(f"{cell} {_three_digits(mean[-1])}")
    for axes, length in zip(panels, lengths, strict=False):
        axes.set_title(f"{length} steps")
    errors = np.concatenate([curve.columns["val_loss"] for name in found for curve in evidence.curves[name]])
    errors = errors[np.isfinite(errors) & (errors > 0)]
    ceiling = max(min(errors.max(initial=0), 12 * CHANCE_ERROR), CHANCE_ERROR)
    style.logarithmic(panels[0].yaxis)
    panels[0].set_ylim(min(errors.min(initial=1), CHANCE_ERROR / 2) / 1.4, ceiling * 1.4)
    panels[0].set_xlim(left=0)
    panels[0].xaxis.set_major_locator(MaxNLocator(nbins=5, integer=True))
    _spare(panels, len(lengths), columns)
    several = any(len(evidence.curves[name]) > 1 for name in found)
    subtitle = "Mean squared error on validation sequences, logarithmic"
    subtitle += "; thick: mean of seeds, thin: each seed." if several else "."
    if errors.max(initial=0) > ceiling:
        subtitle += f" Cut above {ceiling:.0f}: up to {errors.max():.1g}."
    style.finish(
        figure,
        f"{evidence.study}: what each cell still learns as the sequence grows",
        subtitle,
        handles=_cell_handles(marks),
        x_label="updates" if evidence.run.get("steps_per_epoch") else "epoch (a block of updates)",
        y_label="mean squared error",
        note=evidence.note,
    )
    listed = "; ".join(f"{length} steps: {', '.join(ends) or 'no number'}" for length, ends in told.items())
    return Picture(
        figure,
        f"Validation mean squared error by updates in {evidence.study}, at the last update (chance is "
        f"{CHANCE_ERROR:.3f}): {listed}.",
    )


def final_error(evidence: Evidence) -> Picture | None:
    """The adding problem: test error of each cell against the length of the sequence."""
    cells: dict[str, list[tuple[int, Score]]] = {}
    for row in evidence.scores:
        parsed = _cell_and_length(row.name)
        if parsed and row.network and math.isfinite(row.test) and row.test > 0:
            cells.setdefault(parsed[0], []).append((parsed[1], row))
    if evidence.kind != "adding" or not cells:
        return None
    marks = _cell_marks(cells)
    figure, (axes,) = style.page(3.6)
    style.logarithmic(axes.xaxis)
    style.logarithmic(axes.yaxis)
    _chance([axes])
    low = min(row.test for rows in cells.values() for _, row in rows) / 1.6
    solved, told = [], []
    for place, (cell, mark) in enumerate(marks.items()):
        rows = sorted(cells[cell], key=lambda pair: pair[0])
        # Side by side by some percent, so that the error bars of equal cells stand free.
        steps = np.array([length for length, _ in rows]) * 1.03 ** (place - (len(marks) - 1) / 2)
        test = np.array([row.test for _, row in rows])
        spread = np.nan_to_num([row.spread for _, row in rows])
        look = {"color": mark.color, "linestyle": mark.line, "marker": mark.marker, "markersize": 7}
        axes.errorbar(
            steps, test, yerr=[np.minimum(spread, test - low), spread], capsize=3, elinewidth=1.2, **look
        )
        failed = [length for length, row in rows if row.test >= SOLVED]
        passed = [length for length, _ in rows if length < min(failed, default=math.inf)]
        solved.append(f"{cell} up to {passed[-1]} steps" if passed else f"{cell} at no length")
        told.append(f"{cell} " + ", ".join(f"{_three_digits(row.test)} at {length}" for length, row in rows))
    lengths = sorted({length for rows in cells.values() for length, _ in rows})
    axes.xaxis.set_major_locator(FixedLocator(lengths))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlim(lengths[0] / 1.2, lengths[-1] * 1.2)
    axes.set_ylim(bottom=low)
    spread = any(math.isfinite(row.spread) for rows in cells.values() for _, row in rows)
    style.finish(
        figure,
        f"{evidence.study}: error under {SOLVED} by {', '.join(solved)}",
        "Mean squared error on test sequences, logarithmic"
        + (
            "; mean ± standard deviation over seeds." if spread else "; one seed, so the spread is not known."
        ),
        handles=_cell_handles(marks),
        x_label="sequence length (steps)",
        y_label="test mean squared error",
        note=evidence.note,
    )
    return Picture(
        figure,
        f"Test mean squared error by sequence length in {evidence.study} (chance is {CHANCE_ERROR:.3f}): "
        f"{'; '.join(told)}.",
    )


# ---- the series -------------------------------------------------------------------------------------------

_PANELS = 6
"""So many series fit on a page; the subtitle counts the rest."""
_ROWS = 1500
"""More readings than this stand closer than print can show: their mean and range are drawn."""
_BINS = (
    ("second", 1),
    ("minute", 60),
    ("10 minutes", 600),
    ("hour", 3600),
    ("6 hours", 6 * 3600),
    ("day", 86400),
    ("7 days", 7 * 86400),
    ("30 days", 30 * 86400),
    ("365 days", 365 * 86400),
)


def _each_series(
    arrays: dict[str, np.ndarray], *columns: str
) -> list[tuple[str, np.ndarray, list[np.ndarray]]]:
    """(name, time, columns) of each series, in the order of time; none whose first column is all NaN."""
    time = arrays["time"].astype("datetime64[s]")
    number = arrays.get("series", np.zeros(len(time), int))
    names = arrays.get("series_names", np.array([]))
    found = []
    for code in np.unique(number):
        rows = np.flatnonzero(number == code)
        rows = rows[np.argsort(time[rows], kind="stable")]
        values = [arrays[column][rows].astype(float) for column in columns]
        if np.isfinite(values[0]).any():
            name = str(names[code]) if code < len(names) else f"series {code}"
            found.append((style.elide(name, 60), time[rows], values))
    return found


def _with_gaps(time: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(dates, values) as matplotlib takes them, NaN between rows that lie apart: no line may bridge a gap."""
    steps = np.diff(time).astype(np.int64)
    after = np.flatnonzero(steps > 1.5 * np.median(steps)) + 1 if len(steps) else []
    return np.insert(date2num(time), after, np.nan), np.insert(values, after, np.nan)


def _binned(
    time: np.ndarray, value: np.ndarray
) -> tuple[str, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """(width in words, bin centres as dates, lowest, mean, highest) of `value` in some hundred bins.

    Widths are round and bins start at multiples of them, so that days are days. `time` ascends. A bin without
    a reading is NaN: the gap is seen.
    """
    seconds = time.astype(np.int64)
    word, width = next((pair for pair in _BINS if (seconds[-1] - seconds[0]) / pair[1] <= 800), _BINS[-1])
    known = np.isfinite(value)
    place, value = (seconds // width - seconds[0] // width), value[known]
    bins, place = place[-1] + 1, place[known]
    low, high = np.full(bins, np.inf), np.full(bins, -np.inf)
    np.minimum.at(low, place, value)
    np.maximum.at(high, place, value)
    mean = _group_means(place, value, bins)
    low[np.isnan(mean)] = high[np.isnan(mean)] = np.nan
    centre = (seconds[0] // width + np.arange(bins)) * width + width // 2
    return word, date2num(centre.astype("datetime64[s]")), low, mean, high


def _group_means(group: np.ndarray, value: np.ndarray, groups: int) -> np.ndarray:
    """(groups,) the mean of the `value`s in each group; NaN for a group without any."""
    number = np.bincount(group, minlength=groups)
    total = np.bincount(group, weights=value, minlength=groups)
    return np.divide(total, number, out=np.full(groups, np.nan), where=number > 0)


def _series_page(shown: Sequence[tuple]) -> tuple[Figure, list[Axes]]:
    """A panel a series, named where there are several, with one time axis."""
    count = len(shown)
    figure, panels = style.page(
        3.4 if count == 1 else max(1.5, 3 / count) * count, count, sharex=True, sharey=True
    )
    for axes, (name, *_) in zip(panels, shown, strict=True):
        if count > 1:
            axes.set_title(name)
    first, last = min(time[0] for _, time, _ in shown), max(time[-1] for _, time, _ in shown)
    # One instant alone has no width to be an axis.
    if last > first:
        panels[0].set_xlim(date2num(first), date2num(last))
    style.dates(panels[-1].xaxis)
    return figure, panels


def _counted(label: str, found: Sequence[tuple], shown: Sequence[tuple]) -> str:
    """A subtitle: what is shown, how many readings, how many are missing, and which series are left out."""
    total = sum(len(value) for _, _, (value,) in found)
    readings = sum(int(np.isfinite(value).sum()) for _, _, (value,) in found)
    words = f"{label}: {_count(readings, 'reading')}, {total - readings} missing"
    return words + (
        f"; the first {len(shown)} of {len(found)} series are shown." if len(found) > len(shown) else "."
    )


def series(evidence: Evidence) -> Picture | None:
    """The whole series, each in its panel, with the training, validation and test parts marked."""
    found = _each_series(evidence.series, "value") if evidence.series else []
    if not found:
        return None
    shown = found[:_PANELS]
    figure, panels = _series_page(shown)
    handles = []
    for axes, (_, time, (value,)) in zip(panels, shown, strict=True):
        if len(value) <= _ROWS:
            # A lone reading between two gaps makes no line: while dots fit, each reading has one.
            dot = "." if len(value) <= 300 else "none"
            axes.plot(*_with_gaps(time, value), color=style.BLUE, linewidth=0.9, marker=dot, markersize=3)
            continue
        word, when, low, mean, high = _binned(time, value)
        axes.fill_between(when, low, high, color=style.SKY, alpha=0.6, linewidth=0)
        axes.plot(when, mean, color=style.BLUE, linewidth=0.9)
        handles = [
            Mark(style.BLUE, "-", "none").legend(f"mean of each {word}", linewidth=1.2),
            Patch(color=style.SKY, alpha=0.6, linewidth=0, label="its lowest to highest"),
        ]
    handles += _mark_parts(panels, evidence.series.get("edges"))
    first, last = min(time[0] for _, time, _ in shown), max(time[-1] for _, time, _ in shown)
    span = f"{first.astype('datetime64[D]')} to {last.astype('datetime64[D]')}"
    style.finish(
        figure,
        f"{evidence.study}: the whole series, {span}",
        _counted(evidence.target, found, shown),
        handles=handles,
        y_label=evidence.target,
        note=evidence.note,
    )
    every = np.concatenate([value for _, _, (value,) in found])
    edges = evidence.series.get("edges", ())
    parts = f"; training ends {edges[0]}, validation ends {edges[1]}" if len(edges) == 2 else ""
    return Picture(
        figure,
        f"{evidence.study} from {span}, {len(found)} series, {_counted(evidence.target, found, found)[:-1]}; "
        f"between {np.nanmin(every):.3g} and {np.nanmax(every):.3g}, mean {np.nanmean(every):.3g}{parts}.",
    )


def _mark_parts(panels: Sequence[Axes], edges: np.ndarray | None) -> list[Patch]:
    """Shade the validation and test parts in each panel; returns the legend entries of all three parts."""
    if edges is None or len(edges) != 2:
        return []
    # Three greys and a line at each edge survive any print.
    shades = {"training": "#FFFFFF", "validation": "#EBEBEB", "test": "#D0D0D0"}
    left, right = panels[0].get_xlim()
    cuts = np.clip([left, *date2num(edges.astype("datetime64[s]")), right], left, right)
    for axes in panels:
        for (part, shade), start, end in zip(shades.items(), cuts[:-1], cuts[1:], strict=True):
            axes.axvspan(start, end, color=shade, linewidth=0, zorder=0)
            if part != "training":
                axes.axvline(start, color=style.QUIET, linewidth=0.8, zorder=1)
    return [Patch(fc=shade, ec=style.QUIET, linewidth=0.8, label=part) for part, shade in shades.items()]


def first_ten_days(evidence: Evidence) -> Picture | None:
    """The first ten days of the series, every reading."""
    found = _each_series(evidence.series, "value") if evidence.series else []
    if not found:
        return None
    start = min(time[np.isfinite(value)][0] for _, time, (value,) in found)
    inside = [(time >= start) & (time < start + TEN_DAYS) for _, time, _ in found]
    windows = [
        (name, time[rows], [value[rows]])
        for (name, time, (value,)), rows in zip(found, inside, strict=True)
        if np.isfinite(value[rows]).any()
    ]
    shown = windows[:_PANELS]
    figure, panels = _series_page(shown)
    for axes, (_, time, (value,)) in zip(panels, shown, strict=True):
        dot = "." if len(value) <= 300 else "none"
        axes.plot(*_with_gaps(time, value), color=style.BLUE, linewidth=1.3, marker=dot, markersize=3)
    span = _days(max((time for _, time, _ in windows), key=lambda time: time[-1]))
    style.finish(
        figure,
        f"{evidence.study}: the first {span}, from {start.astype('datetime64[D]')}",
        _counted(evidence.target, windows, shown),
        y_label=evidence.target,
        note=evidence.note,
    )
    values = np.concatenate([value for _, _, (value,) in windows])
    counted = _counted(evidence.target, windows, windows)[:-1]
    return Picture(
        figure,
        f"The first {span} of {evidence.study}, from {start}, {counted}; "
        f"between {np.nanmin(values):.3g} and {np.nanmax(values):.3g}, mean {np.nanmean(values):.3g}.",
    )


# ---- forecasts --------------------------------------------------------------------------------------------


def forecast(evidence: Evidence) -> Picture | None:
    """Ten days of the test part: what came, and what the best network and the best baseline had forecast.

    The ten days are those, of all such stretches, whose error is nearest to the error on the whole test part:
    neither the luckiest nor the worst.
    """
    shown = [predictor for predictor in evidence.predictors("forecast") if predictor.role]
    if not shown:
        return None
    truth = evidence.predictions["truth"].astype(float)
    judge = shown[0]
    error = np.abs(judge.values - truth)
    overall = float(np.nanmean(error))
    stretches = []
    table = {**evidence.predictions, "error": error, "row": np.arange(len(truth))}
    for name, time, (errors, rows) in _each_series(table, "error", "row"):
        block = (time - time[0]) // TEN_DAYS
        for number in np.unique(block[np.isfinite(errors)]):
            local = errors[block == number]
            stretches.append(
                (np.isfinite(local).sum(), np.nanmean(local), name, rows[block == number].astype(int))
            )
    # The end of the test part may be a stretch of a few hours: no such.
    fullest = max(count for count, *_ in stretches)
    whole = [stretch for stretch in stretches if stretch[0] >= 0.8 * fullest]
    _, local, name, rows = min(whole, key=lambda stretch: abs(stretch[1] - overall))

    time = evidence.predictions["time"][rows].astype("datetime64[s]")
    figure, (axes,) = style.page(3.6)
    lone = len(rows) == 1
    axes.plot(*_with_gaps(time, truth[rows]), color=TRUTH.color, linewidth=2, marker="o" if lone else "none")
    # The network is drawn last, on top.
    for predictor in reversed(shown):
        mark = predictor.mark
        look = {"color": mark.color, "linestyle": mark.line, "marker": mark.marker if lone else "none"}
        axes.plot(*_with_gaps(time, predictor.values[rows]), linewidth=1.4, **look)
    if time[-1] > time[0]:
        axes.set_xlim(date2num(time[0]), date2num(time[-1]))
    style.dates(axes.xaxis)
    show = _printed([overall])
    several = len({stretch[2] for stretch in stretches}) > 1
    where = f", {name}" if several else ""
    subtitle = f"{evidence.target} at the time that was forecast."
    if len(stretches) > 1:
        subtitle += (
            f" A typical stretch: the mean absolute error of {style.elide(judge.name, 30)} is "
            f"{evidence.amount(show(local))} here, {evidence.amount(show(overall))} on the whole test part."
        )
    style.finish(
        figure,
        f"{evidence.study}: forecast and truth, {_days(time)} of the test part{where}",
        subtitle,
        handles=[TRUTH.legend("truth", linewidth=2), *[p.mark.legend(p.label, linewidth=1.4) for p in shown]],
        y_label=evidence.target,
        note=evidence.note,
    )
    errors = {p.name: np.abs(p.values - truth)[rows] for p in shown}
    told = [
        f"{name} {evidence.amount(show(np.nanmean(e)))}" for name, e in errors.items() if np.isfinite(e).any()
    ]
    return Picture(
        figure,
        f"Truth and forecasts of {evidence.target} in {evidence.study}{where}, {time[0]} to {time[-1]}; mean "
        f"absolute error there: {', '.join(told)}.",
    )


def forecast_against_truth(evidence: Evidence) -> Picture | None:
    """Every forecast of the test part against what came, with the line on which both are equal."""
    shown = [predictor for predictor in evidence.predictors("forecast") if predictor.role]
    if not shown:
        return None
    truth = evidence.predictions["truth"].astype(float)
    # One forecast far beyond all that ever came would leave the rest a speck: the axes follow the truth.
    margin = 0.12 * (np.nanmax(truth) - np.nanmin(truth)) or 1.0
    low, high = float(np.nanmin(truth) - margin), float(np.nanmax(truth) + margin)
    figure, panels = style.page(3.9 if len(shown) > 1 else 5.6, 1, len(shown), sharex=True, sharey=True)
    clouds, told, outside = [], [], 0
    for axes, predictor in zip(panels, shown, strict=True):
        known = np.isfinite(predictor.values - truth)
        x, y = truth[known], predictor.values[known]
        outside += int(((y < low) | (y > high)).sum())
        if len(x) >= 400:
            extent = (low, high, low, high)
            clouds.append(
                axes.hexbin(x, y, gridsize=36, extent=extent, mincnt=1, cmap="Blues", linewidths=0.1)
            )
        else:
            axes.plot(x, y, "o", markersize=3.5, alpha=0.6, color=style.BLUE, markeredgewidth=0)
        axes.plot([low, high], [low, high], color=style.INK, linewidth=1.2)
        error, bias = float(np.mean(np.abs(y - x))), float(np.mean(y - x))
        show = _printed([error])
        # The sign of what is printed: a bias that rounds to nothing has none.
        sign = ("+" if bias > 0 else "−") if float(show(abs(bias))) else ""
        words = [f"mean absolute error {evidence.amount(show(error))}"]
        words.append(f"bias {evidence.amount(sign + show(abs(bias)))}")
        # A unit may be long: forty-four characters are what a panel is wide enough for.
        axes.set_title(f"{predictor.label}\n" + (", " if len("".join(words)) < 43 else ",\n").join(words))
        told.append(f"{predictor.name} has {' and '.join(words)} over {_count(len(x), 'forecast')}")
    panels[0].set(xlim=(low, high), ylim=(low, high))
    for axis in (panels[0].xaxis, panels[0].yaxis):
        axis.set_major_locator(MaxNLocator(nbins=6))
    if clouds:
        most = max(2.0, *(float(number) for cloud in clouds for number in cloud.get_array()))
        for cloud in clouds:
            # From a half, so that a single forecast is still darker than paper.
            cloud.set_norm(LogNorm(0.5, most))
        bar = figure.colorbar(clouds[0], ax=panels, fraction=0.05, pad=0.02, aspect=30)
        bar.ax.set_ylim(1, most)
        bar.set_label("forecasts in a cell")
        bar.ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.0f}"))
        bar.ax.yaxis.set_minor_formatter(NullFormatter())
    subtitle = f"{evidence.target}, the whole test part; on the line, forecast and truth are equal."
    if outside:
        subtitle += f" {_count(outside, 'forecast')} off the scale."
    style.finish(
        figure,
        f"{evidence.study}: each forecast against what came",
        subtitle,
        x_label=f"truth, {evidence.target}",
        y_label=f"forecast, {evidence.target}",
        note=evidence.note,
    )
    return Picture(figure, f"Forecast against truth on the test part of {evidence.study}: {'; '.join(told)}.")


def error_by_hour(evidence: Evidence) -> Picture | None:
    """Mean absolute error by hour of day of the time that was forecast: best network and baselines."""
    shown = evidence.predictors("forecast")
    if not shown:
        return None
    truth = evidence.predictions["truth"].astype(float)
    hour = evidence.predictions["time"].astype("datetime64[h]").astype(np.int64) % 24
    courses = []
    for predictor in shown:
        error = np.abs(predictor.values - truth)
        known = np.isfinite(error)
        courses.append(_group_means(hour[known], error[known], 24))
    course = courses[0]
    # Daily readings have one hour: there is no course of the day to show.
    if np.isfinite(course).sum() < 2:
        return None
    figure, (axes,) = style.page(3.6)
    widths = [2.2 if predictor.mark is NETWORK else 1.4 for predictor in shown]
    for predictor, width, means in reversed(list(zip(shown, widths, courses, strict=True))):
        mark, hours = predictor.mark, np.flatnonzero(np.isfinite(means))
        look = {"color": mark.color, "linestyle": mark.line, "marker": mark.marker, "linewidth": width}
        axes.plot(hours, means[hours], **look)
    axes.set_xlim(-0.5, 23.5)
    axes.set_xticks(range(0, 24, 3), [f"{at:02d}:00" for at in range(0, 24, 3)])
    show = _printed(course)
    low, high = int(np.nanargmin(course)), int(np.nanargmax(course))
    lead = style.elide(shown[0].name, 30)
    extremes = [f"{evidence.amount(show(course[at]))} at {at:02d}:00" for at in (low, high)]
    style.finish(
        figure,
        f"{evidence.study}: error by hour of day; {lead} from {extremes[0]} to {extremes[1]}",
        "Mean absolute error on the test part, by the hour that was forecast, in the clock of the data.",
        handles=[
            p.mark.legend(p.label, marker=True, linewidth=width)
            for p, width in zip(shown, widths, strict=True)
        ],
        x_label="hour of day",
        y_label=style.quantity("mean absolute error", evidence.run.get("unit")),
        note=evidence.note,
    )
    told = [
        f"{predictor.name} from {show(np.nanmin(means))} to {evidence.amount(show(np.nanmax(means)))}"
        for predictor, means in zip(shown, courses, strict=True)
    ]
    return Picture(
        figure,
        f"Mean absolute error by hour of day, test part of {evidence.study}: over the day {'; '.join(told)}; "
        f"{shown[0].name} lowest {extremes[0]}, highest {extremes[1]}.",
    )


# ---- texts ------------------------------------------------------------------------------------------------


def reliability(evidence: Evidence) -> Picture | None:
    """Share of positive texts against the predicted probability, and how often each is predicted."""
    shown = [predictor for predictor in evidence.predictors("probability") if predictor.role]
    if not shown or not set(np.unique(evidence.predictions["truth"])) <= {0, 1}:
        return None
    figure, (axes, below) = style.page(4.8, 2, 1, sharex=True, height_ratios=[3, 1])
    axes.plot([0, 1], [0, 1], color=style.QUIET, linewidth=1.0)
    edges = np.linspace(0, 1, 11)
    told = []
    for predictor in shown:
        mark, known = predictor.mark, np.isfinite(predictor.values)
        probability, truth = predictor.values[known], evidence.predictions["truth"][known].astype(float)
        place = np.clip((probability * 10).astype(int), 0, 9)
        number = np.bincount(place, minlength=10)
        # Ten texts or fewer say nothing about a share.
        enough = number > 10
        mean = _group_means(place, probability, 10)[enough]
        share = _group_means(place, truth, 10)[enough]
        axes.plot(mean, share, color=mark.color, linestyle=mark.line, marker=mark.marker, markersize=7)
        below.stairs(number / len(probability), edges, color=mark.color, linestyle=mark.line, linewidth=1.8)
        pairs = ", ".join(f"{m:.2f} comes true in {s:.2f}" for m, s in zip(mean, share, strict=True))
        told.append(f"{predictor.name}: {pairs or 'too few texts'}")
    axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), ylabel="share of texts\nthat are positive")
    below.set_ylabel("share of\npredictions")
    below.set_ylim(bottom=0)
    figure.align_ylabels([axes, below])
    style.finish(
        figure,
        f"{evidence.study}: does a predicted 80 % come true in 80 % of texts?",
        "Test part, ten bins of predicted probability, of more than ten texts each. On the diagonal it does.",
        handles=[predictor.mark.legend(predictor.label, marker=True) for predictor in shown],
        x_label="predicted probability that a text is positive",
        note=evidence.note,
    )
    what = f"Predicted probability and share of positives on the test part of {evidence.study}"
    return Picture(figure, f"{what}: {'; '.join(told)}.")


# ---- all of them ------------------------------------------------------------------------------------------

PLOTS: dict[str, Callable[[Evidence], Picture | None]] = {
    plot.__name__: plot
    for plot in (
        results,
        final_error,
        validation_error,
        loss,
        accuracy,
        series,
        first_ten_days,
        forecast,
        forecast_against_truth,
        error_by_hour,
        reliability,
    )
}
"""Each plot by its name, in the order in which a reader asks. To be called inside `style.applied()`."""


def draw(run: Path) -> list[Path]:
    """Draw every plot that the run directory `run` has the files for.

    Writes run/plots/NAME.png and NAME.svg, the same bytes from the same files, and run/plots/alt.json: one
    sentence a plot, with its figures, for those who cannot see it. matplotlib's settings stay as they were.

    Returns: the paths of the PNGs; [] for a run that has nothing to draw yet.

    Raises: SunhwanError if `run` holds no run.json, or a file that cannot be read.

    Example:
        >>> import json, tempfile
        >>> run = Path(tempfile.mkdtemp())
        >>> facts = {"study": "tomorrow", "kind": "forecast", "metric": "mae", "unit": "degC"}
        >>> _ = (run / "run.json").write_text(json.dumps(facts))
        >>> scores = {"models": {}, "baselines": {"last_value": {"val": 2.6, "test": 2.7}}}
        >>> _ = (run / "metrics.json").write_text(json.dumps(scores))
        >>> [path.name for path in draw(run)]
        ['results.png']
    """
    evidence = read(run)
    folder = run / "plots"
    written, alt = [], {}
    with style.applied():
        for name, plot in PLOTS.items():
            picture = plot(evidence)
            if picture is not None:
                written.append(style.save(picture.figure, folder, name))
                alt[name] = picture.alt
    if alt:
        write_json(folder / "alt.json", alt)
    return written
