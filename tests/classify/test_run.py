"""From labelled texts to a run and its predictions; small generated texts, networks of few units."""

import csv
import json
import subprocess
import sys

import numpy as np
import polars as pl
import pytest

from sunhwan import rundir
from sunhwan.classify import run as classify
from sunhwan.classify.texts.classifier import Options, TextClassifier
from sunhwan.classify.texts.network import Settings
from sunhwan.data.texts.labelled import Labelled
from sunhwan.errors import SunhwanError
from sunhwan.evaluation.metrics import expected_calibration_error
from sunhwan.training.progress import Nobody

SMALL = Options(Settings(units=4, embedding=4, epochs=2), seeds=1)
KINDS = {"good": ("fine", "lovely", "superb"), "bad": ("dull", "awful", "weak"), "so-so": ("medium", "plain")}


def labelled(count=240, classes=("good", "bad"), seed=0, shares=None, noise=0.1):
    """Texts of filler and two words of the class, one text in ten with words of any class."""
    random = np.random.default_rng(seed)
    labels = random.choice(classes, count, p=shares)
    texts = []
    for number, label in enumerate(labels):
        kind = random.choice(classes) if random.random() < noise else label
        filler = random.choice(["film", "the", "a", "plot", "scene"], 6)
        texts.append(" ".join([*random.permutation([*filler, *random.choice(KINDS[kind], 2)]), f"n{number}"]))
    return Labelled(pl.Series(texts), pl.Series(labels), f"made-{seed}.csv", "")


@pytest.fixture(scope="module")
def result():
    return classify.learn(labelled(classes=tuple(KINDS)), (60, 20, 20), SMALL, Nobody())


@pytest.fixture(scope="module")
def run(result, tmp_path_factory):
    path = tmp_path_factory.mktemp("runs") / "run"
    classify.save(result, rundir.record("classify", [], {}, {}), path)
    return path


def test_the_metrics_are_those_of_the_predictions(result, run):
    metrics = json.loads((run / "metrics.json").read_text())
    assert metrics["kind"] == "classify" and metrics["classes"] == ["bad", "good", "so-so"]
    assert metrics["run"] == str(run)
    with np.load(run / "predictions.npz") as saved:
        truth = saved["truth"]
        for name, figures in metrics["test"].items():
            probability = saved[name if name in ("model", "network") else f"baseline:{name}"]
            assert figures["accuracy"] == pytest.approx((probability.argmax(axis=1) == truth).mean())
            expected = expected_calibration_error(probability, truth)
            assert figures["ece"] == pytest.approx(expected, abs=1e-3)
            np.testing.assert_allclose(probability.sum(axis=1), 1, atol=1e-5)
        confusion = np.zeros((3, 3), int)
        np.add.at(confusion, (truth, saved["model"].argmax(axis=1)), 1)
    assert set(metrics["test"]) == {"model", "network", "nb_svm", "tfidf", "majority"}
    assert metrics["confusion"] == confusion.tolist()
    assert metrics["test"]["model"]["accuracy"] > 0.8 > metrics["test"]["majority"]["accuracy"]
    assert [row["support"] for row in metrics["per_class"]] == confusion.sum(axis=1).tolist()
    rows = list(csv.DictReader((run / "history.csv").read_text().splitlines()))
    assert [row["epoch"] for row in rows] == ["1", "2"]


def test_a_loaded_run_predicts_the_same(result, run):
    texts = ["a lovely scene", "the awful plot n3", "", "다섯", None, "x " * 500]
    loaded = classify.load(run)
    np.testing.assert_array_equal(loaded.predict_proba(texts), result.fitted.classifier.predict_proba(texts))
    assert loaded.predict(texts[:2]) == ["good", "bad"]
    assert loaded.predict_proba([]).shape == (0, 3)


def test_batches_predict_what_one_call_does(run, monkeypatch):
    loaded = classify.load(run)
    texts = labelled(50, tuple(KINDS), seed=5).texts
    whole = loaded.predict_proba(texts)
    monkeypatch.setattr("sunhwan.classify.texts.classifier.PREDICTED_AT_ONCE", 7)
    np.testing.assert_allclose(loaded.predict_proba(texts), whole, atol=1e-6)


