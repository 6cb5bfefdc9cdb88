"""A user's labelled texts: CSV, Parquet, JSON lines, or a folder with a subfolder for each class.

Nothing is guessed silently: rows without text or label are left out and counted, and a file that is not UTF-8
is refused, since a wrong guess at its encoding would turn words into signs that train as well as words do.
"""

from __future__ import annotations

import codecs
import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import polars as pl

from sunhwan.data.files.records import contents, fields, listed, parquet, written
from sunhwan.errors import SunhwanError

MOST_CLASSES = 500
"""With more, a label is a name or a quantity rather than a class, and linear baselines would take hours."""

EXPECTED = "a CSV, TSV, Parquet or JSON lines file, or a folder with a subfolder of .txt files for each class"


@dataclass(frozen=True)
class Columns:
    """The names of the columns of texts and labels."""

    text: str = "text"
    label: str = "label"

    def to_dict(self) -> dict:
        """For JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, saved: dict) -> Columns:
        """What `to_dict` gave."""
        return cls(**saved)


@dataclass(frozen=True, eq=False)
class Labelled:
    """Texts with their labels, as read from a file.

    Attributes:
        texts: (n,) strings that are not blank.
        labels: (n,) strings that are not empty.
        name: of the file, for messages.
        fingerprint: SHA-256 of what was read.
        notes: what was left out.
        columns: that they were read from.
    """

    texts: pl.Series
    labels: pl.Series
    name: str
    fingerprint: str
    notes: tuple[str, ...] = ()
    columns: Columns = Columns()

    noun = "texts"
    """What people call several of them."""

    def __len__(self) -> int:
        return len(self.texts)

    @property
    def keys(self) -> pl.Series:
        """(n,) strings: equal for texts that are equal."""
        return self.texts

    def take(self, chosen: np.ndarray) -> pl.Series:
        """The texts where `chosen`, (n,) bool."""
        return self.texts.filter(chosen)


def load(path: Path, columns: Columns = Columns()) -> Labelled:
    """The labelled texts of a file or folder.

    Args:
        path: one of `EXPECTED`.
        columns: their names; a folder needs none.

    Raises:
        SunhwanError: it cannot be read, is not UTF-8, lacks a column, or has no labelled text.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "reviews.csv"
        >>> _ = path.write_text('text,label\\n"Well done, all",good\\nDull.,bad\\n,bad\\n')
        >>> found = load(path)
        >>> found.texts.to_list(), found.labels.to_list(), found.notes
        (['Well done, all', 'Dull.'], ['good', 'bad'], ('reviews.csv: 1 row without a text is left out',))
    """
    if path.is_dir():
        (frame, fingerprint), notes = folder(path), []
        columns = Columns()
    else:
        raw = contents(path, EXPECTED)
        fingerprint = hashlib.sha256(raw).hexdigest()
        frame, notes = parse(raw, path.name)
    text, label = columns.text, columns.label
    for option, column in (("--text", text), ("--label", label)):
        if column not in frame.columns:
            raise SunhwanError(
                f"{path.name} has no column {column!r}; it has {listed(frame.columns)}: name one with "
                f"{option}"
            )
    if text == label:
        raise SunhwanError(f"--text and --label both name {text!r}; expected two columns of {path.name}")
    texts, labels = as_texts(frame[text], path.name), as_labels(frame[label])
    return replace(checked(texts, labels, path.name, fingerprint, notes), columns=columns)


def parse(raw: bytes, name: str) -> tuple[pl.DataFrame, list[str]]:
    """The columns of a file's bytes, whose format is recognised by their content; and notes on it."""
    if raw[:4] == b"PAR1":
        return parquet(raw, name), []
    content = utf8(raw, name)
    if not content.strip():
        raise SunhwanError(f"{name} is empty; expected {EXPECTED}")
    # A line of a CSV file that begins like an object would be an odd name of a column.
    if content.lstrip()[:1] in (b"{", b"["):
        return json_lines(content, name), []
    frame, _, separator = fields(content if b"\n" in content else content.replace(b"\r", b"\n"), name)
    return frame, written(separator)


