"""`explain`: which recurrent layers of a model run fused, which on Keras's own path, and why.

The account is kept where it is decided: when a layer is called or, in a compiled program, traced. It says
which path was taken, not which one could be.
"""

from __future__ import annotations

import html
import json
import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import astuple, dataclass, fields
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

if TYPE_CHECKING:
    from rich.table import Table

log = logging.getLogger("sunhwan")

FUSED, KERAS, NOT_RUN = "fused", "Keras", "not run yet"


@dataclass(frozen=True)
class Row:
    """One path of one layer.

    Attributes:
        layer: where the layer is in its model, as `bidirectional/forward_lstm`.
        kind: its class and size, as `LSTM(32)`.
        path: "fused"; "Keras", its own path; or "not run yet".
        reason: why Keras's own path; "" otherwise.
    """

    layer: str
    kind: str
    path: str
    reason: str = ""


class Explanation:
    """The rows of `explain`: for programs `rows`, for people a table in a terminal, in rich or in a
    notebook."""

    def __init__(self, rows: tuple[Row, ...]):
        self.rows = rows

    @property
    def columns(self) -> tuple[str, ...]:
        """The headings of the table; the reasons have a column only where there are any."""
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

        # Where there is no room for a name it goes on in the next line: its end says which layer it is.
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
    """Which path each recurrent layer of a model has taken since it ran accelerated, and why.

    A layer that took both (fused in `fit`, Keras's in a call that cannot be fused) has a row for each. While
    `sunhwan.accelerate` is off, every layer is on Keras's path.

    Args:
        model: a Keras model, or a layer. Layers within it are found at any depth: in models, wrappers
            (Bidirectional, TimeDistributed) and layers of your own.

    Example:
        >>> import keras, sunhwan
        >>> model = keras.Sequential([keras.layers.GRU(8, name="memory"), keras.layers.Dense(1)])
        >>> with sunhwan.accelerated():
        ...     print(sunhwan.explain(model))
        layer   kind    path
        memory  GRU(8)  not run yet
    """
    import keras

    from sunhwan.recurrence import accelerate, seam

    accelerate.refuse_another_keras()
    if not isinstance(model, keras.Layer):
        legacy = any(cls.__module__.partition(".")[0] == "tf_keras" for cls in type(model).__mro__)
        of_keras_2 = (
            " of Keras 2 (tf_keras), of which nothing is fused; unset TF_USE_LEGACY_KERAS, or build it with "
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
        elif layer in _taken:
            reasons = list(_taken[layer])
        else:
            # What is never switched needs no run to be known.
            reasons = [seam.reason_of_layer(layer)]
            if reasons == [None]:
                rows.append(_row(layer, NOT_RUN))
                continue
        rows.extend(_row(layer, KERAS if reason else FUSED, reason or "") for reason in reasons)
    return Explanation(tuple(rows))


def _recurrent_layers(model):
    """Those in a layer, itself among them, in the order in which Keras keeps them; each once."""
    import keras

    # Keras's own order is that of a stack, which has the layers of a wrapper backwards.
    found, waiting = {}, [model]
    while waiting:
        layer = waiting.pop()
        if id(layer) not in found:
            found[id(layer)] = layer
            waiting.extend(reversed(layer._flatten_layers(include_self=False, recursive=False)))
    return [layer for layer in found.values() if isinstance(layer, keras.layers.RNN)]


def record(layer: Any, reason: str | None) -> None:
    """Keeps which path a call of a layer takes: Keras's own for a reason, or the fused one. Logs it once."""
    taken = _taken.setdefault(layer, {})
    if reason in taken:
        return
    taken[reason] = None
    row = _row(layer, KERAS if reason else FUSED, reason or "")
    log.info("%s, %s: %s%s", row.layer, row.kind, row.path, f", since {reason}" if reason else "")
    for listen in _listening:
        listen(layer, row)


@contextmanager
def recorded(elsewhere: Path | None = None) -> Iterator[list[list[Row]]]:
    """Collects, for each layer, a row for each path that is taken anew, whatever becomes of the models.

    Args:
        elsewhere: a file for what runs in processes that this one forks; `read` reads it. Those that begin
            anew add to it once they have called `record_to`.
    """
    ran: list[list[Row]] = []
    of_layer: WeakKeyDictionary[Any, list[Row]] = WeakKeyDictionary()
    here, write = os.getpid(), elsewhere and _writer(elsewhere)

    def listen(layer, row):
        if os.getpid() != here:
            if write:
                write(layer, row)
            return
        if layer not in of_layer:
            of_layer[layer] = []
            ran.append(of_layer[layer])
        of_layer[layer].append(row)

    _listening.append(listen)
    try:
        yield ran
    finally:
        _listening.remove(listen)


def record_to(path: Path) -> None:
    """Has this process add to a file what `recorded` would collect, to its end."""
    _listening.append(_writer(path))


def _writer(path):
    numbers: WeakKeyDictionary[Any, int] = WeakKeyDictionary()
    counter = count()

    def write(layer, row):
        if layer not in numbers:
            numbers[layer] = next(counter)
        # At once, since a pool ends its processes by a signal; and in one piece, since several write.
        line = json.dumps([os.getpid(), numbers[layer], *astuple(row)]) + "\n"
        file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(file, line.encode())
        finally:
            os.close(file)

    return write


def read(path: Path) -> dict[int, list[list[Row]]]:
    """What other processes have recorded in a file: by process, for each layer its rows."""
    layers: dict[tuple[int, int], list[Row]] = {}
    if path.exists():
        for line in path.read_text(encoding="utf-8").splitlines():
            process, number, *row = json.loads(line)
            layers.setdefault((process, number), []).append(Row(*row))
    ran: dict[int, list[list[Row]]] = {}
    for (process, _), rows in layers.items():
        ran.setdefault(process, []).append(rows)
    return ran


_taken: WeakKeyDictionary[Any, dict[str | None, None]] = WeakKeyDictionary()
"""The paths of each layer that was called or traced, in the order in which they came; None stands for
fused."""

_listening: list[Callable[[Any, Row], None]] = []


def _row(layer, path, reason=""):
    units = getattr(layer, "units", None)
    kind = type(layer).__name__ if units is None else f"{type(layer).__name__}({units})"
    return Row(layer.path or layer.name, kind, path, reason)
