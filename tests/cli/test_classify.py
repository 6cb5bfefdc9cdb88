"""`sunhwan classify` and `sunhwan data export`, as a shell calls them."""

import json

import numpy as np
import polars as pl
import pytest

QUICK = ["--seeds", "1", "--epochs", "1"]


@pytest.fixture
def reviews(tmp_path):
    random = np.random.default_rng(0)
    rows = []
    for number in range(120):
        label = ("good", "bad")[number % 2]
        word = random.choice(("fine", "lovely") if label == "good" else ("dull", "awful"))
        rows.append((f"a {word} film, number {number}", label))
    path = tmp_path / "reviews.csv"
    pl.DataFrame(rows, schema=["review", "sentiment"], orient="row").write_csv(path)
    return path


def test_the_last_line_is_json(sunhwan, reviews, tmp_path):
    ended = sunhwan(
        "classify", str(reviews), "--text", "review", "--label", "sentiment", *QUICK, "--out", "run", "--json"
    )
    assert ended.status == 0, ended.err
    metrics = json.loads(ended.out.splitlines()[-1])
    assert (metrics["run"], metrics["kind"], metrics["classes"]) == ("run", "classify", ["bad", "good"])
    for name in ("model", "network", "nb_svm", "tfidf", "majority"):
        assert {"accuracy", "macro_f1", "ece"} <= set(metrics["test"][name])
    assert metrics["verdict"] == ended.out.splitlines()[0] and metrics["seconds"] > 0
    kept = json.loads((tmp_path / "run" / "run.json").read_text())
    assert kept["options"]["text"] == "review" and list(kept["data"]) == ["reviews.csv"]
    assert "exists already" in sunhwan("classify", str(reviews), "--out", "run").err


def test_a_test_file_is_the_test_part(sunhwan, reviews, tmp_path):
    frame = pl.read_csv(reviews).rename({"review": "text", "sentiment": "label"})
    frame[:80].write_csv(tmp_path / "train.csv")
    frame[70:].write_csv(tmp_path / "test.csv")
    ended = sunhwan("classify", "train.csv", "--test", "test.csv", *QUICK, "--json")
    assert ended.status == 0, ended.err
    assert json.loads(ended.out.splitlines()[-1])["texts"] == 50
    assert "10 of 50 test texts also occur in train.csv" in ended.out
    assert "texts: 64 train, 16 validation, 50 test" in ended.out


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ([], "has no column 'text'; it has 'review', 'sentiment': name one with --text"),
        (["--text", "review"], "has no column 'label'"),
        (["--text", "review", "--label", "review"], "two columns"),
        (["--split", "80/20"], "there is no --test; give three"),
        (["--split", "60/20/20", "--test", "x.csv"], "--split has two shares"),
        (["--split", "60/20"], "give three"),
        (["--test", "none.csv", "--text", "review", "--label", "sentiment"], "there is no file 'none.csv'"),
        (["--epochs", "0"], "0 is not in the range"),
        (["--time", "t"], "name the column of recording IDs with --series"),
        (["--series", "id", "--text", "review"], "give one of them"),
        (["--series", "id", "--label", "sentiment"], "has no column 'id'"),
    ],
)
def test_bad_options(refuses, reviews, options, said):
    assert said in refuses("classify", str(reviews), *options)


def test_windows_of_sensor_readings(sunhwan, tmp_path, monkeypatch):
    monkeypatch.setattr("sunhwan.baselines.minirocket.installed", lambda: False)
    random = np.random.default_rng(0)
    rows = [
        (number, step, value, "ab"[number % 2])
        for number in range(40)
        for step, value in enumerate(random.normal(number % 2, 0.5, 4 + number % 5))
    ]
    pl.DataFrame(rows, schema=["id", "ms", "x", "kind"], orient="row").write_csv(tmp_path / "strokes.csv")
    wanted = ["--series", "id", "--label", "kind", "--time", "ms", "--features", "x"]
    ended = sunhwan("classify", "strokes.csv", *wanted, *QUICK, "--out", "run", "--json")
    assert ended.status == 0, ended.err
    metrics = json.loads(ended.out.splitlines()[-1])
    assert (metrics["recordings"], metrics["classes"]) == (8, ["a", "b"])
    assert set(metrics["test"]) == {"model", "network", "summary", "majority"}
    predicted = sunhwan("predict", "run", "strokes.csv")
    assert predicted.status == 0 and len(predicted.out.splitlines()) == 41
    assert predicted.out.startswith("id,kind,predicted,a,b\n0,a,")
    assert "of 40 predictions match the labels in 'kind'" in predicted.err


def test_export_makes_what_classify_reads(sunhwan, tmp_path):
    for part in ("train", "test"):
        for label, stars in (("pos", 9), ("neg", 2)):
            for number in range(3):
                path = tmp_path / "aclImdb" / part / label / f"{number}_{stars}.txt"
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(f'{part} {label}, "{number}"<br />end')
    ended = sunhwan("data", "export", "imdb", "out", "--data", "aclImdb")
    assert ended.status == 0, ended.err
    frame = pl.read_csv(tmp_path / "out" / "train.csv")
    assert frame.columns == ["text", "label"] and len(frame) == 6
    assert frame.row(0) == ('train neg, "0"\nend', "neg")


def test_only_texts_are_exported(refuses):
    assert "'jena' cannot be exported" in refuses("data", "export", "jena", "out")
