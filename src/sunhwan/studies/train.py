"""One model, one seed: trained epoch by epoch, the best epoch kept, stopped and resumed without a trace.

After each epoch the model is scored on validation; the best is saved as `.keras`; then a checkpoint is
written with every variable that decides what comes next: weights, optimizer state, and the states of the
dropout seed generators, which a `.keras` file does not keep. The order of batches depends on the seed and
the epoch's number alone. So a run that was killed goes on with the same bits as one that was not.
"""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

import keras
import numpy as np

from sunhwan.files import atomic
from sunhwan.studies import models
from sunhwan.studies.problem import Problem
from sunhwan.training.batches import Batches, Schedule, Ticker
from sunhwan.training.part import Part
from sunhwan.training.progress import Watcher

PREDICTION_BATCH = 512


@dataclass
class Progress:
    """What is known of a model in training; the checkpoint's words beside its arrays.

    Attributes:
        epoch: epochs finished.
        best_epoch: the epoch (from 1) whose weights are kept, 0 for none yet.
        best: its loss on validation.
        rows: a row a finished epoch, as in `history.csv`.
    """

    epoch: int = 0
    best_epoch: int = 0
    best: float = float("inf")
    rows: list[dict] = field(default_factory=list)


def forecast(model: keras.Model, part: Part) -> np.ndarray:
    """(examples,) what the model says of each example of a part, scaled like the targets.

    Batches are all of one size (the last is filled up with its first example), so that nothing is compiled
    twice.
    """
    size = min(PREDICTION_BATCH, len(part))
    count = -(-len(part) // size)
    order = np.arange(count * size)
    order[len(part) :] = order[(count - 1) * size]
    said = model.predict(Batches(part, order.reshape(count, size)), verbose=0)
    return said[: len(part), 0]


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
    """Train one model with one seed, going on from a checkpoint if the folder holds one.

    Args:
        name: the model's name in the study; `member`: the same with variant and seed, for file names.
        kind: of study, see `models.BUILDERS`.
        problem: what to train on.
        options: the builder's options.
        schedule: epochs, batch, seed.
        folder: the run directory. `models/MEMBER.keras` holds the best epoch, `fits/MEMBER.checkpoint.npz`
            the latest.
        watcher: told of each batch and epoch.

    Returns:
        The model of the best epoch, and how training went. A model that diverged, so that no epoch gave
        finite forecasts of validation, has the best epoch 0 and is returned as it ended.
    """
    keras.utils.set_random_seed(schedule.seed)
    model = models.build(kind, name, problem, options)
    model.optimizer.build(model.trainable_variables)
    best = folder / "models" / f"{member}.keras"
    checkpoint = folder / "fits" / f"{member}.checkpoint.npz"
    progress = restore(model, checkpoint) if checkpoint.exists() else Progress()
    watcher.begin(member, schedule.epochs, schedule.batches(len(problem.train)))
    for row in progress.rows:
        watcher.epoch(row)
    for epoch in range(progress.epoch, schedule.epochs):
        began = time.perf_counter()
        batches = Batches(problem.train, schedule.order(len(problem.train), epoch))
        history = model.fit(
            batches,
            initial_epoch=epoch,
            epochs=epoch + 1,
            shuffle=False,
            verbose=0,
            callbacks=[Ticker(watcher, epoch + 1)],
        ).history
        score = problem.score(forecast(model, problem.val), "val")
        row = {"epoch": epoch + 1, "seconds": round(time.perf_counter() - began, 3)}
        row |= {key: float(values[0]) for key, values in history.items()}
        row |= {f"val_{key}": value for key, value in score.items() if key != "value"}
        progress.rows.append(row)
        progress.epoch = epoch + 1
        # The loss, also where accuracy is reported: on a few thousand texts accuracy moves by chance more.
        # A loss that is not a number is never less.
        if score["loss"] < progress.best:
            progress.best, progress.best_epoch = score["loss"], epoch + 1
            with atomic(best) as temporary:
                model.save(temporary)
        save(model, progress, checkpoint)
        watcher.epoch(row)
    return (keras.saving.load_model(best) if progress.best_epoch else model), progress


def variables(model: keras.Model) -> list[keras.Variable]:
    """All that decides how training goes on: weights, seed generators' states, optimizer state.

    Metrics are left out, since each epoch begins them anew.
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
    """Set the model's variables from a checkpoint and return the progress that it tells of."""
    with np.load(path, allow_pickle=False) as kept:
        for i, variable in enumerate(variables(model)):
            variable.assign(kept[f"variable_{i}"])
        return Progress(**json.loads(str(kept["progress"])))
