"""Rows that two parts have in common: whole windows, windows that begin within others, neighbours in time.

Rows are compared by 64-bit hashes of their bits, and what the hashes find is compared itself before anything
is said of it. So no tolerance is needed, and numbers that merely resemble each other are not taken for the
same: a run of several timesteps must agree in every bit.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

RUN = 8
"""Timesteps in a row that must agree before two windows count as cut from the same place."""

DIFFERENT = 4
"""So many of them must differ from each other: a sensor that stands still agrees with itself everywhere."""

SAMPLED = 1_500
"""Windows of the judged part that are looked for, evenly spaced."""

CANDIDATES = 8
"""Training windows that are compared with one place, of those whose hash agrees."""


def hashes(rows: np.ndarray) -> np.ndarray:
    """(rows,) uint64: equal for rows that are equal in float32, and hardly ever otherwise.

    Args:
        rows: (rows, numbers).
    """
    # Adding 0.0 makes -0.0 the 0.0 that it equals.
    words = (np.ascontiguousarray(rows, np.float32) + np.float32(0)).view(np.uint32).astype(np.uint64)
    weights = np.random.default_rng(0).integers(1, 2**63, words.shape[1], np.uint64) | np.uint64(1)
    return _mixed((_mixed(words + np.uint64(0x9E3779B9)) * weights).sum(axis=1, dtype=np.uint64))


def _mixed(values):
    values = (values ^ (values >> np.uint64(33))) * np.uint64(0xFF51AFD7ED558CCD)
    values = (values ^ (values >> np.uint64(33))) * np.uint64(0xC4CEB9FE1A85EC53)
    return values ^ (values >> np.uint64(33))


def runs(of_rows: np.ndarray, length: int) -> np.ndarray:
    """(rows - length + 1,) uint64 hashes of so many rows in a row, of (rows,) hashes; along the last axis."""
    count = of_rows.shape[-1] - length + 1
    weights = np.random.default_rng(1).integers(1, 2**63, length, np.uint64) | np.uint64(1)
    total = np.zeros((*of_rows.shape[:-1], count), np.uint64)
    for place, weight in enumerate(weights):
        total += of_rows[..., place : place + count] * weight
    return _mixed(total)


@dataclass(frozen=True)
class Overlap:
    """Judged windows into which windows of training reach from later on.

    Attributes:
        share: of the judged windows, those of which a training window begins after them and within them.
        windows: how many of those that were looked at.
        looked_at: how many that are.
        shared: timesteps in common with the nearest of them, the median.
        timesteps: of a window.
        examples: (judged row, training row, timesteps in common) of the first few.
    """

    share: float
    windows: int
    looked_at: int
    shared: int
    timesteps: int
    examples: tuple[tuple[int, int, int], ...]


def later(judged: np.ndarray, training: np.ndarray) -> Overlap | None:
    """Training windows that begin after a judged window does and before it ends.

    Such a window holds what the judged one is to forecast, or goes on right after it. A split in time has
    none: there judged windows may begin with rows that training knew, but training never goes on after them.

    Args:
        judged, training: (windows, timesteps, features).

    Returns:
        None where windows are too short to tell.
    """
    timesteps = judged.shape[1]
    run = min(RUN, timesteps - 1)
    if run < 3 or judged.shape[1:] != training.shape[1:]:
        return None
    index = np.linspace(0, len(judged) - 1, min(len(judged), SAMPLED)).astype(np.int64)
    judged = np.asarray(judged[index], np.float32)
    of_rows = hashes(judged.reshape(-1, judged.shape[2])).reshape(len(judged), timesteps)
    begins = runs(hashes(np.asarray(training[:, :run]).reshape(-1, judged.shape[2])).reshape(-1, run), run)[
        :, 0
    ]
    order = np.argsort(begins, kind="stable")
    begins = begins[order]
    within = runs(of_rows, run)  # (windows, places)
    first, last = (np.searchsorted(begins, within, side) for side in ("left", "right"))
    examples, shared = [], []
    for window, place in _first_places(last > first, within):
        for candidate in order[first[window, place] : last[window, place]][:CANDIDATES]:
            common = timesteps - place
            if np.array_equal(np.asarray(training[candidate][:common], np.float32), judged[window, place:]):
                shared.append(common)
                examples.append((int(index[window]), int(candidate), int(common)))
                break
    return Overlap(
        len(shared) / len(judged),
        len(shared),
        len(judged),
        int(np.median(shared)) if shared else 0,
        timesteps,
        tuple(examples[:3]),
    )


def _first_places(there, within):
    """For each window the earliest place after its beginning where a run that varies is found elsewhere."""
    for window in np.flatnonzero(there[:, 1:].any(axis=1)):
        if len(np.unique(within[window])) < min(DIFFERENT, within.shape[1]):
            continue
        yield window, 1 + int(there[window, 1:].argmax())


@dataclass(frozen=True)
class Copies:
    """Judged rows that stand among the training rows, inputs and targets alike.

    Attributes:
        rows: how many judged rows do.
        count: of how many.
        within: the share of training rows that stand in training more than once.
        examples: (judged row, training row) of the first few.
        of_class: for each class the share of its judged rows that do; empty where there are no classes.
    """

    rows: int
    count: int
    within: float
    examples: tuple[tuple[int, int], ...]
    of_class: dict[int, float]

    @property
    def share(self) -> float:
        return self.rows / self.count


def copies(
    judged: tuple[np.ndarray, np.ndarray | None],
    training: tuple[np.ndarray, np.ndarray | None],
    classes: np.ndarray | None = None,
) -> Copies | None:
    """Judged rows that are training rows, bit by bit.

    Rows of fewer than `RUN` numbers recur by chance; with their neighbours they do not, so of such rows those
    are copies that have `RUN` neighbours before them in common.

    Args:
        judged, training: inputs (rows, ...) and targets, or None.
        classes: (rows,) of the judged rows.
    """
    if judged[1] is None or training[1] is None:
        judged, training = (judged[0], None), (training[0], None)
    both = [_flat(*part) for part in (judged, training)]
    if both[0].shape[1] != both[1].shape[1]:
        return None
    varied = [(flat != flat[:, :1]).any(axis=1) | (flat.shape[1] < RUN) for flat in both]
    ours, theirs = (hashes(flat) for flat in both)
    if both[0].shape[1] < RUN:
        if min(len(ours), len(theirs)) < RUN:
            return None
        ours, theirs = runs(ours, RUN), runs(theirs, RUN)
        varied = [np.ones(len(ours), bool), np.ones(len(theirs), bool)]
    place = np.argsort(theirs, kind="stable")
    at = np.searchsorted(theirs[place], ours)
    found = np.zeros(len(ours), bool)
    inside = at < len(theirs)
    found[inside] = theirs[place][at[inside]] == ours[inside]
    found &= varied[0]
    for row in np.flatnonzero(found):  # what the hashes say is held to the rows
        found[row] = np.array_equal(both[0][row], both[1][place[at[row]]])
    _, counts = np.unique(theirs[varied[1]], return_counts=True)
    of_class = {}
    if classes is not None and len(classes) == len(found):
        of_class = {int(c): float(found[classes == c].mean()) for c in np.unique(classes)}
    return Copies(
        int(found.sum()),
        len(found),
        float(counts[counts > 1].sum() / max(len(theirs), 1)),
        tuple((int(row), int(place[at[row]])) for row in np.flatnonzero(found)[:3]),
        of_class,
    )


@dataclass(frozen=True)
class Near:
    """Judged rows that a training row nearly is.

    Attributes:
        rows: how many are, those left out that are equal to a training row.
        count: of how many that were looked at.
        difference: between such rows, the median, in standard deviations of the inputs.
        usual: likewise to the training rows that are near by chance.
        examples: (judged row, training row, difference) of the first few.
    """

    rows: int
    count: int
    difference: float
    usual: float
    examples: tuple[tuple[int, int, float], ...]

    @property
    def share(self) -> float:
        return self.rows / self.count


NEARBY = 20
"""The distance to the training row that is so manieth is what neighbours have by chance."""

NEARLY = 0.1
"""A copy is nearer than this share of that distance."""

GAP = 0.3
"""Between a copy and this share of that distance there must be hardly any rows: where points merely lie
dense, on a circle say, nearer ones are part of a slope, and no heap of their own."""

MOST_NEAR = (400, 30_000, 256)
"""Judged rows, training rows, and numbers of a row that are compared; evenly spaced."""


def near(judged: np.ndarray, training: np.ndarray) -> Near | None:
    """Judged rows that differ from a training row by a rounding, or by noise that was added to a copy.

    Args:
        judged, training: (rows, ...) inputs.

    Returns:
        None where rows are too few, or of too few numbers, to tell.

    Example:
        >>> rows = np.random.default_rng(0).normal(size=(200, 12))
        >>> near(rows[:50].round(3), rows).rows, near(rows[:50], rows[50:]).rows
        (50, 0)
    """
    ours, theirs = (rows.reshape(len(rows), -1) for rows in (judged, training))
    if ours.shape[1] != theirs.shape[1] or ours.shape[1] < RUN or len(theirs) < 2 * NEARBY:
        return None
    at, among, cells = (
        np.linspace(0, size - 1, min(size, most)).astype(np.int64)
        for size, most in zip((len(ours), len(theirs), ours.shape[1]), MOST_NEAR, strict=True)
    )
    ours, theirs = (rows[index][:, cells].astype(np.float64) for rows, index in ((ours, at), (theirs, among)))
    spread = theirs.std()
    if not np.isfinite(spread) or spread == 0 or not np.isfinite(ours).all():
        return None
    mean = theirs.mean()
    ours, theirs = (ours - mean) / spread, (theirs - mean) / spread
    squares = (theirs**2).sum(axis=1)
    nearest, usual = np.empty(len(ours), np.int64), np.empty(len(ours))
    for row, one in enumerate(ours):
        distance = squares - 2 * (theirs @ one)
        nearest[row] = distance.argmin()
        usual[row] = np.sqrt(max(np.partition(distance, NEARBY - 1)[NEARBY - 1] + one @ one, 0.0))
    away = np.sqrt(((ours - theirs[nearest]) ** 2).sum(axis=1))
    equal = away < 1e-7 * np.sqrt(len(cells))  # as float32 has it
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.where(usual > 0, away / usual, 1.0)
    copied = (share < NEARLY) & ~equal
    between = (share >= NEARLY) & (share < GAP)
    if between.sum() > 0.2 * copied.sum():
        copied[:] = False
    found, scale = np.flatnonzero(copied), np.sqrt(len(cells))
    return Near(
        len(found),
        len(ours),
        float(np.median(away[found]) / scale) if len(found) else 0.0,
        float(np.median(usual) / scale),
        tuple((int(at[row]), int(among[nearest[row]]), float(away[row] / scale)) for row in found[:3]),
    )


def _flat(x, y):
    flat = np.asarray(x, np.float32).reshape(len(x), -1)
    return (
        flat if y is None else np.concatenate([flat, np.asarray(y, np.float32).reshape(len(y), -1)], axis=1)
    )


@dataclass(frozen=True)
class Neighbours:
    """Judged rows whose neighbours in time stand in training.

    Attributes:
        between: how many judged rows have both, the one before and the one after.
        count: of how many judged rows with neighbours that are known.
        column: the feature whose last value is the target of the row before.
    """

    between: int
    count: int
    column: int


def neighbours(
    judged: tuple[np.ndarray, np.ndarray], training: tuple[np.ndarray, np.ndarray]
) -> Neighbours | None:
    """Rows in their order in time, however they were shuffled: a row's target is the next one's last value.

    Args:
        judged, training: inputs (rows, timesteps, features) and targets (rows,) that are one number.

    Returns:
        None where the rows do not chain that way, or values recur so that the chain is not known.
    """
    x, y = (np.concatenate([judged[k], training[k]]).astype(np.float32) for k in (0, 1))
    if len(np.unique(y)) < 0.9 * len(y):
        return None
    is_training = np.arange(len(y)) >= len(judged[1])
    order = np.argsort(y)
    for column in range(x.shape[2]):
        last = x[:, -1, column]
        at = np.minimum(np.searchsorted(y[order], last), len(y) - 1)
        follows = y[order][at] == last
        if follows.mean() < 0.9 or len(np.unique(last)) < 0.9 * len(last):
            continue
        before = np.where(follows, order[at], -1)  # the row whose target is this one's last value
        if (before == np.arange(len(y))).mean() > 0.5:
            return None  # the target is the last value itself
        after = np.full(len(y), -1)
        after[before[follows]] = np.flatnonzero(follows)
        ours = ~is_training & (before >= 0) & (after >= 0)
        between = ours & is_training[before] & is_training[after]
        return Neighbours(int(between.sum()), int(ours.sum()), column)
    return None
