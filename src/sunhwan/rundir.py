"""The run directory, the only place that knows its format: written once, checked, and read on any machine.

Every run:

    run.json          kind, command, options, versions, machine, data, notes, state, checksums of the rest
    metrics.json      scores and verdict: what `--json` prints
    history.csv       a row for each network (of a study: each model and seed) and epoch
    predictions.npz   the actual values of the test part, and what each model predicted

A run of `forecast` or `classify`:

    model.json        what predicts, in words and numbers: preparation, structure, calibration
    model.npz         its arrays
    search.csv        of a search, a row for each setting that was tried
    health.json       of a forecast: gaps, stuck values and drift of each column
    readings.csv      of `sunhwan.Forecaster.save`: the latest readings of each series
    mistakes.json     of a classifier: its most confident mistakes

A study, which writes into its directory while it trains, and can be resumed:

    study.toml        the study as it ran, to be run again
    series.npz        of a forecast: the whole series, and where its parts begin
    models/           NAME-seedS.keras, the best epoch by validation
    fits/             scores and predictions of each finished model and seed; checkpoints of unfinished ones
    plots/            pictures; see `sunhwan.report.pictures.plots`

Nothing that is read back to predict is code: JSON, CSV, and arrays of numbers, which are read with
`allow_pickle=False`. `run.json` holds the checksums of the other files, so that a file that was altered or
half copied is refused.
"""

from __future__ import annotations

import contextlib
import csv
import hashlib
import shlex
import zipfile
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from sunhwan.errors import SunhwanError
from sunhwan.files import read_json, refuse_taken, whole_folder, write_arrays, write_json, write_text
from sunhwan.provenance import machine, now, versions

FORMAT = 2
"""Raised whenever an older Sunhwan could not read a run, or this one could not read an older run."""

KINDS = ("study", "forecast", "classify")

FILES = {
    "run": "run.json",
    "metrics": "metrics.json",
    "history": "history.csv",
    "predictions": "predictions.npz",
    "model": "model.json",
    "arrays": "model.npz",
    "search": "search.csv",
    "health": "health.json",
    "readings": "readings.csv",
    "mistakes": "mistakes.json",
    "study": "study.toml",
    "series": "series.npz",
}
"""What a run may hold, by the names that `write`, `begin` and `Run.read` take, and the file of each."""

REQUIRED = ("kind", "state", "started", "data", "versions")
"""What `run.json` always has."""

AGAIN = "copy the whole run directory again, or make the run again"


def record(
    kind: str,
    command: Sequence[str],
    options: Mapping,
    data: Mapping[str, str],
    started: str | None = None,
) -> dict:
    """What is known of a run besides its results.

    Args:
        kind: one of `KINDS`.
        command: the command line, or `[]` from Python.
        options: as they were given.
        data: the SHA-256 of each file or data set, by name.
        started: when the run began, from `provenance.now`; by default now.
    """
    return {
        "kind": kind,
        "format": FORMAT,
        "started": started or now(),
        "command": list(command),
        "options": dict(options),
        "data": dict(data),
        "versions": versions(),
        "machine": machine(),
    }


def write(folder: Path, known: Mapping, model: Mapping, arrays: Mapping[str, np.ndarray], **contents) -> None:
    """Write a whole run; after an error nothing is left of it.

    Args:
        folder: from `files.new_run`.
        known: from `record`, with what was found out.
        model, arrays: what predicts; see `read`.
        contents: the other files by their names in `FILES`.
    """
    with whole_folder(folder):
        put(folder, model=model, arrays=arrays, **contents)
        # run.json last: with it the directory counts as a run.
        finish(Run(folder, dict(known)))


def begin(folder: Path, known: Mapping, remedy: str = "", **contents) -> None:
    """Write the directory of a run that goes on writing into it; after an error nothing is left of it.

    Args:
        folder: from `files.new_run`.
        known: from `record`, with all that is known before training.
        remedy: what can be done besides naming another folder, where something is there already.
        contents: files by their names in `FILES`.

    Raises:
        SunhwanError: the directory holds something.
    """
    refuse_taken(folder, remedy)
    with whole_folder(folder):
        put(folder, **contents)
        put(folder, run={**known, "state": "running"})