def test_prediction_loads_no_framework(run):
    code = (
        "import sys; from sunhwan.classify import run; c = run.load(sys.argv[1]);"
        "c.predict(['a fine film']); c.explain('a fine film');"
        "print(*{'keras', 'jax', 'tensorflow', 'torch'} & set(sys.modules))"
    )
    ended = subprocess.run([sys.executable, "-c", code, run], capture_output=True, text=True, check=True)
    assert ended.stdout.strip() == ""


def test_nothing_in_a_run_is_a_pickle(run):
    for path in run.glob("*.npz"):
        with np.load(path, allow_pickle=False) as saved:
            assert all(saved[name].dtype.kind in "fiuU" for name in saved.files)


def test_explanations_name_the_words_of_the_class(run):
    loaded = classify.load(run)
    words = loaded.explain("the film is lovely and the plot superb unheardof", top=3)
    assert {word for word, _ in words[:2]} == {"lovely", "superb"}
    assert words[0][1] > 0
    assert loaded.explain("unheardof") == [] == loaded.explain("")
    against = dict(loaded.explain("lovely superb lovely fine awful"))
    assert against["awful"] < 0


def test_the_effect_of_a_word_is_the_change_of_the_log_odds(run):
    loaded = classify.load(run)
    effects = dict(loaded.explain("superb plot"))
    whole, without = loaded.predict_proba(["superb plot", "unheardof plot"])
    k = int(whole.argmax())
    log_odds = [np.log(p[k] / (1 - p[k])) for p in (whole, without)]
    assert effects["superb"] == pytest.approx(log_odds[0] - log_odds[1], rel=1e-4)


def test_test_labels_teach_nothing():
    """With the test part's labels turned round, the model is the same."""
    train, test = labelled(200), labelled(60, seed=1)
    turned = Labelled(test.texts, test.labels.replace({"good": "bad", "bad": "good"}), "t", "")
    found = [classify.learn(train, (80, 20), SMALL, Nobody(), later) for later in (test, turned)]
    for first, second in zip(*(run.fitted.classifier.to_arrays().items() for run in found), strict=True):
        assert first[0] == second[0]
        np.testing.assert_array_equal(first[1], second[1])
    accuracy = [run.metrics["test"]["model"]["accuracy"] for run in found]
    assert accuracy[0] + accuracy[1] == pytest.approx(1)


def test_validation_texts_are_learnt_from_in_the_end():
    source = labelled(200)
    fitted = classify.learn(source, (60, 20, 20), SMALL, Nobody()).fitted
    # Each text has a word of its own, n0, n1, ...: four in five are known, not three.
    words = fitted.members.encoder.words.words
    assert sum(word.startswith("n") and word[1:].isdigit() for word in words) == 160


def test_rare_classes_are_noted_and_long_texts_are_read():
    source = labelled(200, shares=[0.9, 0.1], noise=0)
    long = Labelled(
        pl.concat([source.texts, pl.Series(["fine " + "film " * 200_000, "dull"])]),
        pl.concat([source.labels, pl.Series(["good", "bad"])]),
        "long.csv",
        "",
    )
    found = classify.learn(long, (60, 20, 20), SMALL, Nobody())
    assert any(note.startswith("classes are unbalanced: 'good'") for note in found.notes)
    assert found.metrics["test"]["model"]["macro_f1"] > found.metrics["test"]["majority"]["macro_f1"]


def test_a_script_without_spaces():
    source = labelled(200)
    swap = {
        "fine": "很好",
        "lovely": "可爱",
        "superb": "极好",
        "dull": "无聊",
        "awful": "糟糕",
        "weak": "很差",
    }
    texts = [
        " ".join(swap.get(word, "电影") for word in text.split()).replace(" ", "") for text in source.texts
    ]
    # Equal texts are of one part; a number makes each its own.
    texts = [f"{text} {number}" for number, text in enumerate(texts)]
    found = classify.learn(
        Labelled(pl.Series(texts), source.labels, "z.csv", ""), (60, 20, 20), SMALL, Nobody()
    )
    assert found.metrics["test"]["model"]["accuracy"] > 0.8


