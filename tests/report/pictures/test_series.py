"""Plots of the series: every reading where there is room, gaps seen, parts marked."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.dates import date2num

HOUR = np.timedelta64(3600, "s")


def test_the_whole_series_is_drawn_with_its_parts(write_case, figure_of, line_like):
    run = write_case("forecast", days=50, names=("here",))
    stored = np.load(run / "series.npz")
    figure = figure_of(run, "series")
    (axes,) = figure.axes
    assert line_like(axes, date2num(stored["time"]), stored["value"])
    cuts = sorted(line.get_xdata()[0] for line in axes.lines if len(line.get_xdata()) == 2)
    assert cuts == pytest.approx(date2num(stored["edges"]))
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    assert legend == ["training", "validation", "test"]


def test_a_long_series_becomes_daily_mean_and_range_and_keeps_its_gap(write_case, figure_of):
    run = write_case("forecast", days=250, names=("here",))
    stored = np.load(run / "series.npz")
    days = stored["value"].reshape(250, 24)
    (axes,) = figure_of(run, "series").axes
    (line,) = [line for line in axes.lines if len(line.get_xdata()) == 250]
    empty = np.isnan(days).all(axis=1)
    assert empty.sum() == 1
    np.testing.assert_array_equal(np.isnan(line.get_ydata()), empty)
    # Sums in another order differ in the last digits of a double.
    np.testing.assert_allclose(line.get_ydata()[~empty], np.nanmean(days[~empty], axis=1), rtol=1e-12)
    (band,) = axes.collections
    heights = np.concatenate([path.vertices[:, 1] for path in band.get_paths()])
    assert (heights.min(), heights.max()) == (np.nanmin(days), np.nanmax(days))


def test_the_first_ten_days_are_ten_days_of_every_reading(write_case, figure_of, line_like):
    run = write_case("forecast", days=40)
    stored = np.load(run / "series.npz")
    figure = figure_of(run, "first_ten_days")
    assert figure.texts[0].get_text() == "tomorrow: the first ten days, from 2013-01-01"
    for code, axes in enumerate(figure.axes):
        rows = np.flatnonzero(stored["series"] == code)[:240]
        assert line_like(axes, date2num(stored["time"][rows]), stored["value"][rows])


def test_a_series_shorter_than_ten_days_says_how_long_it_is(write_run, figure_of):
    time = np.datetime64("2024-06-01", "s") + HOUR * np.arange(72)
    run = write_run(series={"time": time, "value": np.arange(72.0)})
    assert figure_of(run, "first_ten_days").texts[0].get_text() == "parts: the first 3 days, from 2024-06-01"


def test_rows_that_are_not_there_are_a_gap_in_the_line(write_run, figure_of):
    time = np.datetime64("2024-06-01", "s") + HOUR * np.array([3, 0, 1, 2, 30, 31])
    run = write_run(series={"time": time, "value": np.array([3.0, 0, 1, 2, 4, 5])})
    (axes,) = figure_of(run, "series").axes
    np.testing.assert_array_equal(axes.lines[0].get_ydata(), [0, 1, 2, 3, np.nan, 4, 5])


def test_one_lone_reading_and_many_series_are_drawn(write_run, figure_of, said):
    time = np.repeat(np.datetime64("2024-06-01", "s"), 8)
    run = write_run(series={"time": time, "value": np.arange(8.0), "series": np.arange(8)})
    figure = figure_of(run, "series")
    assert len(figure.axes) == 6
    assert "the first 6 of 8 series" in said(figure)
