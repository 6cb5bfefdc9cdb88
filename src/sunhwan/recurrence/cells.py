"""What each recurrent cell is made of: its gates and their order, its states, its weight shapes.

This is the only place that states them. Everything is as in Keras, so that `layer.get_weights()` moves over
unchanged: a kernel holds one block of `units` columns a gate, side by side in the order of `gates`.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Cell:
    """One kind of recurrent cell.

    Attributes:
        name: what every room of the package calls it.
        gates: its gates, in the order of their blocks of columns in the weights.
        states: what it carries from step to step; `h`, the first, is also its output. Stacked, they are one
            array of shape (states, batch, units).
        takes_reset_after: whether it comes with the reset gate before and after the recurrent product (GRU).
    """

    name: str
    gates: tuple[str, ...]
    states: tuple[str, ...]
    takes_reset_after: bool = False

    def weight_shapes(
        self, features: int, units: int, *, reset_after: bool = True
    ) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]:
        """The shapes of kernel, recurrent kernel and bias.

        A GRU with `reset_after` (Keras's default) has two rows of bias, one for each of its two products;
        the other cells have one row and pay no heed to `reset_after`.

        Example:
            >>> CELLS["lstm"].weight_shapes(features=14, units=32)
            ((14, 128), (32, 128), (128,))
            >>> CELLS["gru"].weight_shapes(features=14, units=32)
            ((14, 96), (32, 96), (2, 96))
        """
        columns = len(self.gates) * units
        bias = (2, columns) if self.takes_reset_after and reset_after else (columns,)
        return (features, columns), (units, columns), bias


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
