"""The recurrent cells by the names that commands and saved runs give them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from sunhwan.errors import SunhwanError
from sunhwan.recurrence.cells import CELLS

if TYPE_CHECKING:
    import keras


def check_cell(cell: str) -> None:
    """Refuse an unknown cell."""
    if cell not in CELLS:
        raise SunhwanError(f"the cell is {cell!r}; expected one of {', '.join(CELLS)}")


def refuse_unknown_cell(saved: Mapping) -> None:
    """Within `rundir.reading`: a saved network of an unknown cell cannot be read."""
    if saved["cell"] not in CELLS:
        raise ValueError(f"cell {saved['cell']!r}")


def recurrent_layer(cell: str) -> type[keras.layers.RNN]:
    """Keras's layer of a cell."""
    from sunhwan.recurrence.keras.seam import LAYERS

    return next(layer for layer, (name, _) in LAYERS.items() if name == cell)