def finish(run: Run, **changes) -> None:
    """Record that a run is finished, with the checksums of its files.

    Args:
        run: the run.
        changes: what else is known by now.
    """
    known = {*FILES.values()} - {FILES["run"]}
    sums = {
        path.relative_to(run.folder).as_posix(): checksum(path)
        for path in sorted(run.folder.rglob("*"))
        if path.is_file() and (path.name in known or path.parent.name in ("models", "fits"))
    }
    put(run.folder, run={**run.record, **changes, "finished": now(), "state": "finished", "sha256": sums})


def put(folder: Path, **contents) -> None:
    """Write files of a run by their names in `FILES`: objects as JSON, arrays as .npz, texts as they are."""
    for name, content in contents.items():
        path = folder / FILES[name]
        if path.suffix == ".npz":
            write_arrays(path, content)
        elif path.suffix == ".json":
            write_json(path, content)
        else:
            write_text(path, content)


def checksum(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@dataclass(frozen=True)
class Run:
    """A run directory.

    Attributes:
        folder: the directory.
        record: `run.json`.
    """

    folder: Path
    record: dict

    @property
    def kind(self) -> str:
        """One of `KINDS`."""
        return self.record["kind"]

    @property
    def finished(self) -> bool:
        """Whether it is; a study may be running, or stopped."""
        return self.record["state"] == "finished"

    @property
    def resume(self) -> str:
        """The command that continues a study."""
        study, folder = shlex.quote(str(self.path("study"))), shlex.quote(str(self.folder))
        return f"sunhwan study run {study} --resume --out {folder}"

    @cached_property
    def metrics(self) -> dict:
        """`metrics.json`."""
        return self.read("metrics")

    @cached_property
    def history(self) -> list[dict[str, str]]:
        """`history.csv`, a dictionary for each row."""
        return self.read("history")

    def path(self, name: str) -> Path:
        """Where the file of a name in `FILES` is, or would be."""
        return self.folder / FILES[name]

    def has(self, name: str) -> bool:
        """Whether the run has the file of a name in `FILES`."""
        return self.path(name).is_file()

    def read(self, name: str, expected: Collection[str] = ()) -> dict | list[dict[str, str]]:
        """A file by its name in `FILES`: a JSON object, rows of a CSV file, or arrays of an .npz file.

        Args:
            name: in `FILES`.
            expected: the columns or arrays that it must have.

        Raises:
            SunhwanError: the file is missing, cannot be read, or lacks what is expected.
        """
        path = self.path(name)
        if not path.is_file():
            raise SunhwanError(f"{str(self.folder)!r} has no {path.name}; {AGAIN}")
        if path.suffix == ".json":
            return read_json(path)
        content = read_rows(path, expected) if path.suffix == ".csv" else read_arrays(path)
        missing = [] if path.suffix == ".csv" else [key for key in expected if key not in content]
        if missing:
            raise SunhwanError(f"{str(path)!r} has no array {', '.join(missing)}; {AGAIN}")
        return content

    def verify(self, *names: str) -> None:
        """Compare files with their checksums.

        Args:
            names: in `FILES`, of files that must be there; by default all files that are there.

        Raises:
            SunhwanError: a file is missing, or is not as the run wrote it.
        """
        with reading("run.json"):
            sums = {file: str(digest) for file, digest in self.record.get("sha256", {}).items()}
        for file in [FILES[name] for name in names] or sums:
            path = self.folder / file
            if names and not path.is_file():
                raise SunhwanError(f"{str(self.folder)!r} has no {file}; {AGAIN}")
            if path.is_file() and checksum(path) != sums.get(file):
                raise SunhwanError(
                    f"{str(path)!r} was changed after the run wrote it (its SHA-256 differs from that in "
                    f"run.json); {AGAIN}"
                )


def load(folder: Path) -> Run:
    """A run directory.

    Raises:
        SunhwanError: the folder is not a run directory, or one of another format.
    """
    if not folder.is_dir():
        raise SunhwanError(
            f"there is no run directory {str(folder)!r}; `sunhwan runs` lists those under runs/"
        )
    path = folder / FILES["run"]
    if not path.is_file():
        raise SunhwanError(
            f"{str(folder)!r} has no run.json, so it is not a run directory; `sunhwan runs` lists those "
            "under runs/"
        )
    known = read_json(path)
    written, kind = known.get("format"), known.get("kind")
    if written != FORMAT and (kind in KINDS or "task" in known or "study" in known):
        with reading("run.json"):
            version = dict(known.get("versions", {})).get("sunhwan", "of another version")
        newer = isinstance(written, int) and written > FORMAT
        remedy = "update sunhwan (pip install -U sunhwan)" if newer else "remove it"
        raise SunhwanError(
            f"{str(path)!r} was written by sunhwan {version} in format {written!r}; this version reads "
            f"format {FORMAT}: {remedy}, or make the run again"
        )
    if kind not in KINDS:
        raise SunhwanError(
            f"{str(path)!r} names the kind {kind!r}; expected one of {', '.join(KINDS)}: restore the file, "
            "or make the run again"
        )
    for key in REQUIRED:
        if key not in known:
            raise SunhwanError(f"{str(path)!r} lacks {key!r}, which every run has; restore or remove it")
    return Run(folder, known)


def is_run(folder: Path) -> bool:
    """Whether a folder looks like a run directory, readable or not."""
    beside = ("study", "model")
    return (folder / FILES["run"]).is_file() and any((folder / FILES[name]).is_file() for name in beside)


def runs(under: Path) -> tuple[list[Run], list[SunhwanError]]:
    """The runs in a folder, oldest first; and why others cannot be read."""
    readable, errors = [], []
    for path in sorted(under.glob(f"*/{FILES['run']}")):
        if is_run(path.parent):
            try:
                readable.append(load(path.parent))
            except SunhwanError as error:
                errors.append(error)
    return sorted(readable, key=lambda run: run.record["started"]), errors


def kind_of(folder: Path) -> str:
    """The kind of a run that predicts.

    Raises:
        SunhwanError: see `load`; or it is a study.
    """
    run = load(folder)
    if run.kind == "study":
        target = run.record.get("target")
        train = f"sunhwan forecast FILE --target {shlex.quote(target)}" if target else "sunhwan classify FILE"
        raise SunhwanError(
            f"{str(folder)!r} is the run of a study, which compares models and does not predict; to predict "
            f"from a file of yours, train on it with `{train}`"
        )
    return run.kind


def began(folder: Path) -> str:
    """When a run began, as `record` has it."""
    return load(folder).record["started"]


def read(folder: Path, kind: str) -> tuple[dict, dict[str, np.ndarray]]:
    """The model that a run holds: `model.json` and the arrays of `model.npz`.

    Raises:
        SunhwanError: it is a run of another kind or format, or a file is missing or altered.
    """
    actual = kind_of(folder)
    if actual != kind:
        raise SunhwanError(f"{str(folder)!r} is a run of `{actual}`; expected one of `{kind}`")
    run = load(folder)
    run.verify("model", "arrays")
    return run.read("model"), read_arrays(run.path("arrays"), texts=False)


@contextlib.contextmanager
def reading(what: str, *folders: Path) -> Iterator[None]:
    """Within it, what a saved file lacks, or has in another shape, is a `SunhwanError`.

    Args:
        what: is read.
        folders: the run directories that it is from.
    """
    try:
        yield
    except (
        LookupError,
        TypeError,
        ValueError,
        AttributeError,
        ArithmeticError,
        csv.Error,
    ) as error:
        of = f" of {' or '.join(repr(str(folder)) for folder in folders)}" if folders else ""
        raise SunhwanError(
            f"the saved {what}{of} cannot be read ({type(error).__name__}: {error}); {AGAIN}"
        ) from error


def read_rows(path: Path, expected: Collection[str] = ()) -> list[dict[str, str]]:
    """The rows of a CSV file.

    Raises:
        SunhwanError: a column is missing.
    """
    with reading(path.name, path.parent), open(path, encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file)
        missing = sorted(set(expected) - set(reader.fieldnames or ()))
        rows = list(reader)
    if missing:
        raise SunhwanError(f"{str(path)!r} has no column {', '.join(missing)}; {AGAIN}")
    return rows


def read_arrays(path: Path, texts: bool = True) -> dict[str, np.ndarray]:
    """The arrays of an .npz file; one that could only be read by running code is refused.

    Args:
        path: the file.
        texts: whether arrays of texts and times are allowed besides numbers.

    Raises:
        SunhwanError: it is not an .npz file of plain arrays.
    """
    try:
        with np.load(path, allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
            if texts or all(array.dtype.kind in "biuf" for array in arrays.values()):
                return arrays
            raise ValueError("texts")
    except (ValueError, OSError, EOFError, KeyError, AttributeError, zipfile.BadZipFile):
        # Not NumPy's own words, which advise to allow pickle.
        expected = "plain arrays of numbers, times and texts" if texts else "plain arrays of numbers"
        raise SunhwanError(f"{str(path)!r} cannot be read; expected {expected}: {AGAIN}") from None
