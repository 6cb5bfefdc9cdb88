"""MiniRocket: ten thousand random convolutions of recordings, and a ridge classifier on their outputs.

Source: Dempster, Schmidt and Webb, "MiniRocket: a very fast (almost) deterministic transform for time series
classification", KDD 2021.

sktime chooses the convolutions, for recordings of any length; it is an extra (`pip install
"sunhwan[minirocket]"`). They are plain arrays, so that a run which uses them predicts by NumPy alone.
"""

from __future__ import annotations

import itertools
import warnings
from dataclasses import dataclass
from importlib.util import find_spec

import numpy as np

from sunhwan.baselines.classifiers import Baseline, two_columns
from sunhwan.data.ragged import Ragged

TAPS = 9
"""Values that a convolution reads, `dilation` rows apart."""

KERNELS = np.array(list(itertools.combinations(range(TAPS), 3)))
"""(84, 3) the taps of each kernel that weigh 2; the others weigh -1."""

PENALTIES = np.logspace(-3, 3, 10)

SHARPNESS = 3.0
"""Ridge predicts 1 for a class and -1 for the others; multiplied by this they are logits."""

MOST = 4_000
"""Recordings that `fit` learns from; of more, as many at random, since time grows as their number cubed."""


def installed() -> bool:
    """Whether the packages that choose the convolutions are installed."""
    return find_spec("sktime") is not None and find_spec("numba") is not None


@dataclass(frozen=True, eq=False)
class MiniRocket(Baseline):
    """Fitted convolutions and a linear classifier on their outputs.

    Attributes:
        channels: (dilations, 84, features) float32, 1 where a convolution reads a feature.
        dilations: (dilations,) rows between the taps.
        counts: (dilations,) biases of each kernel of a dilation.
        biases: (convolutions,) float32: by dilation, kernel and bias. A convolution's output is the share of
            the rows at which it is above its bias.
        weights: (convolutions, columns) float32; one column for two classes, else one per class.
        bias: (columns,).
    """

    channels: np.ndarray
    dilations: np.ndarray
    counts: np.ndarray
    biases: np.ndarray
    weights: np.ndarray
    bias: np.ndarray

    @classmethod
    def missing(cls):
        return (
            ""
            if installed()
            else 'MiniRocket, a strong baseline, is not installed: pip install "sunhwan[minirocket]" adds it'
        )

    @classmethod
    def fit(cls, inputs, labels, classes, validation=None):
        if len(inputs) > MOST:
            index = np.sort(np.random.default_rng(0).choice(len(inputs), MOST, replace=False))
            inputs, labels = Ragged.of([inputs[i] for i in index], inputs.values.dtype), labels[index]
        return train(inputs, labels)

    def refit(self, inputs, labels, classes):
        return self.fit(inputs, labels, classes)

    def logits(self, inputs):
        shares = [self.shares(recording) @ self.weights + self.bias for recording in inputs]
        return two_columns(SHARPNESS * np.array(shares, np.float64).reshape(len(inputs), -1))

    def shares(self, recording: np.ndarray) -> np.ndarray:
        """(convolutions,) float32: the output of each for a recording, (rows, features) float32."""
        rows, features = recording.shape
        shares, first = [], 0
        taps_of = np.full((len(KERNELS), TAPS), -1, np.float32)
        np.put_along_axis(taps_of, KERNELS, 2, axis=1)
        for channels, dilation, count in zip(self.channels, self.dilations, self.counts, strict=True):
            reach = TAPS // 2 * int(dilation)
            beside = np.zeros((rows + 2 * reach, features), np.float32)
            beside[reach : reach + rows] = recording
            taps = np.stack([beside[i * dilation : i * dilation + rows] for i in range(TAPS)])
            weights = taps_of[:, :, None] * channels[:, None]
            outputs = np.tensordot(weights, taps, ((1, 2), (0, 2)))
            biases = self.biases[first : first + len(KERNELS) * count].reshape(len(KERNELS), count, 1)
            shares.append((outputs[:, None] > biases).mean(axis=2, dtype=np.float32).ravel())
            first += biases.size
        return np.concatenate(shares)


def train(recordings: Ragged, labels: np.ndarray, seed: int = 0) -> MiniRocket:
    """Convolutions for these recordings, and a ridge classifier; leave-one-out chooses its penalty.

    Args:
        recordings: readings (rows, features) float32 of each.
        labels: (recordings,) 0 to classes - 1.
        seed: of the convolutions.
    """
    import pandas as pd
    from sklearn.linear_model import RidgeClassifierCV
    from sktime.transformations.rocket import MiniRocketMultivariateVariable

    frames = [pd.DataFrame(recording.astype(np.float32)) for recording in recordings]
    chosen = MiniRocketMultivariateVariable(pad_value_short_series=0.0, random_state=seed)
    with warnings.catch_warnings():
        # It advises other transforms where recordings are of one length or one column.
        warnings.simplefilter("ignore")
        chosen.fit(frames)
    sizes, indices, dilations, counts, biases = chosen.parameters
    channels = np.zeros((len(dilations) * len(KERNELS), recordings.values.shape[1]), np.float32)
    channels[np.repeat(np.arange(len(sizes)), sizes), indices] = 1
    channels = channels.reshape(len(dilations), len(KERNELS), -1)
    untrained = MiniRocket(channels, dilations, counts, biases, np.empty(0), np.empty(0))
    shares = np.stack([untrained.shares(recording) for recording in recordings])
    mean, std = shares.mean(axis=0), shares.std(axis=0)
    std[std < 1e-6] = 1
    model = RidgeClassifierCV(alphas=PENALTIES).fit((shares - mean) / std, labels)
    weights = np.atleast_2d(model.coef_).T / std[:, None]
    return MiniRocket(
        channels,
        dilations,
        counts,
        biases,
        weights.astype(np.float32),
        model.intercept_ - mean @ weights,
    )
