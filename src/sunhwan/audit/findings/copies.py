"""Rows of a part that are training rows, bit for bit."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from sunhwan.audit.findings.case import Case, Finding
from sunhwan.audit.findings.matches import RUN, Matches, hashes, runs
from sunhwan.audit.fits import Part


def duplicates(case: Case) -> Iterator[Finding]:
    """Test rows that are training rows: parts that overlap, or copies made before the split.

    Texts repeat naturally: where training has as many copies of its own rows, spread over all classes, it is
    no more than a warning.
    """
    for part in case.parts:
        matches = case.once(copies_of_part, part)
        if not matches or matches.rows < 3 or matches.share < 0.002:
            continue
        floats = case.fit.kind == "numbers" and not np.array_equal(case.train.x, np.floor(case.train.x))
        recurring = matches.within > 0.5 * matches.share
        shares = sorted(matches.share_by_class.values())
        one_class = len(shares) > 1 and shares[-1] > 0.5 and shares[0] < 0.2 * shares[-1]
        leaks = matches.share >= 0.01 and (not recurring or one_class or floats)
        if floats and recurring and not one_class and matches.share > 0.9:
            leaks = False  # the series repeats itself
        text = f"{matches.rows:,} of {matches.count:,} {part.words} rows are also training rows, bit for bit"
        if one_class:
            copied = max(matches.share_by_class, key=matches.share_by_class.get)
            share = matches.share_by_class[copied]
            text += f", {share:.0%} of those of class {copied}: that class was oversampled before the split"
        elif recurring:
            text += f"; {matches.within:.1%} of the training rows repeat within training as well"
        yield case.finding(
            case.level(part) if leaks else "warning",
            "duplicates" if recurring else "row_overlap",
            text,
            "Remove copies before the split, or keep all copies of a row in one part."
            if recurring
            else "Split so that the parts have no row in common.",
            part=part.name,
            rows=matches.rows,
            of=matches.count,
            share_within_training=round(matches.within, 4),
            share_by_class=matches.share_by_class,
            examples=[{part.name: row, "train": training} for row, training in matches.examples],
        )


@dataclass(frozen=True)
class Copies(Matches):
    """Rows of a part that are training rows, inputs and targets alike.

    Attributes:
        within: the share of training rows that occur in training more than once.
        share_by_class: for each class the share of its rows that are; empty where there are no classes.
    """

    within: float
    share_by_class: dict[int, float]


def copies_of_part(case: Case, part: Part) -> Copies | None:
    known = case.fit.task == "classes" and part.rows.y is not None
    labels = case.fit.labels(part.rows.y) if known else None
    return copies((part.rows.x, part.rows.y), (case.train.x, case.train.y), labels)


def copies(
    evaluated: tuple[np.ndarray, np.ndarray | None],
    training: tuple[np.ndarray, np.ndarray | None],
    labels: np.ndarray | None = None,
) -> Copies | None:
    """Rows of an evaluated part that are training rows, bit for bit.

    Rows of fewer than `RUN` numbers repeat by chance. Together with their neighbours they do not, so such a
    row counts as a copy only with the `RUN` rows that it begins.

    Args:
        evaluated, training: inputs (rows, ...) and targets, or None.
        labels: (rows,) of the evaluated rows.
    """
    if evaluated[1] is None or training[1] is None:
        evaluated, training = (evaluated[0], None), (training[0], None)
    both = [_flat(*part) for part in (evaluated, training)]
    if both[0].shape[1] != both[1].shape[1]:
        return None
    varied = [(flat != flat[:, :1]).any(axis=1) | (flat.shape[1] < RUN) for flat in both]
    ours, theirs = (hashes(flat) for flat in both)
    if both[0].shape[1] < RUN:
        if min(len(ours), len(theirs)) < RUN:
            return None
        ours, theirs = runs(ours, RUN), runs(theirs, RUN)
        varied = [np.ones(len(ours), bool), np.ones(len(theirs), bool)]
    order = np.argsort(theirs, kind="stable")
    at = np.searchsorted(theirs[order], ours)
    copied = np.zeros(len(ours), bool)
    inside = at < len(theirs)
    copied[inside] = theirs[order][at[inside]] == ours[inside]
    copied &= varied[0]
    for row in np.flatnonzero(copied):  # hashes may collide
        copied[row] = np.array_equal(both[0][row], both[1][order[at[row]]])
    _, counts = np.unique(theirs[varied[1]], return_counts=True)
    by_class = {}
    if labels is not None and len(labels) == len(copied):
        by_class = {int(label): float(copied[labels == label].mean()) for label in np.unique(labels)}
    return Copies(
        int(copied.sum()),
        len(copied),
        tuple((int(row), int(order[at[row]])) for row in np.flatnonzero(copied)[:3]),
        float(counts[counts > 1].sum() / max(len(theirs), 1)),
        by_class,
    )


def _flat(x, y):
    parts = [np.asarray(part, np.float32).reshape(len(x), -1) for part in (x, y) if part is not None]
    return np.concatenate(parts, axis=1)
