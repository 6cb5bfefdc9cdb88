"""From a file's bytes to columns: CSV (every field as text) or Parquet (typed), each row with its line.

Where a CSV reader would silently fill up, cut off or guess, the file is refused with the number of the line.
"""

from __future__ import annotations

import codecs
import csv
import hashlib
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import polars as pl

from sunhwan.errors import SunhwanError

SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs"}
"""The separators of fields, and what messages call them."""

MISSING_TEXTS = ("", "NA", "N/A", "n/a", "#N/A", "NaN", "nan", "NAN", "NULL", "null", "None", "-", "?")
"""Fields that mean a missing value, in any column."""


@dataclass(frozen=True)
class Records:
    """The rows of a file as they are in it, before they become a table of readings.

    Attributes:
        frame: the columns; text from a CSV file, typed from a Parquet file.
        name: what messages call the file.
        fingerprint: SHA-256 of the bytes that were read.
        lines: (rows,) the line of the file on which each row begins, the header's being 1; None if the file
            has no lines.
        notes: sentences about how the file is written.
    """

    frame: pl.DataFrame
    name: str
    fingerprint: str
    lines: np.ndarray | None = None
    notes: tuple[str, ...] = ()

    def where(self, row: int) -> str:
        """The place of a row in the file, for messages: `line 5`, or `row 4` if there are no lines."""
        return f"row {row + 1:,}" if self.lines is None else f"line {self.lines[row]:,}"

    def take(self, rows: np.ndarray) -> Records:
        """The rows numbered `rows`, in that order."""
        return replace(self, frame=self.frame[rows], lines=None if self.lines is None else self.lines[rows])


def named(names: str | Sequence[str]) -> tuple[str, ...]:
    """A name, or several, as a tuple."""
    return (names,) if isinstance(names, str) else tuple(names)


def listed(names: Sequence[str]) -> str:
    """Up to twenty names for an error message, quoted."""
    shown = ", ".join(repr(name) for name in names[:20])
    return shown + (f" and {len(names) - 20} more" if len(names) > 20 else "")


def contents(path: Path, expected: str = "the path of a CSV or Parquet file", most: int = -1) -> bytes:
    """The bytes of a file.

    Args:
        path: the file.
        expected: what messages ask for.
        most: how many bytes from the beginning; all if it is negative.

    Raises:
        SunhwanError: the file does not exist, is a folder, or may not be read.
    """
    try:
        with path.open("rb") as file:
            return file.read(most)
    except FileNotFoundError:
        raise SunhwanError(f"there is no file {str(path)!r}; give {expected}") from None
    except IsADirectoryError:
        raise SunhwanError(f"{str(path)!r} is a folder; give {expected}") from None
    except OSError as error:
        raise SunhwanError(
            f"{str(path)!r} cannot be read ({error.strerror}); give a file that you may read"
        ) from None


def read(path: Path) -> Records:
    """The rows of a CSV or Parquet file.

    Raises:
        SunhwanError: the file cannot be read, is neither, is empty, or has rows of different lengths.
    """
    raw = contents(path)
    return parse_parquet(raw, path.name) if raw[:4] == b"PAR1" else parse_csv(raw, path.name)


def parse_parquet(raw: bytes, name: str) -> Records:
    """The typed columns of a Parquet file's bytes."""
    frame = parquet(raw, name)
    if len(frame) == 0:
        raise SunhwanError(f"{name} holds no rows; rows of readings were expected")
    return Records(frame, name, hashlib.sha256(raw).hexdigest())


def parquet(raw: bytes, name: str) -> pl.DataFrame:
    """The frame in a Parquet file's bytes."""
    try:
        return pl.read_parquet(io.BytesIO(raw))
    except (pl.exceptions.PolarsError, OSError) as error:
        raise SunhwanError(
            f"{name} begins like a Parquet file but cannot be read as one ({first_line(error)}); "
            "it may be truncated: download or write it again"
        ) from None


