"""Means of groups of values, where values may be missing."""

from __future__ import annotations

import numpy as np


def group_means(group: np.ndarray, value: np.ndarray, groups: int) -> np.ndarray:
    """(groups,) the mean of the values in each group; NaN for a group without any.

    Args:
        group: the group of each value, from 0; of the same shape as `value`.
        value: of any shape; NaN for a missing one.
        groups: how many there are.

    Example:
        >>> group_means(np.array([0, 0, 2]), np.array([1.0, 3.0, 5.0]), 3)
        array([ 2., nan,  5.])
    """
    known = np.isfinite(value)
    group, value = np.asarray(group)[known], value[known].astype(np.float64)
    number = np.bincount(group, minlength=groups)
    total = np.bincount(group, weights=value, minlength=groups)
    return np.divide(total, number, out=np.full(groups, np.nan), where=number > 0)


def row_means(value: np.ndarray) -> np.ndarray:
    """(rows,) the mean of each row's values; NaN for a row without any.

    Example:
        >>> row_means(np.array([[1.0, 3.0], [np.nan, np.nan]]))
        array([ 2., nan])
    """
    row = np.broadcast_to(np.arange(len(value))[:, None], value.shape)
    return group_means(row, value, len(value))
