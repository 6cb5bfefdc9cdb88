"""The visual language: settings that stay, marks that differ, pages that fit their words."""

from __future__ import annotations

import matplotlib
import pytest
from matplotlib.colors import to_rgb

from sunhwan.report import style


def test_settings_are_as_they_were_even_after_an_error():
    before = dict(matplotlib.rcParams)
    with pytest.raises(ZeroDivisionError), style.applied():
        assert matplotlib.rcParams["svg.hashsalt"] == "sunhwan"
        raise ZeroDivisionError
    assert dict(matplotlib.rcParams) == before


def test_a_readers_own_settings_do_not_reach_a_plot():
    with matplotlib.rc_context({"axes.facecolor": "black", "font.size": 40, "xtick.direction": "in"}):
        with style.applied():
            assert matplotlib.rcParams["axes.facecolor"] == matplotlib.rcParamsDefault["axes.facecolor"]
            assert matplotlib.rcParams["font.size"] == style.WORDS
            assert matplotlib.rcParams["xtick.direction"] == "out"
        assert matplotlib.rcParams["font.size"] == 40


def test_marks_differ_in_colour_and_in_line_and_in_marker():
    for what in ("color", "line", "marker"):
        assert len({getattr(mark, what) for mark in style.SEQUENCE}) == len(style.SEQUENCE)


def test_marks_are_dark_enough_on_paper():
    # Relative luminance of WCAG 2.1; below 0.46 gives at least 2:1 against white, a line's least in print.
    for mark in style.SEQUENCE:
        channels = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(mark.color)]
        assert 0.2126 * channels[0] + 0.7152 * channels[1] + 0.0722 * channels[2] < 0.46


def test_the_page_grows_with_its_words_and_the_axes_keep_their_height():
    heights = []
    with style.applied():
        for title in ("short", "a title of many words " * 20):
            figure, (axes,) = style.page(3.0)
            axes.plot([0, 1], [0, 1])
            legend = [style.NETWORK.legend("network")]
            style.finish(figure, title, "what is shown", "in words", handles=legend, note="a note")
            heights.append((figure.get_figheight(), axes.get_window_extent().height / figure.dpi))
    assert heights[1][0] > heights[0][0] + 1
    # The layout works in whole pixels, at 200 an inch.
    assert heights[1][1] == pytest.approx(heights[0][1], abs=0.02)


def test_a_page_has_as_many_panels_as_are_asked_for_and_numbers_under_each_column():
    with style.applied():
        figure, panels = style.page(2.0, 5, 3, sharex=True, sharey=True)
        figure.draw_without_rendering()
    assert figure.axes == panels
    assert (len(panels), figure.get_figheight()) == (5, 4.0)
    numbered = [axes.xaxis.get_major_ticks()[0].label1.get_visible() for axes in panels]
    assert numbered == [False, False, True, True, True]
