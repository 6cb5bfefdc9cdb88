"""Which path the calls of recurrent layers took, kept where it is decided: when a layer is called or traced.

A record says which path was taken, not which one could be. Who wants to know is told as it comes, in this
process or, through a file, from others.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import astuple, dataclass
from itertools import count
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

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


def add(layer: Any, reason: str | None) -> None:
    """Keeps which path a call of a layer takes: Keras's own for a reason, or the fused one. Logs it once."""
    taken = _taken.setdefault(layer, {})
    if reason in taken:
        return
    taken[reason] = None
    new = row(layer, KERAS if reason else FUSED, reason or "")
    log.info("%s, %s: %s%s", new.layer, new.kind, new.path, f", since {reason}" if reason else "")
    for listen in _listening:
        listen(layer, new)


def reasons(layer: Any) -> list[str | None]:
    """Why Keras's own path was taken, for each path that a layer took, in order; None stands for fused."""
    return list(_taken.get(layer, {}))


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


def row(layer: Any, path: str, reason: str = "") -> Row:
    """A layer's row, by where it is in its model and how large it is."""
    units = getattr(layer, "units", None)
    kind = type(layer).__name__ if units is None else f"{type(layer).__name__}({units})"
    return Row(layer.path or layer.name, kind, path, reason)
