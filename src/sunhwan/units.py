"""Units in column names; units, times and durations formatted for people."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable

import numpy as np

SIGNS = {
    "degC": "°C",
    "degF": "°F",
    "deg": "°",
    "deg C": "°C",
    "m/s2": "m/s²",
    "W/m2": "W/m²",
    "g/m**3": "g/m³",
    "ug/m3": "µg/m³",
    "percent": "%",
}
"""Common ASCII spellings of units, and their symbols."""


def unit_of(name: str) -> str:
    """The unit in a column's name, or `""`.

    Example:
        >>> unit_of("T (degC)"), unit_of("max. wv (m/s)"), unit_of("speed [km/h]"), unit_of("TEMP")
        ('degC', 'm/s', 'km/h', '')
    """
    match = re.search(r"[(\[]([^()\[\]]+)[)\]]\s*$", name)
    return match.group(1).strip() if match else ""


def shown(unit: str) -> str:
    """A unit with its symbol.

    Example:
        >>> shown("degC"), shown("mm")
        ('°C', 'mm')
    """
    return SIGNS.get(unit, unit)


def digits(value: float) -> str:
    """A number with three significant digits, or with all its integer digits if there are more.

    Example:
        >>> digits(2.2081), digits(5.9), digits(123.4), digits(12345.6), digits(0.00012345), digits(0)
        ('2.21', '5.90', '123', '12,346', '0.000123', '0')
    """
    if not value or not math.isfinite(value):
        return f"{value:g}"
    decimals = 2 - math.floor(math.log10(abs(value)))
    return f"{value:,.{min(max(decimals, 0), 12)}f}"


def numbered(noun: str, numbers: Iterable[int]) -> str:
    """A noun with its numbers, runs of them shortened.

    Example:
        >>> numbered("fit", [2]), numbered("fit", [1, 2]), numbered("fit", [1, 2, 3, 5, 7, 8, 9])
        ('fit #2', 'fits #1 and #2', 'fits #1 to #3, #5 and #7 to #9')
    """
    ordered = sorted(numbers)
    runs: list[list[int]] = []
    for number in ordered:
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    named = [
        part
        for run in runs
        for part in ([f"#{run[0]} to #{run[-1]}"] if len(run) > 2 else [f"#{number}" for number in run])
    ]
    listed = " and ".join([", ".join(named[:-1]), named[-1]] if len(named) > 1 else named)
    return f"{noun}{'s' if len(ordered) > 1 else ''} {listed}"


def duration(seconds: int) -> str:
    """Seconds in the largest unit that divides them.

    Example:
        >>> duration(600), duration(3600), duration(864000), duration(7)
        ('10 min', '1 h', '10 d', '7 s')
    """
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds % size == 0 and seconds:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"


def human(moment: np.datetime64) -> str:
    """A time as text, without seconds if they are zero.

    Example:
        >>> human(np.datetime64("2024-06-09T11:40:00")), human(np.datetime64("2024-06-09T11:40:07"))
        ('2024-06-09 11:40', '2024-06-09 11:40:07')
    """
    text = str(moment.astype("datetime64[s]")).replace("T", " ")
    return text[:-3] if text.endswith(":00") else text
