"""Sequences of different lengths in one array: the ids of texts' words, or the readings of recordings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class Ragged:
    """Sequences one after the other; sequence i is values[offsets[i]:offsets[i + 1]].

    Args:
        values: (total, ...), such as ids (total,) int32 or readings (total, features) float32.
        offsets: (sequences + 1,) integers, ascending from 0 to total.

    Example:
        >>> ragged = Ragged.of([[1, 4], [1, 5, 6]])
        >>> len(ragged), ragged[1].tolist(), ragged.lengths.tolist(), ragged.offsets.tolist()
        (2, [1, 5, 6], [2, 3], [0, 2, 5])
    """

    values: np.ndarray
    offsets: np.ndarray

    @classmethod
    def of(cls, sequences: Sequence[Sequence], dtype: type = np.int32) -> Ragged:
        """One or more sequences, each a list or an array, as values of one type."""
        lengths = [len(sequence) for sequence in sequences]
        return cls(np.concatenate(sequences).astype(dtype), np.cumsum([0, *lengths]))

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, index: int) -> np.ndarray:
        """(length, ...): a view of the sequence `index`, counted from 0."""
        if not 0 <= index < len(self):
            raise IndexError(f"sequence {index} of {len(self)}")
        return self.values[self.offsets[index] : self.offsets[index + 1]]

    @property
    def lengths(self) -> np.ndarray:
        """(sequences,) how many values each has."""
        return np.diff(self.offsets)

    @property
    def owners(self) -> np.ndarray:
        """(total,) int32: the sequence that each value belongs to."""
        return np.repeat(np.arange(len(self), dtype=np.int32), self.lengths)

    @property
    def places(self) -> np.ndarray:
        """(total,) the place of each value in its sequence, from 0."""
        return np.arange(len(self.values)) - np.repeat(self.offsets[:-1], self.lengths)

    def part(self, start: int, end: int) -> Ragged:
        """The sequences from number `start` to before `end`, as a view."""
        ends = self.offsets[start : end + 1]
        return Ragged(self.values[ends[0] : ends[-1]], ends - ends[0])

    def thinned(self, step: int) -> Ragged:
        """Each `step` values of a sequence, and what is left at its end, as their mean.

        Example:
            >>> some = Ragged(np.array([[1.0], [3.0], [5.0], [9.0]]), np.array([0, 3, 4]))
            >>> some.thinned(2).values.ravel(), some.thinned(2).offsets
            (array([2., 5., 9.]), array([0, 2, 3]))
        """
        if step == 1:
            return self
        starts = np.flatnonzero(self.places % step == 0)
        counts = np.diff(starts, append=len(self.values))
        values = np.add.reduceat(self.values, starts, axis=0) / counts[:, None].astype(self.values.dtype)
        return Ragged(values, np.append(0, np.cumsum(-(-self.lengths // step))))

    def padded(self, index: np.ndarray, width: int) -> tuple[np.ndarray, np.ndarray]:
        """Some sequences at one width: longer ones lose their end, shorter ones get zeros after it.

        Args:
            index: (n,) their numbers.
            width: of the results.

        Returns:
            (n, width, ...) values, and (n, width) bool, which of them are values, not padding.

        Example:
            >>> values, mask = Ragged.of([[1, 4], [1, 5, 6]]).padded(np.array([1, 0]), 3)
            >>> values.tolist(), mask[1].tolist()
            ([[1, 5, 6], [1, 4, 0]], [True, True, False])
        """
        columns = np.arange(width)
        mask = columns < self.lengths[index][:, None]
        values = np.zeros((*mask.shape, *self.values.shape[1:]), self.values.dtype)
        values[mask] = self.values[(self.offsets[index][:, None] + columns)[mask]]
        return values, mask
