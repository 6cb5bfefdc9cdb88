"""What plotly.js draws, as plain dictionaries: lines, bands, bars and heat maps in the page's colours.

A trace names its colour in `meta`, out of `page.SHADES`. Numbers go as base64 of their bytes, which plotly.js
reads, so that a page of many thousands of points stays small; NaN is a gap in a line.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence

import numpy as np

DASHES = ("solid", "dash", "dashdot", "dot", "longdash", "longdashdot")
"""Lines also differ in these, so that a print without colours loses nothing."""

MOST_POINTS = 6_000
"""Of a line: a browser draws as many at once without a pause."""


def numbers(values: np.ndarray) -> dict:
    """An array of one or two dimensions as plotly.js reads it; times as milliseconds since 1970, in UTC.

    Example:
        >>> numbers(np.array([1.0, 2.0], np.float32))
        {'dtype': 'f4', 'bdata': 'AACAPwAAAEA='}
    """
    values = np.asarray(values)
    if values.dtype.kind == "M":
        values = values.astype("datetime64[ms]").astype(np.float64)
    elif values.dtype != np.float64:
        values = values.astype(np.float32)
    packed = np.ascontiguousarray(values, values.dtype.newbyteorder("<"))
    array = {"dtype": f"f{packed.itemsize}", "bdata": base64.b64encode(packed.tobytes()).decode()}
    return array if values.ndim == 1 else {**array, "shape": ", ".join(map(str, values.shape))}


def line(
    name: str, color: str, x: np.ndarray | Sequence[str], y: np.ndarray, dash: str = "solid", **more
) -> dict:
    """A line over numbers, times or names; `more` goes to plotly.js."""
    return {
        "type": "scatter",
        "mode": "lines",
        "name": name,
        "meta": color,
        "x": list(x) if isinstance(x, list | tuple) else numbers(x),
        "y": numbers(y),
        "line": {"dash": dash, "width": 2},
        **more,
    }


def band(name: str, color: str, x: np.ndarray, lower: np.ndarray, upper: np.ndarray) -> dict:
    """The area between two lines, open where either is missing."""
    known = np.isfinite(lower) & np.isfinite(upper)
    runs = np.split(np.arange(len(x)), np.flatnonzero(np.diff(known)) + 1)
    around = [np.concatenate([run, run[::-1]]) for run in runs if len(run) and known[run[0]]]
    there = [np.concatenate([lower[run], upper[run[::-1]]]) for run in runs if len(run) and known[run[0]]]
    # A missing point between two outlines: each is an area of its own.
    outline = np.concatenate([np.append(run, run[-1]) for run in around]) if around else np.zeros(0, int)
    edge = np.concatenate([np.append(part, np.nan) for part in there]) if there else np.zeros(0)
    return {**line(name, color, x[outline], edge, hoverinfo="skip"), "fill": "toself"}


def bars(name: str, color: str, x: Sequence[str], y: np.ndarray, **more) -> dict:
    """Bars over names."""
    return {"type": "bar", "name": name, "meta": color, "x": list(x), "y": numbers(y), **more}


def heat(
    x: Sequence[str], y: Sequence[str], z: np.ndarray, texts: Sequence[Sequence[str]] | None, **more
) -> dict:
    """A heat map: rows `y` by columns `x`, with a text in each cell where given."""
    shown = {} if texts is None else {"text": texts, "texttemplate": "%{text}"}
    return {
        "type": "heatmap",
        "name": "",
        "meta": "model",
        "x": list(x),
        "y": list(y),
        "z": numbers(z),
        "showscale": False,
        "xgap": 1,
        "ygap": 1,
        **shown,
        **more,
    }


def view(data: Sequence[dict], x: str, y: str, **layout) -> dict:
    """Traces with the names of their axes.

    Args:
        data: from the functions above.
        x, y: the axes' names, with units; `""` for an axis that needs none.
        layout: further options of plotly.js; those of `xaxis` and `yaxis` are added to the names.
    """
    axes = {
        "xaxis": {**({"title": {"text": x}} if x else {}), **layout.pop("xaxis", {})},
        "yaxis": {**({"title": {"text": y, "standoff": 12}} if y else {}), **layout.pop("yaxis", {})},
    }
    return {"data": list(data), "layout": {**axes, **layout}}


def gapped(time: np.ndarray, columns: Sequence[np.ndarray]) -> tuple[np.ndarray, list[np.ndarray]]:
    """The same with a missing value where times are further apart than usual, so that lines break there."""
    apart = np.diff(time).astype(np.int64)
    after = np.flatnonzero(apart > 1.5 * np.median(apart)) + 1 if len(apart) else np.zeros(0, np.int64)
    return np.insert(time, after, time[after]), [np.insert(column, after, np.nan) for column in columns]
