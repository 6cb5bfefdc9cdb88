"""The visual language: units, names that fit, settings that stay, words that stay on the page."""

from __future__ import annotations

import matplotlib
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.colors import to_rgb

from sunhwan.report import style


@pytest.mark.parametrize(
    ("unit", "printed"),
    [
        ("degC", "°C"),
        ("degF", "°F"),
        ("deg", "°"),
        ("percent", "%"),
        ("mbar", "mbar"),
        ("mse", ""),
        ("squared error", ""),
        ("", ""),
    ],
)
def test_units_are_printed_in_the_fields_notation(unit, printed):
    assert style.symbol(unit) == printed


def test_an_axis_label_names_its_unit_once():
    assert style.quantity("T (degC)", "degC") == "T (°C)"
    assert style.quantity("T (degC)", "K") == "T (°C)", "the column's own unit counts"
    assert style.quantity("TEMP", "degC") == "TEMP (°C)"
    assert style.quantity("accuracy", "accuracy") == "accuracy"


@given(st.text(alphabet="ab_- ", max_size=80), st.integers(4, 30))
def test_a_folded_name_fits_its_place_and_keeps_both_ends(name, width):
    folded = style.fold(name, width)
    lines = folded.split("\n")
    assert len(lines) <= 2
    assert all(len(line) <= width for line in lines)
    if len(name) <= 2 * width:
        assert folded.replace("\n", "").replace(" ", "") == name.replace(" ", "")
    else:
        assert "…" in folded
        assert name.startswith(folded[0])
        assert name.endswith(folded[-1])


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
            style.finish(
                figure, title, "what is shown", handles=[style.NETWORK.legend("network")], note="a note"
            )
            heights.append((figure.get_figheight(), axes.get_window_extent().height / figure.dpi))
    assert heights[1][0] > heights[0][0] + 1
    # The layout works in whole pixels, at 200 an inch.
    assert heights[1][1] == pytest.approx(heights[0][1], abs=0.02)
