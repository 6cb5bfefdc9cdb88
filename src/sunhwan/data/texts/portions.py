"""A file of texts in portions, in memory that does not grow with the file.

CSV and JSON lines are cut where a row ends; Parquet is read some rows at a time, a folder some files at a
time. A first pass checks every row, so that errors come before the work begins, not hours later. Portions are
read and refused by the rules of `labelled`, which reads whole files.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from sunhwan.data.files.records import contents, fields, first_line
from sunhwan.data.texts.labelled import json_lines, utf8
from sunhwan.errors import SunhwanError

PORTION = 4 << 20
"""Bytes of a file that are read at once."""

FEWEST, MOST = 100, 20_000
"""Rows of a Parquet file that are read first, before their size is known, and at most."""

LONGEST = 256 << 20
"""Bytes of the longest row: a longer one has a quotation mark that is never closed."""

EXPECTED = "a CSV, TSV, Parquet or JSON lines file, or a folder of .txt files"


@dataclass(frozen=True)
class Portions:
    """A file whose rows were all checked, to be read in portions.

    Attributes:
        path: the file or folder.
        kind: "csv", "json", "parquet" or "folder".
        columns: their names.
        rows: how many there are, without blank lines.
    """

    path: Path
    kind: str
    columns: tuple[str, ...]
    rows: int

    @property
    def name(self) -> str:
        """Of the file, for messages."""
        return self.path.name

    def __iter__(self) -> Iterator[pl.DataFrame]:
        """Frames of some rows each, all with the same columns: text, or typed where the file is Parquet."""
        none = pl.DataFrame(schema=dict.fromkeys(self.columns, pl.String))
        for frame in READERS[self.kind](self.path):
            # Objects of JSON lines may lack keys.
            yield pl.concat([none, frame], how="diagonal") if self.kind == "json" else frame


def portions(path: Path) -> Portions:
    """A file, checked as a whole.

    Args:
        path: one of `EXPECTED`. The columns of a folder are `file`, `text` and, if the texts are in
            subfolders, `label`.

    Raises:
        SunhwanError: it cannot be read, is not UTF-8, has rows of differing lengths, or has no rows.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "new.csv"
        >>> _ = path.write_text('id,text\\n7,"Well done, all"\\n8,Dull.\\n')
        >>> found = portions(path)
        >>> found.columns, found.rows, [frame.rows() for frame in found]
        (('id', 'text'), 2, [[('7', 'Well done, all'), ('8', 'Dull.')]])
    """
    kind = kind_of(path)
    columns, rows = {}, 0
    for frame in READERS[kind](path):
        columns |= dict.fromkeys(frame.columns)
        rows += len(frame)
    if not rows:
        raise SunhwanError(f"{path.name} has no rows; expected {EXPECTED}")
    return Portions(path, kind, tuple(columns), rows)


def kind_of(path: Path) -> str:
    """The format of a file, recognised by its content, not by the end of its name."""
    if path.is_dir():
        return "folder"
    head = contents(path, EXPECTED, PORTION)
    if head[:4] == b"PAR1":
        return "parquet"
    begun = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if not begun:
        raise SunhwanError(f"{path.name} is empty; expected {EXPECTED}")
    # A line of a CSV file that begins like an object would be an odd name of a column.
    return "json" if begun[:1] in (b"{", b"[") else "csv"


def of_csv(path: Path) -> Iterator[pl.DataFrame]:
    """Every field as text; blank lines are skipped."""
    header = b""
    for first, raw in whole_rows(path, quoted=True):
        if not header:
            raw, blank = raw.lstrip(b"\r\n"), raw
            first += blank.count(b"\n") - raw.count(b"\n")
            header = raw[: end_of_row(raw)]
            raw, first = raw.removeprefix(header), first + header.count(b"\n")
        frame, _, _ = fields(header + raw, path.name, first=first - header.count(b"\n"))
        yield frame.filter(~pl.all_horizontal(pl.all().is_null()))


def of_json(path: Path) -> Iterator[pl.DataFrame]:
    """An object a line; the columns of a portion are those of its objects."""
    for first, raw in whole_rows(path, quoted=False):
        yield json_lines(raw, path.name, first)


def whole_rows(path: Path, *, quoted: bool) -> Iterator[tuple[int, bytes]]:
    """Some rows of a file of text in UTF-8, whole, and the line on which they begin.

    Args:
        path: the file.
        quoted: whether a line feed between quotation marks is part of a row.
    """
    first, rest, old = 1, b"", None
    with path.open("rb") as file:
        while True:
            block = file.read(PORTION)
            if old is None:
                old = b"\n" not in block and b"\r" in block
            raw = rest + (block.replace(b"\r", b"\n") if old else block)
            end = end_of_rows(raw, quoted=quoted) if block else len(raw)
            if end:
                yield first, utf8(raw[:end], path.name, first)
                first += raw.count(b"\n", 0, end)
            rest = raw[end:]
            if not block:
                return
            if len(rest) > LONGEST:
                raise SunhwanError(
                    f"{path.name} has a row of more than {LONGEST >> 20} MiB, which begins on line {first:,}"
                    + ('; look for a quotation mark (") that is never closed' if quoted else "; split it")
                )


def end_of_rows(raw: bytes, *, quoted: bool) -> int:
    """Where the last whole row of some ends; 0 where none does.

    Example:
        >>> end_of_rows(b'a,b\\n1,"x\\ny"\\n2,"u\\n', quoted=True)
        12
    """
    # A line feed ends a row if an even number of quotation marks precede it.
    odd, place = quoted and raw.count(b'"') % 2 == 1, len(raw)
    while True:
        feed = raw.rfind(b"\n", 0, place)
        if feed < 0:
            return 0
        odd ^= quoted and raw.count(b'"', feed, place) % 2 == 1
        if not odd:
            return feed + 1
        place = feed


def end_of_row(raw: bytes) -> int:
    """Where the first row of some ends."""
    end = raw.find(b"\n") + 1
    while end and raw.count(b'"', 0, end) % 2:
        end = raw.find(b"\n", end) + 1
    return end or len(raw)


def of_parquet(path: Path) -> Iterator[pl.DataFrame]:
    """The columns with their types."""
    try:
        whole = pl.scan_parquet(path)
        start, rows = 0, FEWEST
        while len(frame := whole.slice(start, rows).collect()):
            yield frame
            start += len(frame)
            rows = int(np.clip(PORTION * len(frame) // max(frame.estimated_size(), 1), 1, MOST))
    except (pl.exceptions.PolarsError, OSError) as error:
        raise SunhwanError(
            f"{path.name} begins like a Parquet file but cannot be read as one ({first_line(error)}); "
            "it may be truncated: download or write it again"
        ) from None


def of_folder(path: Path) -> Iterator[pl.DataFrame]:
    """A row for each .txt file; where all are in subfolders, these are the labels."""
    # Hidden files (macOS adds ._ files to archives) are not texts.
    files = sorted(file for file in path.rglob("*.txt") if not file.name.startswith("."))
    labelled = path not in {file.parent for file in files}
    rows, size = [], 0
    for number, file in enumerate(files, start=1):
        name = file.relative_to(path).as_posix()
        raw = file.read_bytes()
        row = {"file": name, "text": utf8(raw, name).decode("utf-8")}
        rows.append(row | ({"label": file.parent.name} if labelled else {}))
        size += len(raw)
        if size > PORTION or number == len(files):
            yield pl.DataFrame(rows, schema=dict.fromkeys(rows[0], pl.String))
            rows, size = [], 0


READERS = {"csv": of_csv, "json": of_json, "parquet": of_parquet, "folder": of_folder}
