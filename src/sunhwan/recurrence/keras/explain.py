"""`explain`: which recurrent layers of a model run fused, which on Keras's own path, and why."""

from __future__ import annotations

import html
from dataclasses import astuple, fields
from typing import TYPE_CHECKING, Any

from sunhwan.recurrence.keras import accelerate, dispatch_log
from sunhwan.recurrence.keras.dispatch_log import FUSED, KERAS, NOT_RUN, Row

if TYPE_CHECKING:
    from rich.table import Table


class Explanation:
    """The result of `explain`: `rows` for programs, and a table in a terminal, in rich or in a notebook."""

    def __init__(self, rows: tuple[Row, ...]):
        self.rows = rows

    @property
    def columns(self) -> tuple[str, ...]:
        """The headings of the table; the reasons have a column only if there are any."""
        names = [field.name for field in fields(Row)]
        return tuple(names if any(row.reason for row in self.rows) else names[:-1])

    def __str__(self) -> str:
        if not self.rows:
            return "There is no recurrent layer."
        lines = [self.columns, *(astuple(row)[: len(self.columns)] for row in self.rows)]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        return "\n".join(
            "  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip()
            for line in lines
        )

    __repr__ = __str__

    def __rich__(self) -> Table | str:
        if not self.rows:
            return str(self)
        from rich.table import Column, Table
        from rich.text import Text

        # A name that is too long continues on the next line: its end identifies the layer.
        table = Table(*(Column(name, overflow="fold") for name in self.columns))
        for row in self.rows:
            table.add_row(*map(Text, astuple(row)[: len(self.columns)]))
        return table

    def _repr_html_(self) -> str:
        if not self.rows:
            return html.escape(str(self))

        def line(tag, texts):
            cells = (f'<{tag} style="text-align: left">{html.escape(text)}</{tag}>' for text in texts)
            return f"<tr>{''.join(cells)}</tr>"

        body = (line("td", astuple(row)[: len(self.columns)]) for row in self.rows)
        return f"<table>{line('th', self.columns)}{''.join(body)}</table>"


def explain(model: Any) -> Explanation:
    """Show which path each recurrent layer of a model has taken while accelerated, and why.

    A layer that took both (fused in `fit`, Keras's in a call that cannot be fused) has a row for each. While
    `sunhwan.accelerate` is off, every layer is on Keras's path.

    Args:
        model: a Keras model, or a layer. Layers are found at any depth: in models, wrappers (Bidirectional,
            TimeDistributed) and your own layers.

    Example:
        >>> import keras, sunhwan
        >>> model = keras.Sequential([keras.layers.GRU(8, name="memory"), keras.layers.Dense(1)])
        >>> with sunhwan.accelerated():
        ...     print(sunhwan.explain(model))
        layer   kind    path
        memory  GRU(8)  not run yet
    """
    import keras

    from sunhwan.recurrence.keras import seam

    accelerate.refuse_another_keras()
    if not isinstance(model, keras.Layer):
        legacy = any(cls.__module__.partition(".")[0] == "tf_keras" for cls in type(model).__mro__)
        of_keras_2 = (
            " of Keras 2 (tf_keras), which is never accelerated; unset TF_USE_LEGACY_KERAS, or build it with "
            "`import keras`"
        )
        raise TypeError(
            f"explain takes a Keras model or layer, received a {type(model).__name__}"
            f"{of_keras_2 if legacy else ''}."
        )
    rows = []
    for layer in _recurrent_layers(model):
        if not accelerate.is_on():
            reasons = ["sunhwan.accelerate() is not on"]
        elif not (reasons := dispatch_log.reasons(layer)):
            reasons = [seam.reason_of_layer(layer)]  # known without a run if it is never fused
            if reasons == [None]:
                rows.append(dispatch_log.row(layer, NOT_RUN))
                continue
        rows.extend(dispatch_log.row(layer, KERAS if reason else FUSED, reason or "") for reason in reasons)
    return Explanation(tuple(rows))


def _recurrent_layers(model):
    """The recurrent layers within a layer, including itself, each once, in Keras's order."""
    import keras

    # Not `_flatten_layers(recursive=True)`, which returns the layers of a wrapper in reverse.
    layers, waiting = {}, [model]
    while waiting:
        layer = waiting.pop()
        if id(layer) not in layers:
            layers[id(layer)] = layer
            waiting.extend(reversed(layer._flatten_layers(include_self=False, recursive=False)))
    return [layer for layer in layers.values() if isinstance(layer, keras.layers.RNN)]
