"""The loop over epochs of every network: train, validate, save the best, stop when nothing improves.

What differs from one network to another is a subclass of `Fitting`: how an epoch is trained, by what it is
validated, and what happens after a better epoch, after one without progress, and at the end of each.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sunhwan.training.progress import Watcher


@dataclass
class Progress:
    """How far training is; a checkpoint stores it beside the weights.

    Attributes:
        epoch: epochs finished.
        best_epoch: the epoch (from 1) with the lowest validation loss; 0 while no loss was finite.
        best: its validation loss.
        waited: epochs since the last that gained enough.
        rows: one row per finished epoch, as in `history.csv`.
    """

    epoch: int = 0
    best_epoch: int = 0
    best: float = math.inf
    waited: int = 0
    rows: list[dict] = field(default_factory=list)


class Fitting:
    """One network in training."""

    def train(self, epoch: int) -> dict[str, float]:
        """Train epoch number `epoch` (from 0) and return the columns of its row: `loss` and others."""
        raise NotImplementedError

    def validate(self) -> dict[str, float]:
        """The columns that validation adds: `val_loss` and others; nothing where there is no validation."""
        raise NotImplementedError

    def improved(self) -> None:
        """Save the network: no epoch before had a lower validation loss."""

    def stalled(self) -> None:
        """Called when validation did not gain enough."""

    def finished(self, progress: Progress) -> None:
        """Called at the end of every epoch."""


def run(
    fitting: Fitting,
    epochs: int,
    watcher: Watcher,
    *,
    patience: float = math.inf,
    gain: float = 0.0,
    progress: Progress | None = None,
) -> Progress:
    """Train a network for at most `epochs` epochs; validation chooses the best.

    Without validation the last epoch is the best. A loss that is NaN is never better.

    Args:
        fitting: what is trained.
        epochs: at most.
        watcher: notified of each row with a validation loss.
        patience: epochs without enough gain after which training ends.
        gain: how much lower the validation loss must be to count as enough.
        progress: where to resume; by default training begins.
    """
    progress = progress or Progress()
    for row in progress.rows:
        watcher.epoch(row)
    for epoch in range(progress.epoch, epochs):
        began = time.perf_counter()
        row = {"epoch": epoch + 1, "seconds": 0.0, **fitting.train(epoch), **fitting.validate()}
        row["seconds"] = round(time.perf_counter() - began, 3)
        progress.rows.append(row)
        progress.epoch = epoch + 1
        loss = row.get("val_loss")
        enough = loss is None or loss < progress.best - gain
        progress.waited = 0 if enough else progress.waited + 1
        if loss is None or loss < progress.best:
            progress.best_epoch = epoch + 1
            progress.best = progress.best if loss is None else loss
            fitting.improved()
        if not enough:
            fitting.stalled()
        fitting.finished(progress)
        if loss is not None:
            watcher.epoch(row)
        if progress.waited >= patience:
            break
    return progress
