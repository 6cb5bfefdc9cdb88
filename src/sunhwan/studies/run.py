"""A study carried out into a run directory; see `sunhwan.rundir` for what that holds.

Everything is written as it is finished, so a run that was stopped or killed goes on where it was: models that
are finished are not trained again, and the others go on from their checkpoints.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import tomli_w

from sunhwan import native, rundir
from sunhwan.baselines.names import words
from sunhwan.errors import SunhwanError
from sunhwan.evaluation.significance import spread
from sunhwan.files import WRITING, as_csv, new_run, read_json, write_arrays, write_json
from sunhwan.provenance import versions
from sunhwan.recurrence.keras.accelerate import accelerated
from sunhwan.studies import adding, forecasting, texts, verdict
from sunhwan.studies.problem import Problem
from sunhwan.studies.study import Study, load

if TYPE_CHECKING:
    from sunhwan.training.progress import Watcher

PROBLEMS = {"forecast": forecasting.problem, "text": texts.problem, "adding": adding.problem}
RESUME = ", or continue the run there with --resume"
"""What else can be done where the directory of a new run holds something."""

PARTS = {"validation": "val", "test": "test"}
"""The parts on which models are scored, as JSON names them, and the attributes of `Problem`."""

ARRAY_NAMES = {"forecast": "forecast", "text": "probability", "adding": "forecast"}


@dataclass(frozen=True)
class Member:
    """One model with one seed on one variant of the problem.

    Attributes:
        model: its name in the study.
        variant: the problem's name, such as a length of the adding problem; mostly `""`.
        seed: from 0.
    """

    model: str
    variant: str
    seed: int

    @property
    def entry(self) -> str:
        """The name under which its figures stand: `gru`, or `gru_200`."""
        return f"{self.model}_{self.variant}" if self.variant else self.model

    @property
    def file(self) -> str:
        return f"{self.entry}-seed{self.seed}"


def fresh(study: Study, out: Path | None) -> Path:
    """The directory of a new run: `out`, or one under `runs/` by the study's name and the time; not made yet.

    Raises:
        SunhwanError: something is there already, or no directory can be made there.
    """
    return new_run(study.name, out, RESUME)


def resumable(study: str, out: Path | None) -> tuple[Path, Study]:
    """A run to resume, and its study: in `out`, or the study's latest unfinished run under `runs/`.

    Raises:
        SunhwanError: there is no such run, or it is a run of something else.
    """
    folder = out or latest_unfinished(study)
    if not rundir.is_run(folder):
        raise SunhwanError(f"{str(folder)!r} has no run to resume; leave out --resume to start one there")
    run = rundir.load(folder)
    if run.kind != "study":
        raise SunhwanError(f"{str(folder)!r} is a run of `{run.kind}`; only runs of studies can be resumed")
    saved = load(str(run.path("study")))
    if saved.name != study:
        raise SunhwanError(
            f"{str(folder)!r} is a run of study {saved.name!r}, not of {study!r}; name that study"
        )
    return folder, saved


def latest_unfinished(study: str) -> Path:
    """The latest run of a study under `runs/` that did not finish.

    Raises:
        SunhwanError: there is none, or a run there cannot be read.
    """
    runs, errors = rundir.runs(Path("runs"))
    for run in reversed(runs):
        if run.record.get("study") == study and not run.finished:
            return run.folder
    if errors:
        raise errors[0]
    raise SunhwanError(
        f"there is no unfinished run of {study!r} under runs/; leave out --resume, or name it with --out"
    )


def begin(
    study: Study, problems: dict[str, Problem], folder: Path, command: list[str], declared_epochs: int
) -> None:
    """Make the run directory with all that is known before training; after an error nothing is left of it.

    Raises:
        SunhwanError: the directory holds something.
    """
    import keras

    metric = next(iter(problems.values())).metric
    known = {
        **rundir.record("study", command, {}, fingerprints(study, problems)),
        "study": study.name,
        "study_kind": study.kind,
        "question": study.question,
        "epochs": study.epochs,
        "few_epochs": study.epochs < declared_epochs,
        "declared_epochs": declared_epochs,
        "seeds": study.seeds,
        "steps_per_epoch": study.steps_per_epoch,
        "target": study.prepare.get("target", ""),
        "metric": metric.name,
        "unit": metric.unit,
        "notes": [note for problem in problems.values() for note in problem.notes],
        "keras_backend": keras.backend.backend(),
        "kernels": native.reason() or native.isa(),
    }
    files = {name: content for problem in problems.values() for name, content in problem.files.items()}
    rundir.begin(folder, known, RESUME, study=tomli_w.dumps(study.to_dict()), **files)


def fingerprints(study: Study, problems: dict[str, Problem]) -> dict[str, str]:
    """The SHA-256 of the data of each variant, by the data's name and the variant's."""
    data = study.data["name"]
    return {f"{data} {variant}".strip(): problem.fingerprint for variant, problem in problems.items()}


def outline(study: Study) -> Problem:
    """A problem to build a model for; with data only where the model's shape depends on it."""
    if study.kind == "text":
        return texts.outline(study)
    return next(iter(PROBLEMS[study.kind](study).values()))


