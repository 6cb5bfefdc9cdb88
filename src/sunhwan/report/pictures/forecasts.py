"""Plots of forecasts of the test part: ten days, each against the actual value, errors by hour of day."""

from __future__ import annotations

import numpy as np
from matplotlib.colors import LogNorm
from matplotlib.dates import date2num
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullFormatter

from sunhwan.report import style
from sunhwan.report.groups import group_means
from sunhwan.report.pictures.series import TEN_DAYS
from sunhwan.report.study import StudyRun, rows_of_each_series
from sunhwan.report.style import ACTUAL, NETWORK, Picture
from sunhwan.report.words import count, duration, elide, printer, quantity


def forecast(study: StudyRun) -> Picture | None:
    """Ten days of the test part: actual values, and forecasts of the best network and the best baseline.

    The ten days are those, of all such stretches, whose error is nearest to the error on the whole test part:
    neither the luckiest nor the worst.
    """
    shown = study.best() if study.kind == "forecast" else []
    if not shown:
        return None
    actual, every_time = study.predictions["truth"], study.predictions["time"]
    judge = shown[0]
    error = np.abs(judge.values - actual)
    overall = float(np.nanmean(error))
    each_series = rows_of_each_series(study.predictions)
    stretches = []
    for name, rows in each_series:
        block = (every_time[rows] - every_time[rows[0]]) // TEN_DAYS
        for number in np.unique(block[np.isfinite(error[rows])]):
            stretch = rows[block == number]
            stretches.append((np.isfinite(error[stretch]).sum(), np.nanmean(error[stretch]), name, stretch))
    # The end of the test part may be a stretch of a few hours: no such.
    fullest = max(known for known, *_ in stretches)
    whole = [stretch for stretch in stretches if stretch[0] >= 0.8 * fullest]
    _, local, name, rows = min(whole, key=lambda stretch: abs(stretch[1] - overall))

    # Where readings lie ten days apart, a stretch is one of them, and there is no line to draw.
    if len(rows) < 2:
        return None
    time = every_time[rows]
    figure, (axes,) = style.page(3.6)
    style.over_time(axes, time, actual[rows], linewidth=2, color=ACTUAL.color)
    # The network is drawn last, on top.
    for predictor in reversed(shown):
        look = {"color": predictor.mark.color, "linestyle": predictor.mark.line}
        style.over_time(axes, time, predictor.values[rows], linewidth=1.4, **look)
    axes.set_xlim(date2num(time[0]), date2num(time[-1]))
    style.dates(axes.xaxis)
    show = printer([overall])
    where = f", {name}" if len(each_series) > 1 else ""
    subtitle = f"{study.target} at the time of the forecast."
    if len(stretches) > 1:
        subtitle += (
            f" A typical stretch: the mean absolute error of {elide(judge.name, 30)} is "
            f"{study.amount(show(local))} here, {study.amount(show(overall))} on the whole test part."
        )
    listed = [
        f"{predictor.name} {study.amount(show(np.nanmean(error)))}"
        for predictor in shown
        if np.isfinite(error := np.abs(predictor.values - actual)[rows]).any()
    ]
    return style.finish(
        figure,
        f"{study.name}: forecast and actual values, {duration(time)} of the test part{where}",
        subtitle,
        f"Actual values and forecasts of {study.target} in {study.name}{where}, {time[0]} to {time[-1]}; "
        f"mean absolute error there: {', '.join(listed)}.",
        handles=[
            ACTUAL.legend("actual", linewidth=2),
            *[p.mark.legend(p.label, linewidth=1.4) for p in shown],
        ],
        y_label=study.target,
        note=study.note,
    )


