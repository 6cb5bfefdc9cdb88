"""CSV and Parquet files as people have them: encodings, separators, quotation marks, and what is refused."""

import hashlib
import os
from pathlib import Path

import polars as pl
import pytest

from sunhwan.data.files.records import contents, parse_csv, read
from sunhwan.errors import SunhwanError

PLAIN = {"time": ["2024-01-01", "2024-01-02"], "T (°C)": ["1.5", "-2"]}


@pytest.mark.parametrize(
    "raw",
    [
        "time,T (°C)\n2024-01-01,1.5\n2024-01-02,-2\n".encode(),
        "time,T (°C)\n2024-01-01,1.5\n2024-01-02,-2".encode(),
        "\ufefftime,T (°C)\r\n2024-01-01,1.5\r\n2024-01-02,-2\r\n".encode(),
        "time,T (°C)\n2024-01-01,1.5\n2024-01-02,-2\n".encode("latin-1"),
        "time,T (°C)\r2024-01-01,1.5\r2024-01-02,-2\r".encode(),
        "time\tT (°C)\n2024-01-01\t1.5\n2024-01-02\t-2\n".encode(),
        "time;T (°C)\n2024-01-01;1,5\n2024-01-02;-2\n".encode(),
        "time\tT (°C)\n2024-01-01\t1,5\n2024-01-02\t-2\n".encode(),
        'time,T (°C)\n2024-01-01,"1,5"\n2024-01-02,-2\n'.encode(),
        "time;T (°C)\n2024-01-01;1.5\n2024-01-02;-2\n".encode("latin-1"),
        '"time","T (°C)"\n"2024-01-01","1.5"\n"2024-01-02","-2"\n'.encode(),
        "time , T (°C)\n2024-01-01,1.5\n2024-01-02,-2\n".encode(),
        "\n\ntime,T (°C)\n\n2024-01-01,1.5\n\r\n2024-01-02,-2\n\n\n,\n".encode(),
    ],
    ids=[
        "plain", "no end of line", "BOM and CRLF", "Latin-1", "CR", "tab", "decimal comma",
        "tab and decimal comma", "decimal comma in quotation marks", "semicolon and point", "quoted",
        "spaced header", "blank lines",
    ],
)  # fmt: skip
def test_the_same_readings_in_any_spelling(raw):
    records = parse_csv(raw, "station.csv")
    assert records.frame.to_dict(as_series=False) == PLAIN
    assert records.fingerprint == hashlib.sha256(raw).hexdigest()


def test_quoted_fields_may_hold_separators_line_ends_and_quotation_marks():
    raw = b'when,"note, long",T\n2024-01-01,"rain, then\nsun",1\n2024-01-02,"a ""dry"" day",2\n'
    assert parse_csv(raw, "f").frame.rows() == [
        ("2024-01-01", "rain, then\nsun", "1"),
        ("2024-01-02", 'a "dry" day', "2"),
    ]


def test_a_comma_in_the_header_s_quotation_marks_is_no_separator():
    frame = parse_csv(b'"a, b, c";d\n1;2,5\n', "f").frame
    assert frame.to_dict(as_series=False) == {"a, b, c": ["1"], "d": ["2.5"]}


@pytest.mark.parametrize(
    ("field", "read_as"),
    [
        ("1,5", "1.5"),
        ("-,5", "-.5"),
        ("1,5e-3", "1.5e-3"),
        ("1.5", "1.5"),
        ("a,b", "a,b"),
        ("1,2,3", "1,2,3"),
    ],
)
def test_only_a_number_s_comma_becomes_a_point(field, read_as):
    assert parse_csv(f"when;T\n2024-01-01;{field}\n".encode(), "f").frame["T"][0] == read_as


@pytest.mark.parametrize("fields", [["1,500", "12,000"], ["1,5", "north"], ["1,5", "1,2,3"]])
def test_beside_commas_and_tabs_a_comma_that_may_mean_else_stays(fields):
    raw = "when\tT\n" + "".join(f"2024-01-0{i + 1}\t{field}\n" for i, field in enumerate(fields))
    records = parse_csv(raw.encode(), "f")
    assert records.frame["T"].to_list() == fields
    assert records.notes == ("tabs separate the fields",)


def test_what_means_no_value_is_null():
    fields = ["NA", "NaN", "", "-", "NULL", "?", '""', "#N/A", "0"]
    raw = "when,T\n" + "".join(f"2024-01-0{i + 1},{field}\n" for i, field in enumerate(fields))
    assert parse_csv(raw.encode(), "f").frame["T"].to_list() == [None] * 8 + ["0"]


def test_every_row_knows_its_line():
    raw = b'\nwhen,note\r\na,"two\nlines"\r\n\r\nb,\r\n,,\r\nc,d\r\n'.replace(b",,", b",")
    records = parse_csv(raw, "f")
    assert records.frame["when"].to_list() == ["a", "b", "c"]
    assert [records.where(row) for row in range(3)] == ["line 3", "line 6", "line 8"]
    assert [records.take([2, 0]).where(row) for row in range(2)] == ["line 8", "line 3"]


