"""A run: a study carried out into a directory that tells everything.

    run.json          question, command, versions, machine, data fingerprint, notes, state (running, finished)
    study.toml        the study as it ran, to be run again
    preparation.json  what prediction needs: columns, scaling, vocabulary
    history.csv       a row for each model, seed and epoch
    metrics.json      what `--json` prints
    models/           NAME-seedS.keras, the best epoch by validation
    fits/             figures and forecasts of each finished model and seed; checkpoints of unfinished ones
    series.npz, predictions.npz   what the plots show
    plots/            PNG and SVG (drawn by `sunhwan.report` from the files above)

Every file is written whole or not at all.
"""

from __future__ import annotations

import csv
import io
import os
import platform
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import numpy as np
import tomli_w

from sunhwan import __version__, units
from sunhwan.errors import SunhwanError
from sunhwan.experiments import adding, forecasting, texts
from sunhwan.experiments.problem import Problem
from sunhwan.experiments.study import Study, load
from sunhwan.files import atomic, read_json, write_json, write_text

PROBLEMS = {"forecast": forecasting.problem, "text": texts.problem, "adding": adding.problem}
PACKAGES = ("keras", "jax", "numpy", "scipy", "polars", "scikit-learn", "matplotlib")
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


def resumable(study: str, out: Path | None) -> tuple[Path, Study]:
    """An unfinished or finished run to go on with, and its study: in `out`, or the study's latest under `runs/`.

    Raises:
        SunhwanError: there is no such run, or it is one of another study.
    """
    folder = out or latest_unfinished(study)
    known = folder / "study.toml"
    if not known.is_file():
        raise SunhwanError(f"{str(folder)!r} holds no run to resume; leave out --resume to begin one there")
    kept = load(str(known))
    if kept.name != study:
        raise SunhwanError(f"{str(folder)!r} holds a run of study {kept.name!r}, not of {study!r}; name that study")
    return folder, kept


def start(study: Study, out: Path | None, command: list[str], declared_epochs: int) -> Path:
    """A new run directory with `run.json` and `study.toml` in it.

    Args:
        study: as it will run.
        out: where; by default a new folder under `runs/` named by study and time.
        command: the command line, for the record.
        declared_epochs: of the study's file; fewer are called a demonstration.

    Raises:
        SunhwanError: the directory exists.
    """
    folder = out or Path("runs") / f"{study.name}-{datetime.now():%Y%m%d-%H%M%S}"
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise SunhwanError(
            f"{str(folder)!r} exists already; name another directory with --out, or go on with it by --resume"
        )
    folder.mkdir(parents=True, exist_ok=True)
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
        "versions": {"sunhwan": __version__, "python": platform.python_version()}
        | {name: version(name) for name in PACKAGES},
        "machine": {"system": platform.platform(), "processor": processor(), "cores": os.cpu_count()},
    }
    # study.toml last: with it the directory counts as a run that can be resumed.
    write_json(folder / "run.json", record)
    write_text(folder / "study.toml", tomli_w.dumps(study.as_dict()))
    return folder


def discard_if_unbegun(folder: Path) -> None:
    """Remove a run directory in which nothing was trained: an error in the data should leave nothing behind."""
    leavings = {"run.json", "study.toml", "preparation.json", "series.npz", "predictions.npz"}
    if {entry.name for entry in folder.iterdir()} <= leavings:
        for entry in folder.iterdir():
            entry.unlink()
        folder.rmdir()


def outline(study: Study) -> Problem:
    """A problem to build a model for; with data only where the model's shape depends on it."""
    if study.kind == "text":
        return texts.outline(study)
    return next(iter(PROBLEMS[study.kind](study).values()))


def latest_unfinished(study: str) -> Path:
    """The latest run of a study under `runs/` that did not finish."""
    for folder in reversed(found()):
        record = read_json(folder / "run.json")
        if record.get("study") == study and record.get("state") != "finished":
            return folder
    raise SunhwanError(f"there is no unfinished run of {study!r} under runs/; leave out --resume, or name it with --out")


