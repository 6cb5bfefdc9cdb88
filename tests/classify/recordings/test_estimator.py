"""`sunhwan.SeriesClassifier`, as people use it who know scikit-learn."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.base import clone, is_classifier
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GroupKFold, StratifiedGroupKFold, cross_val_score

import sunhwan
from sunhwan import rundir
from sunhwan.baselines import minirocket
from sunhwan.classify import run as classify
from sunhwan.classify.predict import predict
from sunhwan.classify.recordings.classifier import Options
from sunhwan.classify.recordings.network import Settings
from sunhwan.data import recordings
from sunhwan.data.recordings import Columns
from sunhwan.errors import SunhwanError
from sunhwan.training.progress import Nobody

SMALL = {"epochs": 1, "seeds": 1, "units": 4, "layers": 1}


def motions(count=40, seed=0):
    """Recordings of 5 to 20 rows, not in the order of their time: of two levels, and a sensor of noise."""
    random, rows = np.random.default_rng(seed), []
    for number in range(count):
        for step in range(random.integers(5, 20)):
            rows.append((number, step, 2 * (number % 2) + random.normal() / 5, random.normal(), number % 2))
    frame = pl.DataFrame(rows, schema=["id", "step", "x", "y", "kind"], orient="row")
    return frame.sample(fraction=1, shuffle=True, seed=1)


def as_pandas(frame):
    return pd.DataFrame(frame.to_dict(as_series=False))


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    # MiniRocket compiles for minutes, and is tested elsewhere.
    monkeypatch.setattr(minirocket, "installed", lambda: False)


def classifier(**more):
    return sunhwan.SeriesClassifier("id", "kind", **({"time": "step"} | SMALL | more))


@pytest.fixture(scope="module")
def fitted():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(minirocket, "installed", lambda: False)
        return classifier().fit(motions())


def test_frames_come_back_in_their_kind_with_a_row_for_each_recording(fitted):
    frame = motions(seed=5)
    ours = fitted.predict(frame)
    assert ours.columns == ["id", "predicted"] and isinstance(ours, pl.DataFrame)
    assert ours["id"].to_list() == frame["id"].unique(maintain_order=True).to_list()
    assert (ours["predicted"] == ours["id"] % 2).mean() > 0.9
    theirs = fitted.predict(as_pandas(frame))
    assert isinstance(theirs, pd.DataFrame) and theirs["id"].tolist() == ours["id"].to_list()
    assert theirs["predicted"].tolist() == ours["predicted"].to_list()
    indexed = fitted.predict(as_pandas(frame).set_index(["id", "step"]))
    assert indexed.equals(theirs)


def test_probabilities_have_a_column_for_each_class(fitted):
    frame = motions(seed=5)
    found = fitted.predict_proba(frame)
    assert found.columns == ["id", "0", "1"] and fitted.classes_.tolist() == [0, 1]
    probabilities = found.select("0", "1").to_numpy()
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)
    told = fitted.classes_[probabilities.argmax(axis=1)]
    assert told.tolist() == fitted.predict(frame)["predicted"].to_list()
    shuffled = fitted.predict_proba(frame.select("y", "x", "step", "id")).sort("id")
    assert shuffled.equals(found.sort("id"))


def test_a_file_is_read_like_a_frame(fitted, tmp_path):
    frame = motions(seed=5)
    frame.write_csv(tmp_path / "motions.csv")
    told = fitted.predict(tmp_path / "motions.csv")
    assert told["predicted"].to_list() == fitted.predict(frame)["predicted"].to_list()
    assert fitted.score(tmp_path / "motions.csv") == fitted.score(frame)


def test_the_score_is_the_share_of_recordings(fitted):
    frame = motions(seed=5)
    right = fitted.predict(frame)["predicted"] == frame["id"].unique(maintain_order=True) % 2
    assert fitted.score(frame) == right.mean()
    assert fitted.score(frame.drop("kind"), frame["kind"]) == right.mean()
    assert fitted.score(frame, 1 - frame["kind"]) == 1 - right.mean()
    with pytest.raises(SunhwanError, match="no recording has a label to score by"):
        fitted.score(frame.drop("kind"))


def test_labels_may_be_given_by_themselves_and_keep_their_kind(fitted):
    frame = motions()
    readings, kind = frame.drop("kind"), frame["kind"]
    again = classifier().fit(readings, kind.to_numpy())
    assert again.predict_proba(frame).equals(fitted.predict_proba(frame))
    for given, classes in (
        ((kind == 1).to_list(), [False, True]),
        (pd.Series(kind.to_list()).map({0: "still", 1: "fast"}), ["fast", "still"]),
    ):
        model = classifier().fit(as_pandas(readings), given)
        assert model.classes_.tolist() == classes
        assert set(model.predict(readings)["predicted"]) == set(classes)


def test_the_conventions_of_scikit_learn(fitted):
    model = classifier(dropout=0.1)
    assert is_classifier(model)
    assert clone(model).get_params() == model.get_params()
    assert not hasattr(clone(fitted), "classifier_")
    assert model.set_params(dropout=0.2).dropout == 0.2
    for asked in (model.predict, model.predict_proba, model.score):
        with pytest.raises(NotFittedError):
            asked(motions())


@pytest.mark.parametrize("kind", [pl.DataFrame, pd.DataFrame])
def test_recordings_are_cross_validated_whole(kind):
    frame = kind(motions().to_dict(as_series=False))
    scores = cross_val_score(classifier(), frame, groups=frame["id"], cv=GroupKFold(2), error_score="raise")
    assert len(scores) == 2 and (scores > 0.8).all()
    scores = cross_val_score(
        classifier(),
        frame,
        frame["kind"],
        groups=frame["id"],
        cv=StratifiedGroupKFold(2),
        error_score="raise",
    )
    assert len(scores) == 2 and (scores > 0.8).all()


def test_a_saved_classifier_predicts_the_same_and_is_a_run(fitted, tmp_path):
    frame = motions(seed=5)
    fitted.save(tmp_path / "run")
    again = sunhwan.SeriesClassifier.load(tmp_path / "run")
    assert again.get_params() == {**fitted.get_params(), "features": []}
    assert again.predict_proba(frame).equals(fitted.predict_proba(frame))
    assert again.predict(frame).equals(fitted.predict(frame))
    frame.write_csv(tmp_path / "new.csv")
    told = pl.concat(predict(tmp_path / "run", tmp_path / "new.csv").frames(Nobody()))
    assert told["predicted"].to_list() == fitted.predict(frame)["predicted"].cast(pl.String).to_list()
    with pytest.raises(SunhwanError, match="exists already"):
        fitted.save(tmp_path / "run")
    with pytest.raises(SunhwanError, match="a run of recordings: load it with"):
        sunhwan.Classifier.load(tmp_path / "run")


def test_a_run_of_texts_is_refused(tmp_path):
    texts = [f"{word} film number {i}" for i in range(10) for word in ("fine", "dull")]
    model = sunhwan.Classifier(epochs=1, seeds=1, units=4, embedding=4).fit(texts, [1, 0] * 10)
    model.save(tmp_path / "run")
    with pytest.raises(SunhwanError, match="a run of texts: load it with"):
        sunhwan.SeriesClassifier.load(tmp_path / "run")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda f: {"X": f.drop("id")}, "the frame has no column 'id'"),
        (lambda f: {"X": f.drop("kind")}, "the frame has no column 'kind'"),
        (lambda f: {"X": f, "y": [1, 0]}, "and y 2 labels; expected the label of each row's recording"),
        (lambda f: {"X": f, "y": [0, "1"] * (len(f) // 2) + [0] * (len(f) % 2)}, "y mixes int, str"),
        (lambda f: {"X": f, "y": np.arange(len(f))}, "has two labels"),
        (lambda f: {"X": f.filter(pl.col("kind") == 1)}, "all 20 labels of the frame are '1'"),
        (lambda f: {"X": f[:0]}, "X has no rows"),
        (lambda f: {"X": [1, 2]}, "X is a list; expected a pandas or polars frame"),
    ],
)
def test_input_that_cannot_be_used(change, said):
    with pytest.raises(SunhwanError, match=said):
        classifier().fit(**change(motions()))


def test_a_validation_share_of_nothing():
    with pytest.raises(SunhwanError, match="validation is 0"):
        classifier(validation=0).fit(motions())


def test_a_run_of_the_command_is_loaded(tmp_path):
    motions().write_csv(tmp_path / "a.csv")
    source = recordings.load(tmp_path / "a.csv", Columns("id", "kind", ("step",), ("x",)))
    options = Options(Settings(epochs=1, units=4, layers=1), seeds=1, features=("x",))
    result = classify.learn(source, (60, 20, 20), options, Nobody())
    classify.save(result, rundir.record("classify", [], {}, {}), tmp_path / "run")
    model = sunhwan.SeriesClassifier.load(tmp_path / "run")
    assert (model.series, model.label, model.time, model.features) == ("id", "kind", ["step"], ["x"])
    assert model.score(motions(seed=5)) > 0.9
