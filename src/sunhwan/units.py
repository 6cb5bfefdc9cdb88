"""Units as column names write them, and as people read them."""

from __future__ import annotations

import re

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
"""Customary ASCII spellings, and the signs that they stand for."""


def unit_of(name: str) -> str:
    """The unit in a column's name, or `""`.

    Example:
        >>> unit_of("T (degC)"), unit_of("max. wv (m/s)"), unit_of("speed [km/h]"), unit_of("TEMP")
        ('degC', 'm/s', 'km/h', '')
    """
    match = re.search(r"[(\[]([^()\[\]]+)[)\]]\s*$", name)
    return match.group(1).strip() if match else ""


def shown(unit: str) -> str:
    """A unit in its sign.

    Example:
        >>> shown("degC"), shown("mm")
        ('°C', 'mm')
    """
    return SIGNS.get(unit, unit)
