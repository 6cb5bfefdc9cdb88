"""Predictions averaged with weights that validation chooses, as far as each lowers the error."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

SHARES = 20
"""Weights are multiples of one in this many."""

OWN = 0.02
"""A block of steps has weights of its own if they lower its error by at least this share."""


def weights(
    predictions: Mapping[str, np.ndarray], actual: np.ndarray, worth: Mapping[str, float] | None = None
) -> dict[str, float]:
    """Weights of a convex combination with a small mean absolute error.

    Greedy selection with replacement: twenty times, the prediction is added that makes the average best,
    beginning with the best by itself. So few are used, and none by luck: one with a `worth` is used only if
    it lowers the error by at least that share.

    Args:
        predictions: by name, each (..., steps, targets).
        actual: of the same shape, NaN where missing.
        worth: by name, the share by which a prediction must lower the error of the others; else 0.

    Returns:
        Weights above 0 by name, which add up to 1.

    Source: Caruana et al., "Ensemble selection from libraries of models", ICML 2004.

    Example:
        >>> actual = np.linspace(0, 1, 50)
        >>> weights({"high": actual + 0.3, "low": actual - 0.1, "noise": actual[::-1]}, actual)
        {'high': 0.25, 'low': 0.75}
    """
    known = ~np.isnan(actual)
    members = {name: prediction[known].astype(np.float64) for name, prediction in predictions.items()}
    actual = actual[known].astype(np.float64)
    chosen, error = greedy(members, actual)
    for name, least in sorted((worth or {}).items(), key=lambda item: -item[1]):
        if name in chosen and len(members) > 1:
            others = {other: prediction for other, prediction in members.items() if other != name}
            without, error_without = greedy(others, actual)
            if error > (1 - least) * error_without:
                members, chosen, error = others, without, error_without
    return chosen


def by_step(
    predictions: Mapping[str, np.ndarray], actual: np.ndarray, worth: Mapping[str, float] | None = None
) -> dict[str, np.ndarray]:
    """The same for each step: the members are chosen for all steps, and their weights for blocks of steps.

    A recurrent network may be best for the next minutes and the season before for tomorrow, and common
    weights would suit neither. Blocks double in length, since predictions change less from step to step
    further ahead. A block has the weights of all steps where its own would gain little, which may be luck.

    Args:
        predictions, actual, worth: as for `weights`, (windows, steps, targets).

    Returns:
        (steps,) float32 by name; at each step they add up to 1.

    Example:
        >>> actual = np.random.default_rng(0).normal(size=(500, 3, 1))
        >>> near, far = actual + [[0.1], [2], [2]], actual - [[2], [0.1], [0.1]]
        >>> by_step({"near": near, "far": far}, actual)["near"].round(2)
        array([0.95, 0.05, 0.05], dtype=float32)
    """
    common = weights(predictions, actual, worth)
    steps = actual.shape[1]
    chosen = {name: np.full(steps, share, np.float32) for name, share in common.items()}
    first, length = 0, 1
    while first < steps:
        block = slice(first, first + length)
        known = ~np.isnan(actual[:, block])
        if known.any():
            members = {name: predictions[name][:, block][known].astype(np.float64) for name in common}
            true = actual[:, block][known].astype(np.float64)
            own, error = greedy(members, true)
            alike = sum(share * members[name] for name, share in common.items())
            if error < (1 - OWN) * np.abs(alike - true).mean():
                for name, shares in chosen.items():
                    shares[block] = own.get(name, 0.0)
        first, length = first + length, 2 * length
    return {name: shares for name, shares in chosen.items() if shares.any()}


def greedy(members: Mapping[str, np.ndarray], actual: np.ndarray) -> tuple[dict[str, float], float]:
    """Weights by name, and their error."""
    counts, total = dict.fromkeys(members, 0), np.zeros_like(actual)
    best: tuple[dict[str, int], float] = ({}, np.inf)
    for count in range(1, SHARES + 1):
        errors = {
            name: float(np.abs((total + prediction) / count - actual).mean())
            for name, prediction in members.items()
        }
        name = min(errors, key=errors.get)
        counts[name] += 1
        total = total + members[name]
        if errors[name] < best[1] * (1 - 1e-6):
            best = dict(counts), errors[name]
    count = sum(best[0].values())
    return {name: share / count for name, share in best[0].items() if share}, best[1]