def found(under: Path = Path("runs")) -> list[Path]:
    """Run directories under a folder, oldest first."""
    records = [(read_json(path).get("started", ""), path.parent) for path in under.glob("*/run.json")]
    return [folder for _, folder in sorted(records)]


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def processor() -> str:
    """The processor's name where the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def carry_out(study: Study, folder: Path, watcher=None) -> dict:
    """Prepare, train every model with every seed that is not done yet, and write the figures.

    Args:
        study: the study.
        folder: from `start`.
        watcher: a `train.Watcher`, told of batches and epochs; its `prepared` of the notes.

    Returns:
        What `metrics.json` holds.
    """
    # Keras is slow to import, so not at the top: listing and showing studies must not wait for it.
    from sunhwan.experiments import models

    for name in study.models:
        models.check(study.kind, name, study.options(name))
    problems = PROBLEMS[study.kind](study)
    record = read_json(folder / "run.json")
    fingerprint = {variant: problem.fingerprint for variant, problem in problems.items()}
    if record.setdefault("data", {"name": study.data.get("name"), "sha256": fingerprint})["sha256"] != fingerprint:
        raise SunhwanError(
            f"the data is not what {str(folder)!r} began with (its SHA-256 differs); begin a new run, or give the old data"
        )
    metric = next(iter(problems.values())).metric
    record |= {"metric": metric.name, "unit": metric.unit, "keras_backend": models.keras.backend.backend()}
    record["notes"] = [note for problem in problems.values() for note in problem.notes]
    write_json(folder / "run.json", record)
    for problem in problems.values():
        keep(folder, problem.files)
    if watcher:
        watcher.prepared(record["notes"])

    members = [
        Member(model, variant, seed) for variant in problems for model in study.models for seed in range(study.seeds)
    ]
    for member in members:
        if not (folder / "fits" / f"{member.file}.json").exists():
            train_member(study, member, problems[member.variant], folder, watcher)
    metrics = summary(study, members, problems, folder)
    write_predictions(study, members, problems, folder)
    write_json(folder / "metrics.json", metrics)
    record |= {"state": "finished", "finished": now()}
    write_json(folder / "run.json", record)
    return metrics


def keep(folder: Path, contents: dict[str, dict]) -> None:
    """Write JSON objects and dictionaries of arrays under their file names."""
    for name, value in contents.items():
        if name.endswith(".npz"):
            with atomic(folder / name) as temporary:
                np.savez_compressed(temporary, **value)
        else:
            write_json(folder / name, value)


def train_member(study: Study, member: Member, problem: Problem, folder: Path, watcher) -> None:
    """Train one model with one seed; leave its figures and forecasts in `fits/`, its epochs in `history.csv`."""
    from sunhwan.experiments import train

    schedule = train.Schedule(
        study.epochs_of(member.model), study.batch_size, study.steps_per_epoch, member.seed
    )
    watcher = HistoryWriter(watcher or train.Nobody(), member, folder / "history.csv")
    model, progress = train.fit(
        member.model, member.file, study.kind, problem, study.options(member.model), schedule, folder, watcher
    )
    forecasts = {part: train.forecast(model, getattr(problem, part)) for part in ("val", "test")}
    with atomic(folder / "fits" / f"{member.file}.npz") as temporary:
        np.savez_compressed(temporary, **forecasts)
    scores = {part: problem.score(said, part) for part, said in forecasts.items()}
    # The first epoch compiles; it would make short runs look slow.
    seconds = [row["seconds"] for row in progress.rows]
    write_json(
        folder / "fits" / f"{member.file}.json",
        {
            "best_epoch": progress.best_epoch,
            "val": scores["val"],
            "test": scores["test"],
            "seconds_per_epoch": float(np.median(seconds[1:] or seconds)),
            "parameters": int(model.count_params()),
        },
    )
    (folder / "fits" / f"{member.file}.checkpoint.npz").unlink(missing_ok=True)


class HistoryWriter:
    """A watcher that writes each epoch's row into `history.csv` and passes everything on."""

    def __init__(self, watcher, member: Member, path: Path):
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
        text = io.StringIO()
        writer = csv.DictWriter(text, list(self.rows[-1]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(self.rows)
        write_text(self.path, text.getvalue())
        self.watcher.epoch(row)


def read_rows(path: Path) -> list[dict]:
    """The rows of a `history.csv`, or none."""
    if not path.exists():
        return []
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def summary(study: Study, members: list[Member], problems: dict[str, Problem], folder: Path) -> dict:
    """The figures of all models (mean and spread over seeds) and baselines, and who won."""
    entries: dict[str, dict] = {}
    for entry in dict.fromkeys(member.entry for member in members):
        fits = [read_json(folder / "fits" / f"{m.file}.json") for m in members if m.entry == entry]
        entries[entry] = {
            "val": spread([fit["val"]["value"] for fit in fits]),
            "test": spread([fit["test"]["value"] for fit in fits]),
            "normalised": {part: float(np.mean([fit[part]["loss"] for fit in fits])) for part in ("val", "test")},
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
    return result | {"headline": headline(study, result, {name: p.metric for name, p in problems.items()})}


def spread(values: list[float]) -> dict:
    """Mean and, with two seeds or more, sample standard deviation over seeds."""
    return {
        "mean": float(np.mean(values)),
        "std": float(np.std(values, ddof=1)) if len(values) > 1 else None,
        "values": values,
    }


def headline(study: Study, result: dict, metrics: dict) -> str:
    """One sentence that says who won, networks and baselines alike."""
    metric = next(iter(metrics.values()))
    if study.kind == "adding":
        return adding_headline(result)
    sign = -1 if metric.higher_is_better else 1
    networks = {name: entry["test"]["mean"] for name, entry in result["models"].items()}
    baselines = {name: entry["test"] for name, entry in result["baselines"].items()}
    everyone = networks | baselines
    order = sorted(everyone, key=lambda name: sign * everyone[name])
    winner, figure = order[0], everyone[order[0]]
    rivals = baselines if winner in networks else networks
    if not rivals:
        return f"{winner} is best: {shown(figure, metric.name, metric.unit)} on the test part."
    rival = min(rivals, key=lambda name: sign * rivals[name])
    who = "no network beats the baselines: the baseline" if winner in baselines else "the network"
    behind = "best baseline" if winner in networks else "best network"
    return (
        f"On the test part {who} {winner} is best with {shown(figure, metric.name, metric.unit)}; "
        f"the {behind}, {rival}, has {figure_of(rivals[rival], metric.name, metric.unit)}."
    )


def shown(value: float, metric: str, unit: str) -> str:
    """A figure with its metric, as people read it.

    Example:
        >>> shown(2.2812, "mae", "degC"), shown(0.8769, "accuracy", "accuracy")
        ('a mean absolute error of 2.28 °C', 'an accuracy of 0.877')
    """
    name = {"mae": "a mean absolute error", "accuracy": "an accuracy", "mse": "a mean squared error"}[metric]
    return f"{name} of {figure_of(value, metric, unit)}"


def figure_of(value: float, metric: str, unit: str) -> str:
    """A figure as people read it: three digits and the unit, or an accuracy's three decimals."""
    if metric == "mae":
        return f"{value:.3g} {units.shown(unit)}"
    return f"{value:.3f}" if metric == "accuracy" else f"{value:.4f}"


def adding_headline(result: dict) -> str:
    """Up to which length each layer solved the adding problem (mean squared error under 0.01)."""
    solved: dict[str, list[int]] = {}
    for name, entry in result["models"].items():
        model, length = name.rsplit("_", 1)
        solved.setdefault(model, [])
        if entry["test"]["mean"] < 0.01:
            solved[model].append(int(length))
    reached = [f"{model} up to {max(lengths)} timesteps" if lengths else f"{model} at no length" for model, lengths in solved.items()]
    return "Solved (mean squared error under 0.01; saying the mean gives 0.167): " + ", ".join(reached) + "."


def write_predictions(study: Study, members: list[Member], problems: dict[str, Problem], folder: Path) -> None:
    """Add to `predictions.npz` what each model says of the test part, by the seed that did best on validation."""
    problem = problems.get("")
    if problem is None or "predictions.npz" not in problem.files:
        return
    arrays = dict(problem.files["predictions.npz"])
    for entry in dict.fromkeys(member.entry for member in members):
        fits = {m.file: read_json(folder / "fits" / f"{m.file}.json") for m in members if m.entry == entry}
        sign = -1 if problem.metric.higher_is_better else 1
        best = min(fits, key=lambda file: sign * fits[file]["val"]["value"])
        with np.load(folder / "fits" / f"{best}.npz") as said:
            arrays[f"{ARRAY_NAMES[study.kind]}:{entry}"] = problem.physical(said["test"])
    keep(folder, {"predictions.npz": arrays})
