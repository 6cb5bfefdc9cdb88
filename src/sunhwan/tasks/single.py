"""A forecaster's straight line and networks, one window at a time.

Matrix products of one row and of many round differently, in the last bits. A stream has one row at a time;
what is said of a file one window after the other has the same bits, and so have the intervals, which turn on
whether a truth lay inside the one before, however closely.
"""

from __future__ import annotations

from collections.abc import Sequence
from ctypes import byref
from typing import TYPE_CHECKING

import numpy as np

from sunhwan.data.paths import Paths, Plan
from sunhwan.evaluation.path_baselines import Linear, batches
from sunhwan.recurrence.ops import library
from sunhwan.recurrence.ops.options import Options
from sunhwan.tasks.network import NETWORK, Network

if TYPE_CHECKING:
    from sunhwan.tasks.forecaster import Forecast


class Single:
    """What a forecaster's line and networks say of single windows; for one thread."""

    def __init__(self, forecast: Forecast):
        self.line: Linear = forecast.line
        self.plan: Plan = forecast.plan
        self.networks = Stack(forecast.networks, self.plan) if forecast.networks else None
        self.ridge = "ridge" in forecast.weights
        self.shape = (1, self.plan.steps, len(self.plan.targets))

    def members(self, window: np.ndarray, ahead: np.ndarray) -> dict[str, np.ndarray]:
        """By member, those of them that the mixture uses.

        Args:
            window: (timesteps, features) float32.
            ahead: (1, steps, known) float32.

        Returns:
            `network`: (1, steps, targets, 3) scaled, and `ridge`: (1, steps, targets).
        """
        straight = self.line(window[None], ahead)[0]
        said = {}
        if self.networks:
            mean = self.networks(window, ahead, straight)
            mean += straight[:, None]
            said[NETWORK] = mean.reshape(*self.shape, 3)
        if self.ridge:
            said["ridge"] = straight.reshape(self.shape)
        return said

    def of(self, paths: Paths) -> dict[str, np.ndarray]:
        """The same of many windows, one after the other: (windows, steps, targets[, 3])."""
        found: dict[str, list[np.ndarray]] = {}
        for index in batches(paths):
            windows, ahead = paths.windows(index), paths.ahead(index)
            for i in range(len(index)):
                for name, said in self.members(windows[i], ahead[i : i + 1]).items():
                    found.setdefault(name, []).append(said)
        return {name: np.concatenate(said) for name, said in found.items()}


class Stack:
    """Networks of one shape, called together for one window after the other.

    Their arrays stay where they are, and the calls of the native library were described once. Each has its
    recurrent layers; the layers after those are one product for all.
    """

    def __init__(self, networks: Sequence[Network], plan: Plan):
        first = networks[0]
        self.relative = first.relative_features if first.relative else None
        self.inputs = np.empty((1, plan.grid.timesteps, len(plan.names)), np.float32)
        units, outputs = first.layers[-1][1].shape[0], 3 * plan.outputs
        # What the layers after the recurrent ones read: states, then what is the same for all networks.
        self.read = np.zeros((len(networks), 1, len(first.weights["dense_kernel"])), np.float32)
        self.rest, self.calls, self.kept = self.read[:, 0, units:], [], []
        for network, state in zip(networks, self.read[:, :, :units], strict=True):
            inputs = self.inputs
            for i, weights in enumerate(network.layers):
                whole = i < len(network.layers) - 1
                options = Options(network.cell, return_sequences=whole)
                sizes = options.sizes(inputs.shape, *(array.shape for array in weights))
                output = np.empty(options.output_shape(sizes), np.float32) if whole else state
                states = np.empty(options.states_shape(sizes), np.float32)
                call = library.call(
                    options,
                    sizes,
                    *(array.ctypes.data for array in (inputs, *weights)),
                    output=output.ctypes.data,
                    states=states.ctypes.data,
                )
                self.calls.append(byref(call))
                self.kept += [call, inputs, weights, states]
                inputs = output
        self.forward = library.load().sunhwan_forward

        def stacked(name: str) -> np.ndarray:
            return np.stack([one.weights[name] for one in networks])

        # The mean of what networks add is one product over all their hidden units.
        count = np.float32(len(networks))
        self.dense, self.dense_bias = stacked("dense_kernel"), stacked("dense_bias")[:, None]
        self.correction = stacked("correction_kernel").reshape(-1, outputs) / count
        self.correction_bias = stacked("correction_bias").mean(axis=0)

    def __call__(self, window: np.ndarray, ahead: np.ndarray, line: np.ndarray) -> np.ndarray:
        """(outputs, 3) the mean of what is added to the straight line."""
        last = window[-1]
        if self.relative is None:
            self.inputs[0] = window
        else:
            np.subtract(window, last * self.relative, out=self.inputs[0])
        for call in self.calls:
            if status := self.forward(call):
                library.check(status)
        np.concatenate([last, line, ahead.ravel()], out=self.rest[0])
        self.rest[1:] = self.rest[0]
        hidden = self.read @ self.dense
        hidden += self.dense_bias
        np.maximum(hidden, 0, out=hidden)
        said = hidden.reshape(-1) @ self.correction
        said += self.correction_bias
        return said.reshape(-1, 3)
