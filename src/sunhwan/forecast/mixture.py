"""Forecasts averaged with weights that validation chooses: none above what it earns."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

SHARES = 20
"""Weights are multiples of one in so many."""

OWN = 0.02
"""A block of steps has weights of its own where these lower its error by at least this share."""


def weights(
    forecasts: Mapping[str, np.ndarray], truth: np.ndarray, worth: Mapping[str, float] | None = None
) -> dict[str, float]:
    """Weights of a convex combination with a small mean absolute error.

    Greedy selection with replacement: twenty times the forecast is added whose addition makes the average
    best, beginning with the best one alone. So few forecasts are used, and none for its luck alone: one that
    must be worth more is used only where leaving it out would cost at least so much.

    Args:
        forecasts: by name, each (..., steps, targets).
        truth: of the same shape, NaN where it was not observed.
        worth: by name, the share of the error by which a forecast must lower that of the others; else 0.

    Returns:
        Weights above 0 by name, which add up to 1.

    Source: Caruana et al., "Ensemble selection from libraries of models", ICML 2004.

    Example:
        >>> truth = np.linspace(0, 1, 50)
        >>> weights({"high": truth + 0.3, "low": truth - 0.1, "noise": truth[::-1]}, truth)
        {'high': 0.25, 'low': 0.75}
    """
    known = ~np.isnan(truth)
    said = {name: forecast[known].astype(np.float64) for name, forecast in forecasts.items()}
    truth = truth[known].astype(np.float64)
    found, error = greedy(said, truth)
    for name, least in sorted((worth or {}).items(), key=lambda item: -item[1]):
        if name in found and len(said) > 1:
            others = {other: forecast for other, forecast in said.items() if other != name}
            without, error_without = greedy(others, truth)
            if error > (1 - least) * error_without:
                said, found, error = others, without, error_without
    return found


def by_step(
    forecasts: Mapping[str, np.ndarray], truth: np.ndarray, worth: Mapping[str, float] | None = None
) -> dict[str, np.ndarray]:
    """The same for each step: what is used is chosen for all steps, and how much of it for blocks of them.

    A recurrent network may be best for the next minutes and the time of yesterday for tomorrow, and weights
    for both alike would serve neither. Blocks double in length, as forecasts change less the further they
    look. A block keeps the weights of all steps where its own would gain little, which may be luck.

    Args:
        forecasts, truth, worth: as for `weights`, (windows, steps, targets).

    Returns:
        (steps,) float32 by name; at each step they add up to 1.

    Example:
        >>> truth = np.random.default_rng(0).normal(size=(500, 3, 1))
        >>> near, far = truth + [[0.1], [2], [2]], truth - [[2], [0.1], [0.1]]
        >>> by_step({"near": near, "far": far}, truth)["near"].round(2)
        array([0.95, 0.05, 0.05], dtype=float32)
    """
    common = weights(forecasts, truth, worth)
    steps = truth.shape[1]
    found = {name: np.full(steps, share, np.float32) for name, share in common.items()}
    first, length = 0, 1
    while first < steps:
        block = slice(first, first + length)
        known = ~np.isnan(truth[:, block])
        if known.any():
            said = {name: forecasts[name][:, block][known].astype(np.float64) for name in common}
            true = truth[:, block][known].astype(np.float64)
            own, error = greedy(said, true)
            alike = sum(share * said[name] for name, share in common.items())
            if error < (1 - OWN) * np.abs(alike - true).mean():
                for name, shares in found.items():
                    shares[block] = own.get(name, 0.0)
        first, length = first + length, 2 * length
    return {name: shares for name, shares in found.items() if shares.any()}


def greedy(said: Mapping[str, np.ndarray], truth: np.ndarray) -> tuple[dict[str, float], float]:
    """Weights by name, and the error that they give."""
    counts, total = dict.fromkeys(said, 0), np.zeros_like(truth)
    best: tuple[dict[str, int], float] = ({}, np.inf)
    for taken in range(1, SHARES + 1):
        errors = {
            name: float(np.abs((total + forecast) / taken - truth).mean()) for name, forecast in said.items()
        }
        name = min(errors, key=errors.get)
        counts[name] += 1
        total = total + said[name]
        if errors[name] < best[1] * (1 - 1e-6):
            best = dict(counts), errors[name]
    count = sum(best[0].values())
    return {name: share / count for name, share in best[0].items() if share}, best[1]