def parse_csv(raw: bytes, name: str) -> Records:
    """The text columns of a CSV file's bytes.

    Every field stays text here. Whether a column has numbers is decided later from all rows, so that a stray
    word in row 300,000 is an error that names its line, and does not turn the column into text. Blank lines
    and lines of separators only, which spreadsheets leave at the end, are skipped. A column without a name
    gets its number.

    Args:
        raw: separated by comma, semicolon or tab, in UTF-8 or Latin-1. The comma may be the decimal mark;
            see `has_decimal_commas`.
        name: what messages call the file.

    Example:
        >>> records = parse_csv(b"when;T\\r\\n\\r\\n2024-01-01;1,5\\r\\n", "station.csv")
        >>> records.frame.rows(), records.where(0)
        ([('2024-01-01', '1.5')], 'line 3')
        >>> records.notes
        ("semicolons separate the fields, and the comma is the decimal mark in 'T'",)
    """
    fingerprint = hashlib.sha256(raw).hexdigest()
    utf8 = as_utf8(raw, name)
    notes = [] if is_utf8(raw) else [f"{name} is not UTF-8 and is read as Latin-1 (ISO 8859-1)"]
    frame, lines, separator = fields(utf8, name, MISSING_TEXTS)
    filled = ~frame.select(pl.all_horizontal(pl.all().is_null())).to_series()
    if not filled.any():
        raise SunhwanError(f"{name} holds no rows; a line of column names and rows of values were expected")
    if not filled.all():
        frame, lines = frame.filter(filled), lines[filled.to_numpy()]
    marked = [column.name for column in frame if has_decimal_commas(column, separator)]
    for column in marked:
        pointed = frame[column].str.contains(DECIMAL_POINT).fill_null(False)
        if pointed.any():
            row = int(pointed.arg_max())
            raise SunhwanError(
                f"line {lines[row]:,} of {name} has {frame[column][row]!r} in the column {column!r}, whose "
                f"other numbers have decimal commas ({int(pointed.sum()):,} such rows); use one decimal mark "
                "in all rows, and no thousands separator"
            )
    frame = frame.with_columns(pl.col(marked).str.replace(DECIMAL_COMMA, "$1.$2"))
    notes += written(separator, marked)
    return Records(frame, name, fingerprint, lines, tuple(notes))


DECIMAL_COMMA = r"^\s*([-+]?\d*),(\d+(?:[eE][-+]?\d+)?)\s*$"
DECIMAL_POINT = r"^\s*[-+]?\d*\.\d+(?:[eE][-+]?\d+)?\s*$"


def has_decimal_commas(column: pl.Series, separator: str) -> bool:
    """Whether the comma is the decimal mark in a column of texts.

    In files with semicolons between fields it is. In others all values must be numbers, and in one of them
    the comma must be followed by other than three digits, so that it cannot be a thousands separator.

    Example:
        >>> [has_decimal_commas(pl.Series(["1,5", "12"]), ","), has_decimal_commas(pl.Series(["1,500"]), ",")]
        [True, False]
    """
    commas = column.filter(column.str.contains(",", literal=True))
    decimal = commas.str.contains(DECIMAL_COMMA)
    if not decimal.any():
        return False
    if separator == ";":
        return True
    others = column.filter(~column.str.contains(",", literal=True))
    numbers = decimal.all() and others.cast(pl.Float64, strict=False).null_count() == others.null_count()
    return numbers and not commas.str.contains(r",\d{3}\s*$").all()


def written(separator: str, marked: Sequence[str] = ()) -> list[str]:
    """Notes on how a CSV file is written, unless it has commas between fields and decimal points.

    Args:
        separator: between fields.
        marked: columns in which the comma is the decimal mark.
    """
    clauses = [] if separator == "," else [f"{SEPARATORS[separator]} separate the fields"]
    clauses += [f"the comma is the decimal mark in {listed(marked)}"] if marked else []
    return [", and ".join(clauses)] if clauses else []


def fields(
    raw: bytes, name: str, missing: Sequence[str] = (), first: int = 1
) -> tuple[pl.DataFrame, np.ndarray, str]:
    """Every field of a CSV file as text; the line of each row; the separator.

    Args:
        raw: UTF-8 with line feeds.
        name: what messages call the file.
        missing: fields that mean a missing value, besides the empty one.
        first: the line of the file on which `raw` begins.
    """
    blank = len(raw) - len(raw.lstrip(b"\r\n"))
    first, raw = raw.count(b"\n", 0, blank) + first, raw[blank:]
    raw = raw if raw.endswith(b"\n") else raw + b"\n"
    separator, names, lines = layout(raw, first, name)
    try:
        frame = pl.read_csv(
            io.BytesIO(raw), separator=separator, infer_schema=False, null_values=list(missing)
        )
    except pl.exceptions.PolarsError as error:
        raise SunhwanError(f"{name} cannot be read as CSV: {first_line(error)}") from None
    if frame.shape != (len(lines), len(names)):
        raise SunhwanError(f"{name} cannot be read as CSV: its quotation marks do not match; fix them")
    frame.columns = names
    return frame, lines, separator


