"""Scalers that a script used: what they make of rows, and what an error means in the data's own units."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from typing import Any

import numpy as np

from sunhwan.audit.observe.watch import Scaling
from sunhwan.units import digits

LINEAR = ("MinMaxScaler", "StandardScaler", "RobustScaler", "MaxAbsScaler")
"""Scalers whose steps of 1 are equally large everywhere."""

ROUNDED = 1e-6
"""A scaler's 0 and 1 may be missed by this much."""

STANDARD = 0.15
"""A mean this near to 0, with a spread this near to 1, is that of a scaler, over other rows maybe."""


def scaled(scaling: Scaling, rows: np.ndarray) -> np.ndarray:
    """Rows as the scaler transforms them."""
    if scaling.scaler is None:  # Keras's Normalization receives rows unscaled
        return rows
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return np.asarray(scaling.scaler.transform(rows))


def scaler_of(targets: np.ndarray, scalings: Iterable[Scaling]) -> tuple[Scaling, int] | None:
    """The scaler of scikit-learn, and its column, that produced nearly all of the targets (rows,) float32."""
    for scaling in reversed(list(scalings)):
        if scaling.kind == "fit" and scaling.scaler is not None:
            rows = scaled(scaling, scaling.rows)
            for column in range(rows.shape[1]):
                if np.isin(targets, rows[:, column].astype(np.float32)).mean() > 0.95:
                    return scaling, column
    return None


def units(scaler: Any, column: int) -> tuple[float, float]:
    """What 0, and a step of 1, of a scaled column are in its own units."""
    ends = np.zeros((2, scaler.n_features_in_))
    ends[1, column] = 1
    low, high = scaler.inverse_transform(ends)[:, column]
    return low, high - low


def error_units(targets: np.ndarray, metric: str, network: float | None, scalings: Iterable[Scaling]) -> str:
    """What an error means where the targets are scaled, or it is squared; "" where that is plain.

    Args:
        targets: (rows,) of training, finite.
        metric: "mae", "mse" or "rmse".
        network: the network's error.

    Example:
        >>> error_units(np.linspace(0, 1, 50), "mse", 0.04, [])
        'MSE in squared units that look scaled: the training targets range from 0 to 1'
    """
    squared = "squared " if metric == "mse" else ""
    match = scaler_of(targets.astype(np.float32), scalings)
    name, step = (match[0].name, units(match[0].scaler, match[1])[1]) if match else ("", 1.0)
    if name in LINEAR and step not in (0, 1):
        text = (
            f"{metric.upper()} in {squared}units of a {name}; 1 of them is {digits(step)} in the data's own"
        )
        if network is not None and np.isfinite(network):
            error = network**0.5 if squared else network
            text += f"; there the network's {'RMSE' if squared else metric.upper()} is {digits(error * step)}"
        return text
    low, high = float(targets.min()), float(targets.max())
    mean, spread = float(targets.mean()), float(targets.std())
    if any(abs(low - bottom) < ROUNDED and abs(high - 1) < ROUNDED for bottom in (0, -1)):
        statistics = f"range from {low:.0f} to {high:.0f}"
    elif abs(mean) < STANDARD and abs(spread - 1) < STANDARD:
        statistics = f"have mean {mean:.2f} and standard deviation {spread:.2f}"
    else:
        return "MSE in the targets' units, squared" if squared else ""
    return f"{metric.upper()} in {squared}units that look scaled: the training targets {statistics}"
