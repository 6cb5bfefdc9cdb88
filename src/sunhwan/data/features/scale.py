"""Zero mean and unit standard deviation, learnt from training rows alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Scale:
    """What converts values in physical units to the network's and back.

    Attributes:
        mean: (columns,) in the columns' units.
        std: (columns,) in the columns' units, above 0.
    """

    mean: np.ndarray
    std: np.ndarray

    @classmethod
    def fit(cls, values: np.ndarray, binary: np.ndarray) -> Scale:
        """Mean and standard deviation of training rows.

        Args:
            values: (training rows, columns) float; NaN is ignored, but no column is all NaN.
            binary: (columns,) bool: columns of zeros and ones, or sines, which stay as they are.

        A column of one value becomes 0 and keeps its unit: its standard deviation is rounding error.

        Example:
            >>> scale = Scale.fit(np.array([[1.0, 1.0], [3.0, 0.0]]), np.array([False, True]))
            >>> scale.mean, scale.std
            (array([2., 0.]), array([1., 1.]))
        """
        constant = np.nanmin(values, axis=0) == np.nanmax(values, axis=0)
        mean = np.where(binary, 0.0, np.nanmean(values, axis=0))
        std = np.where(binary | constant, 1.0, np.nanstd(values, axis=0))
        return cls(mean, std)

    def apply(self, values: np.ndarray) -> np.ndarray:
        """(rows, columns) in physical units to (rows, columns) float32 without units."""
        return ((values - self.mean) / self.std).astype(np.float32)

    def extended(self, columns: int) -> Scale:
        """With further columns, which stay as they are."""
        return Scale(np.append(self.mean, np.zeros(columns)), np.append(self.std, np.ones(columns)))
