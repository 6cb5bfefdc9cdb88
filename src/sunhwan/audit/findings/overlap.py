"""Splits that are not in time: training windows that go on from test windows, or that lie around them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from sunhwan.audit.findings.case import Case, Finding
from sunhwan.audit.findings.copies import copies_of_part
from sunhwan.audit.findings.matches import DIFFERENT, RUN, Matches, hashes, runs
from sunhwan.audit.fits import Part, outputs, spaced, windows

CHECKED = 1_500
"""Windows of the evaluated part that are checked, evenly spaced."""

CANDIDATES = 8
"""Training windows that are compared with one place, of those with the same hash."""

OVERLAPPING = 0.05
"""From this share of its windows on, a part overlaps with training."""


def window_overlap(case: Case) -> Iterator[Finding]:
    """Test windows that training windows continue: the values to be forecast occur in training."""
    for part in case.parts:
        overlap = case.once(overlap_of_part, part)
        if not overlap or overlap.share < OVERLAPPING or overlap.rows < 3:
            continue
        copied = case.once(copies_of_part, part)
        if copied and copied.share > 0.5 * overlap.share:
            continue  # whole windows repeat, which `duplicates` reports
        checked = "checked " if overlap.count < len(part.rows) else ""
        most = max(common for _, _, common in overlap.examples)
        yield case.finding(
            case.level(part),
            "window_overlap",
            f"{overlap.rows:,} of {overlap.count:,} {checked}{part.words} windows share up to {most} of "
            f"{overlap.timesteps} rows with training windows that begin after them: the split was shuffled, "
            "so the values to be forecast also occur in the training data",
            "Split the series in time first, then cut windows from each part.",
            lines=case.split_lines(),
            part=part.name,
            windows=overlap.rows,
            of=overlap.count,
            share=round(overlap.share, 4),
            shared_rows=overlap.shared,
            timesteps=overlap.timesteps,
            examples=[
                {part.name: row, "train": training, "shared_rows": common}
                for row, training, common in overlap.examples
            ],
        )


@dataclass(frozen=True)
class Overlap(Matches):
    """Windows within which a training window begins.

    Attributes:
        shared: timesteps in common with the nearest such window, the median.
        timesteps: of a window.
    """

    shared: int
    timesteps: int


def overlap_of_part(case: Case, part: Part) -> Overlap | None:
    return later(windows(part.rows.x), case.training) if case.fit.kind == "numbers" else None


def later(evaluated: np.ndarray, training: np.ndarray) -> Overlap | None:
    """Training windows that begin after an evaluated window begins and before it ends.

    Such a window contains the values that the evaluated one is to forecast, or continues right after it. A
    split in time has none: there, evaluated windows may begin with rows known in training, but no training
    window goes on after them.

    Args:
        evaluated, training: (windows, timesteps, features).

    Returns:
        None where windows are too short to tell.
    """
    timesteps = evaluated.shape[1]
    run = min(RUN, timesteps - 1)
    if run < 3 or evaluated.shape[1:] != training.shape[1:]:
        return None
    index = spaced(len(evaluated), CHECKED)
    evaluated = np.asarray(evaluated[index], np.float32)
    features = evaluated.shape[2]
    row_hashes = hashes(evaluated.reshape(-1, features)).reshape(len(evaluated), timesteps)
    begins = runs(hashes(np.asarray(training[:, :run]).reshape(-1, features)).reshape(-1, run), run)[:, 0]
    order = np.argsort(begins, kind="stable")
    begins = begins[order]
    within = runs(row_hashes, run)  # (windows, places)
    first, last = (np.searchsorted(begins, within, side) for side in ("left", "right"))
    examples = []
    for window, place in _first_places(last > first, within):
        common = timesteps - place
        for candidate in order[first[window, place] : last[window, place]][:CANDIDATES]:
            if np.array_equal(
                np.asarray(training[candidate][:common], np.float32), evaluated[window, place:]
            ):
                examples.append((int(index[window]), int(candidate), int(common)))
                break
    shared = int(np.median([common for _, _, common in examples])) if examples else 0
    return Overlap(len(examples), len(evaluated), tuple(examples[:3]), shared, timesteps)


def _first_places(matching, within):
    """For each window the earliest place after its beginning where a run that varies occurs in training."""
    for window in np.flatnonzero(matching[:, 1:].any(axis=1)):
        if len(np.unique(within[window])) >= min(DIFFERENT, within.shape[1]):
            yield window, 1 + int(matching[window, 1:].argmax())


def shuffled_split(case: Case) -> Iterator[Finding]:
    """Rows that do not overlap, but whose neighbours in time, before and after, are in training."""
    for part in case.parts:
        known = part.rows.y is not None and case.train.y is not None and case.fit.kind == "numbers"
        if not known or case.fit.task != "regression" or outputs(case.train.y).shape[1] != 1:
            continue
        overlap = case.once(overlap_of_part, part)
        if overlap and overlap.share >= OVERLAPPING:
            continue  # reported by `window_overlap`
        chain = neighbours(
            (windows(part.rows.x), outputs(part.rows.y)[:, 0]), (case.training, outputs(case.train.y)[:, 0])
        )
        if not chain or chain.count < 20 or chain.between < 0.3 * chain.count:
            continue
        yield case.finding(
            case.level(part),
            "shuffled_split",
            f"{chain.between:,} of {chain.count:,} {part.words} rows have both the row before and the row "
            "after them in training: the series was shuffled before it was split",
            "Split in time: train on earlier rows, evaluate on later ones.",
            lines=case.split_lines(),
            part=part.name,
            between=chain.between,
            of=chain.count,
            column=chain.column + 1,
        )


@dataclass(frozen=True)
class Neighbours:
    """Rows of a part whose neighbours in time are in training.

    Attributes:
        between: how many rows have both, the one before and the one after.
        count: how many rows have known neighbours.
        column: the feature whose last value is the target of the row before.
    """

    between: int
    count: int
    column: int


def neighbours(
    evaluated: tuple[np.ndarray, np.ndarray], training: tuple[np.ndarray, np.ndarray]
) -> Neighbours | None:
    """Rows put into their order in time, however they were shuffled: a row's target is the next row's last
    value.

    Args:
        evaluated, training: inputs (rows, timesteps, features) and targets (rows,).

    Returns:
        None where the rows form no such chain, or values repeat so that it is unknown.
    """
    x, y = (np.concatenate([evaluated[k], training[k]]).astype(np.float32) for k in (0, 1))
    if len(np.unique(y)) < 0.9 * len(y):
        return None
    is_training = np.arange(len(y)) >= len(evaluated[1])
    order = np.argsort(y)
    for column in range(x.shape[2]):
        last = x[:, -1, column]
        at = np.minimum(np.searchsorted(y[order], last), len(y) - 1)
        follows = y[order][at] == last
        if follows.mean() < 0.9 or len(np.unique(last)) < 0.9 * len(last):
            continue
        before = np.where(follows, order[at], -1)  # the row whose target is this row's last value
        if (before == np.arange(len(y))).mean() > 0.5:
            return None  # the target is the last value itself
        after = np.full(len(y), -1)
        after[before[follows]] = np.flatnonzero(follows)
        ours = ~is_training & (before >= 0) & (after >= 0)
        between = ours & is_training[before] & is_training[after]
        return Neighbours(int(between.sum()), int(ours.sum()), column)
    return None
