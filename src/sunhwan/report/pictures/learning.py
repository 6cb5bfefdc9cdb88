"""Plots of learning, out of history.csv: training dots and validation line by epoch, a panel a model."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from sunhwan.report import style
from sunhwan.report.study import Curve, StudyRun, best_epochs
from sunhwan.report.style import BEST, TRAINING, VALIDATION, Picture
from sunhwan.report.words import elide, fold


def loss(study: StudyRun) -> Picture | None:
    """Training and validation loss, a panel a model, on one scale."""
    if study.kind == "adding":
        return None
    meaning, unit = study.loss
    return _learning_curves(study, "loss", f"loss ({unit})", f"The loss is the {meaning} in {unit}")


def accuracy(study: StudyRun) -> Picture | None:
    """Training and validation accuracy, a panel a model, on one scale."""
    if study.kind != "text":
        return None
    return _learning_curves(study, "accuracy", "accuracy", "Share of texts classified correctly")


def mean_curve(curves: Sequence[Curve], column: str) -> np.ndarray:
    """Mean over seeds at the epochs that every seed has finished: with fewer seeds the mean would jump."""
    shared = min(len(curve[column]) for curve in curves)
    return np.mean([curve[column][:shared] for curve in curves], axis=0)


def _learning_curves(study: StudyRun, column: str, label: str, subtitle: str) -> Picture | None:
    models = {
        name: curves for name, curves in study.curves.items() if len(_finite(curves, column, f"val_{column}"))
    }
    if not models:
        return None
    low, high = _limits(models, column)
    columns = {1: 1, 2: 2, 3: 3, 4: 2, 5: 3, 6: 3, 9: 3}.get(len(models), 4)
    height, letters = {1: (3.4, 60), 2: (2.7, 38), 3: (2.3, 24), 4: (2.0, 17)}[columns]
    height += 0.4 if columns >= len(models) else 0
    figure, panels = style.page(height, len(models), columns, sharex=True, sharey=True)
    listed, means, cut = [], {}, False
    for axes, (name, curves) in zip(panels, models.items(), strict=True):
        best = best_epochs(curves, f"val_{column}")
        beyond, broken = _draw(axes, curves, column, best, high)
        notes = [f"▲ up to {beyond.max():.1g}"] if len(beyond) else []
        notes += [f"not finite: epoch {broken.min():.0f}"] if len(broken) else []
        axes.set_title("\n".join([fold(name, letters), *notes]))
        cut |= len(beyond) > 0
        ends = [f"{value:.3g} (epoch {epoch:.0f})" for epoch, value in best]
        listed.append(f"{name} {', '.join(ends) or 'diverged'}")
        if best:
            means[name] = float(np.mean([value for _, value in best]))
    last = int(max(curve["epoch"][-1] for curves in models.values() for curve in curves))
    panels[0].set_ylim(low, high)
    panels[0].set_xlim(0.5, last + max(0.03 * last, 0.5))
    panels[0].xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True, min_n_ticks=1))

    several = any(len(curves) > 1 for curves in models.values())
    handles = [TRAINING.legend("training", marker=True)]
    handles.append(VALIDATION.legend("validation, mean" if several else "validation", linewidth=2))
    if several:
        handles.append(VALIDATION.legend("validation, each seed", linewidth=0.7))
    handles.append(BEST.legend("best epoch", marker=True, mfc="white", markersize=6))
    title = f"{study.name}: {column} by epoch"
    # Where accuracies are compared, the losses' title names no best, lest two pictures name two.
    if means and (column == "accuracy") == study.accuracy:
        winner = min(means, key=lambda name: study.cost(means[name]))
        superlative = "highest" if study.accuracy else "lowest"
        title += f"; {superlative} on validation: {elide(winner, 30)}, {means[winner]:.3f}"
    subtitle += "; the same scale in each panel." if len(models) > 1 else "."
    return style.finish(
        figure,
        title,
        subtitle + (" ▲: off the scale." if cut else ""),
        f"Training and validation {column} by epoch in {study.name}, up to epoch {last}; on "
        f"validation at the best epoch: {'; '.join(listed)}.",
        handles=handles,
        x_label="epoch",
        y_label=label,
        note=study.note,
    )


def _finite(curves: Sequence[Curve], *columns: str) -> np.ndarray:
    values = np.concatenate([curve[column] for curve in curves for column in columns])
    return values[np.isfinite(values)]


def _limits(models: dict[str, list[Curve]], column: str) -> tuple[float, float]:
    """The ends of the axis that the panels share.

    A loss may explode. Five times the lower quartile of the calmest model's validation loss is more than
    healthy curves need, first epoch and overfitting included; what is beyond is marked at the edge.
    """
    values = np.concatenate([_finite(curves, column, f"val_{column}") for curves in models.values()])
    validation = [_finite(curves, f"val_{column}") for curves in models.values()]
    calm = [np.quantile(part, 0.25) for part in validation if len(part)]
    limit = 5 * min(calm) if calm and column == "loss" else math.inf
    inside = values[values <= limit]
    low, high = float(inside.min()), float(inside.max())
    pad = 0.06 * (high - low) or 0.05 * abs(high) or 0.05
    return low - pad, high + pad


def _draw(
    axes: Axes, curves: Sequence[Curve], column: str, best: list[tuple[float, float]], high: float
) -> tuple[np.ndarray, np.ndarray]:
    """Draw the seeds of one model; returns the values beyond `high`, and the epochs that are not finite."""
    several = len(curves) > 1
    dots = {**TRAINING.look, "markeredgewidth": 0}
    # A line through one epoch is nothing to see: it gets a dot.
    lone = all(len(curve["epoch"]) == 1 for curve in curves)
    line = {"color": VALIDATION.color, "marker": VALIDATION.marker if lone else "none"}
    if several:
        for curve in curves:
            axes.plot(curve["epoch"], curve[column], alpha=0.5, markersize=2.5, **dots)
            axes.plot(curve["epoch"], curve[f"val_{column}"], alpha=0.8, linewidth=0.7, **line)
    # Of one seed, the mean is the seed.
    epoch = mean_curve(curves, "epoch")
    axes.plot(epoch, mean_curve(curves, column), **dots)
    axes.plot(epoch, mean_curve(curves, f"val_{column}"), linewidth=2, **line)
    size = 4.5 if several else 6
    for at, value in best:
        if value <= high:
            axes.plot(at, value, mfc="white", markersize=size, zorder=4, **BEST.look)

    epochs = np.concatenate([curve["epoch"] for curve in curves] * 2)
    values = np.concatenate([curve[part] for part in (column, f"val_{column}") for curve in curves])
    beyond = epochs[values > high]
    if len(beyond):
        axes.plot(beyond, np.full(len(beyond), high), "^", color=style.VERMILLION, clip_on=False)
    return values[values > high], epochs[np.isnan(values)]
