"""Words on plots: numbers, units, and names that fit."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sunhwan.report import words


@pytest.mark.parametrize(
    ("unit", "printed"),
    [
        ("degC", "°C"),
        ("degF", "°F"),
        ("deg", "°"),
        ("percent", "%"),
        ("mbar", "mbar"),
        ("ug/m3", "µg/m³"),
        ("squared error", ""),
        ("", ""),
    ],
)
def test_units_are_printed_in_the_fields_notation(unit, printed):
    assert words.symbol(unit) == printed


def test_an_axis_label_names_its_unit_once():
    assert words.quantity("T (degC)", "degC") == "T (°C)"
    assert words.quantity("T (degC)", "K") == "T (°C)", "the column's own unit counts"
    assert words.quantity("speed [km/h]", "km/h") == "speed (km/h)"
    assert words.quantity("TEMP", "degC") == "TEMP (°C)"
    assert words.quantity("accuracy", "accuracy") == "accuracy"


@given(st.text(alphabet="ab_- ", max_size=80), st.integers(4, 30))
def test_a_folded_name_fits_its_place_and_keeps_both_ends(name, width):
    folded = words.fold(name, width)
    lines = folded.split("\n")
    assert len(lines) <= 2
    assert all(len(line) <= width for line in lines)
    if len(name) <= 2 * width:
        assert folded.replace("\n", "").replace(" ", "") == name.replace(" ", "")
    else:
        assert "…" in folded
        assert name.startswith(folded[0])
        assert name.endswith(folded[-1])
