"""The predictions of a run for a file of new texts: every row, its columns, and the classes."""

import json
import subprocess
import sys

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from sunhwan import rundir
from sunhwan.baselines.ngrams import NbSvm, Ngrams
from sunhwan.classify.ensemble import Members
from sunhwan.classify.predict import predict
from sunhwan.classify.texts.classifier import TextClassifier, TextEncoder
from sunhwan.data.texts import portions
from sunhwan.data.texts.words import Words
from sunhwan.errors import SunhwanError
from sunhwan.training.progress import Nobody


def classifier(classes=("bad", "good")):
    """NB-SVM of four words: `fine` and `lovely` speak for the second class, `dull` against it."""
    words = ("fine", "lovely", "dull", "film")
    weights = np.zeros((4, 1 if len(classes) == 2 else len(classes)), np.float32)
    weights[:, 1 if len(classes) > 2 else 0] = (2.0, 1.0, -3.0, 0.0)
    none = np.empty(0, np.int64)
    linear = NbSvm(weights, np.full(weights.shape[1], 0.25, np.float32), 1.0)
    members = Members(TextEncoder(Words(words), Ngrams(4, none, none)), {"nb_svm": linear}, ())
    return TextClassifier(classes, members, {"nb_svm": 1.0})


def saved(folder, model, columns):
    record = rundir.record("classify", [], {}, {})
    rundir.write(folder, record, {**model.to_dict(), "columns": columns}, model.to_arrays())
    return folder


@pytest.fixture
def run(tmp_path):
    return saved(tmp_path / "run", classifier(), {"text": "review", "label": "stars"})


def predicted(run, file, **options):
    predictions = predict(run, file, **options)
    return pl.concat(predictions.frames(Nobody())), predictions.notes()


def test_every_row_keeps_its_columns_and_gets_a_prediction(run, tmp_path):
    path = tmp_path / "new.csv"
    path.write_text("id,review,when\n007,a fine film,1\n8,dull,\n9,zzz,3\n")
    frame, notes = predicted(run, path)
    assert frame.columns == ["id", "review", "when", "predicted", "bad", "good"]
    assert frame["id"].to_list() == ["007", "8", "9"] and frame["when"].to_list() == ["1", None, "3"]
    assert frame["predicted"].to_list() == ["good", "bad", "good"]
    expected = classifier().predict_proba(["a fine film", "dull", "zzz"])
    np.testing.assert_allclose(frame.select("bad", "good").to_numpy(), expected, atol=5e-7)
    assert notes == [
        "1 text without a word that occurred in training: the probabilities are about the classes' shares"
    ]


@pytest.mark.parametrize("ending", ["csv", "parquet", "jsonl"])
def test_portions_change_nothing(run, tmp_path, monkeypatch, ending):
    random = np.random.default_rng(0)
    texts = [" ".join(random.choice(["fine", "dull", "film", "lovely"], 5)) for _ in range(60)]
    frame = pl.DataFrame({"id": np.arange(60), "review": texts})
    path = tmp_path / f"new.{ending}"
    {"csv": frame.write_csv, "parquet": frame.write_parquet, "jsonl": frame.write_ndjson}[ending](path)
    whole, _ = predicted(run, path)
    monkeypatch.setattr(portions, "PORTION", 100)
    monkeypatch.setattr(portions, "FEWEST", 7)
    monkeypatch.setattr("sunhwan.classify.predict.PREDICTED_AT_ONCE", 3)
    assert_frame_equal(predicted(run, path)[0], whole)
    assert whole["predicted"].to_list() == classifier().predict(texts)
    assert whole["id"].dtype == (pl.Int64 if ending == "parquet" else pl.String)


def test_predictions_are_compared_with_the_labels_of_the_file(run, tmp_path):
    path = tmp_path / "new.csv"
    path.write_text("review,stars\nfine,good\ndull, bad \nlovely,bad\nfine,\n,good\nfine,so-so\n")
    frame, notes = predicted(run, path)
    assert frame["predicted"].to_list() == ["good", "bad", "good", "good", None, "good"]
    assert frame["bad"].null_count() == 1
    assert notes == [
        "1 row without a text in 'review': no prediction there",
        "2 of 4 predictions match the labels in 'stars' (50.0%); 1 label (first 'so-so') not among the run's "
        "classes",
    ]
    path.write_text("review,stars\nfine,5\ndull,1\n")
    assert predicted(run, path)[1] == [
        "no label in 'stars' is a class of the run (first '5'), so predictions cannot be compared with them"
    ]


def test_words_that_moved_a_prediction(run, tmp_path):
    path = tmp_path / "new.csv"
    path.write_text("review\na fine dull film\nzzz\n\n")
    frame, _ = predicted(run, path, explain=True)
    assert frame["moved_by"].to_list() == ["dull +3.00, fine -2.00, film +0.00", ""]


def test_predictions_give_way_to_columns_of_the_file(tmp_path):
    run = saved(tmp_path / "run", classifier(("predicted", "good")), {"text": "text", "label": "label"})
    path = tmp_path / "new.csv"
    path.write_text("text,good,good_\nfine,1,2\n")
    frame, notes = predicted(run, path)
    assert frame.columns == ["text", "good", "good_", "predicted", "predicted_", "good__"]
    assert frame.row(0)[:4] == ("fine", "1", "2", "good")
    assert "new.csv has a column 'good' already; that of the predictions is 'good__'" in notes


def test_a_folder_names_its_files(run, tmp_path):
    for name, text in (("good/1.txt", "fine"), ("bad/2.txt", "dull")):
        (tmp_path / "new" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "new" / name).write_text(text)
    frame, notes = predicted(run, tmp_path / "new")
    assert frame.select("file", "predicted").rows() == [("bad/2.txt", "bad"), ("good/1.txt", "good")]
    assert notes == ["2 of 2 predictions match the labels in 'label' (100.0%)"]


def test_a_text_of_a_megabyte(run, tmp_path):
    path = tmp_path / "new.jsonl"
    path.write_text(
        json.dumps({"review": "film " * 200_000 + "dull"}) + "\n" + json.dumps({"review": "fine"})
    )
    assert predicted(run, path)[0]["predicted"].to_list() == ["bad", "good"]


def test_files_that_cannot_be_predicted(run, tmp_path):
    (tmp_path / "a.csv").write_text("text,stars\nfine,1\n")
    with pytest.raises(
        SunhwanError, match=r"has no column 'review', which the run reads texts from.*'text', 'stars'"
    ):
        predict(run, tmp_path / "a.csv")
    pl.DataFrame({"review": [1, 2]}).write_parquet(tmp_path / "a.parquet")
    with pytest.raises(SunhwanError, match="has type Int64, expected texts"):
        predicted(run, tmp_path / "a.parquet")


def test_prediction_loads_no_framework(run, tmp_path):
    (tmp_path / "a.csv").write_text("review\na fine film\n")
    code = (
        "import sys; sys.argv[0] = 'sunhwan'\nfrom sunhwan.cli import main\n"
        "try:\n    main()\nexcept SystemExit as ended:\n    assert ended.code == 0\n"
        "print(*{'keras', 'jax', 'tensorflow', 'torch', 'sklearn'} & set(sys.modules))"
    )
    command = [sys.executable, "-c", code, "predict", run, tmp_path / "a.csv", "--explain"]
    ended = subprocess.run(command, capture_output=True, text=True, check=True)
    assert ended.stdout.splitlines() == [
        "review,predicted,bad,good,moved_by",
        'a fine film,good,0.095349,0.904651,"fine +2.00, film +0.00"',
        "",
    ]
