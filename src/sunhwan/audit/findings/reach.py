"""How far back answers depend on windows: beginnings of other rows are put in place of their own.

Where the answers stay what they were, no gradient of theirs reaches those timesteps.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from sunhwan.audit.fits import Fit
from sunhwan.audit.unchanged import unchanged

SHARES = (0.25, 0.5, 0.75, 0.9)
"""Of a window, how much of its beginning is replaced."""

ROWS = 48
"""Windows that are looked at, evenly spaced."""

FEWEST = 16
"""Of so many the beginning must differ from the other's: padding in place of padding shows nothing."""

SHORTEST = 10
"""Timesteps of a window that is worth asking."""


def reach(fit: Fit, weights: list[np.ndarray]) -> dict[int, float]:
    """For so many timesteps at the beginning, how far the answers move at most when others stand there.

    Args:
        weights: of the model, as `get_weights` has them.

    Returns:
        Shares of the answers' spread; empty where that cannot be told.
    """
    x = fit.train.rows.x
    if x is None or x.ndim < 2 or x.shape[1] < SHORTEST or len(x) < 2 * FEWEST:
        return {}
    own = x[np.linspace(0, len(x) - 1, min(len(x), ROWS)).astype(np.int64)]
    other = np.roll(own, len(own) // 2, axis=0)
    begins = [int(share * x.shape[1]) for share in SHARES]
    replaced = [np.concatenate([other[:, :begin], own[:, begin:]], axis=1) for begin in begins]
    with unchanged(fit.model):
        fit.model.set_weights(weights)
        said = _said(fit.model, fit.train.rows.inputs(np.concatenate([own, *replaced])), len(own))
    if said is None or not np.isfinite(said).all():
        return {}
    said = said.reshape(len(begins) + 1, len(own), -1)
    spread = said[0].std(axis=0).max()
    found = {}
    for begin, answers in zip(begins, said[1:], strict=True):
        differs = (own[:, begin - 1] != other[:, begin - 1]).reshape(len(own), -1).any(axis=1)
        if spread > 0 and differs.sum() >= FEWEST:
            found[begin] = float(np.abs(answers - said[0])[differs].max() / spread)
    return found


def _said(model: Any, x: Any, batch: int) -> np.ndarray | None:
    if any(getattr(layer, "stateful", False) for layer in model._flatten_layers()):
        return None  # its answers depend on what it was fed before
    return np.asarray(model.predict(x, batch_size=batch, verbose=0), np.float64)
