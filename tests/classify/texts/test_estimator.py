"""`sunhwan.Classifier`, as people use it who know scikit-learn."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.base import clone, is_classifier
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import cross_val_score

import sunhwan
from sunhwan.classify import run as classify
from sunhwan.errors import SunhwanError

SMALL = {"epochs": 1, "seeds": 1, "units": 4, "embedding": 4}
TEXTS = [f"{word} film number {i}" for i in range(30) for word in ("fine", "dull")]
LABELS = np.array([1, 0] * 30)


@pytest.fixture(scope="module")
def fitted():
    return sunhwan.Classifier(**SMALL).fit(TEXTS, LABELS)


def test_every_kind_of_sequence_gets_the_same_predictions(fitted):
    expected = fitted.predict_proba(TEXTS)
    assert expected.shape == (60, 2) and fitted.score(TEXTS, LABELS) == 1
    for kind in (np.array, pd.Series, pl.Series, tuple, lambda x: np.array(x, dtype=object)):
        np.testing.assert_array_equal(fitted.predict_proba(kind(TEXTS)), expected)
    assert fitted.predict(TEXTS).dtype == LABELS.dtype


@pytest.mark.parametrize("kind", [list, np.array, pd.Series, pl.Series])
def test_labels_keep_their_kind(kind):
    found = sunhwan.Classifier(**SMALL).fit(TEXTS, kind(["good" if one else "bad" for one in LABELS]))
    assert found.classes_.tolist() == ["bad", "good"]
    assert found.predict(["a fine film"]).tolist() == ["good"]
    assert found.predict_proba(["a fine film"])[0, 1] > 0.5


def test_labels_of_more_digits_are_in_the_order_of_their_numbers():
    found = sunhwan.Classifier(**SMALL).fit(TEXTS, np.where(LABELS, 9, 10))
    assert found.classes_.tolist() == [9, 10]
    assert found.predict(["fine film", "dull film"]).tolist() == [9, 10]


def test_the_conventions_of_scikit_learn():
    model = sunhwan.Classifier(**SMALL, dropout=0.3)
    assert is_classifier(model)
    assert clone(model).get_params() == model.get_params()
    assert model.set_params(dropout=0.1).dropout == 0.1
    with pytest.raises(NotFittedError):
        model.predict(["a"])


def test_it_works_in_cross_validation():
    assert cross_val_score(sunhwan.Classifier(**SMALL), TEXTS, LABELS, cv=2).tolist() == [1.0, 1.0]


def test_a_saved_classifier_predicts_the_same(fitted, tmp_path):
    fitted.save(tmp_path / "run")
    again = sunhwan.Classifier.load(tmp_path / "run")
    assert again.get_params() == fitted.get_params()
    assert again.classes_.tolist() == [0, 1]
    np.testing.assert_array_equal(again.predict_proba(TEXTS), fitted.predict_proba(TEXTS))
    assert classify.load(tmp_path / "run").predict(["a fine film"]) == ["1"]
    with pytest.raises(SunhwanError, match="exists already"):
        fitted.save(tmp_path / "run")


@pytest.mark.parametrize(
    ("X", "y", "said"),
    [
        ("one text", [1], "X is a single text"),
        (["a", None, "b"], [0, 1, 0], r"X\[1\] is None, expected a text"),
        (["a", 3], [0, 1], r"X\[1\] is 3"),
        (np.array([["a"], ["b"]]), [0, 1], "expected texts in one dimension"),
        (pl.DataFrame({"text": ["a"]}), [1], "expected texts in one dimension"),
        (TEXTS, LABELS[:-1], "X has 60 texts and y 59 labels"),
        (TEXTS, [1] * 60, "all 60 labels of y are '1'"),
        (TEXTS, [1] * 59 + [0], "the label '0' of y has 1 example"),
        (TEXTS, [None, *LABELS[1:]], r"1 labels of y are missing, first y\[0\]"),
        (TEXTS, [float("nan"), *LABELS[1:]], "labels of y are missing"),
        (TEXTS, np.array(["a", 1] * 30, dtype=object), "y mixes int, str"),
        (["\ud800", *TEXTS[1:]], LABELS, "half a character"),
        (["..."] * 30 + ["!"] * 30, LABELS, "different texts|no word occurs in enough"),
    ],
)
def test_input_that_cannot_be_used(X, y, said):
    with pytest.raises(SunhwanError, match=said):
        sunhwan.Classifier(**SMALL).fit(X, y)


def test_a_validation_share_of_everything():
    with pytest.raises(SunhwanError, match="validation is 1"):
        sunhwan.Classifier(validation=1).fit(TEXTS, LABELS)
