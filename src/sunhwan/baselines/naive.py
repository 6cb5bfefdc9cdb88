"""Predictions without a model: the last value, and the value a season before."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from sunhwan.baselines.names import NAMES
from sunhwan.baselines.windows import Plan, Windows
from sunhwan.data.grid import seconds_of

SEASONS = {86_400: "same time yesterday", 7 * 86_400: "same weekday last week"}
"""What a seasonal prediction is called, by the seconds of its season."""


@dataclass(frozen=True)
class LastValue:
    """Each target stays as it is."""

    plan: Plan

    words = NAMES["last_value"]
    worth = 0.01

    @classmethod
    def fit(cls, train: Windows, validation: Windows) -> LastValue:
        return cls(train.plan)

    def predict(self, windows: Windows) -> np.ndarray:
        return np.repeat(windows.current[:, None], windows.plan.steps, axis=1)

    def to_dict(self) -> dict:
        return {}

    def to_arrays(self) -> dict[str, np.ndarray]:
        return {}

    @classmethod
    def from_saved(cls, plan: Plan, saved: Mapping, arrays: Mapping[str, np.ndarray]) -> LastValue:
        return cls(plan)


@dataclass(frozen=True)
class Seasonal(LastValue):
    """The latest value at the same time of day (of daily rows: on the same weekday).

    Where it is missing, or lies before the series begins, the last value is predicted.
    """

    @classmethod
    def fit(cls, train: Windows, validation: Windows) -> Seasonal | None:
        """None where the rows have no season."""
        return cls(train.plan) if train.plan.season else None

    def predict(self, windows: Windows) -> np.ndarray:
        return windows.seasonal()

    @property
    def words(self) -> str:
        """By the length of the season."""
        if self.plan.interval is None:
            return NAMES["seasonal"]
        return SEASONS.get(self.plan.season * seconds_of(self.plan.interval), NAMES["seasonal"])
