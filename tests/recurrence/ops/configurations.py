"""Random calls of a recurrence, and how far from the truth a result may be: for the tests of every adapter.

@settings(max_examples=100, derandomize=True, deadline=None)
@given(configurations())
def test_values(configuration):
    output, states = recurrence(configuration.options, **configuration.arrays())
    configuration.check(output=output, states=states)
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import cached_property

import numpy as np
from hypothesis import strategies as st

from sunhwan.recurrence.cells import CELLS
from sunhwan.recurrence.ops.options import ACTIVATIONS, Options
from sunhwan.reference import backward, forward

AXES = {
    "inputs": "batch time features",
    "kernel": "features columns",
    "recurrent_kernel": "units columns",
    "bias": "rows columns",
    "initial_state": "states batch units",
    "mask": "batch time",
    "dropout_mask": "gates batch features",
    "recurrent_dropout_mask": "gates batch units",
    "output": "batch units",
    "sequences": "batch time units",
    "states": "states batch units",
}
MASKS = ("none", "left", "right", "anywhere")


@dataclass(frozen=True)
class Configuration:
    """One call: its options and sizes, which arrays it is given, and the seed of what is in them.

    Attributes:
        mask: where steps without data are: nowhere, at the left, at the right, or anywhere, in which case
            some sequences may have no data at all.
        dropout_masks, recurrent_dropout_masks: none (0), one for all gates (1), or one for each.
        gain: size of the weights; at 2 gates saturate.
    """

    options: Options
    batch: int = 3
    timesteps: int = 5
    features: int = 4
    units: int = 7
    bias: bool = True
    initial_state: bool = False
    mask: str = "none"
    dropout_masks: int = 0
    recurrent_dropout_masks: int = 0
    gain: float = 1.0
    seed: int = 0

    def arrays(self) -> dict[str, np.ndarray]:
        """The arrays under an adapter's names: float32, and the mask bool. What is not given is absent."""
        rng = np.random.default_rng(self.seed)
        row, batch, time = self.options.row, self.batch, self.timesteps
        shapes = row.weight_shapes(self.features, self.units, reset_after=self.options.reset_after)
        arrays = {"inputs": rng.normal(size=(batch, time, self.features))}
        for name, shape, spread in zip(
            ("kernel", "recurrent_kernel", "bias"),
            shapes,
            (self.gain / np.sqrt(self.features), self.gain / np.sqrt(self.units), 0.3),
            strict=True,
        ):
            arrays[name] = rng.normal(scale=spread, size=shape)
        if not self.bias:
            del arrays["bias"]
        if self.initial_state:
            arrays["initial_state"] = rng.normal(size=(len(row.states), batch, self.units))
        for name, masks, width in (
            ("dropout_mask", self.dropout_masks, self.features),
            ("recurrent_dropout_mask", self.recurrent_dropout_masks, self.units),
        ):
            if masks:
                arrays[name] = (rng.random((masks, batch, width)) < 0.6) / 0.6
        arrays = {name: array.astype(np.float32) for name, array in arrays.items()}
        lengths = rng.integers(1, time + 1, batch)[:, np.newaxis]
        if self.mask == "left":
            arrays["mask"] = np.arange(time) >= time - lengths
        elif self.mask == "right":
            arrays["mask"] = np.arange(time) < lengths
        elif self.mask == "anywhere":
            arrays["mask"] = rng.random((batch, time)) < rng.choice([0, 0.3, 0.8, 1], (batch, 1))
        return arrays

    def output_gradients(self) -> tuple[np.ndarray, np.ndarray]:
        """What arrives at the output and at the states from the loss behind them, in float32."""
        rng = np.random.default_rng(self.seed + 1)
        shapes = (
            (self.batch, *([self.timesteps] if self.options.return_sequences else []), self.units),
            (len(self.options.row.states), self.batch, self.units),
        )
        return tuple(rng.normal(size=shape).astype(np.float32) for shape in shapes)

    @cached_property
    def expected(self) -> dict[str, tuple[np.ndarray, float]]:
        """The truth, from the reference in float64, and how far from it a result may be.

        Names are output, states and those of the arrays, for their gradients; `initial_state` is always
        there.

        A result may be four times as far off as the reference in float32 on the same numbers, in whichever
        of a few orders of summation that one is worst; and a millionth of the scale, some ten roundings,
        where it was lucky in all of them. The scale is the largest value; of a gradient, at least that of the
        gradient that came in, of which saturated units may leave nearly nothing.
        """
        exact = self.reference(np.float64)
        rounded = [self.reference(np.float32, order) for order in range(4)]
        came_in = max(largest(gradient) for gradient in self.output_gradients())
        expected = {}
        for name, value in exact.items():
            scale = largest(value) if name in ("output", "states") else max(largest(value), came_in)
            own_error = max(largest(other[name] - value) for other in rounded)
            expected[name] = value, max(4 * own_error, 1e-6 * scale)
        return expected

    def reference(self, dtype, order: int = 0, **changed) -> dict[str, np.ndarray]:
        """What the reference finds in `dtype`, perhaps with some arrays changed. Above 0, `order` is another
        order of summation: that of the same numbers with sequences, features and units shuffled."""
        rng = np.random.default_rng(order)
        shuffles = {
            axis: rng.permutation(size) if order else np.arange(size)
            for axis, size in (("batch", self.batch), ("features", self.features), ("units", self.units))
        }
        blocks = np.arange(len(self.options.row.gates))[:, np.newaxis] * self.units
        shuffles["columns"] = (blocks + shuffles["units"]).ravel()

        def shuffled(name, array, back=False):
            axes = AXES[name].split()
            for axis, what in enumerate(axes[-array.ndim :] if name == "bias" else axes):
                if what in shuffles:
                    array = array.take(np.argsort(shuffles[what]) if back else shuffles[what], axis)
            return array

        arrays = {name: shuffled(name, array) for name, array in (self.arrays() | changed).items()}
        arrays = {name: a if a.dtype == bool else a.astype(dtype) for name, a in arrays.items()}
        inputs = arrays.pop("inputs")
        weights = [arrays.pop(name) for name in ("kernel", "recurrent_kernel", "bias") if name in arrays]
        there = forward(inputs=inputs, weights=weights, **asdict(self.options), **arrays)
        d_output, d_states = self.output_gradients()
        back = backward(there, shuffled(self._output, d_output), shuffled("states", d_states))
        found = {"output": there.output, "states": there.states, **vars(back)}
        return {
            name: shuffled(self._output if name == "output" else name, value, back=True)
            for name, value in found.items()
            if value is not None
        }

    @property
    def _output(self):
        return "sequences" if self.options.return_sequences else "output"

    def check(self, **results) -> None:
        """Hold results (arrays of any framework that NumPy reads) to the truth; NaN fails."""
        for name, result in results.items():
            value, tolerance = self.expected[name]
            result = np.asarray(result)
            assert result.dtype == np.float32, f"{name} is {result.dtype}"
            assert result.shape == value.shape, f"{name} has shape {result.shape}, expected {value.shape}"
            error = largest(result - value)
            assert error <= tolerance, f"{name} is off by {error:.2g}, allowed {tolerance:.2g}: {self}"


