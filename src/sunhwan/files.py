"""Files that are whole or not there: everything Sunhwan writes goes through `atomic`."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

from sunhwan.errors import SunhwanError

WRITING = ".writing-"
"""How the names of files begin that are not whole yet."""


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
    # Named before it is made, so that Ctrl-C finds no moment in which nobody knows of it.
    temporary = path.with_name(f"{WRITING}{secrets.token_hex(8)}{path.suffix}")
    try:
        yield temporary
        # For writing, since Windows flushes no file that is open for reading alone.
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


def read_json(path: Path) -> dict:
    """The object in the JSON file at `path`.

    Raises:
        SunhwanError: the file holds no JSON object; Sunhwan writes whole files, so something else changed it.
    """
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise SunhwanError(
            f"{str(path)!r} was expected to hold JSON, but does not ({error}); restore or remove it"
        ) from None
    if not isinstance(value, dict):
        raise SunhwanError(
            f"{str(path)!r} was expected to hold a JSON object, but holds {str(value)[:40]!r}; remove it"
        )
    return value


def writable(folder: Path) -> bool:
    """Whether files can be made in `folder`, or, where it is not there yet, whether it can be made."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return folder.is_dir() and os.access(folder, os.W_OK | os.X_OK)
