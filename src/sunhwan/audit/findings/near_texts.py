"""Texts, as rows of token ids, that are nearly training texts: they share most of their runs of a few tokens.

A part of all runs, chosen by their hashes, finds which texts may be alike; these are compared in all runs.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from sunhwan.audit.findings.case import Case, Finding
from sunhwan.audit.findings.matches import Matches, runs
from sunhwan.audit.fits import spaced

BITS = 30
"""A run has as many ids as carry this many bits: three words of ten thousand, fifteen letters of DNA."""

ALIKE = 0.5
"""Texts that share at least this part of all their runs are nearly identical."""

FEWEST = 6
"""Texts of fewer runs repeat by chance."""

CHECKED = 2_000
"""Texts of the evaluated part that are checked, evenly spaced."""

MOST_IDS = 15_000_000
"""Training texts are thinned, evenly, to this many ids with their padding."""

MOST_RUNS = 1_500_000
"""Runs of training by which texts are found; the rest are compared in the texts that these find."""

COMMON = 20
"""A run that more training texts have is a common phrase."""

MULTIPLIED = 0.3
"""A share of near-duplicate texts that no collection has by nature."""


def near_texts(case: Case) -> Iterator[Finding]:
    """Texts that share most of their runs of tokens with a training text.

    Texts repeat naturally: where as many training texts are nearly others of training, it is a warning,
    unless there are so many that somebody made them.
    """
    within = None
    for part in case.parts:
        matches = alike(part.rows.x, case.train.x)
        if not matches or matches.rows < 3 or matches.share < 0.005:
            continue
        within = within or alike(case.train.x, case.train.x, within=True)
        recurring = 0.5 * matches.share < within.share < MULTIPLIED
        text = (
            f"{matches.rows:,} of {matches.count:,} checked {part.words} texts are nearly identical to a "
            f"training text: the median pair shares {matches.shared:.0%} of its runs of {matches.run} tokens"
        )
        if recurring:
            text += f"; so are {within.share:.1%} of the checked training texts to others of training"
        yield case.finding(
            case.level(part) if matches.share >= 0.01 and not recurring else "warning",
            "near_duplicates",
            text,
            "Remove near-duplicate texts before the split, or keep them in one part.",
            certain=False,
            lines=case.split_lines(),
            part=part.name,
            rows=matches.rows,
            of=matches.count,
            shared=round(matches.shared, 4),
            tokens_of_a_run=matches.run,
            share_within_training=round(within.share, 4),
            examples=[
                {part.name: row, "train": training, "shared": round(shared, 4)}
                for row, training, shared in matches.examples
            ],
        )


@dataclass(frozen=True)
class Alike(Matches):
    """Texts that nearly are training texts; those that are equal to one do not count.

    Attributes:
        shared: the part of the runs of both texts that they have in common, the median.
        run: ids of a run.
    """

    shared: float
    run: int


def alike(evaluated: np.ndarray, training: np.ndarray, within: bool = False) -> Alike | None:
    """Texts that share most of their runs with a training text.

    Args:
        evaluated, training: (texts, ids); 0 is padding.
        within: whether `evaluated` is `training`, of which no row is compared with itself.

    Returns:
        None where there is nothing to compare.

    Example:
        >>> ids = np.random.default_rng(0).integers(1, 5000, (60, 40))
        >>> edited = ids[:10].copy()
        >>> edited[:, 7] = 1
        >>> alike(edited, ids).rows, alike(ids[:20], ids[20:]).rows
        (10, 0)
    """
    if not len(evaluated) or not len(training):
        return None
    at = spaced(len(evaluated), CHECKED)
    among = spaced(len(training), max(MOST_IDS // training.shape[1], 1))
    ours, theirs = _Runs.of(evaluated[at], training), _Runs.of(training[among], training)
    every = np.uint64(max(len(theirs.hashes) // MOST_RUNS, 1))
    chosen = theirs.hashes % every == 0
    order = np.argsort(theirs.hashes[chosen], kind="stable")
    known, known_rows = theirs.hashes[chosen][order], theirs.rows[chosen][order]
    chosen = ours.hashes % every == 0
    hashes, rows = ours.hashes[chosen], ours.rows[chosen]
    low, high = (np.searchsorted(known, hashes, side) for side in ("left", "right"))
    hits = np.where(high - low <= COMMON, high - low, 0)
    starts = np.repeat(low - np.cumsum(hits) + hits, hits) + np.arange(hits.sum())
    pairs = np.repeat(rows, hits) * len(among) + known_rows[starts]
    pairs, counts = np.unique(pairs, return_counts=True)
    texts, others = np.divmod(pairs, len(among))
    if within:
        counts[at[texts] == among[others]] = 0
    likeliest = {}
    for place in np.argsort(counts, kind="stable"):  # the last pair of a text has most runs in common
        if counts[place]:
            likeliest[int(texts[place])] = int(others[place])
    matches = []
    for text, other in sorted(likeliest.items()):
        own, theirs_of_it = ours.of_row(text), theirs.of_row(other)
        if min(len(own), len(theirs_of_it)) < FEWEST or np.array_equal(ours.ids(text), theirs.ids(other)):
            continue
        common = len(np.intersect1d(own, theirs_of_it))
        shared = common / (len(own) + len(theirs_of_it) - common)
        if shared >= ALIKE:
            matches.append((int(at[text]), int(among[other]), shared))
    median = float(np.median([shared for *_, shared in matches])) if matches else 0.0
    return Alike(len(matches), len(at), tuple(matches[:3]), median, ours.run)


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
        present = ids > 0
        lengths = present.sum(axis=1)
        offsets = np.concatenate([[0], np.cumsum(lengths)])
        flat = ids[present].astype(np.uint64)
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
