"""How plots say things: numbers with three digits, units by their signs, counts, and names that fit."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable

import numpy as np

from sunhwan.units import shown


def printer(values: Iterable[float]) -> Callable[[float], str]:
    """What prints numbers that stand beside each other: all with the decimals that show three digits of
    their median.

    Example:
        >>> show = printer([2.24, 2.7, 11.0]); show(2.2449), show(11), show(2e8)
        ('2.24', '11.00', '2.0e+08')
    """
    sizes = sorted(abs(value) for value in values if math.isfinite(value))
    typical = sizes[len(sizes) // 2] if sizes else 0
    decimals = min(max(2 - math.floor(math.log10(typical)), 0), 6) if typical else 2
    return lambda value: f"{value:.{decimals}f}" if abs(value) < 1e5 else f"{value:.1e}"


def count(number: int, one: str) -> str:
    """A number of things: "1 seed", "3 seeds"."""
    return f"{number} {one}" if number == 1 else f"{number} {one}s"


def duration(time: np.ndarray) -> str:
    """How long ascending `time`, datetime64, lasts, each reading one step, rounded.

    Example:
        >>> duration(np.arange("2013-01-01", "2013-01-11", dtype="datetime64[h]"))
        'ten days'
    """
    step = np.median(np.diff(time)) if len(time) > 1 else np.timedelta64(0, "s")
    days = (time[-1] - time[0] + step) / np.timedelta64(1, "D")
    if round(days) == 10:
        return "ten days"
    return count(round(days), "day") if days >= 1 else count(max(round(days * 24), 1), "hour")


def symbol(unit: str) -> str:
    """A unit as it is printed; "" for a number without one.

    Example:
        >>> symbol("degC"), symbol("hPa"), symbol("accuracy")
        ('°C', 'hPa', '')
    """
    return "" if unit in ("accuracy", "squared error") else shown(unit)


def quantity(name: str, unit: str) -> str:
    """A column's name with its unit, as an axis label; a unit in the name counts before `unit`.

    Example:
        >>> quantity("T (degC)", "degC"), quantity("TEMP", "degC"), quantity("visitors", "")
        ('T (°C)', 'TEMP (°C)', 'visitors')
    """
    named = re.fullmatch(r"(.*\S)\s*[(\[]([^()\[\]]*)[)\]]\s*", name)
    if named:
        name, unit = named[1], named[2] or unit
    return f"{name} ({symbol(unit)})" if symbol(unit) else name


def elide(name: str, width: int) -> str:
    """`name` in at most `width` characters: a longer one loses its middle, since both ends tell names apart.

    Example:
        >>> elide("gru", 9), elide("gru_bidirectional", 9)
        ('gru', 'gru_…onal')
    """
    if len(name) <= width:
        return name
    head = width // 2
    return name[:head] + "…" + name[len(name) - (width - head - 1) :]


def fold(name: str, width: int) -> str:
    """`name` in at most two lines of `width` characters, broken after a separator where there is one.

    Example:
        >>> fold("gru", 13), fold("gru_bidirectional", 13), fold("a" * 30, 10)
        ('gru', 'gru_\\nbidirectional', 'aaaaaaaaaa\\n…aaaaaaaaa')
    """
    name = elide(name, 2 * width)
    if len(name) <= width:
        return name
    cuts = [at for at in range(len(name) - width, width + 1) if name[at - 1] in "_- ./"]
    at = cuts[-1] if cuts else width
    return name[:at].rstrip() + "\n" + name[at:]
