"""The baselines of a forecast, in one table: a new one is a file of this folder, and its line here.

The mixture, saving and loading, backtests, reports, prediction and streams take them from `PREDICTORS`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol, Self

import numpy as np

from sunhwan.baselines.boosting import Boosting
from sunhwan.baselines.naive import LastValue, Seasonal
from sunhwan.baselines.ridge import Ridge
from sunhwan.baselines.windows import Plan, Windows


class Predictor(Protocol):
    """A trained baseline.

    What `fit` returns predicts whole parts fast. What `from_saved` returns predicts the same to rounding, and
    has the same bits for a window alone and in a batch, as streams need.

    Attributes:
        words: what it is called in a sentence.
        worth: the share of the mixture's validation error that it must save to be used; 0 if nothing.
    """

    words: str
    worth: float

    @classmethod
    def fit(cls, train: Windows, validation: Windows) -> Self | None:
        """Train on one part and choose on the other; None where the windows offer nothing to predict from."""
        ...

    def predict(self, windows: Windows) -> np.ndarray:
        """(windows, steps, targets) float32, scaled like the windows."""
        ...

    def to_dict(self) -> dict:
        """What JSON can hold."""
        ...

    def to_arrays(self) -> dict[str, np.ndarray]:
        """The rest, for an .npz file."""
        ...

    @classmethod
    def from_saved(cls, plan: Plan, saved: Mapping, arrays: Mapping[str, np.ndarray]) -> Self:
        """From what `to_dict` and `to_arrays` returned.

        Raises:
            KeyError, TypeError, ValueError: something is missing or malformed.
        """
        ...


PREDICTORS: dict[str, type[Predictor]] = {
    "last_value": LastValue,
    "seasonal": Seasonal,
    "ridge": Ridge,
    "boosting": Boosting,
}
"""By key of `names.NAMES`."""


def reloaded(predictors: Mapping[str, Predictor]) -> dict[str, Predictor]:
    """Trained baselines as a run directory gives them back."""
    return {
        key: PREDICTORS[key].from_saved(predictor.plan, predictor.to_dict(), predictor.to_arrays())
        for key, predictor in predictors.items()
    }
