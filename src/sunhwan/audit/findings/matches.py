"""Rows that match others, found by hashes: shared by all that compares the rows of two parts.

Rows are compared by 64-bit hashes of their bits, and the rows behind equal hashes are then compared
themselves. No tolerance is needed, so numbers that merely resemble each other never match.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

RUN = 8
"""Consecutive timesteps that must agree before two windows count as cut from the same place."""

DIFFERENT = 4
"""How many of them must differ from each other: a stuck sensor agrees with itself everywhere."""


@dataclass(frozen=True)
class Matches:
    """Rows of a part that match training rows.

    Attributes:
        rows: how many of them do.
        count: how many were checked.
        examples: the first few, each with its row, the training row, and how closely they match.
    """

    rows: int
    count: int
    examples: tuple[tuple, ...]

    @property
    def share(self) -> float:
        return self.rows / self.count


def hashes(rows: np.ndarray) -> np.ndarray:
    """(rows,) uint64: equal for rows that are equal in float32, and hardly ever otherwise.

    Args:
        rows: (rows, numbers).
    """
    # Adding 0.0 makes -0.0 the 0.0 that it equals.
    words = (np.ascontiguousarray(rows, np.float32) + np.float32(0)).view(np.uint32).astype(np.uint64)
    weights = np.random.default_rng(0).integers(1, 2**63, words.shape[1], np.uint64) | np.uint64(1)
    return _mixed((_mixed(words + np.uint64(0x9E3779B9)) * weights).sum(axis=1, dtype=np.uint64))


def _mixed(values):
    values = (values ^ (values >> np.uint64(33))) * np.uint64(0xFF51AFD7ED558CCD)
    values = (values ^ (values >> np.uint64(33))) * np.uint64(0xC4CEB9FE1A85EC53)
    return values ^ (values >> np.uint64(33))


def runs(row_hashes: np.ndarray, length: int) -> np.ndarray:
    """(rows - length + 1,) uint64 hashes of `length` consecutive rows, along the last axis of (rows,)."""
    count = row_hashes.shape[-1] - length + 1
    weights = np.random.default_rng(1).integers(1, 2**63, length, np.uint64) | np.uint64(1)
    total = np.zeros((*row_hashes.shape[:-1], count), np.uint64)
    for place, weight in enumerate(weights):
        total += row_hashes[..., place : place + count] * weight
    return _mixed(total)
