"""Plots of the series itself, out of series.npz: the whole of it with its parts, and its first ten days."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.dates import date2num
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from sunhwan.report import style
from sunhwan.report.groups import group_means
from sunhwan.report.study import StudyRun, rows_of_each_series
from sunhwan.report.style import Mark, Picture
from sunhwan.report.words import count, duration

TEN_DAYS = np.timedelta64(10, "D")

_PANELS = 6
"""So many series fit on a page; the subtitle counts the rest."""
_ROWS = 1500
"""More readings than this stand closer than print can show: their mean and range are drawn."""
_DOTS = 300
"""So many readings have room for a dot each; a lone one between two gaps makes no line."""
_BINS = (
    ("second", 1),
    ("minute", 60),
    ("10 minutes", 600),
    ("hour", 3600),
    ("6 hours", 6 * 3600),
    ("day", 86400),
    ("7 days", 7 * 86400),
    ("30 days", 30 * 86400),
    ("365 days", 365 * 86400),
)

Reading = tuple[str, np.ndarray, np.ndarray]
"""The name of a series, its times (n,) datetime64[s] ascending, and its values (n,), NaN where missing."""


def series(study: StudyRun) -> Picture | None:
    """The whole series, each in its panel, with the training, validation and test parts marked."""
    each_series = _readings(study)
    if not each_series:
        return None
    figure, panels = _page(each_series[:_PANELS])
    handles = []
    for axes, (_, time, value) in zip(panels, each_series, strict=False):
        if len(value) <= _ROWS:
            _draw(axes, time, value, linewidth=0.9)
            continue
        word, when, low, mean, high = _binned(time, value)
        axes.fill_between(when, low, high, color=style.SKY, alpha=0.6, linewidth=0)
        axes.plot(when, mean, color=style.BLUE, linewidth=0.9)
        handles = [
            Mark(style.BLUE, "-", "none").legend(f"mean of each {word}", linewidth=1.2),
            Patch(color=style.SKY, alpha=0.6, linewidth=0, label="its lowest to highest"),
        ]
    edges = study.series["edges"]
    handles += _mark_parts(panels, edges)
    first = min(time[0] for _, time, _ in each_series[:_PANELS]).astype("datetime64[D]")
    last = max(time[-1] for _, time, _ in each_series[:_PANELS]).astype("datetime64[D]")
    return style.finish(
        figure,
        f"{study.name}: the whole series, {first} to {last}",
        _subtitle(study, each_series),
        f"{study.name} from {first} to {last}, {len(each_series)} series, "
        f"{_summary(study, each_series)}; training "
        f"ends {edges[0]}, validation ends {edges[1]}.",
        handles=handles,
        y_label=study.target,
        note=study.note,
    )


def first_ten_days(study: StudyRun) -> Picture | None:
    """The first ten days of the series, every reading."""
    each_series = _readings(study)
    if not each_series:
        return None
    start = min(time[np.isfinite(value)][0] for _, time, value in each_series)
    windows = []
    for name, time, value in each_series:
        inside = (time >= start) & (time < start + TEN_DAYS)
        if np.isfinite(value[inside]).any():
            windows.append((name, time[inside], value[inside]))
    figure, panels = _page(windows[:_PANELS])
    for axes, (_, time, value) in zip(panels, windows, strict=False):
        _draw(axes, time, value, linewidth=1.3)
    span = duration(max((time for _, time, _ in windows), key=lambda time: time[-1]))
    return style.finish(
        figure,
        f"{study.name}: the first {span}, from {start.astype('datetime64[D]')}",
        _subtitle(study, windows),
        f"The first {span} of {study.name}, from {start}, {_summary(study, windows)}.",
        y_label=study.target,
        note=study.note,
    )


def _readings(study: StudyRun) -> list[Reading]:
    """The series that have a reading."""
    if not study.series:
        return []
    time, value = study.series["time"], study.series["value"]
    rows_of = rows_of_each_series(study.series)
    return [(name, time[rows], value[rows]) for name, rows in rows_of if np.isfinite(value[rows]).any()]


def _page(shown: Sequence[Reading]) -> tuple[Figure, list[Axes]]:
    """A panel a series, named where there are several, with one time axis."""
    several = len(shown) > 1
    height = max(1.5, 3 / len(shown)) if several else 3.4
    figure, panels = style.page(height, len(shown), sharex=True, sharey=True)
    for axes, (name, *_) in zip(panels, shown, strict=True):
        axes.set_title(name if several else "")
    first, last = min(time[0] for _, time, _ in shown), max(time[-1] for _, time, _ in shown)
    # One instant alone has no width to be an axis.
    if last > first:
        panels[0].set_xlim(date2num(first), date2num(last))
    style.dates(panels[-1].xaxis)
    return figure, panels


def _draw(axes: Axes, time: np.ndarray, value: np.ndarray, linewidth: float) -> None:
    dot = "." if len(value) <= _DOTS else "none"
    style.over_time(axes, time, value, color=style.BLUE, linewidth=linewidth, marker=dot, markersize=3)


def _binned(
    time: np.ndarray, value: np.ndarray
) -> tuple[str, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """(width in words, bin centres as dates, lowest, mean, highest) of `value` in some hundred bins.

    Widths are round and bins start at multiples of them, so that days are days. `time` ascends. A bin without
    a reading is NaN: the gap is seen.
    """
    seconds = time.astype(np.int64)
    word, width = next((pair for pair in _BINS if (seconds[-1] - seconds[0]) / pair[1] <= 800), _BINS[-1])
    known = np.isfinite(value)
    place, value = (seconds // width - seconds[0] // width), value[known]
    bins, place = place[-1] + 1, place[known]
    low, high = np.full(bins, np.inf), np.full(bins, -np.inf)
    np.minimum.at(low, place, value)
    np.maximum.at(high, place, value)
    mean = group_means(place, value, bins)
    low[np.isnan(mean)] = high[np.isnan(mean)] = np.nan
    centre = (seconds[0] // width + np.arange(bins)) * width + width // 2
    return word, date2num(centre.astype("datetime64[s]")), low, mean, high


def _mark_parts(panels: Sequence[Axes], edges: np.ndarray) -> list[Patch]:
    """Shade the validation and test parts in each panel; returns the legend entries of all three parts."""
    # Three greys and a line at each edge survive any print.
    shades = {"training": "#FFFFFF", "validation": "#EBEBEB", "test": "#D0D0D0"}
    left, right = panels[0].get_xlim()
    cuts = np.clip([left, *date2num(edges), right], left, right)
    for axes in panels:
        for (part, shade), start, end in zip(shades.items(), cuts[:-1], cuts[1:], strict=True):
            axes.axvspan(start, end, color=shade, linewidth=0, zorder=0)
            if part != "training":
                axes.axvline(start, color=style.QUIET, linewidth=0.8, zorder=1)
    return [Patch(fc=shade, ec=style.QUIET, linewidth=0.8, label=part) for part, shade in shades.items()]


def _subtitle(study: StudyRun, each_series: Sequence[Reading]) -> str:
    shown = (
        f"; the first {_PANELS} of {len(each_series)} series are shown" if len(each_series) > _PANELS else ""
    )
    return f"{study.target}: {_counted(each_series)}{shown}."


def _counted(each_series: Sequence[Reading]) -> str:
    rows = sum(len(value) for _, _, value in each_series)
    readings = sum(int(np.isfinite(value).sum()) for _, _, value in each_series)
    return f"{count(readings, 'reading')}, {rows - readings} missing"


def _summary(study: StudyRun, each_series: Sequence[Reading]) -> str:
    values = np.concatenate([value for _, _, value in each_series])
    extent = f"between {np.nanmin(values):.3g} and {np.nanmax(values):.3g}, mean {np.nanmean(values):.3g}"
    return f"{study.target}: {_counted(each_series)}; {extent}"
