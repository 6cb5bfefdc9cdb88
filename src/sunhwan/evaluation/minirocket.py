"""MiniRocket: ten thousand random convolutions of recordings, and a ridge classifier on what they say.

Source: Dempster, Schmidt and Webb, "MiniRocket: a very fast (almost) deterministic transform for time series
classification", KDD 2021. The transform is sktime's, of recordings of any length, which numba compiles; it is
an extra (`pip install "sunhwan[minirocket]"`).
"""

from __future__ import annotations

import itertools
import warnings
from importlib.util import find_spec
from typing import Any

import numpy as np

from sunhwan.evaluation.ngrams import two_columns

SHORTEST = 9
"""Rows that a convolution spans; shorter recordings are filled up with zeros, the mean."""

PENALTIES = np.logspace(-3, 3, 10)


def installed() -> bool:
    """Whether what it needs is there."""
    return find_spec("sktime") is not None and find_spec("numba") is not None


class MiniRocket:
    """A fitted one.

    Args:
        values, offsets: of training recordings; see `summaries.statistics`.
        labels: (recordings,) 0 to classes - 1.
        seed: of the convolutions.
    """

    def __init__(self, values: np.ndarray, offsets: np.ndarray, labels: np.ndarray, seed: int = 0):
        from sklearn.linear_model import RidgeClassifierCV
        from sklearn.preprocessing import StandardScaler
        from sktime.transformations.rocket import MiniRocketMultivariateVariable

        self.transform = MiniRocketMultivariateVariable(
            pad_value_short_series=0.0, random_state=seed, n_jobs=-1
        )
        frames = as_frames(values, offsets)
        self._quietly(self.transform.fit, frames)
        self.scaler = StandardScaler()
        told = self.scaler.fit_transform(self._quietly(self.transform.transform, frames))
        self.model = RidgeClassifierCV(alphas=PENALTIES).fit(told, labels)

    def logits(self, values: np.ndarray, offsets: np.ndarray) -> np.ndarray:
        """(recordings, classes) float64: with a temperature, their softmax are probabilities."""
        told = self._quietly(self.transform.transform, as_frames(values, offsets))
        said = self.model.decision_function(self.scaler.transform(told))
        return two_columns(said.reshape(len(offsets) - 1, -1))

    @staticmethod
    def _quietly(call: Any, frames: list) -> Any:
        with warnings.catch_warnings():
            # It advises other transforms where recordings are of one length or one column.
            warnings.simplefilter("ignore")
            result = call(frames)
        return result if not hasattr(result, "to_numpy") else result.to_numpy()


def as_frames(values: np.ndarray, offsets: np.ndarray) -> list:
    """Recordings as the list of frames that sktime takes."""
    import pandas as pd

    return [pd.DataFrame(values[a:b].astype(np.float32)) for a, b in itertools.pairwise(offsets)]
