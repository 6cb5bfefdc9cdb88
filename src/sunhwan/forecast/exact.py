"""A forecaster's straight line and networks, whose word on a window does not depend on the windows beside it.

Matrix products of one row and of many round differently, in the last bits. A stream has one row at a time;
what is said of a file has the same bits, and so have the intervals, which turn on whether a truth lay inside
the one before, however closely. So each window has products of its own, though NumPy is called once for
many; and the recurrent layers, which take most of the time, have the same bits for one window and for many.
"""

from __future__ import annotations

from collections.abc import Sequence
from ctypes import byref

import numpy as np

from sunhwan import native
from sunhwan.baselines.paths import Linear, batches
from sunhwan.data.windows import ForecastWindows, WindowPlan
from sunhwan.forecast.network import NETWORK, Network
from sunhwan.recurrence.ops.options import Options


class ExactPredictor:
    """What a forecaster's line and networks say of each window by itself; for one thread.

    Args:
        plan: how rows became windows.
        line: the straight line.
        networks: that correct it.
        ridge: whether the straight line itself is asked for, too.
    """

    def __init__(self, plan: WindowPlan, line: Linear, networks: Sequence[Network], ridge: bool):
        self.plan, self.line, self.networks, self.ridge = plan, line, networks, ridge
        self.stacks: dict[int, BoundNetworks] = {}

    def members(self, windows: np.ndarray, ahead: np.ndarray) -> dict[str, np.ndarray]:
        """By member, those of them that the mixture uses.

        Args:
            windows: (windows, timesteps, features) float32.
            ahead: (windows, steps, known) float32.

        Returns:
            `network`: (windows, steps, targets, 3) scaled, and `ridge`: (windows, steps, targets).
        """
        count = len(windows)
        shape = (count, self.plan.steps, len(self.plan.targets))
        # A product for each window: (windows, 1, ..) @ (.., outputs).
        straight = windows[:, -self.line.timesteps :].reshape(count, 1, -1) @ self.line.weights
        straight += self.line.bias
        if ahead.size:
            straight += ahead.reshape(count, 1, -1) @ self.line.ahead
        said = {}
        if self.networks:
            if count not in self.stacks:
                self.stacks[count] = BoundNetworks(self.networks, self.plan, count)
            corrected = self.stacks[count](windows, ahead, straight)
            corrected += straight.reshape(count, -1, 1)
            said[NETWORK] = corrected.reshape(*shape, 3)
        if self.ridge:
            said["ridge"] = straight.reshape(shape)
        return said

    def of(self, paths: ForecastWindows) -> dict[str, np.ndarray]:
        """The same of all windows of a part."""
        found: dict[str, list[np.ndarray]] = {}
        for index in batches(paths):
            for name, said in self.members(paths.windows(index), paths.ahead(index)).items():
                found.setdefault(name, []).append(said)
        return {name: np.concatenate(said) for name, said in found.items()}


class BoundNetworks:
    """Networks of one shape, called together for so many windows.

    Their arrays stay where they are, and the calls of the native library were described once. Each has its
    recurrent layers; the layers after those are one product for all.
    """

    def __init__(self, networks: Sequence[Network], plan: WindowPlan, windows: int):
        first = networks[0]
        self.relative = first.relative_features if first.relative else np.float32(0)
        self.inputs = np.empty((windows, plan.grid.timesteps, len(plan.names)), np.float32)
        units = first.layers[-1][1].shape[0]
        self.states = [np.empty((windows, units), np.float32) for _ in networks]
        self.calls, self.kept = [], []
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
                self.kept += [call, inputs, weights]
                inputs = output
        self.forward = native.load().sunhwan_forward

        # The layers after the recurrent ones read the states of all networks, then what is the same for all,
        # and then a one, so that biases are rows of the weights; each network's hidden units have zeros for
        # the states of the others. The last hidden unit is that one again.
        count, hidden = len(networks), len(first.weights["dense_bias"])
        dense = [one.weights["dense_kernel"] for one in networks]
        self.dense = np.zeros((count * units + len(dense[0]) - units + 1, count * hidden + 1), np.float32)
        for i, kernel in enumerate(dense):
            mine = slice(i * hidden, (i + 1) * hidden)
            self.dense[i * units : (i + 1) * units, mine] = kernel[:units]
            self.dense[count * units : -1, mine] = kernel[units:]
            self.dense[-1, mine] = networks[i].weights["dense_bias"]
        self.dense[-1, -1] = 1
        self.read = np.ones((windows, 1, len(self.dense)), np.float32)
        # The mean of what networks add is one product over all their hidden units.
        rows = [one.weights["correction_kernel"] for one in networks]
        bias = sum(one.weights["correction_bias"] for one in networks)
        self.correction = np.concatenate([*rows, bias[None]]) * np.float32(1 / count)

    def __call__(self, windows: np.ndarray, ahead: np.ndarray, straight: np.ndarray) -> np.ndarray:
        """(windows, outputs, 3) the mean of what is added to the straight line, (windows, 1, outputs)."""
        last = windows[:, -1]
        np.subtract(windows, (last * self.relative)[:, None], out=self.inputs)
        for call in self.calls:
            if status := self.forward(call):
                native.check(status)
        same = (last, straight[:, 0], ahead.reshape(len(ahead), -1))
        np.concatenate((*self.states, *same), axis=1, out=self.read[:, 0, :-1])
        hidden = self.read @ self.dense
        np.maximum(hidden, 0, out=hidden)
        said = hidden @ self.correction
        return said.reshape(len(said), -1, 3)
