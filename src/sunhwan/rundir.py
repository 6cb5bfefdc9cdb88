"""The run directory of a task: written once, and read back by itself on any machine.

    run.json          task, command, options, versions, machine, data fingerprint, notes, state, checksums
    model.json        what predicts, in words and numbers: preparation, structure, calibration
    model.npz         its arrays
    history.csv       a row for each network, seed and epoch
    search.csv        of a search, a row for each setting that was tried
    metrics.json      what `--json` prints
    health.json       of a forecast: its columns' gaps, stuck values and drift
    wrong.json        of a classifier: what it told wrong with the most confidence
    predictions.npz   truth, the model's and the baselines' answers on the test part

Nothing in it is code: JSON, CSV, and arrays of numbers that are read with `allow_pickle=False`. The checksums
of the other files stand in `run.json`, so that a file that was altered or half copied is refused, not used.
"""

from __future__ import annotations

import contextlib
import hashlib
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from sunhwan.errors import SunhwanError
from sunhwan.files import read_json, whole_folder, write_arrays, write_json, write_text
from sunhwan.provenance import machine, now, versions

FORMAT = 1
"""Of `model.json` and `model.npz`; raised when an older Sunhwan could not read them."""

MODEL = ("model.json", "model.npz")

TASKS = ("forecast", "classify")


def record(
    task: str,
    command: list[str],
    options: Mapping,
    data: Mapping[str, str],
    started: str | None = None,
) -> dict:
    """What is known of a run beside what came of it.

    Args:
        task: out of `TASKS`.
        command: the command line, or `[]` from Python.
        options: what was asked for.
        data: SHA-256 of each file, by the name that people call it.
        started: when it began, from `provenance.now`; by default it begins now.
    """
    return {
        "task": task,
        "format": FORMAT,
        "started": started or now(),
        "command": command,
        "options": dict(options),
        "data": dict(data),
        "versions": versions(),
        "machine": machine(),
    }


def write(folder: Path, known: Mapping, model: Mapping, arrays: Mapping[str, np.ndarray], **files) -> None:
    """Write a whole run; after an error nothing is left of it.

    Args:
        folder: from `files.new_run`.
        known: from `record`, with what came of it.
        model: `model.json`.
        arrays: `model.npz`.
        files: other files by name with `_` for the dot: dictionaries of arrays for `_npz`, objects for
            `_json`, texts for all else.
    """
    with whole_folder(folder):
        write_json(folder / "model.json", {"format": FORMAT, "task": known["task"], **model})
        write_arrays(folder / "model.npz", arrays)
        for name, content in files.items():
            path = folder / ".".join(name.rsplit("_", 1))
            if path.suffix == ".npz":
                write_arrays(path, content)
            elif path.suffix == ".json":
                write_json(path, content)
            else:
                write_text(path, content)
        # run.json last: with it the directory counts as a run.
        checksums = {path.name: checksum(path) for path in sorted(folder.iterdir())}
        ended = {"finished": now(), "state": "finished", "sha256": checksums}
        write_json(folder / "run.json", {**known, **ended})


@contextlib.contextmanager
def kept(what: str) -> Iterator[None]:
    """Within it, what a kept model lacks, or has in another shape, is a `SunhwanError`."""
    try:
        yield
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        raise SunhwanError(
            f"the kept {what} cannot be read ({type(error).__name__}: {error}); make the run anew"
        ) from None


def checksum(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def task_of(folder: Path) -> str:
    """What a run is of.

    Raises:
        SunhwanError: the folder is no run of a task, or one of a newer Sunhwan.
    """
    if not folder.is_dir():
        raise SunhwanError(f"there is no run directory {str(folder)!r}; give what --out named")
    if not (folder / "run.json").is_file():
        raise SunhwanError(
            f"{str(folder)!r} holds no run.json, so it is no run directory; give one that "
            "`sunhwan forecast` or `sunhwan classify` made"
        )
    known = read_json(folder / "run.json")
    if "study" in known:
        raise SunhwanError(
            f"{str(folder)!r} is the run of a study, which compares models and predicts nothing; make one "
            "with `sunhwan forecast` or `sunhwan classify`"
        )
    if known.get("task") not in TASKS:
        raise SunhwanError(
            f"{str(folder / 'run.json')!r} names the task {known.get('task')!r}; expected one of "
            f"{', '.join(TASKS)}: restore the file, or make the run anew"
        )
    if not isinstance(known.get("format"), int) or known["format"] > FORMAT:
        with kept("run.json"):
            made = dict(known.get("versions", {})).get("sunhwan", "another version")
        raise SunhwanError(
            f"{str(folder)!r} was made by sunhwan {made} in format {known.get('format')}; this version "
            f"reads formats up to {FORMAT}: update sunhwan (pip install -U sunhwan), or make the run anew"
        )
    return known["task"]


def began(folder: Path) -> str | None:
    """When a run began, as `record` has it."""
    return read_json(folder / "run.json").get("started")


def read(folder: Path, task: str) -> tuple[dict, dict[str, np.ndarray]]:
    """The model that a run holds: `model.json` and the arrays of `model.npz`.

    Raises:
        SunhwanError: it is no run of this task, of a newer version, or a file is missing or altered.
    """
    found = task_of(folder)
    if found != task:
        raise SunhwanError(f"{str(folder)!r} is a run of `{found}`; expected one of `{task}`")
    with kept("run.json"):
        sums = {name: str(digest) for name, digest in read_json(folder / "run.json")["sha256"].items()}
    for name in MODEL:
        path = folder / name
        if not path.is_file():
            raise SunhwanError(f"{str(folder)!r} lacks {name}; copy the whole run directory, or make it anew")
        if checksum(path) != sums.get(name):
            raise SunhwanError(
                f"{str(path)!r} is not the file that the run wrote (its SHA-256 differs from that in "
                "run.json); copy the run directory anew from where it was made, or make the run again"
            )
    return read_json(folder / "model.json"), read_arrays(folder / "model.npz")


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """The arrays of an .npz file; what would have to be run to be read is refused.

    Raises:
        SunhwanError: it is no .npz file of plain arrays.
    """
    try:
        with np.load(path, allow_pickle=False) as kept:
            arrays = {name: kept[name] for name in kept.files}
            if all(array.dtype.kind in "biuf" for array in arrays.values()):
                return arrays
            raise ValueError("texts")
    except (ValueError, OSError, EOFError, KeyError, AttributeError, zipfile.BadZipFile):
        raise SunhwanError(
            f"{str(path)!r} holds something else than plain arrays of numbers, which is all that a run "
            "writes and all that is ever read from one; restore the file, or make the run anew"
        ) from None
