"""The options and sizes of a call, for every adapter and for the native library."""

from __future__ import annotations

from dataclasses import astuple, dataclass
from functools import cached_property, lru_cache
from typing import NamedTuple

from sunhwan.recurrence.cells import AXES, CELLS, Cell, check_shape

ACTIVATIONS = ("linear", "relu", "tanh", "sigmoid", "hard_sigmoid")
"""The activations of the kernels, in the native library's order; `CELLS` are in its order as well."""


ARRAYS = tuple(AXES)
"""The arrays of a call, in the native library's order; `Options.sizes` takes their shapes."""

DIFFERENTIATED = ARRAYS[:5]
"""The arrays that have gradients."""


class Sizes(NamedTuple):
    """The sizes of a call.

    Dropout masks are 0 (none), 1 (for all gates) or one per gate. `units` are the layer's: weights have
    gates * units columns.
    """

    batch: int
    timesteps: int
    features: int
    units: int
    dropout_mask_gates: int = 0
    recurrent_dropout_mask_gates: int = 0


@dataclass(frozen=True)
class Options:
    """What a recurrence computes, independent of its sizes. Hashable, so that it can key a compiler's cache.

    The names have the same meaning as in `sunhwan.reference.forward`.

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
        if self.cell not in tuple(CELLS):  # a tuple, since the name may not be hashable
            raise ValueError(f"cell is {self.cell!r}, expected one of {', '.join(CELLS)}.")
        for role in ("activation", "recurrent_activation"):
            if getattr(self, role) is None:  # as in Keras, where None means no activation
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
        """The fields as numbers of the native library, in order."""
        _, _, _, *flags = astuple(self)
        return (
            tuple(CELLS).index(self.cell),
            ACTIVATIONS.index(self.activation),
            ACTIVATIONS.index(self.recurrent_activation),
            *map(int, flags),
        )

    @cached_property
    def axes(self) -> dict[str, tuple[str, ...]]:
        """The axes of each array of a call, of its results, and of what forward saves."""
        return self.row.axes(reset_after=self.reset_after) | {
            "output": ("batch", "time", "units") if self.return_sequences else ("batch", "units"),
            "states": ("states", "batch", "units"),
            "saved": ("batch", "ticket"),
        }

    @lru_cache(maxsize=1024)  # noqa: B019 (an Options is small, and a program has few)
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
            ValueError: a shape does not fit; the message says what was received and what was expected.
            TypeError: inputs or weights are None.
        """
        for name, shape in (("inputs", inputs), ("kernel", kernel), ("recurrent_kernel", recurrent_kernel)):
            if shape is None:
                raise TypeError(f"{name} is None, expected an array.")
        axes = self.axes
        check_shape("inputs", inputs, axes["inputs"], {})
        check_shape("recurrent_kernel", recurrent_kernel, axes["recurrent_kernel"], {})
        (batch, time, features), units = inputs, recurrent_kernel[0]
        sizes = self.row.sizes(batch, time, features, units)
        for name, shape in (
            ("recurrent_kernel", recurrent_kernel),
            ("kernel", kernel),
            ("bias", bias),
            ("initial_state", initial_state),
            ("mask", mask),
            ("dropout_mask", dropout_mask),
            ("recurrent_dropout_mask", recurrent_dropout_mask),
        ):
            if shape is not None:
                check_shape(name, shape, axes[name], sizes)
        return Sizes(
            batch,
            time,
            features,
            units,
            0 if dropout_mask is None else dropout_mask[0],
            0 if recurrent_dropout_mask is None else recurrent_dropout_mask[0],
        )

    def output_shape(self, sizes: Sizes) -> tuple[int, ...]:
        """(batch, time, units) with `return_sequences`, else (batch, units)."""
        if self.return_sequences:
            return sizes.batch, sizes.timesteps, sizes.units
        return sizes.batch, sizes.units

    def states_shape(self, sizes: Sizes) -> tuple[int, int, int]:
        """(states, batch, units)."""
        return len(self.row.states), sizes.batch, sizes.units
