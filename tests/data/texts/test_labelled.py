"""What users' files of labelled texts hold, and what is said where they hold something else."""

import json

import polars as pl
import pytest

from sunhwan.data.texts.labelled import Columns, classes_of, load
from sunhwan.errors import SunhwanError

ROWS = [("Well done, all", "good"), ('Dull\nand "long"', "bad"), ("다섯 명", "good")]


def rows(found):
    return list(zip(found.texts.to_list(), found.labels.to_list(), strict=True))


@pytest.fixture
def written(tmp_path):
    def write(name, content):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


def test_each_kind_of_file_gives_the_same(tmp_path):
    frame = pl.DataFrame(ROWS, schema=["text", "label"], orient="row")
    frame.write_csv(tmp_path / "a.csv")
    frame.write_csv(tmp_path / "a.tsv", separator="\t")
    frame.write_parquet(tmp_path / "a.parquet")
    frame.write_ndjson(tmp_path / "a.jsonl")
    for file in list(tmp_path.iterdir()):
        assert rows(load(file)) == ROWS, file.name
    for number, (text, label) in enumerate(ROWS):
        (tmp_path / "folder" / label).mkdir(parents=True, exist_ok=True)
        (tmp_path / "folder" / label / f"{number}.txt").write_bytes(text.encode())
    (tmp_path / "folder" / "good" / "._0.txt").write_bytes(b"\xff")
    assert sorted(rows(load(tmp_path / "folder"))) == sorted(ROWS)


def test_a_byte_order_mark_is_no_part_of_a_name(written):
    assert rows(load(written("a.csv", b"\xef\xbb\xbftext,label\r\nfine,a\r\n"))) == [("fine", "a")]


def test_other_columns_and_names_of_columns(written):
    path = written("a.csv", "id;sentiment;review\n1;1;fine\n2;0;1,5 times dull\n")
    found = load(path, Columns("review", "sentiment"))
    assert rows(found) == [("fine", "1"), ("1,5 times dull", "0")]
    assert found.notes == ("semicolons separate the fields",)


def test_labels_that_look_missing_are_labels(written):
    """NA is Namibia, and null a colloquial verdict."""
    assert [label for _, label in rows(load(written("a.csv", "text,label\nx a,NA\nx b,null\n")))] == [
        "NA",
        "null",
    ]


def test_rows_without_text_or_label_are_counted(written):
    found = load(written("a.csv", 'text,label\nfine,a\n"  ",a\n,b\ndull,\nlong,b\n'))
    assert rows(found) == [("fine", "a"), ("long", "b")]
    assert found.notes == (
        "a.csv: 2 rows without a text are left out",
        "a.csv: 1 row without a label is left out",
    )


def test_labels_of_json_and_parquet_may_be_numbers(tmp_path, written):
    path = written(
        "a.jsonl", '{"text": "a", "label": 1}\n\n{"text": "b", "label": null}\n{"label": true, "text": "c"}\n'
    )
    assert [label for _, label in rows(load(path))] == ["1", "true"]
    pl.DataFrame({"text": ["a", "b", "c"], "label": [1.0, 2.0, None]}).write_parquet(tmp_path / "b.parquet")
    assert [label for _, label in rows(load(tmp_path / "b.parquet"))] == ["1", "2"]


def test_line_separators_within_json_strings_stay(written):
    content = json.dumps({"text": "a\u2028b", "label": "x"}, ensure_ascii=False) + "\n"
    assert rows(load(written("a.jsonl", content))) == [("a\u2028b", "x")]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "is empty; expected a CSV"),
        ("text,label\n", "has no rows"),
        ("review,label\nfine,a\n", "has no column 'text'; it has 'review', 'label': name one with --text"),
        ("text,stars\nfine,a\n", "has no column 'label'; it has 'text', 'stars': name one with --label"),
        ("text,label\n,a\n,b\n", "no row of a.csv has a text"),
        ("text,label\nfine,\nwell,\n", "no row of a.csv has a label"),
        (b"text,label\nfine,a\n\xb4\xd9\xbc\xb8,b\n", r"is not UTF-8 \(byte 0xb4 on line 3\)"),
        ("text,label\nfine,a\n".encode("utf-16"), "is UTF-16 .* save it as UTF-8"),
        (b"text,label\nfi\0ne,a\n", "contains zero bytes"),
        (b"PAR1 and no more", "begins like a Parquet file"),
        ("text,label\n1.5,a\n-2,b\n", "all texts .* are numbers, first '1.5'"),
        ('{"text": "a", "label": "x"}\n{"text": \n', "line 2 of a.csv is not JSON"),
        ('{"text": ' + "[" * 200_000, "line 1 of a.csv is not JSON"),
        ("[1, 2]\n", "expected one object a line"),
    ],
)
def test_bad_files(written, content, said):
    with pytest.raises(SunhwanError, match=said):
        load(written("a.csv", content))


def test_bad_places(tmp_path, written):
    with pytest.raises(SunhwanError, match="there is no file"):
        load(tmp_path / "none.csv")
    with pytest.raises(SunhwanError, match=r"has no subfolder with .txt files"):
        load(tmp_path)
    with pytest.raises(SunhwanError, match="both name 'text'"):
        load(written("a.csv", "text,label\nfine,a\n"), Columns(label="text"))
    pl.DataFrame({"text": [1, 2], "label": ["a", "b"]}).write_parquet(tmp_path / "n.parquet")
    with pytest.raises(SunhwanError, match="has type Int64, expected texts"):
        load(tmp_path / "n.parquet")


def test_classes():
    assert classes_of(pl.Series(["b", "a"] * 3), 3, "f") == ("a", "b")
    assert classes_of(pl.Series(["10", "9", "-1"] * 3), 3, "f") == ("-1", "9", "10")
    for labels, said in [
        (["a"] * 9, "all 9 labels of f are 'a'"),
        (["a"] * 9 + ["b"], "the label 'b' of f has 1 example, expected at least 3"),
        (["a"] * 9 + ["b", "c", "c"], "1 other classes have fewer"),
        ([str(i) for i in range(10_000)] * 3, "10,000 classes, expected at most 500 .they are numbers"),
        ([f"u{i}" for i in range(501)] * 3, "501 classes, expected at most 500;"),
    ]:
        with pytest.raises(SunhwanError, match=said):
            classes_of(pl.Series(labels), 3, "f")
