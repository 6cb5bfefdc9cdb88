"""Data frames of pandas or polars, or files, as records."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl

from sunhwan.data.files.records import Records, read
from sunhwan.errors import SunhwanError


def records(X: Any, time: tuple[str, ...] = ()) -> Records:
    """The rows of a frame or a file.

    Args:
        X: a frame of pandas or polars, the path of a CSV or Parquet file, or records.
        time: columns that may be the index of a pandas frame, such as that of the time.

    Raises:
        SunhwanError: X is something else, or has no rows.

    Example:
        >>> records(pl.DataFrame({"T": [1.5, 2.5]})).name
        'the frame'
    """
    if isinstance(X, str | Path):
        return read(Path(X))
    if isinstance(X, Records):
        return X
    frame = X if isinstance(X, pl.DataFrame) else from_pandas(X, time)
    if not len(frame):
        raise SunhwanError("X has no rows; rows of readings were expected")
    return Records(frame, "the frame", "")


def like(X: Any, columns: dict[str, Any]) -> Any:
    """Columns as a frame of the kind of X, or of polars if X is not a frame.

    Example:
        >>> like("station.csv", {"T": [1.5]}).shape
        (1, 1)
    """
    if not hasattr(X, "columns") or isinstance(X, pl.DataFrame):
        return pl.DataFrame(columns)
    return type(X)(columns)


def from_pandas(X: Any, time: tuple[str, ...]) -> pl.DataFrame:
    """A pandas frame's columns as a polars frame, with its index if that has times."""
    if not hasattr(X, "columns") or not hasattr(X, "index"):
        raise SunhwanError(
            f"X is a {type(X).__name__}; expected a pandas or polars frame, or the path of a CSV or Parquet "
            "file"
        )
    if X.index.nlevels > 1:
        X = X.reset_index()
    elif X.index.dtype.kind == "M" or X.index.name in time:
        X = X.reset_index(names=X.index.name or "time")
    columns = {}
    for name in X.columns:
        column = X[name]
        if getattr(column.dtype, "tz", None) is not None:
            column = column.dt.tz_convert("UTC").dt.tz_localize(None)
        if column.dtype.kind == "M":
            columns[str(name)] = column.to_numpy().astype("datetime64[ms]")
        elif column.dtype.kind in "fiub":
            columns[str(name)] = column.to_numpy()
        else:
            columns[str(name)] = pl.Series(
                [None if value is None or value != value else str(value) for value in column], dtype=pl.String
            )
    return pl.DataFrame(columns)
