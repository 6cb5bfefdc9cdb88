"""A run: a study carried out into a directory that tells everything.

    run.json          question, command, versions, machine, data fingerprint, notes, state (running, finished)
    study.toml        the study as it ran, to be run again
    preparation.json  what prediction needs: columns, scaling, vocabulary
    history.csv       a row for each model, seed and epoch
    metrics.json      what `--json` prints
    models/           NAME-seedS.keras, the best epoch by validation
    fits/             figures and forecasts of each finished model and seed; checkpoints of unfinished ones
    series.npz        the target over time
    predictions.npz   truth and what each model and baseline says of the test part
    plots/            PNG and SVG (drawn by `sunhwan.report` from the files above)

Every file is written whole or not at all; one named .writing-* is of a process that was killed meanwhile.
The directory is made when the data is prepared, so an error in the data leaves nothing behind.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import tomli_w

from sunhwan import native
from sunhwan.errors import SunhwanError
from sunhwan.evaluation.significance import spread
from sunhwan.files import (
    WRITING,
    as_csv,
    new_run,
    read_json,
    refuse_taken,
    whole_folder,
    write_arrays,
    write_json,
    write_text,
)
from sunhwan.provenance import machine, now, versions
from sunhwan.recurrence.keras.accelerate import accelerated
from sunhwan.studies import adding, forecasting, texts, verdict
from sunhwan.studies.problem import Problem
from sunhwan.studies.study import Study, load

if TYPE_CHECKING:
    from sunhwan.training.progress import Watcher

PROBLEMS = {"forecast": forecasting.problem, "text": texts.problem, "adding": adding.problem}
RESUME = ", or go on with it by --resume"
"""What can be done where a run's folder is taken."""

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
    """Where a new run will go: `out`, or a folder under `runs/` named by study and time. Nothing is made yet.

    Raises:
        SunhwanError: something is there already, or no folder can be made there.
    """
    return new_run(study.name, out, RESUME)


def begun(folder: Path) -> bool:
    """Whether the folder holds a run that can be resumed."""
    return (folder / "study.toml").is_file() and (folder / "run.json").is_file()


def resumable(study: str, out: Path | None) -> tuple[Path, Study]:
    """A run to go on with, and its study: in `out`, or the study's latest unfinished under `runs/`.

    Raises:
        SunhwanError: there is no such run, or it is one of another study.
    """
    folder = out or latest_unfinished(study)
    if not begun(folder):
        raise SunhwanError(f"{str(folder)!r} holds no run to resume; leave out --resume to begin one there")
    kept = load(str(folder / "study.toml"))
    if kept.name != study:
        raise SunhwanError(
            f"{str(folder)!r} holds a run of study {kept.name!r}, not of {study!r}; name that study"
        )
    return folder, kept


def begin(
    study: Study, problems: dict[str, Problem], folder: Path, command: list[str], declared_epochs: int
) -> None:
    """Make the run directory with all that is known before training; after an error nothing is left of it.

    Raises:
        SunhwanError: the directory holds something.
    """
    import keras

    metric = next(iter(problems.values())).metric
    record = {
        "study": study.name,
        "kind": study.kind,
        "question": study.question,
        "state": "running",
        "started": now(),
        "command": command,
        "epochs": study.epochs,
        "few_epochs": study.epochs < declared_epochs,
        "declared_epochs": declared_epochs,
        "seeds": study.seeds,
        "steps_per_epoch": study.steps_per_epoch,
        "target": study.prepare.get("target", ""),
        "metric": metric.name,
        "unit": metric.unit,
        "data": {"name": study.data["name"], "sha256": fingerprints(problems)},
        "notes": [note for problem in problems.values() for note in problem.notes],
        "versions": versions(),
        "keras_backend": keras.backend.backend(),
        "kernels": native.reason() or native.isa(),
        "machine": machine(),
    }
    refuse_taken(folder, RESUME)
    with whole_folder(folder):
        write_json(folder / "run.json", record)
        for problem in problems.values():
            keep(folder, problem.files)
        # study.toml last: with it the directory counts as a run that can be resumed.
        write_text(folder / "study.toml", tomli_w.dumps(study.as_dict()))