def carry_out(
    study: Study,
    folder: Path,
    watcher: Watcher | None = None,
    *,
    command: Sequence[str] = (),
    declared_epochs: int = 0,
) -> dict:
    """Prepare, train every model with every seed that is not done yet, and write the figures.

    Args:
        study: as it is to run.
        folder: from `fresh`, or from `resumable` together with the study.
        watcher: told of preparation, batches and epochs.
        command: the command line, for the record.
        declared_epochs: of the study's file; fewer are called a demonstration.

    Returns:
        What `metrics.json` holds.

    Raises:
        SunhwanError: the data cannot be had or prepared, or is not what the run began with.
    """
    # Keras is slow to import, so not at the top: listing and showing studies must not wait for it.
    from sunhwan.studies import models

    for name in study.models:
        models.check(study.kind, name, study.options(name))
    problems = PROBLEMS[study.kind](study)
    if not rundir.is_run(folder):
        begin(study, problems, folder, list(command), declared_epochs)
    run = rundir.load(folder)
    if run.record["data"] != fingerprints(study, problems):
        raise SunhwanError(
            f"the data differs from what the run in {str(folder)!r} began with (its SHA-256 differs); "
            "start a new run, or restore the old data"
        )
    began_on, backend = run.record["keras_backend"], models.keras.backend.backend()
    if began_on != backend:
        raise SunhwanError(
            f"the run in {str(folder)!r} began on Keras's backend {began_on}, but this is {backend}; "
            f"resume it under KERAS_BACKEND={began_on}"
        )
    if watcher:
        watcher.prepared(run.record["notes"])
    if run.finished:
        return {**run.metrics, "run": str(folder)}
    for left in folder.rglob(f"{WRITING}*"):
        left.unlink()

    members = [
        Member(model, variant, seed)
        for variant in problems
        for model in study.models
        for seed in range(study.seeds)
    ]
    with accelerated():
        for member in members:
            if not (folder / "fits" / f"{member.file}.json").exists():
                train_member(study, member, problems[member.variant], folder, watcher)
    metrics = summary(study, members, problems, folder)
    write_predictions(study, members, problems, folder)
    rundir.put(folder, metrics=metrics)
    # Under other versions a resumed run need not end with the same bits: the record says so.
    resumed = {} if run.record["versions"] == versions() else {"resumed_with": versions()}
    rundir.finish(run, seconds=sum(float(row["seconds"]) for row in run.history), **resumed)
    return metrics


def train_member(
    study: Study, member: Member, problem: Problem, folder: Path, watcher: Watcher | None
) -> None:
    """Train one model with one seed; write scores and predictions to `fits/`, epochs to `history.csv`.

    The scores of a model that diverged are null: JSON has no NaN, and the other models must not suffer.
    """
    from sunhwan.studies import train
    from sunhwan.training.batches import Schedule
    from sunhwan.training.progress import Nobody

    schedule = Schedule(study.epochs_of(member.model), study.batch_size, study.steps_per_epoch, member.seed)
    watcher = HistoryWriter(watcher or Nobody(), member, rundir.load(folder))
    model, progress = train.fit(
        member.model, member.file, study.kind, problem, study.options(member.model), schedule, folder, watcher
    )
    predictions = {name: train.forecast(model, getattr(problem, part)) for name, part in PARTS.items()}
    write_arrays(folder / "fits" / f"{member.file}.npz", predictions)
    scores = {name: problem.score(predictions[name], part) for name, part in PARTS.items()}
    finite = all(math.isfinite(figure) for score in scores.values() for figure in score.values())
    # The first epoch compiles; it would make short runs look slow.
    seconds = [row["seconds"] for row in progress.rows]
    write_json(
        folder / "fits" / f"{member.file}.json",
        {
            "best_epoch": progress.best_epoch if finite else None,
            **{name: score if finite else None for name, score in scores.items()},
            "seconds_per_epoch": float(np.median(seconds[1:] or seconds)),
            "parameters": int(model.count_params()),
        },
    )
    (folder / "fits" / f"{member.file}.checkpoint.npz").unlink(missing_ok=True)


