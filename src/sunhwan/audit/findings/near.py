"""Rows of a part that are nearly training rows: but for rounding, a little noise, or a few words."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from sunhwan.audit.findings.case import Case, Finding
from sunhwan.audit.findings.matches import RUN, Matches
from sunhwan.audit.findings.near_texts import near_texts
from sunhwan.audit.findings.overlap import OVERLAPPING, later, overlap_of_part
from sunhwan.audit.fits import spaced

NEARBY = 20
"""The distance to the training row of this rank is what unrelated neighbours have by chance."""

NEARLY = 0.1
"""A copy is nearer than this share of that distance."""

GAP = 0.3
"""Between a copy and this share of that distance there must be hardly any rows: where points merely lie
dense, on a circle say, nearer rows are part of a slope, and no cluster of their own."""

MOST = (400, 30_000, 256)
"""Evaluated rows, training rows, and numbers of a row that are compared; evenly spaced."""


def near_duplicates(case: Case) -> Iterator[Finding]:
    """Rows that are training rows but for rounding, a little noise, or a few words.

    Windows that overlap each other resemble their neighbours by nature, so they are not looked at.
    """
    if not len(case.train):
        return
    if case.fit.kind == "tokens":
        yield from near_texts(case)
        return
    within = None
    for part in case.parts:
        matches = near(part.rows.x, case.train.x)
        if not matches or matches.rows < 5 or matches.share < 0.02:
            continue
        within = within or later(case.training, case.training)
        overlaps = within, case.once(overlap_of_part, part)
        if any(overlap and overlap.share >= OVERLAPPING for overlap in overlaps):
            continue
        yield case.finding(
            case.level(part),
            "near_duplicates",
            f"{matches.rows:,} of {matches.count:,} checked {part.words} rows are nearly identical to a "
            f"training row: they differ by {matches.difference:.1g} of the inputs' spread, unrelated rows by "
            f"{matches.usual:.1g}",
            "Split before rows are copied, rounded or given noise, or keep all copies of a row in one part.",
            certain=matches.difference < 1e-3,  # rounding
            lines=case.split_lines(),
            part=part.name,
            rows=matches.rows,
            of=matches.count,
            difference=matches.difference,
            usual_difference=matches.usual,
            examples=[
                {part.name: row, "train": training, "difference": difference}
                for row, training, difference in matches.examples
            ],
        )


@dataclass(frozen=True)
class Near(Matches):
    """Rows that nearly are training rows; those that are equal to one do not count.

    Attributes:
        difference: between such rows, the median, in standard deviations of the inputs.
        usual: likewise to the training rows that are near by chance.
    """

    difference: float
    usual: float


def near(evaluated: np.ndarray, training: np.ndarray) -> Near | None:
    """Rows that differ from a training row by rounding, or by noise added to a copy.

    Args:
        evaluated, training: (rows, ...) inputs.

    Returns:
        None where there are too few rows, or too few numbers in a row, to tell.

    Example:
        >>> rows = np.random.default_rng(0).normal(size=(200, 12))
        >>> near(rows[:50].round(3), rows).rows, near(rows[:50], rows[50:]).rows
        (50, 0)
    """
    ours, theirs = (rows.reshape(len(rows), -1) for rows in (evaluated, training))
    if ours.shape[1] != theirs.shape[1] or ours.shape[1] < RUN or len(theirs) < 2 * NEARBY:
        return None
    sizes = len(ours), len(theirs), ours.shape[1]
    at, among, cells = (spaced(size, most) for size, most in zip(sizes, MOST, strict=True))
    ours, theirs = (rows[index][:, cells].astype(np.float64) for rows, index in ((ours, at), (theirs, among)))
    spread = theirs.std()
    if not np.isfinite(spread) or spread == 0 or not np.isfinite(ours).all():
        return None
    mean = theirs.mean()
    ours, theirs = (ours - mean) / spread, (theirs - mean) / spread
    squares = (theirs**2).sum(axis=1)
    nearest, usual = np.empty(len(ours), np.int64), np.empty(len(ours))
    for place, row in enumerate(ours):
        distance = squares - 2 * (theirs @ row)
        nearest[place] = distance.argmin()
        usual[place] = np.sqrt(max(np.partition(distance, NEARBY - 1)[NEARBY - 1] + row @ row, 0.0))
    away = np.sqrt(((ours - theirs[nearest]) ** 2).sum(axis=1))
    equal = away < 1e-7 * np.sqrt(len(cells))  # in float32
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.where(usual > 0, away / usual, 1.0)
    copied = (share < NEARLY) & ~equal
    between = (share >= NEARLY) & (share < GAP)
    if between.sum() > 0.2 * copied.sum():
        copied[:] = False
    rows, scale = np.flatnonzero(copied), np.sqrt(len(cells))
    return Near(
        len(rows),
        len(ours),
        tuple((int(at[row]), int(among[nearest[row]]), float(away[row] / scale)) for row in rows[:3]),
        float(np.median(away[rows]) / scale) if len(rows) else 0.0,
        float(np.median(usual) / scale),
    )
