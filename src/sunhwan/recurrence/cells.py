"""What defines each recurrent cell: its gates and their order, its states, the shapes of its arrays.

Nothing else in Python states them. Everything is as in Keras, so that `layer.get_weights()` can be used
unchanged: a kernel has one block of `units` columns per gate, side by side in the order of `gates`.
"""

from __future__ import annotations

from dataclasses import dataclass

AXES: dict[str, tuple[str, ...]] = {
    "inputs": ("batch", "time", "features"),
    "kernel": ("features", "columns"),
    "recurrent_kernel": ("units", "columns"),
    "bias": ("columns",),
    "initial_state": ("states", "batch", "units"),
    "mask": ("batch", "time"),
    "dropout_mask": ("gates", "batch", "features"),
    "recurrent_dropout_mask": ("gates", "batch", "units"),
}
"""The arrays of a call, in the native library's order, and their axes; `Cell.sizes` has the sizes."""


@dataclass(frozen=True)
class Cell:
    """One kind of recurrent cell.

    Attributes:
        name: its name in every room of the package.
        gates: its gates, in the order of their blocks of columns in the weights.
        states: what it carries from step to step; the first, `h`, is also its output. Stacked, they are one
            array of shape (states, batch, units).
        takes_reset_after: whether its reset gate can act before or after the recurrent product (GRU).
    """

    name: str
    gates: tuple[str, ...]
    states: tuple[str, ...]
    takes_reset_after: bool = False

    def axes(self, *, reset_after: bool = True) -> dict[str, tuple[str, ...]]:
        """The axes of the arrays of a call, by name.

        A GRU with `reset_after` (Keras's default) has two rows of bias, one for each of its two products;
        the other cells have one row and ignore `reset_after`.
        """
        return AXES | {"bias": ("rows", "columns")} if self.takes_reset_after and reset_after else AXES

    def sizes(self, batch: int, time: int, features: int, units: int) -> dict[str, int | tuple[int, ...]]:
        """The size of each axis; of `gates`, the sizes that are allowed: one mask for all gates or one each.

        Raises:
            ValueError: there are no timesteps, features or units.
        """
        if not (time and features and units):
            raise ValueError(
                f"time is {time}, features are {features} and units are {units}; expected 1 or more of each."
            )
        gates = len(self.gates)
        return {
            "batch": batch,
            "time": time,
            "features": features,
            "units": units,
            "columns": gates * units,
            "rows": 2,
            "states": len(self.states),
            "gates": (1, gates) if gates > 1 else (1,),
        }

    def weight_shapes(
        self, features: int, units: int, *, reset_after: bool = True
    ) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]:
        """The shapes of kernel, recurrent kernel and bias.

        Example:
            >>> CELLS["lstm"].weight_shapes(features=14, units=32)
            ((14, 128), (32, 128), (128,))
            >>> CELLS["gru"].weight_shapes(features=14, units=32)
            ((14, 96), (32, 96), (2, 96))
        """
        axes, sizes = self.axes(reset_after=reset_after), self.sizes(1, 1, features, units)
        kernel, recurrent_kernel, bias = (
            tuple(sizes[axis] for axis in axes[name]) for name in ("kernel", "recurrent_kernel", "bias")
        )
        return kernel, recurrent_kernel, bias


def check_shape(
    name: str, shape: tuple[int, ...], axes: tuple[str, ...], sizes: dict[str, int | tuple[int, ...]]
) -> None:
    """Raises a ValueError unless `shape` has these axes in these sizes; an axis without a size may have any.

    Example:
        >>> check_shape("mask", (5, 4), ("batch", "time"), {"batch": 4, "time": 5})
        Traceback (most recent call last):
        ...
        ValueError: mask has shape (5, 4), expected (batch=4, time=5).
    """
    expected = tuple([sizes.get(axis) for axis in axes])
    if tuple(shape) == expected:  # nearly always, and much faster to check
        return
    if len(shape) != len(axes) or not all(
        choice is None or (size in choice if isinstance(choice, tuple) else size == choice)
        for size, choice in zip(shape, expected, strict=True)
    ):
        described = ", ".join(
            axis if choice is None
            else f"{axis}={' or '.join(map(str, choice)) if isinstance(choice, tuple) else choice}"
            for axis, choice in zip(axes, expected, strict=True)
        )  # fmt: skip
        raise ValueError(f"{name} has shape {tuple(shape)}, expected ({described}).")


CELLS: dict[str, Cell] = {
    cell.name: cell
    for cell in (
        Cell("simple_rnn", gates=("h",), states=("h",)),
        # z: update, r: reset, h: candidate
        Cell("gru", gates=("z", "r", "h"), states=("h",), takes_reset_after=True),
        # i: input, f: forget, c: candidate, o: output
        Cell("lstm", gates=("i", "f", "c", "o"), states=("h", "c")),
    )
}
