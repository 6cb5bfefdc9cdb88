"""Which rows train, which choose the epoch, and which are held out until the end.

Rows are split in order of time; labelled examples by class, equal ones together.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl

from sunhwan.errors import SunhwanError

PARTS = ("train", "val", "test")
"""The parts in order of time; a part's index in this tuple is its code in the arrays below."""


def chronological(series: np.ndarray, split: Sequence[float | int]) -> np.ndarray:
    """The part of each row, earlier rows first, in each series for itself.

    Args:
        series: (rows,) the series of each row; the rows of a series are adjacent, in order of time.
        split: three shares for train, validation and test, of each series' rows (they are scaled to add up
            to one); or two row numbers at which validation and test begin, as in the tutorial.

    Returns:
        (rows,) int8: 0 train, 1 validation, 2 test.

    Raises:
        SunhwanError: the split is neither, or a row number lies beyond a series' end.

    Example:
        >>> chronological(np.array([0] * 5 + [1] * 5), (0.6, 0.2, 0.2))
        array([0, 0, 0, 1, 2, 0, 0, 0, 1, 2], dtype=int8)
    """
    shares, row_numbers = checked(split)
    part = np.empty(len(series), np.int8)
    starts = np.flatnonzero(np.diff(series, prepend=-1))
    for start, end in zip(starts, np.append(starts[1:], len(series)), strict=True):
        rows = end - start
        boundaries = row_numbers if shares is None else np.round(rows * np.cumsum(shares)[:2])
        if shares is None and boundaries[1] >= rows:
            raise SunhwanError(
                f"the test part begins at row {boundaries[1]:,.0f}, but the series has {rows:,} rows; "
                "give shares instead, such as --split 60/20/20"
            )
        part[start:end] = np.searchsorted(boundaries, np.arange(rows), side="right")
    return part


def checked(split: Sequence[float | int]) -> tuple[np.ndarray | None, np.ndarray | None]:
    """Three shares that add up to one, or two row numbers; the other is None."""
    try:
        numbers = np.array([float(number) for number in split])
    except (TypeError, ValueError):
        numbers = np.zeros(0)
    if len(numbers) == 3 and (numbers > 0).all() and np.isfinite(numbers).all():
        return numbers / numbers.sum(), None
    if len(numbers) == 2 and 1 <= numbers[0] < numbers[1] and (numbers % 1 == 0).all():
        return None, numbers
    given = "/".join(map(str, split)) if isinstance(split, Sequence) and not isinstance(split, str) else split
    raise SunhwanError(
        f"a split of {given} was given; expected three shares such as 60/20/20, or the two rising row "
        "numbers at which validation and test begin"
    )


def shuffled(count: int, share: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Indices of a training and a validation part, drawn without regard to order.

    For texts, which have no order in time and are often sorted by label (as IMDB's are).

    Args:
        count: how many there are.
        share: the share that goes to validation.
        seed: the same seed draws the same parts.

    Returns:
        Training and validation indices, each sorted.

    Example:
        >>> shuffled(10, 0.2, seed=0)
        (array([0, 1, 2, 3, 5, 7, 8, 9]), array([4, 6]))
    """
    order = np.random.default_rng(seed).permutation(count)
    validation = round(count * share)
    if not 0 < validation < count:
        raise SunhwanError(
            f"{count} examples cannot be split with a validation share of {share}; expected more, or "
            "a share between 0 and 1 that leaves some in both parts"
        )
    return np.sort(order[validation:]), np.sort(order[:validation])


def stratified(
    keys: Sequence[str] | pl.Series, labels: np.ndarray, shares: Sequence[float], seed: int
) -> np.ndarray:
    """The part of each example: shuffled, with every class in every part, and equal ones in one part.

    A text in both training and test would be remembered, not classified.

    Args:
        keys: n texts, or what else is equal for equal examples.
        labels: (n,) integers.
        shares: of each part, above 0; they are scaled to add up to one.
        seed: of the shuffle.

    Returns:
        (n,) int8, an index into `shares`.

    Example:
        >>> stratified(["a", "b", "c", "d", "a"], np.array([0, 1, 0, 1, 0]), (50, 50), seed=0).tolist()
        [1, 1, 0, 0, 1]
    """
    series = pl.Series("key", keys, dtype=pl.String)
    numbered = pl.DataFrame({"key": series, "row": np.arange(len(series))})
    first = numbered.group_by("key", maintain_order=True).agg(pl.col("row").first())
    group = numbered.join(
        first.select("key").with_row_index("group"), on="key", how="left", maintain_order="left"
    )["group"].to_numpy()
    of_group = labels[first["row"].to_numpy()]
    random = np.random.default_rng(seed)
    shares = np.asarray(shares, np.float64) / np.sum(shares)
    part = np.zeros(len(first), np.int8)
    for label in np.unique(of_group):
        rows = random.permutation(np.flatnonzero(of_group == label))
        # What a share rounds to, but at least one of each class; the first part has the rest.
        counts = np.maximum(1, np.round(len(rows) * shares[1:]).astype(int))
        start = 0
        for number, count in enumerate(counts, start=1):
            part[rows[start : start + count]] = number
            start += count
    return part[group]
