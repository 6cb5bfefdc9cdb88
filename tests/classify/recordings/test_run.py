"""From a file of sensor readings to a run and its predictions for new files."""

import json
import subprocess
import sys

import numpy as np
import polars as pl
import pytest

from sunhwan import rundir
from sunhwan.baselines import minirocket
from sunhwan.classify import run as classify
from sunhwan.classify.ensemble import fit
from sunhwan.classify.predict import predict
from sunhwan.classify.recordings.classifier import Options, RecordingClassifier
from sunhwan.classify.recordings.network import Settings
from sunhwan.data import recordings
from sunhwan.data.recordings import Columns, load
from sunhwan.errors import SunhwanError
from sunhwan.training.progress import Nobody

SMALL = Options(Settings(units=4, layers=1, epochs=2), seeds=1)
WAVES = {"sine": np.sin, "square": lambda x: np.sign(np.sin(x)), "saw": lambda x: x / np.pi % 2 - 1}


def waves(path, count=90, seed=0, kinds=tuple(WAVES)):
    """Recordings of 5 to 40 rows: a wave of one of three shapes with noise, and a sensor of mere noise."""
    random, rows = np.random.default_rng(seed), []
    for number in range(count):
        kind, length = kinds[number % len(kinds)], random.integers(5, 40)
        phase = random.uniform(0.3, 0.8) * np.arange(length) + random.uniform(0, 6)
        for step, value in enumerate(WAVES[kind](phase) + random.normal(0, 0.1, length)):
            rows.append((f"r{number}", step, value, random.normal(), kind))
    frame = pl.DataFrame(rows, schema=["id", "step", "x", "y", "wave"], orient="row")
    frame.sample(fraction=1, shuffle=True, seed=0).write_csv(path)
    return path


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    return waves(tmp_path_factory.mktemp("waves") / "waves.csv")


@pytest.fixture(scope="module")
def result(file):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(minirocket, "installed", lambda: False)
        return classify.learn(load(file, Columns("id", "wave", ("step",))), (60, 20, 20), SMALL, Nobody())


@pytest.fixture(scope="module")
def run(result, file, tmp_path_factory):
    path = tmp_path_factory.mktemp("runs") / "run"
    classify.save(result, rundir.record("classify", [], {}, {}), path)
    return path


def test_a_run_of_recordings_has_what_one_of_texts_has(result, run):
    metrics = json.loads((run / "metrics.json").read_text())
    assert metrics["kind"] == "classify" and metrics["classes"] == ["saw", "sine", "square"]
    assert set(metrics["test"]) == {"model", "network", "summary", "majority"}
    assert metrics["recordings"] == sum(row["support"] for row in metrics["per_class"]) == 18
    assert metrics["test"]["model"]["accuracy"] > metrics["test"]["majority"]["accuracy"]
    assert "of the test recordings" in metrics["verdict"]
    assert any("recordings: 54 train, 18 validation, 18 test" in note for note in result.notes)
    assert any('pip install "sunhwan[minirocket]"' in note for note in result.notes)


def test_predictions_have_the_ids_of_new_recordings(result, run, tmp_path):
    new = waves(tmp_path / "new.csv", 30, seed=1)
    predictions = predict(run, new)
    frame = pl.concat(predictions.frames(Nobody()))
    assert frame.columns == ["id", "wave", "predicted", "saw", "sine", "square"]
    source = load(new, Columns("id", "wave", ("step",)))
    assert frame["id"].to_list() == list(source.table.series_names)
    classifier = result.fitted.classifier
    np.testing.assert_allclose(frame[:, 3:].to_numpy(), classifier.predict_proba(source.table), atol=1e-6)
    assert frame["predicted"].to_list() == classifier.predict(source.table)
    matches = int((frame["predicted"] == frame["wave"]).sum())
    assert predictions.notes()[-1].startswith(f"{matches} of 30 predictions match the labels in 'wave'")


def test_new_files_need_no_labels_and_may_have_other_columns(run, tmp_path):
    frame = pl.read_csv(waves(tmp_path / "new.csv", 6, seed=1))
    whole = pl.concat(predict(run, tmp_path / "new.csv").frames(Nobody()))
    (tmp_path / "other.csv").write_text(
        frame.drop("wave").with_columns(colour=pl.lit("red")).select(pl.all().reverse()).write_csv()
    )
    other = pl.concat(predict(run, tmp_path / "other.csv").frames(Nobody()))
    assert other.columns == ["id", "predicted", "saw", "sine", "square"]
    assert other.sort("id")["saw"].to_list() == whole.sort("id")["saw"].to_list()
    frame.drop("x").write_csv(tmp_path / "less.csv")
    with pytest.raises(SunhwanError, match="has no column 'x'"):
        predict(run, tmp_path / "less.csv")
    with pytest.raises(SunhwanError, match="--explain is for texts"):
        predict(run, tmp_path / "new.csv", explain=True)


