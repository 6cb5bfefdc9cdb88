"""A file in portions holds what the whole file holds, wherever it is cut."""

import json

import polars as pl
import pytest

from sunhwan.data.texts import portions as module
from sunhwan.data.texts.portions import portions
from sunhwan.errors import SunhwanError

ROWS = [("1", "Well done, all", "good"), ("2", 'Dull\n\nand "long"\r\n', "bad"), ("3", "다섯 명", "good")] * 7
COLUMNS = ["id", "text", "label"]


@pytest.fixture
def written(tmp_path):
    def write(name, content):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


def rows(path):
    found = portions(path)
    frames = list(found)
    assert all(tuple(frame.columns) == found.columns for frame in frames)
    whole = pl.concat(frames)
    assert len(whole) == found.rows
    return whole.rows()


@pytest.mark.parametrize("size", [8, 50, 1 << 20])
def test_each_kind_of_file_gives_the_same_wherever_it_is_cut(tmp_path, monkeypatch, size):
    monkeypatch.setattr(module, "PORTION", size)
    monkeypatch.setattr(module, "FEWEST", 2)
    frame = pl.DataFrame(ROWS, schema=COLUMNS, orient="row")
    frame.write_csv(tmp_path / "a.csv")
    frame.write_csv(tmp_path / "a.tsv", separator="\t")
    frame.write_csv(tmp_path / "bom.csv", include_bom=True)
    frame.write_parquet(tmp_path / "a.parquet")
    frame.write_ndjson(tmp_path / "a.jsonl")
    for file in list(tmp_path.iterdir()):
        assert rows(file) == ROWS, file.name


def test_a_file_is_read_in_several_portions(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "PORTION", 100)
    frame = pl.DataFrame(ROWS, schema=COLUMNS, orient="row")
    frame.write_csv(tmp_path / "a.csv")
    frame.write_parquet(tmp_path / "a.parquet")
    for file in tmp_path.iterdir():
        monkeypatch.setattr(module, "FEWEST", 2)
        assert max(len(frame) for frame in portions(file)) < 8, file.name


def test_objects_may_have_other_names_further_on(written, monkeypatch):
    monkeypatch.setattr(module, "PORTION", 10)
    path = written("a.jsonl", '{"text": "a", "n": 1}\n\n{"text": "b", "late": [2]}\n')
    assert portions(path).columns == ("text", "n", "late")
    assert rows(path) == [("a", "1", None), ("b", None, "[2]")]


def test_blank_lines_and_old_line_ends(written):
    assert rows(written("a.csv", "\n\ntext,label\n\nfine,a\n\n,\ndull,b\n\n")) == [
        ("fine", "a"),
        ("dull", "b"),
    ]
    assert rows(written("b.csv", "text,label\rfine,a\rdull,b")) == [("fine", "a"), ("dull", "b")]


def test_of_a_folder_the_files_are_named(tmp_path):
    for name, text in (("b/1.txt", "dull"), ("a/2.txt", "fine"), ("a/._2.txt", "x")):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    assert rows(tmp_path) == [("a/2.txt", "fine", "a"), ("b/1.txt", "dull", "b")]
    (tmp_path / "top.txt").write_text("new")
    assert rows(tmp_path) == [("a/2.txt", "fine"), ("b/1.txt", "dull"), ("top.txt", "new")]


@pytest.mark.parametrize("size", [6, 1 << 20])
@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "is empty; expected a CSV"),
        ("text,label\n", "has no rows"),
        ("text,label\nfine,a\ndull\nlong,b\n", "line 3 of a.csv has 1 fields where the header has 2"),
        ('text,label\nfine,a\n"dull,a\nlong,b\n', "never closed, on line 3 or after"),
        (b"text,label\nfine,a\n\xb4\xd9\xbc\xb8,b\n", r"is not UTF-8 \(byte 0xb4 on line 3\)"),
        ("text,label\nfine,a\n".encode("utf-16"), "is UTF-16 .* save it as UTF-8"),
        (b"text,label\nfine,a\nfi\0ne,a\n", "contains zero bytes"),
        (b"PAR1 and no more", "begins like a Parquet file"),
        (json.dumps({"text": "a"}) + '\n{"text": \n', "line 2 of a.csv is not JSON"),
    ],
)
def test_bad_files(written, monkeypatch, content, said, size):
    monkeypatch.setattr(module, "PORTION", size)
    with pytest.raises(SunhwanError, match=said):
        portions(written("a.csv", content))


def test_bad_places(tmp_path):
    with pytest.raises(SunhwanError, match="there is no file"):
        portions(tmp_path / "none.csv")
    with pytest.raises(SunhwanError, match=r"has no rows; expected a CSV.* folder of .txt files"):
        portions(tmp_path)


def test_a_row_without_an_end(written, monkeypatch):
    monkeypatch.setattr(module, "PORTION", 16)
    monkeypatch.setattr(module, "LONGEST", 64)
    with pytest.raises(SunhwanError, match=r"begins on line 2; look for a quotation mark .* never closed"):
        portions(written("a.csv", 'text,label\n"dull,a\n' + "fine,b\n" * 50))
