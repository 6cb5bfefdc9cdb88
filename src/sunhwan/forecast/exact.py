"""Trained networks as plain arrays, run by the kernels and NumPy: no framework, and the same bits every time.

Matrix products of one row and of many round differently, in the last bits. A stream has one row at a time, a
file has all; both must predict the same, since intervals depend on whether an actual value lay inside the one
before, however closely. So each window has products of its own, though NumPy is called once for many; and the
recurrent layers, which take most of the time, have the same bits for one window and for many.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from ctypes import byref
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from sunhwan import native, rundir
from sunhwan.baselines.names import NETWORK
from sunhwan.baselines.ridge import Ridge
from sunhwan.baselines.windows import batches
from sunhwan.data.windows import ForecastWindows, WindowPlan
from sunhwan.recurrence.ops.options import Options
from sunhwan.training.cells import refuse_unknown_cell


@dataclass(frozen=True)
class Network:
    """A trained network as arrays.

    Attributes:
        cell: of the recurrent layers.
        relative: whether windows are read relative to their last row.
        level: the share of actual values between the lower and the upper quantile.
        relative_features: (features,) 1 where a feature is made relative, 0 where it stays.
        weights: by name: `recurrent_0_kernel`, `.._recurrent_kernel`, `.._bias`, ..., `dense_kernel`,
            `dense_bias`, `correction_kernel`, `correction_bias`.
    """

    cell: str
    relative: bool
    level: float
    relative_features: np.ndarray
    weights: Mapping[str, np.ndarray]

    @cached_property
    def layers(self) -> list[list[np.ndarray]]:
        """The recurrent layers: kernel, recurrent kernel and bias of each."""
        count = sum(name.endswith("_recurrent_kernel") for name in self.weights)
        parts = ("kernel", "recurrent_kernel", "bias")
        return [[self.weights[f"recurrent_{i}_{part}"] for part in parts] for i in range(count)]

    def predict(self, paths: ForecastWindows, ridge: Ridge) -> np.ndarray:
        """(windows, steps, targets, 3) scaled: median, lower and upper quantile."""
        return ExactPredictor(paths.plan, ridge, (self,)).predict(paths)

    def to_dict(self) -> dict:
        """For JSON; `weights` has the rest."""
        return {"cell": self.cell, "relative": self.relative, "level": self.level}

    @classmethod
    def from_saved(cls, plan: WindowPlan, saved: Mapping, arrays: Mapping[str, np.ndarray]) -> Network:
        """From what `to_dict` and `weights` were.

        Raises:
            SunhwanError: something is missing, or of another shape.
        """
        with rundir.reading("network"):
            refuse_unknown_cell(saved)
            network = cls(
                saved["cell"],
                bool(saved["relative"]),
                float(saved["level"]),
                relative_features(plan),
                {name: np.ascontiguousarray(array, np.float32) for name, array in arrays.items()},
            )
            window, ahead = (plan.grid.timesteps, len(plan.names)), (plan.steps, len(plan.known_features))
            shapes = (window, ahead, (plan.outputs,))
            bound = BoundNetworks([network], plan, 1)
            bound.mean(bound.hidden(*(np.zeros((1, *shape), np.float32) for shape in shapes)))
        return network


def relative_features(plan: WindowPlan) -> np.ndarray:
    """(features,) float32: 1 where a feature may be made relative: numbers, but not categories or masks."""
    return plan.encoder.scaled.astype(np.float32)


class BoundNetworks:
    """Networks of one shape, called together for a fixed number of windows.

    Their arrays stay where they are, and the calls of the native library are described once. Each has its
    recurrent layers; the layers after those are one product for all.
    """

    def __init__(self, networks: Sequence[Network], plan: WindowPlan, windows: int):
        self.networks = networks
        first = networks[0]
        self.relative = first.relative_features if first.relative else np.float32(0)
        self.inputs = np.empty((windows, plan.grid.timesteps, len(plan.names)), np.float32)
        units = first.layers[-1][1].shape[0]
        self.states = [np.empty((windows, units), np.float32) for _ in networks]
        self.calls, self.referenced = [], []
        for network, state in zip(networks, self.states, strict=True):
            inputs = self.inputs
            for i, weights in enumerate(network.layers):
                whole = i < len(network.layers) - 1
                options = Options(network.cell, return_sequences=whole)
                sizes = options.sizes(inputs.shape, *(array.shape for array in weights))
                output = np.empty(options.output_shape(sizes), np.float32) if whole else state
                call = native.call(
                    options,
                    sizes,
                    *(array.ctypes.data for array in (inputs, *weights)),
                    output=output.ctypes.data,
                )
                self.calls.append(byref(call))
                self.referenced += [call, inputs, weights]
                inputs = output
        self.forward = native.load().sunhwan_forward

        # The dense layer reads the states of all networks, then what is the same for all, and then a 1, so
        # that biases are rows of the weights; each network's hidden units have zeros for the states of
        # others. The last hidden unit is that 1 again.
        count, hidden = len(networks), len(first.weights["dense_bias"])
        dense = [network.weights["dense_kernel"] for network in networks]
        self.dense = np.zeros((count * units + len(dense[0]) - units + 1, count * hidden + 1), np.float32)
        for i, kernel in enumerate(dense):
            own = slice(i * hidden, (i + 1) * hidden)
            self.dense[i * units : (i + 1) * units, own] = kernel[:units]
            self.dense[count * units : -1, own] = kernel[units:]
            self.dense[-1, own] = networks[i].weights["dense_bias"]
        self.dense[-1, -1] = 1
        self.read = np.ones((windows, 1, len(self.dense)), np.float32)
        # The mean of what networks add is one product over all their hidden units.
        rows = [network.weights["correction_kernel"] for network in networks]
        bias = sum(network.weights["correction_bias"] for network in networks)
        self.correction = np.concatenate([*rows, bias[None]]) * np.float32(1 / count)

    def hidden(self, windows: np.ndarray, ahead: np.ndarray, line: np.ndarray) -> np.ndarray:
        """(windows, 1, hidden units of all networks and a 1).

        Args:
            windows: (windows, timesteps, features) float32.
            ahead: (windows, steps, known) float32.
            line: (windows, outputs) float32, what ridge predicts.
        """
        last = windows[:, -1]
        np.subtract(windows, (last * self.relative)[:, None], out=self.inputs)
        for call in self.calls:
            if status := self.forward(call):
                native.check(status)
        same = (last, line, ahead.reshape(len(ahead), -1))
        np.concatenate((*self.states, *same), axis=1, out=self.read[:, 0, :-1])
        hidden = self.read @ self.dense
        np.maximum(hidden, 0, out=hidden)
        return hidden

    def mean(self, hidden: np.ndarray) -> np.ndarray:
        """(windows, outputs, 3) the mean of what the networks add to ridge."""
        return (hidden @ self.correction).reshape(len(hidden), -1, 3)

    def medians(self, hidden: np.ndarray) -> list[np.ndarray]:
        """What each network by itself adds to ridge for the median, (windows, outputs)."""
        units = len(self.networks[0].weights["dense_bias"])
        return [
            hidden[:, 0, i * units : (i + 1) * units] @ network.weights["correction_kernel"][:, ::3]
            + network.weights["correction_bias"][::3]
            for i, network in enumerate(self.networks)
        ]


class ExactPredictor:
    """Ridge, and the networks that correct it; for one thread.

    Args:
        plan: how rows became windows.
        ridge: the straight line.
        networks: of one shape; there may be none.
    """

    def __init__(self, plan: WindowPlan, ridge: Ridge, networks: Sequence[Network]):
        self.plan, self.ridge, self.networks = plan, ridge, networks
        self.shape = (plan.steps, len(plan.targets))
        self.bound: dict[int, BoundNetworks] = {}

    def _of(self, count: int) -> BoundNetworks:
        if count not in self.bound:
            self.bound[count] = BoundNetworks(self.networks, self.plan, count)
        return self.bound[count]

    def members(self, windows: np.ndarray, ahead: np.ndarray) -> dict[str, np.ndarray]:
        """The predictions of a few windows.

        Args:
            windows: (windows, timesteps, features) float32.
            ahead: (windows, steps, known) float32.

        Returns:
            `ridge`: (windows, steps, targets) scaled; and of networks `network`: (windows, steps, targets,
            3).
        """
        count = len(windows)
        line = self.ridge(windows, ahead)
        predictions = {"ridge": line.reshape(count, *self.shape)}
        if self.networks:
            bound = self._of(count)
            corrected = bound.mean(bound.hidden(windows, ahead, line))
            corrected += line[..., None]
            predictions[NETWORK] = corrected.reshape(count, *self.shape, 3)
        return predictions

    def predict(self, paths: ForecastWindows) -> np.ndarray:
        """(windows, steps, targets, 3) scaled: the mean of the networks."""
        return self.predict_each(paths)[0]

    def predict_each(self, paths: ForecastWindows) -> tuple[np.ndarray, list[np.ndarray]]:
        """The same, and the medians of each network by itself, (windows, steps, targets) scaled."""
        means, medians = [], []
        for index in batches(paths):
            windows, ahead = paths.windows(index), paths.ahead(index)
            bound, line = self._of(len(index)), self.ridge(windows, ahead)
            hidden = bound.hidden(windows, ahead, line)
            means.append(line[..., None] + bound.mean(hidden))
            medians.append([line + added for added in bound.medians(hidden)])
        shape = (len(paths), *self.shape)
        return (
            np.concatenate(means).reshape(*shape, 3),
            [np.concatenate(of_one).reshape(shape) for of_one in zip(*medians, strict=True)],
        )
