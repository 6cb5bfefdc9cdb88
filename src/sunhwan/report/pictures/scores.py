"""Plots of scores: networks and baselines on the test part, and how reliable probabilities of texts are."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from sunhwan.report import style
from sunhwan.report.study import CHANCE_ERROR, Score, StudyRun
from sunhwan.report.style import BASELINE, NETWORK, Picture
from sunhwan.report.words import capital, elide, fold, printer


def results(study: StudyRun) -> Picture | None:
    """Networks and baselines on the test part, the best on top, with the numbers beside them."""
    adding, rows = study.kind == "adding", study.ranked
    finite = [row for row in rows if math.isfinite(row.test)]
    if not finite:
        return None
    best = {study.length(row.name): row for row in reversed(finite)}.values()
    alike = printer(row.test for row in finite)

    def printed(row: Score) -> str:
        if not math.isfinite(row.test):
            return "diverged"
        # From length to length errors differ by orders of magnitude.
        show = printer([row.test]) if adding else alike
        return show(row.test) + (f" ± {show(row.spread)}" if math.isfinite(row.spread) else "")

    labels = [fold(row.label, 24) for row in rows]
    folded = any("\n" in label for label in labels)
    figure, (axes,) = style.page(0.7 + (0.42 if folded else 0.32) * len(rows))
    if adding:
        style.logarithmic(axes.xaxis)
    low, high = _adding_limits(finite) if adding else _limits(finite, study.accuracy)
    axes.set_xlim(low, high)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_yticks(range(len(rows)), labels)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    beside = axes.get_yaxis_transform()
    inside = {"linestyle": "none", "markersize": 8, "markeredgewidth": 1.8}
    for place, (row, label) in enumerate(zip(rows, axes.get_yticklabels(), strict=True)):
        weight = "bold" if row in best else "normal"
        label.set_weight(weight)
        axes.text(1.02, place, printed(row), transform=beside, va="center_baseline", weight=weight)
        mark = NETWORK if row.network else BASELINE
        # Filled and hollow: they differ without colour, too.
        face = mark.color if row.network else "white"
        if row.test > high:
            axes.plot([0.985], [place], transform=beside, marker=">", color=mark.color, mfc=face, **inside)
        elif math.isfinite(row.test):
            if math.isfinite(row.spread):
                # On a logarithmic axis the lower end may fall below zero: it ends at the axis.
                reach = [max(row.test - row.spread, low), min(row.test + row.spread, high)]
                axes.plot(reach, [place, place], color=mark.color, linewidth=2, marker="|", markersize=9)
            axes.plot([row.test], [place], marker=mark.marker, color=mark.color, mfc=face, **inside)

    handles = []
    if any(row.network for row in rows):
        handles.append(NETWORK.legend("network", marker=True, **inside))
    if not all(row.network for row in rows):
        handles.append(BASELINE.legend("baseline", marker=True, mfc="white", **inside))
    order = "by sequence length, then best first" if adding else "best first"
    measure = capital(study.measure)
    subtitle = f"{measure} on the test part, {order}."
    if any(math.isfinite(row.spread) for row in rows):
        subtitle += f" Networks: mean ± standard deviation over {study.record['seeds']} seeds."
    elif any(row.network for row in rows):
        subtitle += " One seed a network: the spread is not known."
    if any(row.test > high for row in finite):
        subtitle += " An arrow: off the scale."
    message = "test error of each cell at each sequence length" if adding else _winner(study, finite, alike)
    listed = (f"{row.label} ({_sort(row)}) {printed(row)}" for row in rows)
    return style.finish(
        figure,
        f"{study.name}: {message}",
        subtitle,
        f"{measure} on the test part of {study.name}, {order}: {', '.join(listed)}.",
        handles=handles,
        x_label=f"test {study.measure}",
        note=study.note,
    )


def _sort(row: Score) -> str:
    return "network" if row.network else "baseline"


def _winner(study: StudyRun, rows: Sequence[Score], show: Callable[[float], str]) -> str:
    """Who is the best of `rows`, the best first, and who of the other sort is."""
    superlative = "highest test accuracy" if study.accuracy else "lowest test error"
    sentence = f"{elide(rows[0].label, 30)} has the {superlative}, {study.amount(show(rows[0].test))}"
    rival = next((row for row in rows if row.network != rows[0].network), None)
    if rival:
        sentence += f"; best {_sort(rival)} {elide(rival.label, 30)}, {study.amount(show(rival.test))}"
    return sentence


def _ends(rows: Sequence[Score]) -> list[float]:
    """Where the error bars of `rows` end."""
    return [row.test + sign * np.nan_to_num(row.spread) for row in rows for sign in (-1, 1)]


def _limits(rows: Sequence[Score], accuracy: bool) -> tuple[float, float]:
    """The ends of the axis of scores: all that are of the usual size, and a tenth of that size wide at least.

    A network three times as wrong as the median has diverged; it must not press the others together.
    """
    limit = math.inf if accuracy else 3 * float(np.median([row.test for row in rows]))
    near = [end for end in _ends(rows) if end <= limit]
    low, high = min(near), max(near)
    lacking = max(0.1 * abs(high) - (high - low), 0) or (0 if high > low else 1)
    pad = lacking / 2 + 0.06 * (high - low + lacking)
    return low - pad, high + pad


def _adding_limits(rows: Sequence[Score]) -> tuple[float, float]:
    """The ends of the logarithmic axis of the adding problem: what is far worse than chance has diverged."""
    ends = _ends(rows)
    least = min(row.test for row in rows)
    # A spread may reach below zero, where a logarithmic axis does not.
    low = max(min([least, *(end for end in ends if end > 0)]), least / 3)
    return low / 1.3, max(min(max(ends), 12 * CHANCE_ERROR), least) * 1.3


def reliability(study: StudyRun) -> Picture | None:
    """Share of positive texts against the predicted probability, and how often each is predicted."""
    shown = study.reliabilities()
    if not shown:
        return None
    figure, (axes, below) = style.page(2.4, 2, sharex=True, height_ratios=[3, 1])
    axes.plot([0, 1], [0, 1], color=style.QUIET, linewidth=1.0)
    listed = []
    for predictor, table in shown:
        mark = predictor.mark
        axes.plot(table.predicted, table.positive, markersize=7, **mark.look)
        below.stairs(
            table.frequency, np.linspace(0, 1, 11), color=mark.color, linestyle=mark.line, linewidth=1.8
        )
        pairs = (
            f"{m:.2f} predicted, {s:.2f} positive"
            for m, s in zip(table.predicted, table.positive, strict=True)
        )
        listed.append(f"{predictor.name}: {', '.join(pairs)}")
    axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), ylabel="share of texts\nthat are positive")
    below.set_ylabel("share of\npredictions")
    below.set_ylim(bottom=0)
    figure.align_ylabels([axes, below])
    return style.finish(
        figure,
        f"{study.name}: are 80% of the texts with a predicted 80% positive?",
        "Test part, bins of predicted probability with more than ten texts each; on the diagonal, they are.",
        f"Predicted probability and share of positives on the test part of {study.name}: "
        f"{'; '.join(listed)}.",
        handles=[predictor.mark.legend(predictor.label, marker=True) for predictor, _ in shown],
        x_label="predicted probability that a text is positive",
        note=study.note,
    )
