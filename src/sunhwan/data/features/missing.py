"""Gaps: filled from the past for a while, with a mask beside, and never filled in a target."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np


def fill_forward(values: np.ndarray, series: np.ndarray, limit: int) -> tuple[np.ndarray, np.ndarray]:
    """Replace each missing value by the last one before it in its series, over at most `limit` rows of a gap.

    Only the past is used: row t depends on rows up to t alone.

    Args:
        values: (rows, columns) float, NaN where missing.
        series: (rows,) the series of each row; the rows of a series are adjacent.
        limit: rows of a gap that are filled; the rest of a longer gap stays NaN.

    Returns:
        The filled values, (rows, columns), and a mask of the same shape: True where a value was filled in.

    Example:
        >>> column = np.array([[1.0], [np.nan], [np.nan], [np.nan], [5.0]])
        >>> filled, mask = fill_forward(column, np.zeros(5, int), limit=2)
        >>> filled.ravel(), mask.ravel()
        (array([ 1.,  1.,  1., nan,  5.]), array([False,  True,  True, False, False]))
    """
    rows = np.arange(len(values))[:, None]
    missing = np.isnan(values)
    first = np.zeros(len(values), np.int64)
    starts = np.flatnonzero(np.diff(series, prepend=-1))
    first[starts] = starts
    first = np.maximum.accumulate(first)[:, None]
    source = np.maximum.accumulate(np.where(missing, -1, rows), axis=0)
    mask = missing & (source >= first) & (rows - source <= limit)
    filled = np.where(mask, np.take_along_axis(values, np.maximum(source, 0), axis=0), values)
    return filled, mask


@dataclass
class Latest:
    """`fill_forward` of one series, one row at a time.

    Attributes:
        known: the latest known value of each column, NaN where there was none yet.
        age: rows since it was known.

    Example:
        >>> latest = Latest.of(2)
        >>> latest.fill([1.0, 2.0], limit=1), latest.fill([3.0, math.nan], limit=1)
        (([1.0, 2.0], [0.0, 0.0], False), ([3.0, 2.0], [0.0, 1.0], False))
        >>> latest.fill([4.0, math.nan], limit=1)
        ([4.0, nan], [0.0, 0.0], True)
    """

    known: list[float]
    age: list[int]

    @classmethod
    def of(cls, columns: int) -> Latest:
        """Before the first row."""
        return cls([math.nan] * columns, [0] * columns)

    def fill(self, values: list[float], limit: int) -> tuple[list[float], list[float], bool]:
        """The next row's values, filled; 1.0 where one was filled in, else 0.0; and whether a gap is left."""
        zeros = [0.0] * len(values)
        if not math.isnan(sum(values)):
            self.known, self.age = values, [0] * len(values)
            return values, zeros, False
        known, age, values, filled, gap = list(self.known), self.age, list(values), zeros, False
        for place, value in enumerate(values):
            if value == value:
                known[place], age[place] = value, 0
                continue
            age[place] += 1
            if age[place] <= limit and known[place] == known[place]:
                values[place], filled[place] = known[place], 1.0
            else:
                gap = True
        self.known = known
        return values, filled, gap


def account(name: str, missing: int, filled: int, rows: int, limit: str) -> str:
    """What became of a column's missing values, in a sentence.

    Example:
        >>> account("T", 12, 10, 1000, "6 h")
        'T: 12 of 1,000 values missing; 10 filled from the past (gaps up to 6 h), 2 left, which break windows'
    """
    left = missing - filled
    broken = f", {left:,} left, which break windows" if left else ""
    counts = f"{missing:,} of {rows:,} values missing; {filled:,} filled from the past"
    return f"{name}: {counts} (gaps up to {limit}){broken}"
