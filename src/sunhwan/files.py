"""Files that are whole or not there: everything Sunhwan writes goes through `atomic`."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import os
import secrets
import shutil
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from sunhwan.errors import SunhwanError

if TYPE_CHECKING:
    import numpy as np

WRITING = ".writing-"
"""The beginning of the names of files that are still being written."""


@contextlib.contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """A temporary path beside `path` that takes its place when the block ends without an error.

    A reader sees the old file or the new one, never half of it; after an error (a full disk, Ctrl-C) the
    temporary file is gone and `path` is as it was. The temporary name keeps the suffix of `path`, which
    `keras.Model.save` and `matplotlib` go by.

    Example:
        >>> from pathlib import Path; import tempfile
        >>> target = Path(tempfile.mkdtemp()) / "note.txt"
        >>> with atomic(target) as temporary:
        ...     _ = temporary.write_text("whole")
        >>> target.read_text()
        'whole'
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # Named before it exists, so that there is no moment at which Ctrl-C would leave it behind.
    temporary = path.with_name(f"{WRITING}{secrets.token_hex(8)}{path.suffix}")
    try:
        yield temporary
        # Opened for writing, since Windows does not flush a file that is open for reading alone.
        with open(temporary, "r+b") as written:
            os.fsync(written.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write `text` as UTF-8 to `path`, whole or not at all."""
    with atomic(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, value: object) -> None:
    """Write `value` as indented JSON to `path`, whole or not at all; NaN is an error, since JSON has none."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def as_csv(rows: Sequence[Mapping[str, object]]) -> str:
    """Rows as CSV text, with the last row's keys as the header; empty without rows.

    Example:
        >>> as_csv([{"epoch": 1, "loss": 0.5}])
        'epoch,loss\\n1,0.5\\n'
    """
    text = io.StringIO()
    if rows:
        writer = csv.DictWriter(text, list(rows[-1]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    return text.getvalue()


def write_arrays(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write arrays to `path` as a compressed .npz file, whole or not at all.

    Raises:
        ValueError: an array holds Python objects, which only code could bring back.
    """
    import numpy as np

    for name, array in arrays.items():
        # NumPy 2.0 does not refuse it yet: it would save `allow_pickle` as one more array.
        if np.asarray(array).dtype.hasobject:
            raise ValueError(f"the array {name!r} holds Python objects; expected numbers or texts")
    with atomic(path) as temporary:
        np.savez_compressed(temporary, **arrays)


def read_json(path: Path) -> dict:
    """The object in the JSON file at `path`.

    Raises:
        SunhwanError: it is not a JSON object. Sunhwan writes whole files, so something else changed it.
    """
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise SunhwanError(f"{str(path)!r} is not valid JSON ({error}); restore or remove it") from None
    if not isinstance(value, dict):
        raise SunhwanError(
            f"{str(path)!r} holds {str(value)[:40]!r}; expected a JSON object: restore or remove it"
        )
    return value


def writable(folder: Path) -> bool:
    """Whether files can be written in `folder` or, if it does not exist, whether it can be made."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return folder.is_dir() and os.access(folder, os.W_OK | os.X_OK)


def new_run(name: str, out: Path | None, remedy: str = "") -> Path:
    """The directory of a new run: `out`, or one under `runs/` by `name` and time. Nothing is made yet.

    Raises:
        SunhwanError: something is there already (see `refuse_taken`), or no directory can be made there.
    """
    folder = out or Path("runs") / f"{name}-{datetime.now():%Y%m%d-%H%M%S}"
    refuse_taken(folder, remedy)
    if not writable(folder):
        raise SunhwanError(
            f"cannot make a directory at {str(folder)!r}; name one that you can write to with --out"
        )
    return folder


def refuse_taken(folder: Path, remedy: str = "") -> None:
    """Refuse a folder that is not empty; `remedy` is what can be done besides naming another."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise SunhwanError(f"{str(folder)!r} exists already; name another directory with --out{remedy}")


@contextlib.contextmanager
def whole_folder(folder: Path) -> Iterator[None]:
    """Make a folder; if the block ends with an error, nothing is left of it."""
    folder.mkdir(parents=True, exist_ok=True)
    try:
        yield
    except BaseException:
        shutil.rmtree(folder)
        raise