def test_prediction_loads_no_framework(run, file):
    loads_no_framework(run, file)


def loads_no_framework(run, file):
    code = (
        "import sys; sys.argv[0] = 'sunhwan'\nfrom sunhwan.cli import main\n"
        "try:\n    main()\nexcept SystemExit as ended:\n    assert ended.code == 0\n"
        "print(*{'keras', 'jax', 'tensorflow', 'torch', 'sklearn', 'sktime', 'numba'} & set(sys.modules))"
    )
    command = [sys.executable, "-c", code, "predict", run, file]
    ended = subprocess.run(command, capture_output=True, text=True, check=True)
    assert len(ended.stdout.splitlines()) == 92 and ended.stdout.splitlines()[-1] == ""


def test_a_damaged_run_is_refused(run):
    model, arrays = rundir.read(run, "classify")
    for broken in (
        ({**model, "classes": ["one"]}, arrays),
        ({**model, "weights": {}}, arrays),
        ({**model, "recipe": {}}, arrays),
        ({**model, "kind": "pictures"}, arrays),
        (model, {name: array for name, array in arrays.items() if not name.endswith("bias")}),
    ):
        with pytest.raises(SunhwanError, match="cannot be read"):
            classify.from_dict(*broken)
    assert isinstance(classify.from_dict(model, arrays), RecordingClassifier)


def test_preparation_learns_from_training_rows_until_all_is_chosen(file, monkeypatch):
    masks = []

    def learn(rows, wanted, training):
        masks.append(np.unique(rows.series[training]))
        return original(rows, wanted, training)

    monkeypatch.setattr(minirocket, "installed", lambda: False)
    original = recordings.learn
    monkeypatch.setattr(recordings, "learn", learn)
    source = load(file, Columns("id", "wave", ("step",)))
    validation = np.arange(90) % 4 == 0
    labels = source.labels.cast(pl.Enum(sorted(WAVES))).to_physical().to_numpy().astype(np.int64)
    options = Options(Settings(units=2, layers=1, epochs=1), seeds=1)
    fit(RecordingClassifier, source.table, labels, sorted(WAVES), validation, options, Nobody())
    assert [mask.tolist() for mask in masks] == [np.flatnonzero(~validation).tolist(), list(range(90))]


def test_labels_that_are_not_classes(tmp_path):
    rows = "".join(f"{i},{i % 7},{i}\n" for i in range(10_000))
    (tmp_path / "many.csv").write_text("id,x,label\n" + rows)
    with pytest.raises(SunhwanError, match="10,000 classes, expected at most 500"):
        classify.learn(load(tmp_path / "many.csv", Columns("id", "label")), (60, 20, 20), SMALL, Nobody())
    (tmp_path / "one.csv").write_text("id,x,label\n" + "".join(f"{i},{i},{'ab'[i > 0]}\n" for i in range(20)))
    with pytest.raises(SunhwanError, match=r"the label 'a' of one.csv has 1 example"):
        classify.learn(load(tmp_path / "one.csv", Columns("id", "label")), (60, 20, 20), SMALL, Nobody())


@pytest.mark.slow
def test_minirocket_is_weighted_and_predicts_without_sktime(file, tmp_path):
    pytest.importorskip("sktime")
    pytest.importorskip("numba")
    found = classify.learn(load(file, Columns("id", "wave", ("step",))), (60, 20, 20), SMALL, Nobody())
    assert found.metrics["test"]["minirocket"]["accuracy"] > found.metrics["test"]["majority"]["accuracy"]
    # Two epochs of a small network are no match for it.
    assert "minirocket" in found.metrics["weights"]
    classify.save(found, rundir.record("classify", [], {}, {}), tmp_path / "run")
    source = load(file, Columns("id", "wave", ("step",)))
    expected = found.fitted.classifier.predict_proba(source.table)
    np.testing.assert_array_equal(classify.load(tmp_path / "run").predict_proba(source.table), expected)
    loads_no_framework(tmp_path / "run", file)
