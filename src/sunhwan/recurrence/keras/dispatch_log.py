"""The log of the paths that calls of recurrent layers took, written when a layer is called or traced.

It says which path was taken, not which could be. Listeners get each row at once, from this process or,
through a file, from others.
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
        layer: where the layer is in its model, such as `bidirectional/forward_lstm`.
        kind: its class and size, such as `LSTM(32)`.
        path: "fused"; "Keras", which is Keras's own path; or "not run yet".
        reason: why Keras's own path; "" otherwise.
    """

    layer: str
    kind: str
    path: str
    reason: str = ""


def add(layer: Any, reason: str | None) -> None:
    """Notes and logs, once each, which path a call of a layer takes: Keras's own for a reason, or fused."""
    paths = _paths.setdefault(layer, {})
    if reason in paths:
        return
    paths[reason] = None
    new = row(layer, KERAS if reason else FUSED, reason or "")
    log.info("%s, %s: %s%s", new.layer, new.kind, new.path, f", since {reason}" if reason else "")
    for listen in _listening:
        listen(layer, new)


def reasons(layer: Any) -> list[str | None]:
    """The reason of each path that a layer took, in order; None stands for fused."""
    return list(_paths.get(layer, {}))


@contextmanager
def recorded(elsewhere: Path | None = None) -> Iterator[list[list[Row]]]:
    """Collects, for each layer, a row for each new path it takes, even if its model is deleted.

    Args:
        elsewhere: a file for the rows of forked processes; `read` reads it. Spawned processes add to it after
            calling `record_to`.
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
    """Makes this process append to a file what `recorded` would collect, until it ends."""
    _listening.append(_writer(path))


def _writer(path):
    numbers: WeakKeyDictionary[Any, int] = WeakKeyDictionary()
    counter = count()

    def write(layer, row):
        if layer not in numbers:
            numbers[layer] = next(counter)
        # At once, since a pool ends its processes by a signal; in one piece, since several processes write.
        line = json.dumps([os.getpid(), numbers[layer], *astuple(row)]) + "\n"
        file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(file, line.encode())
        finally:
            os.close(file)

    return write


def read(path: Path) -> dict[int, list[list[Row]]]:
    """The rows that other processes wrote to a file: by process, for each layer."""
    layers: dict[tuple[int, int], list[Row]] = {}
    if path.exists():
        for line in path.read_text(encoding="utf-8").splitlines():
            process, number, *row = json.loads(line)
            layers.setdefault((process, number), []).append(Row(*row))
    ran: dict[int, list[list[Row]]] = {}
    for (process, _), rows in layers.items():
        ran.setdefault(process, []).append(rows)
    return ran


_paths: WeakKeyDictionary[Any, dict[str | None, None]] = WeakKeyDictionary()
"""The reasons of the paths of each layer that was called or traced, in order; None stands for fused."""

_listening: list[Callable[[Any, Row], None]] = []


def row(layer: Any, path: str, reason: str = "") -> Row:
    """The row of a layer, with its place in the model and its size."""
    units = getattr(layer, "units", None)
    kind = type(layer).__name__ if units is None else f"{type(layer).__name__}({units})"
    return Row(layer.path or layer.name, kind, path, reason)