def is_utf8(raw: bytes) -> bool:
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def as_utf8(raw: bytes, name: str) -> bytes:
    """The text in UTF-8 with line feeds, without a byte order mark."""
    if raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise SunhwanError(f"{name} is UTF-16 (it begins with its byte order mark); save it as UTF-8")
    if b"\0" in raw:
        raise SunhwanError(
            f"{name} is not a text file in UTF-8 or Latin-1 (it holds zero bytes); give a CSV or Parquet file"
        )
    raw = raw.removeprefix(codecs.BOM_UTF8)
    if not is_utf8(raw):
        refuse_damaged_utf8(raw, name)
        # Loggers write Latin-1 for the degree sign and superscripts; every byte string is valid Latin-1.
        raw = raw.decode("latin-1").encode("utf-8")
    return raw if b"\n" in raw else raw.replace(b"\r", b"\n")


def refuse_damaged_utf8(raw: bytes, name: str) -> None:
    """Refuse UTF-8 with a few invalid bytes: as Latin-1 each of its other characters would become two.

    Text in Latin-1 has hardly a pair of bytes that is a character of UTF-8 by chance.
    """
    text = raw.decode("utf-8", errors="replace")
    bad = text.count("\ufffd")
    if sum(len(run) for run in re.findall(r"[^\x00-\x7f\ufffd]+", text)) < bad:
        return
    line = text.count("\n", 0, text.index("\ufffd")) + 1
    raise SunhwanError(
        f"{name} is UTF-8 except for {bad:,} byte{'s' * (bad > 1)}, the first on line {line:,}; fix or "
        "remove that line, or save the file again as UTF-8"
    )


def layout(raw: bytes, first: int, name: str) -> tuple[str, list[str], np.ndarray]:
    """Separator, column names and the line of each row; rows that are longer or shorter are refused.

    A separator or line end between quotation marks, so after an odd number of them, is part of a field.

    Args:
        raw: UTF-8 that begins with the header and ends with a line feed.
        first: the line of the header.
        name: what messages call the file.
    """
    data = np.frombuffer(raw, np.uint8)
    feeds = np.flatnonzero(data == ord("\n"))
    quoted = np.zeros(0, bool)
    if b'"' in raw:
        marks = data[: raw.rindex(b'"') + 1] == ord('"')
        quoted = np.bitwise_xor.accumulate(marks.view(np.uint8)).view(bool)
        if quoted[-1]:
            per_line = np.diff(np.searchsorted(np.flatnonzero(marks), feeds), prepend=0)
            line = first + int(np.argmax(per_line % 2))
            raise SunhwanError(
                f'{name} has a quotation mark (") that is never closed, on line {line:,} or after it; '
                "close or remove it"
            )

    def outside(positions: np.ndarray) -> np.ndarray:
        within = np.searchsorted(positions, len(quoted))
        return np.append(positions[:within][~quoted[positions[:within]]], positions[within:])

    ends = outside(feeds)
    header = raw[: ends[0]].decode("utf-8").rstrip("\r")
    bare = re.sub(r'"[^"]*"', "", header)
    separator = max(SEPARATORS, key=bare.count)
    names = [
        field.strip() for field in next(csv.reader(io.StringIO(header, newline=""), delimiter=separator), [])
    ]
    if not any(names):
        raise SunhwanError(f"{name} is empty; a line of column names and rows of values were expected")
    names = [field or f"column {number}" for number, field in enumerate(names, start=1)]
    repeated = [field for field in dict.fromkeys(names) if names.count(field) > 1]
    if repeated:
        raise SunhwanError(f"{name} has two columns named {repeated[0]!r}; rename one of them")

    lines = first + np.append(0, np.searchsorted(feeds, ends[:-1]) + 1)
    separators = np.searchsorted(outside(np.flatnonzero(data == ord(separator))), ends)
    counts = np.diff(separators, prepend=0) + 1
    lengths = np.diff(ends, prepend=-1) - 1
    blank = (lengths == 0) | ((lengths == 1) & (data[ends - 1] == ord("\r")))
    wrong = np.flatnonzero((counts != len(names)) & ~blank)
    if len(wrong):
        raise SunhwanError(
            f"line {lines[wrong[0]]:,} of {name} has {counts[wrong[0]]} fields where the header has "
            f"{len(names)} ({len(wrong):,} such lines); fix or remove them"
        )
    return separator, names, lines[1:]


def first_line(error: Exception) -> str:
    """The first line of an error's text, without a full stop."""
    return str(error).strip().split("\n")[0].rstrip(".")
