"""A forecaster's straight line and networks, one window at a time.

Matrix products of one row and of many round differently, in the last bits. A stream has one row at a time;
what is said of a file one window after the other has the same bits, and so have the intervals, which turn on
whether a truth lay inside the one before, however closely.
"""

from __future__ import annotations

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
        self.networks = [Live(one, self.plan) for one in forecast.networks]
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
            total = sum(one(window, ahead, straight) for one in self.networks)
            mean = straight[:, None] + total / np.float32(len(self.networks))
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


class Live:
    """A network that is called for one window after the other.

    Its arrays stay where they are, and the calls of the native library were described once.
    """

    def __init__(self, network: Network, plan: Plan):
        self.relative = network.relative_features if network.relative else None
        self.inputs = inputs = np.empty((1, plan.grid.timesteps, len(plan.names)), np.float32)
        self.calls, self.kept = [], []
        for i, weights in enumerate(network.layers):
            options = Options(network.cell, return_sequences=i < len(network.layers) - 1)
            sizes = options.sizes(inputs.shape, *(array.shape for array in weights))
            output = np.empty(options.output_shape(sizes), np.float32)
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
        self.state = inputs[0]
        self.forward = library.load().sunhwan_forward
        names = ("dense_kernel", "dense_bias", "correction_kernel", "correction_bias")
        self.dense, self.dense_bias, self.correction, self.correction_bias = (
            network.weights[name] for name in names
        )

    def __call__(self, window: np.ndarray, ahead: np.ndarray, line: np.ndarray) -> np.ndarray:
        """(outputs, 3) what is added to the straight line."""
        last = window[-1]
        if self.relative is None:
            self.inputs[0] = window
        else:
            np.subtract(window, last * self.relative, out=self.inputs[0])
        for call in self.calls:
            if status := self.forward(call):
                library.check(status)
        read = np.concatenate([self.state, last, line, ahead.ravel()])
        hidden = read @ self.dense
        hidden += self.dense_bias
        np.maximum(hidden, 0, out=hidden)
        said = hidden @ self.correction
        said += self.correction_bias
        return said.reshape(-1, 3)
