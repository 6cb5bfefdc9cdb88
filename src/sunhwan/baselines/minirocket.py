"""MiniRocket: ten thousand random convolutions of recordings, and a ridge classifier on what they say.

Source: Dempster, Schmidt and Webb, "MiniRocket: a very fast (almost) deterministic transform for time series
classification", KDD 2021.

sktime chooses the convolutions, for recordings of any length; it is an extra (`pip install
"sunhwan[minirocket]"`). What it chose is plain arrays, so that a run which uses them predicts by NumPy alone.
"""

from __future__ import annotations

import itertools
import warnings
from dataclasses import dataclass
from importlib.util import find_spec

import numpy as np

from sunhwan.baselines.ngrams import two_columns

TAPS = 9
"""Values that a convolution reads, `dilation` rows apart."""

KERNELS = np.array(list(itertools.combinations(range(TAPS), 3)))
"""(84, 3) the taps of each kernel that weigh 2; the others weigh -1."""

PENALTIES = np.logspace(-3, 3, 10)

SHARPNESS = 3.0
"""Ridge says 1 for a class and -1 for the others; so many times that are logits that are sure of it."""


def installed() -> bool:
    """Whether what chooses convolutions is there."""
    return find_spec("sktime") is not None and find_spec("numba") is not None


@dataclass(frozen=True, eq=False)
class MiniRocket:
    """Fitted convolutions and what is made of them.

    Attributes:
        channels: (dilations, 84, features) float32, 1 where a convolution reads a feature.
        dilations: (dilations,) rows between the taps.
        counts: (dilations,) biases of each kernel of a dilation.
        biases: (convolutions,) float32: by dilation, kernel and bias. A convolution says in which share of
            the rows it is above its bias.
        weights: (convolutions, columns) float32; one column for two classes, else one a class.
        bias: (columns,).
    """

    channels: np.ndarray
    dilations: np.ndarray
    counts: np.ndarray
    biases: np.ndarray
    weights: np.ndarray
    bias: np.ndarray

    def logits(self, values: np.ndarray, offsets: np.ndarray) -> np.ndarray:
        """(recordings, classes) float64: their softmax are probabilities.

        Args:
            values: (rows, features) float32.
            offsets: (recordings + 1,) where each recording begins, and the end of the last.
        """
        said = [self.shares(values[a:b]) @ self.weights + self.bias for a, b in itertools.pairwise(offsets)]
        return two_columns(SHARPNESS * np.array(said, np.float64).reshape(len(offsets) - 1, -1))

    def shares(self, recording: np.ndarray) -> np.ndarray:
        """(convolutions,) float32: what each says of a recording, (rows, features) float32."""
        rows, features = recording.shape
        told, first = [], 0
        taken = np.full((len(KERNELS), TAPS), -1, np.float32)
        np.put_along_axis(taken, KERNELS, 2, axis=1)
        for channels, dilation, count in zip(self.channels, self.dilations, self.counts, strict=True):
            reach = TAPS // 2 * int(dilation)
            beside = np.zeros((rows + 2 * reach, features), np.float32)
            beside[reach : reach + rows] = recording
            taps = np.stack([beside[i * dilation : i * dilation + rows] for i in range(TAPS)])
            weights = taken[:, :, None] * channels[:, None]
            found = np.tensordot(weights, taps, ((1, 2), (0, 2)))
            biases = self.biases[first : first + len(KERNELS) * count].reshape(len(KERNELS), count, 1)
            told.append((found[:, None] > biases).mean(axis=2, dtype=np.float32).ravel())
            first += biases.size
        return np.concatenate(told)

    def as_arrays(self) -> dict[str, np.ndarray]:
        """What `from_arrays` takes."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__}

    @classmethod
    def from_arrays(cls, arrays: dict[str, np.ndarray]) -> MiniRocket:
        """What `as_arrays` gave."""
        return cls(**{name: arrays[name] for name in cls.__dataclass_fields__})


def fit(values: np.ndarray, offsets: np.ndarray, labels: np.ndarray, seed: int = 0) -> MiniRocket:
    """Convolutions that fit recordings, and a ridge classifier whose penalty is chosen by leaving one out.

    Args:
        values, offsets: as for `MiniRocket.logits`.
        labels: (recordings,) 0 to classes - 1.
        seed: of the convolutions.
    """
    import pandas as pd
    from sklearn.linear_model import RidgeClassifierCV
    from sktime.transformations.rocket import MiniRocketMultivariateVariable

    frames = [pd.DataFrame(values[a:b].astype(np.float32)) for a, b in itertools.pairwise(offsets)]
    chosen = MiniRocketMultivariateVariable(pad_value_short_series=0.0, random_state=seed)
    with warnings.catch_warnings():
        # It advises other transforms where recordings are of one length or one column.
        warnings.simplefilter("ignore")
        chosen.fit(frames)
    sizes, indices, dilations, counts, biases = chosen.parameters
    channels = np.zeros((len(dilations) * len(KERNELS), values.shape[1]), np.float32)
    channels[np.repeat(np.arange(len(sizes)), sizes), indices] = 1
    channels = channels.reshape(len(dilations), len(KERNELS), -1)
    none = MiniRocket(channels, dilations, counts, biases, np.empty(0), np.empty(0))
    told = np.stack([none.shares(values[a:b]) for a, b in itertools.pairwise(offsets)])
    mean, std = told.mean(axis=0), told.std(axis=0)
    std[std < 1e-6] = 1
    model = RidgeClassifierCV(alphas=PENALTIES).fit((told - mean) / std, labels)
    weights = np.atleast_2d(model.coef_).T / std[:, None]
    return MiniRocket(
        channels,
        dilations,
        counts,
        biases,
        weights.astype(np.float32),
        model.intercept_ - mean @ weights,
    )
