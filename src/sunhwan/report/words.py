"""Words of reports: numbers with three digits, units by their signs, counts, names and scores."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable

import numpy as np

from sunhwan import units
from sunhwan.units import shown

FORECAST_SCORES = {
    "mae": "mean absolute error",
    "mae_last_step": "at the last step",
    "rmse": "root mean squared error",
}
"""The scores of a forecast, by their keys in metrics.json, in the order of the columns of every table."""


def printer(values: Iterable[float]) -> Callable[[float], str]:
    """A function that prints numbers beside each other, all with as many decimals as their median needs.

    Three digits of the median are shown.

    Example:
        >>> show = printer([2.24, 2.7, 11.0]); show(2.2449), show(11), show(2e8)
        ('2.24', '11.00', '2.0e+08')
    """
    sizes = sorted(abs(value) for value in values if math.isfinite(value))
    typical = sizes[len(sizes) // 2] if sizes else 0
    decimals = min(max(2 - math.floor(math.log10(typical)), 0), 6) if typical else 2
    return lambda value: f"{value:.{decimals}f}" if abs(value) < 1e5 else f"{value:.1e}"


def count(number: int, thing: str) -> str:
    """A number of things: "1 seed", "3 seeds"."""
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"


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


def capital(text: str) -> str:
    """A text with a capital letter first.

    Example:
        >>> capital("mean absolute error (°C)")
        'Mean absolute error (°C)'
    """
    return text[:1].upper() + text[1:]


def lasting(seconds: float) -> str:
    """How long something took, rounded.

    Example:
        >>> lasting(0.3), lasting(82.1), lasting(430)
        ('1 s', '82 s', '7 min')
    """
    return units.duration(60 * round(seconds / 60) if seconds >= 120 else max(round(seconds), 1))


def span(time: np.timedelta64) -> str:
    """A time span, exactly.

    Example:
        >>> span(np.timedelta64(36, "h"))
        '36 h'
    """
    return units.duration(int(time / np.timedelta64(1, "s")))


def label(metrics: dict, key: str) -> str:
    """How people call what predicts, as the run's metrics.json says; "the model" is the whole of a run.

    Example:
        >>> label({"names": {"nb_svm": "NB-SVM"}}, "nb_svm"), label({}, "model")
        ('NB-SVM', 'the model')
    """
    return "the model" if key == "model" else metrics.get("names", {}).get(key, key)


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
    """`name` in at most `width` characters: a longer one loses its middle, since names differ at both ends.

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