def test_a_column_without_a_name_is_called_by_its_number():
    assert parse_csv(b",T,\n0,1,\n", "f").frame.columns == ["column 1", "T", "column 3"]


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"", "f.csv is empty; a line of column names and rows of values were expected"),
        (b"\r\n\n", "f.csv is empty"),
        (b"time,T\n", "f.csv holds no rows"),
        (b"time,T\r\n\r\n,\r\n", "f.csv holds no rows"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "f.csv is not a text file in UTF-8 or Latin-1"),
        ("time,T\n1,2\n".encode("utf-16"), "f.csv is UTF-16 (it begins with its byte order mark)"),
        (
            "time,T (°C),p\n1,2,3\n4,5,\ufffd\n".encode().replace("\ufffd".encode(), b"\xff"),
            "f.csv is UTF-8 except for 1 byte, the first on line 3; fix or remove",
        ),
        (
            b"time;T\n1;2,5\n2;1.010\n",
            "line 3 of f.csv has '1.010' in the column 'T', whose other numbers have decimal commas (1 "
            "such rows); use one decimal mark in all rows, and no thousands separator",
        ),
        (b"time,T, T\n1,2,3\n", "f.csv has two columns named 'T'; rename one of them"),
        (
            b"time,T\n1,2\n3\n4,5,6\n",
            "line 3 of f.csv has 1 fields where the header has 2 (2 such lines)",
        ),
        (
            b"time,T\r\n\r\n1,2\r\n\r\n3,4,5\r\n",
            "line 5 of f.csv has 3 fields where the header has 2 (1 such",
        ),
        (b'time,T\n"1\n,",2\n"3"\n', "line 4 of f.csv has 1 fields where the header has 2"),
        (b'time,T\n1,2\n3,5" pipe\n4,6\n', 'f.csv has a quotation mark (") that is never closed, on line 3'),
        (b'time,T\n1,5" a\n2,6" b\n3,4\n', "f.csv cannot be read as CSV"),
    ],
)
def test_what_is_refused_and_where_it_stands(raw, message):
    with pytest.raises(SunhwanError) as error:
        parse_csv(raw, "f.csv")
    assert str(error.value).startswith(message)


def test_a_parquet_file_keeps_its_types(tmp_path):
    path = tmp_path / "f.parquet"
    frame = pl.DataFrame({"n": [1, 2], "x": [0.5, None], "text": ["a", None]})
    frame.write_parquet(path)
    records = read(path)
    assert records.frame.equals(frame)
    assert records.where(1) == "row 2"
    assert records.fingerprint == hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize("kept", [4, 100, -10])
def test_a_truncated_parquet_file(tmp_path, kept):
    path = tmp_path / "f.parquet"
    pl.DataFrame({"n": range(1000)}).write_parquet(path)
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(
        SunhwanError, match=r"^f\.parquet begins like a Parquet file but cannot be read as one"
    ):
        read(path)


def test_a_parquet_file_without_rows(tmp_path):
    pl.DataFrame({"n": pl.Series([], dtype=pl.Int64)}).write_parquet(tmp_path / "f.parquet")
    with pytest.raises(SunhwanError, match="holds no rows"):
        read(tmp_path / "f.parquet")


def test_a_path_that_is_no_file(tmp_path):
    with pytest.raises(SunhwanError, match=r"there is no file '.*no\.csv'; give the path"):
        contents(tmp_path / "no.csv")
    with pytest.raises(SunhwanError, match="is a folder; give the path"):
        contents(tmp_path)
    with pytest.raises(SunhwanError, match=r"cannot be read \(File name too long\)"):
        contents(Path("a" * 5000))


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="who is root may read everything")
def test_a_file_that_may_not_be_read(tmp_path):
    path = tmp_path / "f.csv"
    path.write_text("time,T\n1,2\n")
    path.chmod(0)
    with pytest.raises(SunhwanError, match=r"cannot be read \(Permission denied\)"):
        contents(path)


def test_how_a_file_is_written_is_said():
    assert parse_csv(b"when,T\n1,2\n", "f").notes == ()
    assert parse_csv("when,T °C\n1,2\n".encode("latin-1"), "f").notes == (
        "f is not UTF-8 and is read as Latin-1 (ISO 8859-1)",
    )
    assert parse_csv(b"when;T;p;word\n1;2,5;3;a, b\n", "f").notes == (
        "semicolons separate the fields, and the comma is the decimal mark in 'T'",
    )
    assert parse_csv(b"when\tT\n1\t2\n", "f").notes == ("tabs separate the fields",)
    assert parse_csv(b'when,T\n1,"2,5"\n', "f").notes == ("the comma is the decimal mark in 'T'",)