@pytest.mark.parametrize(
    ("source", "later", "message"),
    [
        (labelled(50, ("good",)), None, "all 50 labels"),
        (Labelled(pl.Series(["a"] * 6), pl.Series(["x", "y"] * 3), "f.csv", ""), None, "different texts"),
        (
            labelled(50),
            labelled(20, tuple(KINDS), 1),
            r"do not occur in made-0.csv, first 'so-so'",
        ),
        (
            Labelled(
                pl.Series([f"{'!' * i}" for i in range(1, 61)]), pl.Series(["x", "y"] * 30), "f.csv", ""
            ),
            None,
            "no word occurs in enough",
        ),
    ],
)
def test_what_cannot_be_learnt(source, later, message):
    with pytest.raises(SunhwanError, match=message):
        classify.learn(source, (60, 20, 20) if later is None else (80, 20), SMALL, Nobody(), later)


def test_the_verdict_says_who_won():
    def verdict(ours, theirs, p_value, weights):
        return classify.verdict(
            {"model": {"accuracy": ours}, "nb_svm": {"accuracy": theirs}}, "nb_svm", p_value, weights
        )

    both = {"network": 0.5, "nb_svm": 0.5}
    assert "beats NB-SVM (91.0%) by 1.0 points, p < 0.0001" in verdict(0.92, 0.91, 1e-9, both)
    assert "does not beat NB-SVM (91.9%) beyond chance, p = 0.4: use NB-SVM" in verdict(
        0.92, 0.919, 0.4, both
    )
    assert "worse than NB-SVM" in verdict(0.90, 0.92, 0.001, both)
    alone = "texts correctly without the network, which adds nothing on validation"
    assert f"{alone}: use NB-SVM." in verdict(0.92, 0.92, 1.0, {"nb_svm": 1.0})
    assert f"{alone}; NB-SVM classifies 92.0%: use it." in verdict(0.92, 0.92, 1.0, {"tfidf": 1.0})


def test_a_damaged_run_is_refused(result):
    members = result.fitted.members
    whole = TextClassifier(
        result.fitted.classifier.classes, members, {"network": 1.0, "nb_svm": 1.0, "tfidf": 1.0}
    )
    model, arrays = whole.to_dict(), whole.to_arrays()
    assert TextClassifier.from_dict(model, arrays).predict(["a fine film"]) == whole.predict(["a fine film"])
    for broken in (
        ({**model, "classes": ["one"]}, arrays),
        ({**model, "weights": {}}, arrays),
        ({**model, "words": model["words"][1:]}, arrays),
        (model, {name: a for name, a in arrays.items() if not name.endswith("bias")}),
        (model, {name: a for name, a in arrays.items() if not name.endswith("votes")}),
        ({**model, "networks": [{**model["networks"][0], "cell": "elman"}]}, arrays),
        ({key: value for key, value in model.items() if key != "baselines"}, arrays),
    ):
        with pytest.raises(SunhwanError, match=r"cannot be read .*make the run again"):
            TextClassifier.from_dict(*broken)


@pytest.mark.real
@pytest.mark.slow
def test_film_reviews(real_file):
    """The official 25,000 and 25,000 reviews with the defaults; bounds lie below what was measured."""
    from sunhwan.data.sets import imdb

    reviews = imdb.load(real_file("aclImdb_labelled.tar.gz"), progress=False)
    names = np.array(reviews.classes)[reviews.labels]
    parts = [
        Labelled(
            pl.Series([reviews.texts[i] for i in np.flatnonzero(reviews.part == part)]),
            pl.Series(names[reviews.part == part]),
            f"{part}.csv",
            "",
        )
        for part in ("train", "test")
    ]
    found = classify.learn(parts[0], (80, 20), Options(), Nobody(), parts[1]).metrics
    assert found["test"]["network"]["accuracy"] >= 0.885
    assert found["test"]["model"]["accuracy"] >= 0.915
    assert found["test"]["model"]["ece"] < 0.03
