"""Plots of the adding problem, whose models are a cell at a length: `gru_200` is GRU at 200 steps."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, MaxNLocator, NullLocator

from sunhwan.report import style
from sunhwan.report.pictures.learning import mean_curve
from sunhwan.report.study import CHANCE_ERROR, SOLVED, Score, StudyRun, cell_and_length
from sunhwan.report.style import CHANCE, SEQUENCE, Mark, Picture
from sunhwan.report.words import printer


def final_error(study: StudyRun) -> Picture | None:
    """Test error of each cell against the length of the sequence."""
    if study.kind != "adding":
        return None
    cells: dict[str, list[tuple[int, Score]]] = {}
    for row in study.scores:
        if row.network and math.isfinite(row.test):
            cell, length = cell_and_length(row.name)
            cells.setdefault(cell, []).append((length, row))
    if not cells:
        return None
    marks = _marks(cells)
    figure, (axes,) = style.page(3.6)
    style.logarithmic(axes.xaxis)
    style.logarithmic(axes.yaxis)
    axes.axhline(CHANCE_ERROR, linewidth=1.2, **CHANCE.look)
    low = min(row.test for rows in cells.values() for _, row in rows) / 1.6
    solved, listed = [], []
    for place, (cell, mark) in enumerate(marks.items()):
        rows = sorted(cells[cell], key=lambda pair: pair[0])
        # Side by side by some percent, so that the error bars of equal cells stand free.
        steps = np.array([length for length, _ in rows]) * 1.03 ** (place - (len(marks) - 1) / 2)
        test = np.array([row.test for _, row in rows])
        spread = np.nan_to_num([row.spread for _, row in rows])
        reach = [np.minimum(spread, test - low), spread]
        axes.errorbar(steps, test, yerr=reach, capsize=3, elinewidth=1.2, markersize=7, **mark.look)
        failed = [length for length, row in rows if row.test >= SOLVED]
        passed = [length for length, _ in rows if length < min(failed, default=math.inf)]
        solved.append(f"{cell} up to {passed[-1]} steps" if passed else f"{cell} at no length")
        listed.append(f"{cell} " + ", ".join(f"{_printed(row.test)} at {length}" for length, row in rows))
    lengths = sorted({length for rows in cells.values() for length, _ in rows})
    axes.xaxis.set_major_locator(FixedLocator(lengths))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlim(lengths[0] / 1.2, lengths[-1] * 1.2)
    axes.set_ylim(bottom=low)
    several = any(math.isfinite(row.spread) for rows in cells.values() for _, row in rows)
    spread = "mean ± standard deviation over seeds" if several else "one seed, so the spread is not known"
    return style.finish(
        figure,
        f"{study.name}: error under {SOLVED} by {', '.join(solved)}",
        f"Mean squared error on test sequences, logarithmic; {spread}.",
        f"Test mean squared error by sequence length in {study.name} (chance is {CHANCE_ERROR:.3f}): "
        f"{'; '.join(listed)}.",
        handles=_handles(marks),
        x_label="sequence length (steps)",
        y_label="test mean squared error",
        note=study.note,
    )


def validation_error(study: StudyRun) -> Picture | None:
    """Validation error against updates, a panel a length, a line a cell."""
    if study.kind != "adding":
        return None
    curves_of = {
        cell_and_length(name): curves
        for name, curves in study.curves.items()
        if any(np.isfinite(curve["val_loss"]).any() for curve in curves)
    }
    if not curves_of:
        return None
    marks = _marks(cell for cell, _ in curves_of)
    lengths = sorted({length for _, length in curves_of})
    updates = study.record["steps_per_epoch"]
    columns = min(len(lengths), 2 if len(lengths) <= 4 else 3)
    figure, panels = style.page(3.4 if columns == 1 else 2.4, len(lengths), columns, sharex=True, sharey=True)
    panel_of = dict(zip(lengths, panels, strict=True))
    for length, axes in panel_of.items():
        axes.axhline(CHANCE_ERROR, linewidth=1.2, **CHANCE.look)
        axes.set_title(f"{length} steps")
    ends = {length: [] for length in lengths}
    for (cell, length), curves in curves_of.items():
        axes, mark = panel_of[length], marks[cell]
        for curve in curves if len(curves) > 1 else []:
            axes.plot(curve["epoch"] * updates, curve["val_loss"], color=mark.color, linewidth=0.6, alpha=0.6)
        epochs, mean = mean_curve(curves, "epoch"), mean_curve(curves, "val_loss")
        # A few markers distinguish the lines in greyscale; one at each epoch would hide them.
        every = max(1, len(epochs) // 6)
        axes.plot(epochs * updates, mean, markevery=every, **mark.look)
        if math.isfinite(mean[-1]):
            ends[length].append(f"{cell} {_printed(mean[-1])}")
    errors = np.concatenate([curve["val_loss"] for curves in curves_of.values() for curve in curves])
    errors = errors[np.isfinite(errors)]
    ceiling = max(min(errors.max(), 12 * CHANCE_ERROR), CHANCE_ERROR)
    style.logarithmic(panels[0].yaxis)
    panels[0].set_ylim(min(errors.min(), CHANCE_ERROR / 2) / 1.4, ceiling * 1.4)
    panels[0].set_xlim(left=0)
    panels[0].xaxis.set_major_locator(MaxNLocator(nbins=5, integer=True))
    several = any(len(curves) > 1 for curves in curves_of.values())
    subtitle = "Mean squared error on validation sequences, logarithmic"
    subtitle += "; thick: mean of seeds, thin: each seed." if several else "."
    if errors.max() > ceiling:
        subtitle += f" Cut above {ceiling:.0f}: up to {errors.max():.1g}."
    listed = "; ".join(f"{length} steps: {', '.join(last) or 'diverged'}" for length, last in ends.items())
    return style.finish(
        figure,
        f"{study.name}: what each cell still learns as the sequence grows",
        subtitle,
        f"Validation mean squared error by updates in {study.name}, at the last update (chance is "
        f"{CHANCE_ERROR:.3f}): {listed}.",
        handles=_handles(marks),
        x_label="updates",
        y_label="mean squared error",
        note=study.note,
    )


def _marks(cells: Iterable[str]) -> dict[str, Mark]:
    """A mark for each cell, the same in each picture."""
    known = ["gru", "simple_rnn", "lstm"]
    order = sorted(set(cells), key=lambda cell: (known.index(cell) if cell in known else len(known), cell))
    return {cell: SEQUENCE[at % len(SEQUENCE)] for at, cell in enumerate(order)}


def _handles(marks: dict[str, Mark]) -> list[Line2D]:
    chance = CHANCE.legend(f"always answering 1: {CHANCE_ERROR:.3f}", linewidth=1.2)
    return [*[mark.legend(cell, marker=True) for cell, mark in marks.items()], chance]


def _printed(error: float) -> str:
    # Each with three digits of its own: its neighbours differ by orders of magnitude.
    return printer([error])(error)