def largest(array) -> float:
    """The largest absolute value; 0 of an empty array."""
    return float(np.abs(array).max(initial=0))


CELL_CHOICES = (("simple_rnn", True), ("gru", True), ("gru", False), ("lstm", True))
"""cell and reset_after."""

# Neighbours of the vector widths 4, 8 and 16, and whatever is between.
WIDTHS = st.one_of(st.integers(1, 40), st.sampled_from([1, 7, 8, 9, 15, 16, 17, 31, 32, 33, 47, 48, 64, 65]))
BATCHES = st.integers(1, 20)
TIMESTEPS = st.integers(1, 12)


@st.composite
def configurations(draw, units=WIDTHS, features=WIDTHS, batch=BATCHES, timesteps=TIMESTEPS):
    """Any combination of all options, at sizes from 1 up."""
    boolean = st.booleans()
    cell, reset_after = draw(st.sampled_from(CELL_CHOICES))
    masks = st.sampled_from([0, 1, len(CELLS[cell].gates)])
    options = Options(
        cell,
        activation=draw(st.sampled_from(ACTIVATIONS)),
        recurrent_activation=draw(st.sampled_from(ACTIVATIONS)),
        reset_after=reset_after,
        go_backwards=draw(boolean),
        return_sequences=draw(boolean),
        zero_output_for_mask=draw(boolean),
        zero_before_data=draw(boolean),
    )
    states, gates = options.activation, "sigmoid" if cell == "simple_rnn" else options.recurrent_activation
    if gates in ("linear", "relu"):  # a product of states, that grows faster than any exponential
        gains = [0.1]
    elif gates == "tanh" or states in ("linear", "relu"):  # may grow from step to step, and rounding with it
        gains = [0.3]
    else:
        gains = [0.3, 1.0, 2.0]
    return Configuration(
        options,
        batch=draw(batch),
        timesteps=draw(timesteps),
        features=draw(features),
        units=draw(units),
        bias=draw(boolean),
        initial_state=draw(boolean),
        mask=draw(st.sampled_from(MASKS)),
        dropout_masks=draw(masks),
        recurrent_dropout_masks=draw(masks),
        gain=draw(st.sampled_from(gains)),
        seed=draw(st.integers(0, 2**16)),
    )
