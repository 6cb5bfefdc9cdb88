"""One model and seed of a study: trained epoch by epoch, the best epoch saved, stopped and resumed exactly.

After each epoch the model is scored on validation; the best is saved as `.keras`; then a checkpoint is
written with every variable that decides what comes next: weights, optimizer state, and the states of the
dropout seed generators, which a `.keras` file does not store. The order of batches depends on the seed and
the epoch's number alone. So a run that was killed resumes with the same bits as one that was not.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import keras
import numpy as np

from sunhwan.files import atomic
from sunhwan.studies import models
from sunhwan.studies.problem import Problem
from sunhwan.training import batches, loop
from sunhwan.training.batches import Batches, Schedule, Ticker
from sunhwan.training.loop import Progress
from sunhwan.training.part import Part
from sunhwan.training.progress import Watcher

PREDICTION_BATCH = 512


def forecast(model: keras.Model, part: Part) -> np.ndarray:
    """(examples,) the model's predictions of a part, scaled like the targets.

    All batches are of one size (the last is filled up with its first example), so that nothing is compiled
    twice.
    """
    size = min(PREDICTION_BATCH, len(part))
    count = -(-len(part) // size)
    order = np.arange(count * size)
    order[len(part) :] = order[(count - 1) * size]
    predictions = model.predict(Batches(part, order.reshape(count, size)), verbose=0)
    return predictions[: len(part), 0]


class Fitting(loop.Fitting):
    """A compiled model in training on a problem; writes the best epoch and a checkpoint of the latest."""

    def __init__(self, model, problem, schedule, watcher, best: Path, checkpoint: Path):
        self.model, self.problem, self.schedule, self.watcher = model, problem, schedule, watcher
        self.best, self.checkpoint = best, checkpoint

    def train(self, epoch: int) -> dict[str, float]:
        part = self.problem.train
        order = self.schedule.order(len(part), epoch)
        return batches.fit(self.model, Batches(part, order), Ticker(self.watcher, epoch + 1))

    def validate(self) -> dict[str, float]:
        # The loss, also where accuracy is reported: on a few thousand texts accuracy moves by chance more.
        score = self.problem.score(forecast(self.model, self.problem.val), "val")
        return {f"val_{key}": value for key, value in score.items() if key != "value"}

    def improved(self) -> None:
        with atomic(self.best) as temporary:
            self.model.save(temporary)

    def finished(self, progress: Progress) -> None:
        save(self.model, progress, self.checkpoint)


def fit(
    name: str,
    member: str,
    kind: str,
    problem: Problem,
    options: dict,
    schedule: Schedule,
    folder: Path,
    watcher: Watcher,
) -> tuple[keras.Model, Progress]:
    """Train one model with one seed, resuming from a checkpoint if the folder has one.

    Args:
        name: the model's name in the study; `member`: the same with variant and seed, for file names.
        kind: of study, see `models.BUILDERS`.
        problem: what to train on.
        options: the builder's options.
        schedule: epochs, batch, seed.
        folder: the run directory. `models/MEMBER.keras` is the best epoch, `fits/MEMBER.checkpoint.npz` the
            latest.
        watcher: notified of each batch and epoch.

    Returns:
        The model of the best epoch, and its progress. A model that diverged, so that its validation loss was
        never finite, has the best epoch 0 and is returned as it ended.
    """
    keras.utils.set_random_seed(schedule.seed)
    model = models.build(kind, name, problem, options)
    model.optimizer.build(model.trainable_variables)
    best = folder / "models" / f"{member}.keras"
    checkpoint = folder / "fits" / f"{member}.checkpoint.npz"
    progress = restore(model, checkpoint) if checkpoint.exists() else None
    watcher.begin(member, schedule.epochs, schedule.batches(len(problem.train)))
    fitting = Fitting(model, problem, schedule, watcher, best, checkpoint)
    progress = loop.run(fitting, schedule.epochs, watcher, progress=progress)
    return (keras.saving.load_model(best) if progress.best_epoch else model), progress


def variables(model: keras.Model) -> list[keras.Variable]:
    """All that decides how training goes on: weights, seed generators' states, optimizer state.

    Metrics are left out, since each epoch resets them.
    """
    return [*model.trainable_variables, *model.non_trainable_variables, *model.optimizer.variables]


def save(model: keras.Model, progress: Progress, path: Path) -> None:
    """Write the checkpoint: every variable as an array, and the progress as JSON text."""
    arrays = {
        f"variable_{i}": keras.ops.convert_to_numpy(variable.value)
        for i, variable in enumerate(variables(model))
    }
    with atomic(path) as temporary:
        np.savez(temporary, progress=np.array(json.dumps(asdict(progress))), **arrays)


def restore(model: keras.Model, path: Path) -> Progress:
    """Set the model's variables from a checkpoint and return its progress."""
    with np.load(path, allow_pickle=False) as saved:
        for i, variable in enumerate(variables(model)):
            variable.assign(saved[f"variable_{i}"])
        return Progress(**json.loads(str(saved["progress"])))
