"""What a call is, in every adapter and for the native library: its options and its sizes."""

from __future__ import annotations

from dataclasses import astuple, dataclass
from functools import cached_property
from typing import NamedTuple

from sunhwan.recurrence.cells import CELLS, Cell

ACTIVATIONS = ("linear", "relu", "tanh", "sigmoid", "hard_sigmoid")
"""What the kernels compute, in the native library's order, as `CELLS` are."""


ARRAYS = (
    "inputs", "kernel", "recurrent_kernel", "bias", "initial_state", "mask", "dropout_mask",
    "recurrent_dropout_mask",
)  # fmt: skip
"""The arrays of a call, in the native library's order, as `Options.sizes` takes their shapes."""

DIFFERENTIATED = ARRAYS[:5]
"""Those of them that have gradients."""


class Sizes(NamedTuple):
    """The sizes of a call; dropout masks count as 0 (none), 1 (one for all gates) or one for each gate.

    `units` are those of the layer: weights have gates * units columns.
    """

    batch: int
    timesteps: int
    features: int
    units: int
    x_mask_gates: int = 0
    h_mask_gates: int = 0


@dataclass(frozen=True)
class Options:
    """What a recurrence computes, whatever its sizes. Hashable: a compiler's cache is keyed by it.

    The names mean what they mean in `sunhwan.reference.forward`.

    Example:
        >>> lstm = Options("lstm", return_sequences=True)
        >>> sizes = lstm.sizes(inputs=(128, 240, 14), kernel=(14, 128), recurrent_kernel=(32, 128))
        >>> sizes.units, lstm.output_shape(sizes), lstm.states_shape(sizes)
        (32, (128, 240, 32), (2, 128, 32))
    """

    cell: str
    activation: str | None = "tanh"
    recurrent_activation: str | None = "sigmoid"
    reset_after: bool = True
    go_backwards: bool = False
    return_sequences: bool = False
    zero_output_for_mask: bool = False
    zero_before_data: bool = False

    def __post_init__(self):
        if self.cell not in tuple(CELLS):  # which, unlike a dict, takes what has no hash
            raise ValueError(f"cell is {self.cell!r}, expected one of {', '.join(CELLS)}.")
        for role in ("activation", "recurrent_activation"):
            if getattr(self, role) is None:  # as in Keras, where None stands for no activation
                object.__setattr__(self, role, "linear")
            if getattr(self, role) not in ACTIVATIONS:
                raise ValueError(
                    f"{role} is {getattr(self, role)!r}, expected one of {', '.join(ACTIVATIONS)}, None."
                )
        for name, flag in tuple(vars(self).items())[3:]:
            if flag not in (True, False):
                raise ValueError(f"{name} is {flag!r}, expected True or False.")

    @cached_property
    def row(self) -> Cell:
        """The cell's row in `CELLS`."""
        return CELLS[self.cell]

    @cached_property
    def numbers(self) -> tuple[int, ...]:
        """The fields as the native library numbers them, in their order."""
        _, _, _, *flags = astuple(self)
        return (
            tuple(CELLS).index(self.cell),
            ACTIVATIONS.index(self.activation),
            ACTIVATIONS.index(self.recurrent_activation),
            *map(int, flags),
        )

    def sizes(
        self,
        inputs: tuple[int, ...],
        kernel: tuple[int, ...],
        recurrent_kernel: tuple[int, ...],
        bias: tuple[int, ...] | None = None,
        initial_state: tuple[int, ...] | None = None,
        mask: tuple[int, ...] | None = None,
        dropout_mask: tuple[int, ...] | None = None,
        recurrent_dropout_mask: tuple[int, ...] | None = None,
    ) -> Sizes:
        """The sizes of a call with arrays of these shapes; None stands for an array that is not given.

        Raises:
            ValueError: a shape does not fit; the message has what was received and what was expected.
            TypeError: inputs or weights are None.
        """
        for name, shape in (("inputs", inputs), ("kernel", kernel), ("recurrent_kernel", recurrent_kernel)):
            if shape is None:
                raise TypeError(f"{name} is None, expected an array.")
        if len(inputs) != 3:
            raise ValueError(f"inputs has shape {tuple(inputs)}, expected (batch, time, features).")
        if len(recurrent_kernel) != 2:
            raise ValueError(
                f"recurrent_kernel has shape {tuple(recurrent_kernel)}, expected (units, columns)."
            )
        (batch, time, features), units = inputs, recurrent_kernel[0]
        if not (time and features and units):
            raise ValueError(
                f"time is {time}, features are {features} and units are {units}; expected 1 or more of each."
            )
        gates, states = len(self.row.gates), len(self.row.states)
        columns = gates * units
        _fits("recurrent_kernel", recurrent_kernel, units=units, columns=columns)
        _fits("kernel", kernel, "by inputs and recurrent_kernel", features=features, columns=columns)
        if bias is not None:
            if self.row.takes_reset_after and self.reset_after:
                _fits("bias", bias, rows=2, columns=columns)
            else:
                _fits("bias", bias, columns=columns)
        if initial_state is not None:
            _fits("initial_state", initial_state, states=states, batch=batch, units=units)
        if mask is not None:
            _fits("mask", mask, batch=batch, time=time)
        x_mask_gates = h_mask_gates = 0
        one_or_each = (1,) if gates == 1 else (1, gates)
        if dropout_mask is not None:
            _fits("dropout_mask", dropout_mask, gates=one_or_each, batch=batch, features=features)
            x_mask_gates = dropout_mask[0]
        if recurrent_dropout_mask is not None:
            _fits(
                "recurrent_dropout_mask", recurrent_dropout_mask, gates=one_or_each, batch=batch, units=units
            )
            h_mask_gates = recurrent_dropout_mask[0]
        return Sizes(batch, time, features, units, x_mask_gates, h_mask_gates)

    def output_shape(self, sizes: Sizes) -> tuple[int, ...]:
        """(batch, time, units) if sequences are put out, else (batch, units)."""
        if self.return_sequences:
            return sizes.batch, sizes.timesteps, sizes.units
        return sizes.batch, sizes.units

    def states_shape(self, sizes: Sizes) -> tuple[int, int, int]:
        """(states, batch, units)."""
        return len(self.row.states), sizes.batch, sizes.units


def _fits(name, shape, why="", **axes):
    """Raises where an axis has not the size asked for, or none of several sizes."""
    if tuple(shape) == tuple(axes.values()):  # as nearly always, and many times quicker to see
        return
    if len(shape) != len(axes) or not all(
        size in expected if isinstance(expected, tuple) else size == expected
        for size, expected in zip(shape, axes.values(), strict=True)
    ):
        sizes = (" or ".join(map(str, size)) if isinstance(size, tuple) else size for size in axes.values())
        expected = ", ".join(f"{axis}={size}" for axis, size in zip(axes, sizes, strict=True))
        because = f" {why}" if why else ""
        raise ValueError(f"{name} has shape {tuple(shape)}, expected ({expected}){because}.")
