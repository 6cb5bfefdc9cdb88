"""The loop over epochs, on validation losses that are known beforehand."""

import math

import pytest

from sunhwan.training import loop
from sunhwan.training.progress import Nobody

NAN = math.nan


class Scripted(loop.Fitting):
    """Has these validation losses, None for no validation, and notes what the loop calls."""

    def __init__(self, *losses):
        self.losses, self.calls = losses, []

    def train(self, epoch):
        self.calls.append(f"train {epoch}")
        return {"loss": 1.0}

    def validate(self):
        loss = self.losses[int(self.calls[-1].split()[1])]
        return {} if loss is None else {"val_loss": loss, "val_mae": 2 * loss}

    def improved(self):
        self.calls.append("improved")

    def stalled(self):
        self.calls.append("stalled")

    def finished(self, progress):
        self.calls.append(f"finished {progress.epoch}")


@pytest.mark.parametrize(
    ("losses", "best_epoch", "improved"),
    [
        ([3.0, 1.0, 2.0, 1.0], 2, 2),
        ([NAN, 2.0, 3.0], 2, 1),
        ([2.0, NAN, 1.0], 3, 2),
        ([NAN, NAN], 0, 0),
        ([None, None, None], 3, 3),
    ],
)
def test_the_best_epoch_has_the_lowest_finite_loss(losses, best_epoch, improved):
    fitting = Scripted(*losses)
    progress = loop.run(fitting, len(losses), Nobody())
    assert (progress.epoch, progress.best_epoch) == (len(losses), best_epoch)
    assert fitting.calls.count("improved") == improved
    finite = [loss for loss in losses if loss is not None and loss == loss]
    assert progress.best == min(finite, default=math.inf)
    assert [row["epoch"] for row in progress.rows] == list(range(1, len(losses) + 1))
    assert list(progress.rows[0])[:3] == ["epoch", "seconds", "loss"]


def test_patience_counts_epochs_without_enough_gain():
    losses = [3.0, 2.95, 2.9, 1.0, 1.0, 1.0, 0.5]
    assert loop.run(Scripted(*losses), 7, Nobody(), patience=2, gain=0.1).epoch == 3
    assert loop.run(Scripted(*losses), 7, Nobody(), patience=3, gain=0.1).epoch == 7
    assert loop.run(Scripted(*losses), 7, Nobody(), patience=2).epoch == 6
    assert loop.run(Scripted(*[None] * 7), 7, Nobody(), patience=1).epoch == 7


def test_hooks_are_called_in_order():
    fitting = Scripted(2.0, 3.0)
    loop.run(fitting, 2, Nobody())
    assert fitting.calls == ["train 0", "improved", "finished 1", "train 1", "stalled", "finished 2"]


def test_a_resumed_run_repeats_its_rows_and_continues():
    class Rows(Nobody):
        def __init__(self):
            self.rows = []

        def epoch(self, row):
            self.rows.append(row["val_loss"])

    losses = [3.0, 2.0, 2.5, 2.6, 2.7]
    whole, first = Rows(), Rows()
    expected = loop.run(Scripted(*losses), 5, whole, patience=3)
    progress = loop.run(Scripted(*losses), 3, first, patience=3)
    fitting, again = Scripted(*losses), Rows()
    progress = loop.run(fitting, 5, again, patience=3, progress=progress)
    assert fitting.calls[0] == "train 3" and again.rows == whole.rows == losses
    assert (progress.best_epoch, progress.best, progress.waited) == (2, 2.0, expected.waited)
