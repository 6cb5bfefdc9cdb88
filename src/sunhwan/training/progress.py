"""Who is notified of the progress of preparation and of each batch and epoch of each network."""

from __future__ import annotations

from typing import Protocol


class Watcher(Protocol):
    """Is notified of the progress of a run; the command line draws bars."""

    def prepared(self, notes: list[str]) -> None: ...
    def begin(self, member: str, epochs: int, batches: int) -> None: ...
    def batch(self, epoch: int, batch: int) -> None: ...
    def epoch(self, row: dict) -> None: ...


class Nobody:
    """A watcher that ignores everything."""

    def prepared(self, notes: list[str]) -> None: ...
    def begin(self, member: str, epochs: int, batches: int) -> None: ...
    def batch(self, epoch: int, batch: int) -> None: ...
    def epoch(self, row: dict) -> None: ...


class Within:
    """Notifies a watcher of one part of the work; the names of its members begin with that of the part."""

    def __init__(self, watcher: Watcher, part: str):
        self.watcher, self.part = watcher, part
        self.prepared, self.batch, self.epoch = watcher.prepared, watcher.batch, watcher.epoch

    def begin(self, member: str, epochs: int, batches: int) -> None:
        self.watcher.begin(f"{self.part}: {member}", epochs, batches)
