"""`sunhwan predict` follows the kind of its run; forecasts are tested with `sunhwan forecast`."""

import io

import polars as pl
import pytest

from sunhwan import rundir


@pytest.fixture(scope="module")
def reviews():
    rows = [(n, f"a {('fine', 'dull')[n % 2]} film, number {n}", ("good", "bad")[n % 2]) for n in range(80)]
    return pl.DataFrame(rows, schema=["id", "text", "label"], orient="row")


@pytest.fixture
def run(sunhwan, reviews, tmp_path):
    reviews.write_csv(tmp_path / "reviews.csv")
    ended = sunhwan("classify", "reviews.csv", "--seeds", 1, "--epochs", 1, "--out", "run")
    assert ended.status == 0, ended.err
    return "run"


def test_texts_are_told_on_stdout_and_in_files(sunhwan, run, reviews, tmp_path):
    ended = sunhwan("predict", run, "reviews.csv")
    assert ended.status == 0
    assert ended.err == "note: 80 of 80 predictions match the labels in 'label' (100.0%)\n"
    printed = pl.read_csv(io.StringIO(ended.out))
    assert printed.columns == ["id", "text", "label", "predicted", "bad", "good"]
    assert printed["predicted"].to_list() == reviews["label"].to_list()
    for out in ("told.csv", "told.parquet"):
        ended = sunhwan("predict", run, "reviews.csv", "--out", out)
        assert (ended.status, ended.out) == (0, f"80 rows in {out}\n")
        found = pl.read_csv(tmp_path / out) if out.endswith("csv") else pl.read_parquet(tmp_path / out)
        assert found["predicted"].to_list() == reviews["label"].to_list()
        assert found["good"].to_list() == printed["good"].to_list()


def test_options_of_the_other_kind(refuses, run, tmp_path):
    assert "--every is for runs of `forecast`; 'run' is one of `classify`" in refuses(
        "predict", run, "reviews.csv", "--every", "3"
    )
    rundir.write(tmp_path / "other", rundir.record("forecast", [], {}, {}), {}, {})
    assert "--explain is for runs of `classify`; 'other' is one of `forecast`" in refuses(
        "predict", "other", "reviews.csv", "--explain"
    )


def test_a_study_does_not_predict_and_says_what_does(refuses, tmp_path):
    rundir.begin(tmp_path / "study", rundir.record("study", [], {}, {}) | {"target": "T"}, study="")
    message = refuses("predict", "study", "station.csv")
    assert "train on it with `sunhwan forecast FILE --target T`" in message


def test_an_error_further_on_leaves_no_file(refuses, run, tmp_path):
    (tmp_path / "new.csv").write_bytes(b"text\nfine\n\xff\n")
    for out in ("told.csv", "told.parquet"):
        assert "not UTF-8 (byte 0xff on line 3)" in refuses("predict", run, "new.csv", "--out", out)
    assert "ends with .csv or .parquet" in refuses("predict", run, "reviews.csv", "--out", "told.txt")