def utf8(raw: bytes, name: str, first: int = 1) -> bytes:
    """The bytes without a byte order mark, checked to be UTF-8.

    Args:
        raw: a file's bytes, or whole lines of it.
        name: of the file, for messages.
        first: the line on which they begin.
    """
    if first == 1:
        if raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            raise SunhwanError(
                f"{name} is UTF-16 (it begins with its byte order mark), expected UTF-8; save it as UTF-8"
            )
        raw = raw.removeprefix(codecs.BOM_UTF8)
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + first
        raise SunhwanError(
            f"{name} is not UTF-8 (byte {raw[error.start]:#04x} on line {line:,}), expected UTF-8; convert "
            "it (with iconv, or by the encoding option of the program that wrote it)"
        ) from None
    if b"\0" in raw:
        raise SunhwanError(f"{name} contains zero bytes, so it is not a text file; expected {EXPECTED}")
    return raw


def json_lines(content: bytes, name: str, first: int = 1) -> pl.DataFrame:
    """A row for each line, which is one object; keys that an object lacks are null.

    Args:
        content: UTF-8.
        name: of the file, for messages.
        first: the line of the file on which it begins.
    """
    rows = []
    # By line feeds alone: str.splitlines would also cut at the separators that JSON allows within strings.
    for number, line in enumerate(content.decode("utf-8").split("\n"), start=first):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise SunhwanError(
                f"line {number:,} of {name} is not JSON ({error}); expected one object a line, such as "
                '{"text": "Well done", "label": "good"}'
            ) from None
        if not isinstance(row, dict):
            raise SunhwanError(
                f"line {number:,} of {name} is {line.strip()[:40]!r}; expected one object a line, such as "
                '{"text": "Well done", "label": "good"}'
            )
        rows.append(row)
    columns = list(dict.fromkeys(key for row in rows for key in row))
    return pl.DataFrame(
        [pl.Series(key, [plain(row.get(key)) for row in rows], dtype=pl.String) for key in columns]
    )


def plain(value: object) -> str | None:
    """A JSON value as text."""
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False)


def folder(path: Path) -> tuple[pl.DataFrame, str]:
    """The .txt files of each subfolder, whose name is their label; and the SHA-256 of names and contents."""
    # Hidden files (macOS adds ._ files to archives) are not texts.
    files = sorted(file for file in path.glob("*/*.txt") if not file.name.startswith("."))
    if not files:
        raise SunhwanError(
            f"the folder {str(path)!r} has no subfolder with .txt files; expected one for each class, "
            f"such as {path.name}/good/1.txt"
        )
    texts, labels, digest = [], [], hashlib.sha256()
    for file in files:
        name = f"{file.parent.name}/{file.name}"
        raw = file.read_bytes()
        for part in (name.encode(), raw):
            digest.update(len(part).to_bytes(8, "little") + part)
        texts.append(utf8(raw, name).decode("utf-8"))
        labels.append(file.parent.name)
    return pl.DataFrame({"text": texts, "label": labels}), digest.hexdigest()


def strings(series: pl.Series, name: str) -> pl.Series:
    """A column of texts as polars' strings.

    Raises:
        SunhwanError: it has another type.
    """
    if series.dtype not in (pl.String, pl.Categorical, pl.Enum, pl.Null):
        raise SunhwanError(
            f"the column {series.name!r} of {name} has type {series.dtype}, expected texts; name the column "
            "of texts with --text"
        )
    return series.cast(pl.String)


def as_texts(series: pl.Series, name: str) -> pl.Series:
    """A column as texts.

    Raises:
        SunhwanError: it has no texts, or only numbers.
    """
    series = strings(series, name)
    there = series.drop_nulls().str.strip_chars()
    there = there.filter(there != "")
    if len(there) and there.cast(pl.Float64, strict=False).is_not_null().all():
        raise SunhwanError(
            f"all texts in the column {series.name!r} of {name} are numbers, first {there[0]!r}; expected "
            "texts of words: name their column with --text (numbers over time are for `sunhwan forecast`)"
        )
    return series


