"""Texts, as rows of ids, that are nearly others: that have most of their runs of a few words in common.

A part of all runs, chosen by their hashes, finds which texts may be alike; these are compared in all runs.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sunhwan.audit.findings.overlap import runs

BITS = 30
"""A run has as many ids as it takes for so many bits: three words of ten thousand, fifteen letters of DNA."""

ALIKE = 0.5
"""Texts that have at least this share of all their runs in common are nearly the same."""

FEWEST = 6
"""Texts of fewer runs recur by chance."""

JUDGED = 2_000
"""Judged texts that are looked for, evenly spaced."""

MOST_IDS = 15_000_000
"""Training texts are thinned, evenly, to so many ids with their padding."""

MOST_RUNS = 1_500_000
"""Runs of training by which texts are found; the rest are compared in the texts that these find."""

COMMON = 20
"""A run that more training texts have is a phrase."""


@dataclass(frozen=True)
class Alike:
    """Judged texts that a training text nearly is.

    Attributes:
        rows: how many are, those left out that are equal to it.
        count: of how many that were looked at.
        shared: of the runs of both, how many they have in common, the median.
        run: ids of a run.
        examples: (judged row, training row, share of runs in common) of the first few.
    """

    rows: int
    count: int
    shared: float
    run: int
    examples: tuple[tuple[int, int, float], ...]

    @property
    def share(self) -> float:
        return self.rows / self.count


def alike(judged: np.ndarray, training: np.ndarray, within: bool = False) -> Alike | None:
    """Judged texts that have most of their runs in common with a training text.

    Args:
        judged, training: (texts, ids); 0 is padding.
        within: whether `judged` is `training`, of which no row is compared with itself.

    Returns:
        None where there is nothing to compare.

    Example:
        >>> ids = np.random.default_rng(0).integers(1, 5000, (60, 40))
        >>> edited = ids[:10].copy()
        >>> edited[:, 7] = 1
        >>> alike(edited, ids).rows, alike(ids[:20], ids[20:]).rows
        (10, 0)
    """
    if not len(judged) or not len(training):
        return None
    at = _spread(len(judged), JUDGED)
    among = _spread(len(training), max(MOST_IDS // training.shape[1], 1))
    ours, theirs = _Runs.of(judged[at], training), _Runs.of(training[among], training)
    every = np.uint64(max(len(theirs.hashes) // MOST_RUNS, 1))
    chosen = theirs.hashes % every == 0
    order = np.argsort(theirs.hashes[chosen], kind="stable")
    known, of_row = theirs.hashes[chosen][order], theirs.rows[chosen][order]
    asked = ours.hashes % every == 0
    hashes, asking = ours.hashes[asked], ours.rows[asked]
    low, high = (np.searchsorted(known, hashes, side) for side in ("left", "right"))
    found = np.where(high - low <= COMMON, high - low, 0)
    starts = np.repeat(low - np.cumsum(found) + found, found) + np.arange(found.sum())
    pairs = np.repeat(asking, found) * len(among) + of_row[starts]
    pairs, counts = np.unique(pairs, return_counts=True)
    texts, others = np.divmod(pairs, len(among))
    if within:
        counts[at[texts] == among[others]] = 0
    best = {}
    for place in np.argsort(counts, kind="stable"):  # the last one of a text is its likeliest
        if counts[place]:
            best[int(texts[place])] = int(others[place])
    rows = []
    for text, other in sorted(best.items()):
        one, two = ours.of_row(text), theirs.of_row(other)
        if min(len(one), len(two)) < FEWEST or np.array_equal(ours.ids(text), theirs.ids(other)):
            continue
        common = len(np.intersect1d(one, two))
        shared = common / (len(one) + len(two) - common)
        if shared >= ALIKE:
            rows.append((int(at[text]), int(among[other]), shared))
    median = float(np.median([shared for *_, shared in rows])) if rows else 0.0
    return Alike(len(rows), len(at), median, ours.run, tuple(rows[:3]))


def _spread(count: int, most: int) -> np.ndarray:
    return np.linspace(0, count - 1, min(count, most)).astype(np.int64)


@dataclass(frozen=True, eq=False)
class _Runs:
    """The runs of some texts: hashes with the row of each, and the ids without padding from `offsets` on."""

    run: int
    hashes: np.ndarray
    rows: np.ndarray
    flat: np.ndarray
    offsets: np.ndarray

    @classmethod
    def of(cls, ids: np.ndarray, training: np.ndarray) -> _Runs:
        words = max(int(training.max()), 1) + 1
        run = int(np.ceil(BITS / np.log2(words)))
        there = ids > 0
        lengths = there.sum(axis=1)
        offsets = np.concatenate([[0], np.cumsum(lengths)])
        flat = ids[there].astype(np.uint64)
        if len(flat) < run:
            return cls(run, np.empty(0, np.uint64), np.empty(0, np.int64), flat, offsets)
        hashes = runs((flat + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15), run)
        rows = np.repeat(np.arange(len(ids)), lengths)[: len(hashes)]
        whole = np.arange(len(hashes)) + run <= offsets[rows + 1]
        return cls(run, hashes[whole], rows[whole], flat, offsets)

    def of_row(self, row: int) -> np.ndarray:
        low, high = np.searchsorted(self.rows, [row, row + 1])
        return np.unique(self.hashes[low:high])

    def ids(self, row: int) -> np.ndarray:
        return self.flat[self.offsets[row] : self.offsets[row + 1]]
