"""Weather at the Max Planck Institute for Biogeochemistry in Jena, every ten minutes.

The tutorial's file covers 2009 to 2016 in 14 columns; the station's own files (roof station, half a year
each) have 21, are in Latin-1 and write -9999 for a missing reading. `load` reads both.
"""

from __future__ import annotations

import io
import zipfile
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np

from sunhwan.data import table
from sunhwan.data.files.records import contents, parse_csv
from sunhwan.data.files.timestamps import timestamps
from sunhwan.data.sets import download
from sunhwan.errors import SunhwanError

URL = "https://storage.googleapis.com/tensorflow/tf-keras-datasets/jena_climate_2009_2016.csv.zip"
FILE = "jena_climate_2009_2016.csv.zip"
"""The publisher gives no checksum; the first download's is recorded and checked ever after."""

TIME = "Date Time"
INTERVAL = np.timedelta64(600, "s")


def load(path: Path | None = None) -> table.Table:
    """The station's readings as a `Table`.

    The station's clock repeats or overlaps at a few places of the tutorial's file: of rows with one
    timestamp the first is kept, and rows are put in order of time; rows between the full ten minutes are
    left out. Each is noted with its count.

    Args:
        path: a file one already has (CSV, or the ZIP that holds it); without it the tutorial's is
            downloaded into the cache.

    Raises:
        SunhwanError: the file is not the station's, or cannot be read, or cannot be downloaded.
    """
    source = path or download.fetch(URL, FILE)
    raw = contents(source)
    if source.suffix.lower() == ".zip" or raw[:2] == b"PK":
        raw = unzipped(raw, source.name)
    records = parse_csv(raw, source.name)
    if TIME not in records.frame.columns:
        raise SunhwanError(
            f"{source.name} has no column {TIME!r}, so it is no file of the Jena station; "
            "for other tables use `sunhwan study run table_temperature --data FILE`"
        )
    kept, notes = in_order(timestamps(records, [TIME]))
    return replace(table.assemble(records.take(kept), time=[TIME]), name="Jena weather station").note(*notes)


def in_order(moments: np.ndarray) -> tuple[np.ndarray, list[str]]:
    """The rows to keep, in order of time, and what was met.

    Args:
        moments: (rows,) datetime64[s], as they stand in the file.
    """
    notes = []
    full = np.flatnonzero(moments.astype(np.int64) % INTERVAL.astype(np.int64) == 0)
    if len(full) < len(moments):
        notes.append(f"{len(moments) - len(full):,} rows between the full ten minutes are left out")
    _, first = np.unique(moments[full], return_index=True)
    if len(first) < len(full):
        notes.append(f"{len(full) - len(first):,} rows with a time that stood already are left out")
    kept = full[first]
    backwards = int((np.diff(moments[np.sort(kept)]) < np.timedelta64(0)).sum())
    if backwards:
        notes.append(f"the rows ran backwards in time at {backwards:,} places and were put in order")
    return kept, notes


def unzipped(raw: bytes, name: str) -> bytes:
    """The one CSV in a ZIP archive."""
    try:
        with zipfile.ZipFile(io.BytesIO(raw)) as archive:
            members = [member for member in archive.namelist() if member.lower().endswith(".csv")]
            if len(members) == 1:
                return archive.read(members[0])
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise SunhwanError(
            f"{name} cannot be read as a ZIP archive ({error}); it may be truncated: fetch it again"
        ) from None
    raise SunhwanError(f"{name} holds {len(members)} CSV files; a ZIP archive of one was expected")
