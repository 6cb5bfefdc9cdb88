"""Plots of forecasts: the typical stretch, each forecast once, the mean of each hour."""

from __future__ import annotations

import numpy as np
from matplotlib.dates import date2num, num2date

HOUR = np.timedelta64(3600, "s")


def test_the_stretch_shown_is_the_typical_one(write_forecasts, figure_of, line_like):
    # Five stretches of ten days, with errors 1, 9, 4, 2, 4.5: of their mean, 4.1, the third is nearest.
    errors = {"gru": np.repeat([1.0, 9.0, 4.0, 2.0, 4.5], 240)}
    run = write_forecasts(errors, {"gru": (4, 4.1, None)}, {})
    figure = figure_of(run, "forecast")
    (axes,) = figure.axes
    start, end = (num2date(edge).replace(tzinfo=None) for edge in axes.get_xlim())
    assert (start.isoformat(), end.isoformat()) == ("2024-06-21T00:00:00", "2024-06-30T23:00:00")
    when = date2num(np.datetime64("2024-06-21", "s") + HOUR * np.arange(240))
    assert line_like(axes, when, np.sin(np.arange(480, 720)))
    assert line_like(axes, when, np.sin(np.arange(480, 720)) + 4)
    assert "ten days of the test part" in figure.texts[0].get_text()
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["actual", "gru (best network)"]


def test_forecast_against_actual_counts_each_forecast_once(write_forecasts, figure_of, said):
    errors = {"gru": np.full(1000, 0.1), "ridge": np.full(1000, -0.2)}
    errors["gru"][:10] = np.nan
    errors["gru"][10:13] = 1e6
    run = write_forecasts(errors, {"gru": (1, 1, None)}, {"ridge": (1, 1)})
    figure = figure_of(run, "forecast_against_actual")
    counts = [axes.collections[0].get_array().sum() for axes in figure.axes[:2]]
    assert counts == [987, 1000]
    assert "mean absolute error 0.200\u00a0°C, bias −0.200\u00a0°C" in figure.axes[1].get_title(loc="left")
    assert "3 forecasts off the scale" in said(figure)
    for axes in figure.axes[:2]:
        assert any(list(line.get_xdata()) == list(line.get_ydata()) for line in axes.lines), (
            "the line of equals"
        )
        assert axes.get_xlim() == axes.get_ylim()


def test_a_few_forecasts_are_dots(write_forecasts, figure_of, line_like):
    run = write_forecasts({"gru": np.full(30, 0.25)}, {"gru": (1, 1, None)}, {})
    (axes,) = figure_of(run, "forecast_against_actual").axes
    assert line_like(axes, np.sin(np.arange(30)), np.sin(np.arange(30)) + 0.25)


def test_error_by_hour_is_the_mean_of_each_hour(write_forecasts, figure_of, line_like):
    hour = np.arange(72) % 24
    errors = {"gru": (1 + hour) * np.where(np.arange(72) < 24, 1.0, -1.0), "ridge": np.full(72, 3.0)}
    errors["gru"][hour == 7] = np.nan
    run = write_forecasts(errors, {"gru": (1, 1, None)}, {"ridge": (1, 1)})
    figure = figure_of(run, "error_by_hour")
    known = [at for at in range(24) if at != 7]
    assert line_like(figure.axes[0], known, [1 + at for at in known])
    assert line_like(figure.axes[0], range(24), [3] * 24)
    written = figure.texts[0].get_text().replace("\n", " ").replace("\u00a0", " ")
    assert written.endswith("gru from 1.0 °C at 00:00 to 24.0 °C at 23:00")


def test_daily_forecasts_have_no_course_of_the_day(write_forecasts, pictures):
    run = write_forecasts({"gru": np.full(60, 0.25)}, {"gru": (1, 1, None)}, {}, step=24 * HOUR)
    assert list(pictures(run)) == ["results", "forecast", "forecast_against_actual"]


def test_of_forecasts_ten_days_apart_no_stretch_is_drawn(write_forecasts, pictures):
    run = write_forecasts({"gru": np.full(60, 0.25)}, {"gru": (1, 1, None)}, {}, step=240 * HOUR)
    assert list(pictures(run)) == ["results", "forecast_against_actual"]
