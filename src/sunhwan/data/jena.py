"""Weather at the Max Planck Institute for Biogeochemistry in Jena, every ten minutes.

The tutorial's file covers 2009 to 2016 in 14 columns; the station's own files (roof station, half a year
each) have 21, are in Latin-1 and write -9999 for a missing reading. `load` reads both.
"""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import polars as pl

from sunhwan.data import download, table
from sunhwan.errors import SunhwanError

URL = "https://storage.googleapis.com/tensorflow/tf-keras-datasets/jena_climate_2009_2016.csv.zip"
"""The publisher gives no checksum; the first download's is recorded and checked ever after."""

FILE = "jena_climate_2009_2016.csv.zip"

TIME = "Date Time"


def load(path: Path | None = None) -> table.Table:
    """The station's readings as a `Table`.

    The station's clock repeats or overlaps at a few places of the tutorial's file: of rows with one
    timestamp the first is kept, and rows are put in order of time; both are noted with counts.

    Args:
        path: a file one already has (CSV, or the ZIP that holds it); without it the tutorial's is
            downloaded into the cache.

    Raises:
        SunhwanError: the file is not the station's, or cannot be read, or cannot be downloaded.
    """
    source = path or download.fetch(URL, FILE)
    if source.suffix == ".zip":
        raw, fingerprint = unzip(source)
        frame = table.parse_csv(raw, source.name)
    else:
        frame, fingerprint = table.read(source)
    if TIME not in frame.columns:
        raise SunhwanError(
            f"{source.name} has no column {TIME!r}, so it is no file of the Jena station; "
            "for other tables use `sunhwan study run table_temperature --data FILE`"
        )
    moments = table.timestamps(frame, [TIME], source.name)
    _, first = np.unique(moments, return_index=True)
    notes = []
    if len(first) < len(moments):
        notes.append(f"{len(moments) - len(first):,} rows with a time that stood already are left out")
    backwards = int((np.diff(moments[np.sort(first)]) < np.timedelta64(0)).sum())
    if backwards:
        notes.append(f"the rows ran backwards in time at {backwards:,} places and were put in order")
    frame = frame[first].with_columns(pl.Series(TIME, moments[first]))
    name = "Jena weather station"
    return table.assemble(frame, time=[TIME], series=None, name=name, fingerprint=fingerprint).note(*notes)


def unzip(path: Path) -> tuple[bytes, str]:
    """The one CSV in a ZIP archive, and the SHA-256 of the archive."""
    try:
        with zipfile.ZipFile(path) as archive:
            members = [member for member in archive.namelist() if member.lower().endswith(".csv")]
            if len(members) != 1:
                raise SunhwanError(f"{path.name} holds {len(members)} CSV files; one was expected")
            return archive.read(members[0]), download.sha256_of(path)
    except (zipfile.BadZipFile, EOFError, OSError) as error:
        raise SunhwanError(
            f"{str(path)!r} cannot be read as a ZIP archive ({error}); it may be truncated: fetch it again"
        ) from None