class HistoryWriter:
    """A watcher that writes each epoch's row into `history.csv` and passes everything on."""

    def __init__(self, watcher: Watcher, member: Member, run: rundir.Run):
        self.watcher, self.member, self.folder = watcher, member, run.folder
        self.mine = {"model": member.entry, "seed": str(member.seed)}
        rows = run.read("history") if run.has("history") else []
        # Rows of this model from before an interruption come again out of its checkpoint.
        self.rows = [row for row in rows if {key: row[key] for key in self.mine} != self.mine]

    def begin(self, member: str, epochs: int, batches: int) -> None:
        self.watcher.begin(member, epochs, batches)

    def batch(self, epoch: int, batch: int) -> None:
        self.watcher.batch(epoch, batch)

    def epoch(self, row: dict) -> None:
        self.rows.append(self.mine | row)
        rundir.put(self.folder, history=as_csv(self.rows))
        self.watcher.epoch(row)


def over_seeds(values: list[float | None]) -> dict:
    """Mean and spread as metrics.json has them; nulls if a seed diverged (None)."""
    result = spread(values)
    return {"mean": result.mean, "std": result.std, "values": list(result.values)}


def summary(study: Study, members: list[Member], problems: dict[str, Problem], folder: Path) -> dict:
    """The scores of all models (mean and spread over seeds) and baselines, and the verdict."""
    entries: dict[str, dict] = {}
    for entry in dict.fromkeys(member.entry for member in members):
        fits = list(fits_of(entry, members, folder).values())
        entries[entry] = {
            **{part: over_seeds([fit[part] and fit[part]["value"] for fit in fits]) for part in PARTS},
            "normalised": {
                part: spread([fit[part] and fit[part]["loss"] for fit in fits]).mean for part in PARTS
            },
            "best_epochs": [fit["best_epoch"] for fit in fits],
            "seconds_per_epoch": float(np.median([fit["seconds_per_epoch"] for fit in fits])),
            "parameters": fits[0]["parameters"],
        }
    baselines: dict[str, dict] = {}
    names: dict[str, str] = {}
    for variant, problem in problems.items():
        for name, forecasts in problem.baselines.items():
            entry = f"{name}_{variant}" if variant else name
            scores = {key: problem.score(forecasts[part], part) for key, part in PARTS.items()}
            baselines[entry] = {
                **{part: score["value"] for part, score in scores.items()},
                "normalised": {part: score["loss"] for part, score in scores.items()},
            }
            names[entry] = f"{words(name)}, {variant}" if variant else words(name)
    metric = next(iter(problems.values())).metric
    result = {
        "kind": "study",
        "run": str(folder),
        "study": study.name,
        "metric": metric.name,
        "unit": metric.unit,
        "higher_is_better": metric.higher_is_better,
        "models": entries,
        "baselines": baselines,
        "names": names,
    }
    return result | {"verdict": verdict.verdict(study, result)}


def fits_of(entry: str, members: list[Member], folder: Path) -> dict[str, dict]:
    """What `train_member` recorded of each seed of a model, by the seed's file name."""
    files = [member.file for member in members if member.entry == entry]
    return {file: read_json(folder / "fits" / f"{file}.json") for file in files}


def write_predictions(
    study: Study, members: list[Member], problems: dict[str, Problem], folder: Path
) -> None:
    """Add each model's predictions of the test part to `predictions.npz`: of the seed best on validation."""
    problem = problems.get("")
    if problem is None or "predictions" not in problem.files:
        return
    arrays = dict(problem.files["predictions"])
    for entry in dict.fromkeys(member.entry for member in members):
        fits = fits_of(entry, members, folder)
        scores = {file: fit["validation"]["value"] for file, fit in fits.items() if fit["validation"]}
        if not scores:
            continue
        best = (max if problem.metric.higher_is_better else min)(scores, key=scores.get)
        test = rundir.read_arrays(folder / "fits" / f"{best}.npz")["test"]
        arrays[f"{ARRAY_NAMES[study.kind]}:{entry}"] = problem.physical(test)
    rundir.put(folder, predictions=arrays)