def fingerprints(problems: dict[str, Problem]) -> dict[str, str]:
    """The SHA-256 of each variant's data."""
    return {variant: problem.fingerprint for variant, problem in problems.items()}


def outline(study: Study) -> Problem:
    """A problem to build a model for; with data only where the model's shape depends on it."""
    if study.kind == "text":
        return texts.outline(study)
    return next(iter(PROBLEMS[study.kind](study).values()))


def latest_unfinished(study: str) -> Path:
    """The latest run of a study under `runs/` that did not finish."""
    for folder, record in reversed(found().items()):
        if record["study"] == study and record["state"] != "finished":
            return folder
    raise SunhwanError(
        f"there is no unfinished run of {study!r} under runs/; leave out --resume, or name it with --out"
    )


def record_of(folder: Path) -> dict:
    """What a run's `run.json` says.

    Raises:
        SunhwanError: it is not as `begin` writes it.
    """
    record = read_json(folder / "run.json")
    for key in ("study", "started", "state", "data", "keras_backend", "versions"):
        if key not in record:
            raise SunhwanError(
                f"{str(folder / 'run.json')!r} lacks {key!r}, which every run has; restore or remove it"
            )
    return record


def found(under: Path = Path("runs")) -> dict[Path, dict]:
    """The runs under a folder and what their `run.json` says, oldest first."""
    records = {path.parent: record_of(path.parent) for path in under.glob("*/run.json") if begun(path.parent)}
    return dict(sorted(records.items(), key=lambda item: (item[1]["started"], item[0])))


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
    if not begun(folder):
        begin(study, problems, folder, list(command), declared_epochs)
    record = record_of(folder)
    if record["data"]["sha256"] != fingerprints(problems):
        raise SunhwanError(
            f"the data is not what {str(folder)!r} began with (its SHA-256 differs); "
            "begin a new run, or give the old data"
        )
    backend = models.keras.backend.backend()
    if record["keras_backend"] != backend:
        raise SunhwanError(
            f"{str(folder)!r} began on Keras's backend {record['keras_backend']}, but this is {backend}; "
            f"go on with it under KERAS_BACKEND={record['keras_backend']}"
        )
    for left in folder.rglob(f"{WRITING}*"):
        left.unlink()
    if watcher:
        watcher.prepared(record["notes"])

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
    write_json(folder / "metrics.json", metrics)
    # Under other versions a resumed run need not end with the same bits: the record says so.
    resumed = {} if record["versions"] == versions() else {"resumed_with": versions()}
    write_json(folder / "run.json", record | resumed | {"state": "finished", "finished": now()})
    return metrics


def keep(folder: Path, contents: dict[str, dict]) -> None:
    """Write JSON objects and dictionaries of arrays under their file names."""
    for name, value in contents.items():
        if name.endswith(".npz"):
            write_arrays(folder / name, value)
        else:
            write_json(folder / name, value)


def train_member(
    study: Study, member: Member, problem: Problem, folder: Path, watcher: Watcher | None
) -> None:
    """Train one model with one seed; leave its figures and forecasts in `fits/`, its epochs in `history.csv`.

    The figures of a model that diverged are null: JSON has no NaN, and the other models must not suffer.
    """
    from sunhwan.studies import train
    from sunhwan.training.batches import Schedule
    from sunhwan.training.progress import Nobody

    schedule = Schedule(study.epochs_of(member.model), study.batch_size, study.steps_per_epoch, member.seed)
    watcher = HistoryWriter(watcher or Nobody(), member, folder / "history.csv")
    model, progress = train.fit(
        member.model, member.file, study.kind, problem, study.options(member.model), schedule, folder, watcher
    )
    forecasts = {part: train.forecast(model, getattr(problem, part)) for part in ("val", "test")}
    write_arrays(folder / "fits" / f"{member.file}.npz", forecasts)
    scores = {part: problem.score(said, part) for part, said in forecasts.items()}
    finite = all(math.isfinite(figure) for score in scores.values() for figure in score.values())
    # The first epoch compiles; it would make short runs look slow.
    seconds = [row["seconds"] for row in progress.rows]
    write_json(
        folder / "fits" / f"{member.file}.json",
        {
            "best_epoch": progress.best_epoch if finite else None,
            "val": scores["val"] if finite else None,
            "test": scores["test"] if finite else None,
            "seconds_per_epoch": float(np.median(seconds[1:] or seconds)),
            "parameters": int(model.count_params()),
        },
    )
    (folder / "fits" / f"{member.file}.checkpoint.npz").unlink(missing_ok=True)


