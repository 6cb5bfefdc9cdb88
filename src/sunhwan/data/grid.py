"""Durations as rows, and how windows lie over rows.

rows      ... r-5  r-4  r-3  r-2  r-1   r   r+1  r+2  r+3
lookback 4, step 2:      [r-2        r]                      a window of 2 timesteps
horizon 3:                                          [r+3]    the last row that belongs to it
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from sunhwan.errors import SunhwanError
from sunhwan.units import duration

DAY = 86400
"""Seconds."""

SECONDS = {"s": 1, "min": 60, "h": 3600, "d": 86400, "w": 7 * 86400}

MOST_ROWS = 10**9
"""No length may be longer: no file has as many."""


def rows_in(length: int | str, interval: np.timedelta64, what: str) -> int:
    """A number of rows, or a duration such as `10d`, `24h`, `90min`, as rows of `interval`.

    Raises:
        SunhwanError: the text is not a duration, or not a whole number of rows, or not positive.

    Example:
        >>> rows_in("24h", np.timedelta64(600, "s"), "horizon"), rows_in(6, np.timedelta64(600, "s"), "step")
        (144, 6)
    """
    rows = parsed(length, interval, what)
    if rows < 1 or abs(rows - round(rows)) > 1e-9:
        raise SunhwanError(
            f"{what} is {length}, which is {rows:g} rows of {duration(seconds_of(interval))}; expected a "
            "whole number of rows, at least one"
        )
    return round(rows)


def rows_within(length: int | str, interval: np.timedelta64, what: str) -> int:
    """The whole rows of `interval` that fit into a number of rows or a duration; it may be 0.

    Example:
        >>> rows_within("70min", np.timedelta64(1200, "s"), "fill")
        3
    """
    return int(parsed(length, interval, what) + 1e-9)


def parsed(length: int | str, interval: np.timedelta64, what: str) -> float:
    """A number of rows or a duration in rows, which need not be whole."""
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(s|min|h|d|w)?\s*", str(length))
    if not match:
        raise SunhwanError(
            f"{what} is {length!r}; expected a number of rows or a duration such as 30min, 24h or 10d"
        )
    rows = float(match[1]) * (SECONDS[match[2]] / seconds_of(interval) if match[2] else 1)
    if rows > MOST_ROWS:
        raise SunhwanError(
            f"{what} is {str(length)[:40]}, which is {rows:.3g} rows of {duration(seconds_of(interval))}; "
            f"expected at most {MOST_ROWS:,}, and fewer than the data has"
        )
    return rows


def seconds_of(interval: np.timedelta64) -> int:
    """An interval in seconds."""
    return int(interval.astype("timedelta64[s]").astype(int))


@dataclass(frozen=True)
class Grid:
    """How windows lie over the rows of a table.

    Attributes:
        lookback: rows from a window's first to its last, plus one step.
        step: rows between the timesteps of a window; lookback is a multiple of it.
        horizon: rows from the last timestep to the last target.
    """

    lookback: int
    step: int
    horizon: int

    def __post_init__(self):
        if self.lookback % self.step:
            raise SunhwanError(
                f"a lookback of {self.lookback:,} rows is not a multiple of the step of {self.step:,} rows; "
                "choose one that is"
            )

    @property
    def timesteps(self) -> int:
        return self.lookback // self.step

    @property
    def span(self) -> int:
        """Rows from a window's first timestep to its last."""
        return (self.timesteps - 1) * self.step

    def place(self, rows: int) -> tuple[np.ndarray, np.ndarray]:
        """Order of rows in which a window is contiguous, and where each row comes to lie in it.

        Rows that are `step` apart come to stand side by side: rows 0, step, 2 step, ..., then 1, 1 + step,
        ... A batch is then a copy of whole blocks, not of scattered rows.
        """
        order = np.argsort(np.arange(rows) % self.step, kind="stable")
        position = np.empty(rows, np.int64)
        position[order] = np.arange(rows)
        return order, position

    def whole(self, usable: np.ndarray, observed: np.ndarray, segment: np.ndarray) -> np.ndarray:
        """The last rows of all windows that are whole.

        Args:
            usable: (rows,) bool: every feature of the row is known.
            observed: (rows,) bool: the target of the row was observed.
            segment: (rows,) int: rows of one part of one series share a number, and are adjacent.

        Returns:
            (windows,) int64, ascending.
        """
        rows = len(usable)
        last = np.arange(self.span, rows - self.horizon)
        last = last[
            (segment[last - self.span] == segment[last + self.horizon]) & observed[last + self.horizon]
        ]
        order, position = self.place(rows)
        broken = np.concatenate([[0], np.cumsum(~usable[order])])
        at = position[last]
        return last[broken[at + 1] == broken[at + 1 - self.timesteps]]
