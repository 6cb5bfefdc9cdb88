"""Where the readings of a forecast come from, and how files are read: the training file, and later ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from sunhwan.data import table
from sunhwan.data.files import records
from sunhwan.data.files.records import Records, listed
from sunhwan.data.files.timestamps import customary
from sunhwan.data.table import Table
from sunhwan.errors import SunhwanError
from sunhwan.forecast.clock import samples


@dataclass(frozen=True)
class Source:
    """Where readings come from, and how they are read.

    Attributes:
        path: the file.
        time: the columns that contain the time; by default the one with a customary name.
        series: the column that names the series of each row.
        times: a few times as the file writes them; see `clock.samples`.
    """

    path: Path
    time: tuple[str, ...] = ()
    series: str | None = None
    times: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def read(self, needed: Sequence[str] = ()) -> tuple[Table, Source]:
        """The table; and this source with the time's columns named, where they were recognized by their
        names.

        Args:
            needed: columns that must be there, which is checked before anything else.

        Raises:
            SunhwanError: see `table.load`.
        """
        rows = records.read(self.path)
        named = self.recognized(rows)
        return replace(named, times=self.times).table(rows, needed), named

    def table(
        self, rows: Records, needed: Sequence[str] = (), interval: np.timedelta64 | None = None
    ) -> Table:
        """The table in the rows of a file or a frame.

        Raises:
            SunhwanError: a needed column is missing; or see `table.load`.
        """
        columns = rows.frame.columns
        lacking = [
            name for name in (*self.time, *filter(None, [self.series]), *needed) if name not in columns
        ]
        if lacking:
            raise SunhwanError(
                f"{rows.name} lacks {listed(lacking)}; it has {listed(columns)}: give these columns under "
                "these names, in any order"
            )
        return table.assemble(rows, time=self.time, series=self.series, interval=interval, like=self.times)

    def recognized(self, rows: Records) -> Source:
        """This source with the time's columns named, and a few of their times, as these rows have them."""
        time = self.time or tuple(customary(rows))
        if not set(time) <= set(rows.frame.columns):
            return replace(self, time=time)
        some = rows.take(np.unique(np.linspace(0, len(rows.frame) - 1, 5_000).astype(np.int64)))
        return replace(self, time=time, times=samples(some, time))

    def to_dict(self) -> dict:
        """For JSON; the file's place is not saved."""
        times = {name: list(texts) for name, texts in self.times.items()}
        return {"time": list(self.time), "series": self.series, "times": times}

    @classmethod
    def from_dict(cls, saved: Mapping) -> Source:
        """From what `to_dict` returned."""
        return cls(Path(), tuple(saved.get("time", ())), saved.get("series"), saved.get("times", {}))
