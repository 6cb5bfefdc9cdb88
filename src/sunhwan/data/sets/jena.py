"""Weather at the Max Planck Institute for Biogeochemistry in Jena, every ten minutes.

The tutorial's file has 2009 to 2016 in 14 columns. The station's own files (of its roof, half a year each)
have 21 columns, are in Latin-1 and mark a missing reading by -9999. `load` reads both.
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
"""The publisher gives no checksum, so that of the first download is recorded and later checked."""

TIME = "Date Time"
INTERVAL = np.timedelta64(600, "s")


def load(path: Path | None = None) -> table.Table:
    """The station's readings as a `Table`.

    In the tutorial's file the station's clock repeats a few times. Rows are sorted by time; of rows with the
    same time the first stays; rows that are not at a multiple of ten minutes are dropped. A note counts each.

    Args:
        path: the file (CSV, or a ZIP of it); by default the tutorial's is downloaded into the cache.

    Raises:
        SunhwanError: the file is not the station's, cannot be read or cannot be downloaded.
    """
    source = path or download.fetch(URL, FILE)
    raw = contents(source)
    if source.suffix.lower() == ".zip" or raw[:2] == b"PK":
        raw = unzipped(raw, source.name)
    records = parse_csv(raw, source.name)
    if TIME not in records.frame.columns:
        raise SunhwanError(
            f"{source.name} has no column {TIME!r}, so it is not a file of the Jena station; "
            "for other tables use `sunhwan study run table_temperature --data FILE`"
        )
    rows, notes = in_order(timestamps(records, [TIME]))
    return replace(table.assemble(records.take(rows), time=[TIME]), name="Jena weather station").note(*notes)


def in_order(moments: np.ndarray) -> tuple[np.ndarray, list[str]]:
    """The rows to use, sorted by time, and notes on the others.

    Args:
        moments: (rows,) datetime64[s], in the order of the file.
    """
    notes = []
    full = np.flatnonzero(moments.astype(np.int64) % INTERVAL.astype(np.int64) == 0)
    if len(full) < len(moments):
        notes.append(f"{len(moments) - len(full):,} rows not at a multiple of 10 min were dropped")
    _, first = np.unique(moments[full], return_index=True)
    if len(first) < len(full):
        notes.append(f"{len(full) - len(first):,} rows with the time of an earlier row were dropped")
    rows = full[first]
    backwards = int((np.diff(moments[np.sort(rows)]) < np.timedelta64(0)).sum())
    if backwards:
        notes.append(f"the time went back at {backwards:,} rows, so the rows were sorted by time")
    return rows, notes


def unzipped(raw: bytes, name: str) -> bytes:
    """The one CSV in a ZIP archive."""
    try:
        with zipfile.ZipFile(io.BytesIO(raw)) as archive:
            members = [member for member in archive.namelist() if member.lower().endswith(".csv")]
            if len(members) == 1:
                return archive.read(members[0])
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise SunhwanError(
            f"{name} cannot be read as a ZIP archive ({error}); it may be truncated: download it again"
        ) from None
    raise SunhwanError(
        f"{name} contains {len(members)} CSV files, but one was expected; pass the CSV file itself"
    )
