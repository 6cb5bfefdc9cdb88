"""The time of one reading, read as the times of a whole file were read.

A single time does not tell its format (03/04/2024). So a run saves a few times of the file it was trained on,
and a time is read in the format that those have as well.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime

import numpy as np
import polars as pl

from sunhwan.data.files.records import Records
from sunhwan.data.files.timestamps import CLOCKS, DATES, PARTS, timestamps
from sunhwan.errors import SunhwanError

EPOCH = datetime(1970, 1, 1)


def samples(records: Records, time: Sequence[str]) -> dict[str, list[str]]:
    """A few times of a file, as text: the first, the last, and those between that tell day from month."""
    moments = timestamps(records, time)
    day = (moments.astype("datetime64[D]") - moments.astype("datetime64[M]")).astype(int)
    rows = sorted({0, int(np.argmax(day)), int(np.argmin(day)), len(moments) - 1})
    return {name: [str(records.frame[name][row]) for row in rows] for name in time}


class Clock:
    """Reads the time of one reading.

    Args:
        time: the columns that hold it.
        saved: `samples` of the file that the model was trained on.

    Attributes:
        latest: of the saved times, in seconds since 1970.

    Example:
        >>> clock = Clock(["Date"], {"Date": ["31.01.2024 10:00:00", "01.02.2024 00:00:00"]})
        >>> np.datetime64(clock.seconds({"Date": "03.04.2024 11:50:00"}), "s")
        np.datetime64('2024-04-03T11:50:00')
    """

    def __init__(self, time: Sequence[str], saved: Mapping[str, Sequence[str]]):
        self.time = tuple(time)
        self.saved = {name: list(saved[name]) for name in self.time}
        self.quick = self._quick()

    def seconds(self, reading: Mapping[str, object]) -> int:
        """Seconds since 1970 of a reading, in UTC where the file gave an offset.

        Raises:
            SunhwanError: a column is missing, or is not a time.
        """
        try:
            values = [reading[name] for name in self.time]
        except KeyError as error:
            raise SunhwanError(f"the reading has no {error.args[0]!r}, which is its time") from None
        try:
            return self.quick(values)
        except (ValueError, TypeError, OverflowError):
            return self._slow([None if value is None else str(value) for value in values])

    def _slow(self, values: Sequence[str | None]) -> int:
        """As files are read, beside the saved times."""
        frame = pl.DataFrame(
            {
                name: pl.Series([*self.saved[name], value], dtype=pl.String)
                for name, value in zip(self.time, values, strict=True)
            }
        )
        try:
            return int(timestamps(Records(frame, "the reading", ""), self.time)[-1].astype(np.int64))
        except SunhwanError:
            like = ", ".join(repr(self.saved[name][-1]) for name in self.time)
            received = ", ".join(map(repr, values))
            raise SunhwanError(f"the reading's time is {received}; expected one such as {like}") from None

    def _quick(self) -> Callable[[list], int]:
        """The first of the ways below that reads the saved times as files are read."""
        rows = list(zip(*(self.saved[name] for name in self.time), strict=True))
        expected = [self._slow(row) for row in rows]
        self.latest = max(expected)
        for way in self._ways():
            try:
                if [way(list(row)) for row in rows] == expected:
                    return way
            except (ValueError, TypeError, OverflowError):
                continue
        return lambda values: self._slow([str(value) for value in values])

    def _ways(self):
        if len(self.time) == 1:
            yield lambda values: since(datetime.fromisoformat(values[0]))
            for date, between, clock in itertools.product(DATES, " T", CLOCKS):
                if "%.f" not in clock:
                    pattern = f"{date}{between}{clock}"
                    yield lambda values, pattern=pattern: since(datetime.strptime(values[0], pattern))
            for date in DATES:
                yield lambda values, date=date: since(datetime.strptime(values[0], date))
        elif {name.lower() for name in self.time} <= set(PARTS):
            names = [name.lower() for name in self.time]

            def parts(values: list) -> int:
                return since(
                    datetime(**{name: whole(value) for name, value in zip(names, values, strict=True)})
                )

            yield parts


def whole(value: object) -> int:
    """A whole number."""
    number = float(value)
    if number != int(number):
        raise ValueError(f"{value!r} is not a whole number")
    return int(number)


def since(moment: datetime) -> int:
    """Seconds since 1970, to the nearest; of a time with an offset, in UTC."""
    if moment.tzinfo is not None:
        moment = moment.astimezone(UTC).replace(tzinfo=None)
    apart = moment - EPOCH
    return apart.days * 86400 + apart.seconds + (apart.microseconds >= 500_000)