def as_labels(series: pl.Series) -> pl.Series:
    """A column as labels: whole numbers without a fraction, the rest as text without space around it.

    Example:
        >>> as_labels(pl.Series([1.0, 2.0, None])).to_list(), as_labels(pl.Series([" good", ""])).to_list()
        (['1', '2', None], ['good', None])
    """
    if series.dtype.is_float() and (series.drop_nulls().drop_nans() % 1 == 0).all():
        series = series.fill_nan(None).cast(pl.Int64)
    labels = series.cast(pl.String).str.strip_chars()
    return labels.set(labels == "", None)


def checked(
    texts: pl.Series, labels: pl.Series, name: str, fingerprint: str, notes: Sequence[str]
) -> Labelled:
    """Rows with both a text and a label; rows that are left out are counted in the notes."""
    if not len(texts):
        raise SunhwanError(f"{name} has no rows; expected a line of column names and rows of labelled texts")
    no_text = texts.is_null() | (texts.str.strip_chars() == "").fill_null(True)
    no_label = labels.is_null()
    for what, lacking in (("text", no_text), ("label", no_label)):
        if lacking.all():
            raise SunhwanError(
                f"no row of {name} has a {what}; name another column with --{what}, or fill this one"
            )
    notes = [*notes]
    for what, lacking in (("text", no_text), ("label", no_label & ~no_text)):
        count = int(lacking.sum())
        if count:
            rows = "1 row" if count == 1 else f"{count:,} rows"
            notes.append(f"{name}: {rows} without a {what} {'is' if count == 1 else 'are'} left out")
    kept = ~(no_text | no_label)
    if not kept.any():
        raise SunhwanError(f"no row of {name} has both a text and a label; fill them in")
    return Labelled(
        texts.filter(kept).alias("text"), labels.filter(kept).alias("label"), name, fingerprint, tuple(notes)
    )


def classes_of(labels: pl.Series, least: int, name: str, noun: str = "texts") -> tuple[str, ...]:
    """The classes: in numerical order if all are numbers, else in alphabetical order.

    Args:
        labels: (n,) strings.
        least: examples that each class must have.
        name: of the source, for messages.
        noun: for its examples.

    Raises:
        SunhwanError: there is one class, there are more than `MOST_CLASSES`, or one has too few examples.

    Example:
        >>> classes_of(pl.Series(["10", "9", "9", "10"]), 2, "a.csv")
        ('9', '10')
    """
    counts = labels.alias("label").value_counts(name="count").sort("count", "label")
    classes = counts["label"].to_list()
    if len(classes) == 1:
        raise SunhwanError(
            f"all {len(labels):,} labels of {name} are {classes[0]!r}; expected at least two classes: name "
            f"another column with --label, or add {noun} of another class"
        )
    numbers = counts["label"].cast(pl.Float64, strict=False)
    numeric = numbers.is_not_null().all()
    if len(classes) > MOST_CLASSES:
        quantity = " (they are numbers: divide a quantity into a few classes first)" if numeric else ""
        raise SunhwanError(
            f"the {len(labels):,} labels of {name} have {len(classes):,} classes, expected at most "
            f"{MOST_CLASSES}{quantity}; name another column with --label, or merge classes"
        )
    few = counts.filter(pl.col("count") < least)
    if len(few):
        label, count = few.row(0)
        more = f" (and {len(few) - 1:,} other classes have fewer than {least})" if len(few) > 1 else ""
        raise SunhwanError(
            f"the label {label!r} of {name} has {count} example{'s' if count > 1 else ''}, expected at least "
            f"{least} of each class, so that every part has one{more}; add some, merge classes, or leave its "
            "rows out"
        )
    if numeric:
        return tuple(sorted(classes, key=lambda label: (float(label), label)))
    return tuple(sorted(classes))
