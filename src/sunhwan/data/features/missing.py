"""Gaps: filled from the past for a while, said so in a column beside, and never filled in a target."""

from __future__ import annotations

import numpy as np


def fill_forward(values: np.ndarray, series: np.ndarray, limit: int) -> tuple[np.ndarray, np.ndarray]:
    """Each missing value takes the last one before it in its series, over at most `limit` rows of a gap.

    Only the past is used: what stands in row t depends on rows up to t alone.

    Args:
        values: (rows, columns) float, NaN where missing.
        series: (rows,) the series of each row; the rows of a series stand together.
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
