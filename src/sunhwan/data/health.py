"""The health of a table's columns: what is missing, stuck or drifting, in numbers for JSON."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl

from sunhwan.data.table import Table

PARTS = ("train", "validation", "test")


def health(readings: Table, part: np.ndarray, later: Table | None = None) -> dict:
    """Each column's missing values, gaps, stuck values, and drift from training to test.

    Args:
        readings: the table.
        part: (rows,) 0 train, 1 validation, 2 test.
        later: the test part, if it is a table of its own.

    Returns:
        `rows` by part; `from`, `to` of the times of each part; `months`, and for each of `columns`: `name`,
        `missing` (a count for each part), `missing_by_month` (shares, null where a month has no rows),
        `longest_gap` (rows), and of a column of numbers `mean` and `sd` by part, `stuck` (the most rows in
        which one value repeats), `drift` (of the mean from train to test, in training standard deviations)
        and `outside` (the share of test values beyond all training values); of a column of texts `values`
        (how many differ) and `unseen` (the share of test values that do not occur in training). Figures of
        a part without values are null.

    Example:
        >>> import polars as pl
        >>> time = np.arange("2024-01-01", "2024-01-07", dtype="datetime64[D]").astype("datetime64[s]")
        >>> readings = Table(
        ...     time, np.zeros(6, np.int32), ("",), pl.DataFrame({"T": [1.0, 3.0, None, None, 2.0, 6.0]}),
        ...     np.timedelta64(86400, "s"), "station", "",
        ... )
        >>> found = health(readings, np.array([0, 0, 0, 1, 2, 2]))["columns"][0]
        >>> found["missing"], found["longest_gap"], found["drift"], found["outside"]
        ([1, 1, 0], 2, 2.0, 0.5)
    """
    tables = [readings] if later is None else [readings, later]
    parts = [part] if later is None else [part, np.full(len(later), 2, np.int8)]
    part = np.concatenate(parts)
    time = np.concatenate([each.time for each in tables])
    series = np.concatenate([each.series + i * len(readings) for i, each in enumerate(tables)])
    names = [name for name in readings.columns.columns if all(name in each.columns for each in tables)]
    months, month = np.unique(time.astype("datetime64[M]"), return_inverse=True)
    spans = [time[part == code] for code in range(len(PARTS))]
    return {
        "rows": dict(zip(PARTS, (len(span) for span in spans), strict=True)),
        "from": [str(span.min()) if len(span) else None for span in spans],
        "to": [str(span.max()) if len(span) else None for span in spans],
        "months": [str(one) for one in months],
        "columns": [
            {"name": name, **of_column([each.columns[name] for each in tables], part, series, month)}
            for name in names
        ],
    }


def of_column(pieces: Sequence[pl.Series], part: np.ndarray, series: np.ndarray, month: np.ndarray) -> dict:
    """One column's figures; `pieces` are its values, a table each."""
    numeric = all(piece.dtype.is_numeric() for piece in pieces)
    column = pl.concat([piece.cast(pl.Float64 if numeric else pl.String) for piece in pieces])
    missing = column.is_null().to_numpy()
    found = {
        "missing": [int(missing[part == code].sum()) for code in range(len(PARTS))],
        "missing_by_month": (np.bincount(month, missing) / np.bincount(month)).round(4).tolist(),
        "longest_gap": longest(missing, series),
    }
    if not numeric:
        known = column.filter(~pl.Series(missing))
        seen = column.filter(pl.Series(part == 0)).drop_nulls().unique()
        tested = column.filter(pl.Series(part == 2)).drop_nulls()
        unseen = float((~tested.is_in(seen.implode())).mean()) if len(tested) else None
        return {**found, "values": known.n_unique(), "unseen": unseen}
    values = column.fill_null(float("nan")).to_numpy()
    by_part = [values[(part == code) & ~missing] for code in range(len(PARTS))]
    mean = [float(one.mean()) if len(one) else None for one in by_part]
    sd = [float(one.std()) if len(one) else None for one in by_part]
    train, test = by_part[0], by_part[2]
    both = len(train) > 0 and len(test) > 0
    same = np.append(False, np.diff(values) == 0)
    return {
        **found,
        "mean": mean,
        "sd": sd,
        "stuck": longest(same, series) + 1 if len(train) else 0,
        "drift": (mean[2] - mean[0]) / sd[0] if both and sd[0] else None,
        "outside": float(((test < train.min()) | (test > train.max())).mean()) if both else None,
    }


def longest(true: np.ndarray, series: np.ndarray) -> int:
    """The most consecutive rows of one series that are true."""
    edge = np.flatnonzero(np.diff(np.where(true, series + 1, 0), prepend=0, append=0))
    runs = np.diff(edge)
    return int(runs[true[edge[:-1]]].max(initial=0)) if len(edge) else 0