class HistoryWriter:
    """A watcher that writes each epoch's row into `history.csv` and passes everything on."""

    def __init__(self, watcher: Watcher, member: Member, path: Path):
        self.watcher, self.member, self.path = watcher, member, path
        self.mine = {"model": member.entry, "seed": str(member.seed)}
        # Rows of this model from before an interruption come again out of its checkpoint.
        self.rows = [row for row in read_rows(path) if {k: row[k] for k in self.mine} != self.mine]

    def begin(self, member: str, epochs: int, batches: int) -> None:
        self.watcher.begin(member, epochs, batches)

    def batch(self, epoch: int, batch: int) -> None:
        self.watcher.batch(epoch, batch)

    def epoch(self, row: dict) -> None:
        self.rows.append(self.mine | row)
        write_text(self.path, as_csv(self.rows))
        self.watcher.epoch(row)


def read_rows(path: Path) -> list[dict]:
    """The rows of a `history.csv`, or none."""
    if not path.exists():
        return []
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def over_seeds(values: list[float | None]) -> dict:
    """Mean and spread as metrics.json has them; nulls if a seed diverged (None)."""
    found = spread(values)
    return {"mean": found.mean, "std": found.std, "values": list(found.values)}


def summary(study: Study, members: list[Member], problems: dict[str, Problem], folder: Path) -> dict:
    """The figures of all models (mean and spread over seeds) and baselines, and who won."""
    entries: dict[str, dict] = {}
    for entry in dict.fromkeys(member.entry for member in members):
        fits = [read_json(folder / "fits" / f"{m.file}.json") for m in members if m.entry == entry]
        entries[entry] = {
            "val": over_seeds([fit["val"] and fit["val"]["value"] for fit in fits]),
            "test": over_seeds([fit["test"] and fit["test"]["value"] for fit in fits]),
            "normalised": {
                part: spread([fit[part] and fit[part]["loss"] for fit in fits]).mean
                for part in ("val", "test")
            },
            "best_epochs": [fit["best_epoch"] for fit in fits],
            "seconds_per_epoch": float(np.median([fit["seconds_per_epoch"] for fit in fits])),
            "parameters": fits[0]["parameters"],
        }
    baselines: dict[str, dict] = {}
    for variant, problem in problems.items():
        for name, forecasts in problem.baselines.items():
            scores = {part: problem.score(said, part) for part, said in forecasts.items()}
            baselines[f"{name}_{variant}" if variant else name] = {
                "val": scores["val"]["value"],
                "test": scores["test"]["value"],
                "normalised": {part: score["loss"] for part, score in scores.items()},
            }
    metric = next(iter(problems.values())).metric
    result = {
        "run": str(folder),
        "study": study.name,
        "metric": metric.name,
        "unit": metric.unit,
        "higher_is_better": metric.higher_is_better,
        "models": entries,
        "baselines": baselines,
    }
    return result | {"headline": verdict.headline(study, result)}


def write_predictions(
    study: Study, members: list[Member], problems: dict[str, Problem], folder: Path
) -> None:
    """Add what each model says of the test part to `predictions.npz`, by the seed best on validation."""
    problem = problems.get("")
    if problem is None or "predictions.npz" not in problem.files:
        return
    arrays = dict(problem.files["predictions.npz"])
    for entry in dict.fromkeys(member.entry for member in members):
        fits = {m.file: read_json(folder / "fits" / f"{m.file}.json") for m in members if m.entry == entry}
        figures = {file: fit["val"]["value"] for file, fit in fits.items() if fit["val"]}
        if not figures:
            continue
        best = (max if problem.metric.higher_is_better else min)(figures, key=figures.get)
        with np.load(folder / "fits" / f"{best}.npz") as said:
            arrays[f"{ARRAY_NAMES[study.kind]}:{entry}"] = problem.physical(said["test"])
    keep(folder, {"predictions.npz": arrays})