def forecast_against_actual(study: StudyRun) -> Picture | None:
    """Every forecast of the test part against the actual value, with the line of equality."""
    shown = study.best() if study.kind == "forecast" else []
    if not shown:
        return None
    actual = study.predictions["truth"]
    # One extreme forecast would leave the rest a speck: the axes follow the actual values.
    margin = 0.12 * np.ptp(actual) or 1.0
    low, high = float(actual.min() - margin), float(actual.max() + margin)
    figure, panels = style.page(
        3.9 if len(shown) > 1 else 5.6, len(shown), columns=len(shown), sharex=True, sharey=True
    )
    clouds, listed, outside = [], [], 0
    for axes, predictor in zip(panels, shown, strict=True):
        known = np.isfinite(predictor.values)
        x, y = actual[known], predictor.values[known]
        outside += int(((y < low) | (y > high)).sum())
        if len(x) >= 400:
            extent = (low, high, low, high)
            clouds.append(
                axes.hexbin(x, y, gridsize=36, extent=extent, mincnt=1, cmap="Blues", linewidths=0.1)
            )
        else:
            axes.plot(x, y, "o", markersize=3.5, alpha=0.6, color=style.BLUE, markeredgewidth=0)
        axes.plot([low, high], [low, high], color=style.INK, linewidth=1.2)
        error, bias = float(np.mean(np.abs(y - x))), float(np.mean(y - x))
        show = printer([error])
        # The sign of what is printed: a bias that rounds to nothing has none.
        sign = ("+" if bias > 0 else "−") if float(show(abs(bias))) else ""
        words = [f"mean absolute error {study.amount(show(error))}"]
        words.append(f"bias {study.amount(sign + show(abs(bias)))}")
        # A unit may be long: forty-four characters are what a panel is wide enough for.
        axes.set_title(f"{predictor.label}\n" + (", " if len("".join(words)) < 43 else ",\n").join(words))
        listed.append(f"{predictor.name} has {' and '.join(words)} over {count(len(x), 'forecast')}")
    panels[0].set(xlim=(low, high), ylim=(low, high))
    for axis in (panels[0].xaxis, panels[0].yaxis):
        axis.set_major_locator(MaxNLocator(nbins=6))
    if clouds:
        most = max(2.0, *(float(number) for cloud in clouds for number in cloud.get_array()))
        for cloud in clouds:
            # From a half, so that a single forecast is still darker than paper.
            cloud.set_norm(LogNorm(0.5, most))
        bar = figure.colorbar(clouds[0], ax=panels, fraction=0.05, pad=0.02, aspect=30)
        bar.ax.set_ylim(1, most)
        bar.set_label("forecasts in a cell")
        bar.ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.0f}"))
        bar.ax.yaxis.set_minor_formatter(NullFormatter())
    subtitle = f"{study.target}, the whole test part; on the line, forecast and actual value are equal."
    if outside:
        subtitle += f" {count(outside, 'forecast')} off the scale."
    return style.finish(
        figure,
        f"{study.name}: each forecast against the actual value",
        subtitle,
        f"Forecast against actual value on the test part of {study.name}: {'; '.join(listed)}.",
        x_label=f"actual, {study.target}",
        y_label=f"forecast, {study.target}",
        note=study.note,
    )


def error_by_hour(study: StudyRun) -> Picture | None:
    """Mean absolute error by hour of day of the time that was forecast: best network and baselines."""
    shown = study.predictors() if study.kind == "forecast" else []
    if not shown:
        return None
    hour = study.predictions["time"].astype("datetime64[h]").astype(np.int64) % 24
    courses = []
    for predictor in shown:
        error = np.abs(predictor.values - study.predictions["truth"])
        known = np.isfinite(error)
        courses.append(group_means(hour[known], error[known], 24))
    course = courses[0]
    # Daily readings have one hour: there is no course of the day to show.
    if np.isfinite(course).sum() < 2:
        return None
    figure, (axes,) = style.page(3.6)
    widths = [2.2 if predictor.mark is NETWORK else 1.4 for predictor in shown]
    # The network is drawn last, on top.
    for predictor, width, means in reversed(list(zip(shown, widths, courses, strict=True))):
        hours = np.flatnonzero(np.isfinite(means))
        axes.plot(hours, means[hours], linewidth=width, **predictor.mark.look)
    axes.set_xlim(-0.5, 23.5)
    axes.set_xticks(range(0, 24, 3), [f"{at:02d}:00" for at in range(0, 24, 3)])
    show = printer(course)
    lowest, highest = (
        f"{study.amount(show(course[at]))} at {at:02d}:00"
        for at in (np.nanargmin(course), np.nanargmax(course))
    )
    listed = [
        f"{predictor.name} from {show(np.nanmin(means))} to {study.amount(show(np.nanmax(means)))}"
        for predictor, means in zip(shown, courses, strict=True)
    ]
    return style.finish(
        figure,
        f"{study.name}: error by hour of day; {elide(shown[0].name, 30)} from {lowest} to {highest}",
        "Mean absolute error on the test part, by the hour that was forecast, in the clock of the data.",
        f"Mean absolute error by hour of day, test part of {study.name}: over the day {'; '.join(listed)}; "
        f"{shown[0].name} lowest {lowest}, highest {highest}.",
        handles=[
            predictor.mark.legend(predictor.label, marker=True, linewidth=width)
            for predictor, width in zip(shown, widths, strict=True)
        ],
        x_label="hour of day",
        y_label=quantity("mean absolute error", study.record["unit"]),
        note=study.note,
    )
