"""Windows over series: what was observed up to a row, and the value `horizon` after it.

    rows      ... r-5  r-4  r-3  r-2  r-1   r   r+1  r+2  r+3
    lookback 4, step 2:      [r-2        r]                      inputs: (timesteps 2, features)
    horizon 3:                                          [r+3]    the target

*The horizon counts from the last observed row*: a forecast made at row r for `horizon` ahead is about row
r + horizon. *A window belongs to the part that holds all its rows*, so no row of one part is ever an input
or a target of another. A window is an index; its values are gathered when a batch is wanted.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from sunhwan.errors import SunhwanError
from sunhwan.units import duration

SECONDS = {"s": 1, "min": 60, "h": 3600, "d": 86400, "w": 7 * 86400}


MOST_ROWS = 10**9
"""No length that is asked for may be longer: no file has as many."""


def rows_in(length: int | str, interval: np.timedelta64, what: str) -> int:
    """A number of rows, or a duration such as `10d`, `24h`, `90min`, as rows of `interval`.

    Raises:
        SunhwanError: the text is no duration, or not a whole number of rows, or not positive.

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
    """As many whole rows of `interval` as fit into a number of rows or a duration; none may.

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
class Windows:
    """The windows of one part; `gather` makes a batch of them.

    Attributes:
        blocks: (rows - padding, timesteps, features) float32 view in which a window is one contiguous block.
        place: (rows,) where in `blocks` the window that ends at a row begins.
        target: (rows,) float32, scaled; NaN where not observed.
        current: (rows,) float32, the target's last known value, scaled like `target`.
        last: (windows,) the row at which each window ends.
        horizon: rows from a window's last row to its target.
    """

    blocks: np.ndarray
    place: np.ndarray
    target: np.ndarray
    current: np.ndarray
    last: np.ndarray
    horizon: int

    def __len__(self) -> int:
        return len(self.last)

    @property
    def shape(self) -> tuple[int, int]:
        """(timesteps, features) of one window."""
        return self.blocks.shape[1:]

    def gather(self, index: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The windows numbered `index`: inputs (batch, timesteps, features) and targets (batch,), float32."""
        last = self.last[index]
        return self.blocks[self.place[last]], self.target[last + self.horizon]

    def inputs(self, index: np.ndarray) -> np.ndarray:
        """The inputs alone: (batch, timesteps, features) float32."""
        return self.blocks[self.place[self.last[index]]]

    @property
    def truth(self) -> np.ndarray:
        """(windows,) float32: every window's target, scaled."""
        return self.target[self.last + self.horizon]

    @property
    def persistence(self) -> np.ndarray:
        """(windows,) float32: every window's last known value of the target, scaled."""
        return self.current[self.last]


@dataclass(frozen=True)
class Grid:
    """How windows lie over the rows of a table.

    Attributes:
        lookback: rows from a window's first to its last, plus one step.
        step: rows between the timesteps of a window; lookback is a multiple of it.
        horizon: rows from the last timestep to the target.
    """

    lookback: int
    step: int
    horizon: int

    def __post_init__(self):
        if self.lookback % self.step:
            raise SunhwanError(
                f"a lookback of {self.lookback:,} rows is no multiple of the step of {self.step:,} rows; "
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
            observed: (rows,) bool: the target of the row was measured.
            segment: (rows,) int: rows of one part of one series share a number, and stand together.

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

    def windows(
        self, values: np.ndarray, target: np.ndarray, current: np.ndarray, last: np.ndarray
    ) -> Windows:
        """Windows that end at the rows `last`, over values (rows, features) float32."""
        order, position = self.place(len(values))
        laid = np.ascontiguousarray(values[order])
        blocks = np.lib.stride_tricks.sliding_window_view(laid, self.timesteps, axis=0).transpose(0, 2, 1)
        return Windows(blocks, position - self.timesteps + 1, target, current, last, self.horizon)
