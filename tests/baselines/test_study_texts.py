"""Text baselines on corpora small enough to count by hand."""

import numpy as np
import pytest
import scipy.sparse
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.linear_model import LogisticRegression

from sunhwan.baselines.study_texts import (
    STRENGTHS,
    TOKEN,
    chosen,
    log_count_ratio,
    majority,
    min_documents,
    nb_svm,
    tfidf_logistic,
)
from sunhwan.errors import SunhwanError

GOOD, BAD = ("fine", "lovely", "moving", "superb"), ("dull", "awful", "boring", "weak")


def corpus(sizes=(200, 60, 60), seed=0):
    """Reviews of filler and, in most, words that tell the class; one in ten has a word of the other class."""
    random = np.random.default_rng(seed)
    texts, labels = {}, {}
    for part, count in zip(("train", "val", "test"), sizes, strict=True):
        labels[part] = random.integers(0, 2, count)
        texts[part] = []
        for label in labels[part]:
            filler = random.choice(["film", "the", "a", "plot", "scene", "It's"], 12)
            telling = random.choice(GOOD if label ^ (random.random() < 0.1) else BAD, 2)
            texts[part].append(" ".join(random.permutation([*filler, *telling])))
    return texts, labels


def accuracy(probability, labels):
    return ((probability > 0.5) == labels).mean()


def test_words_keep_their_apostrophes_and_single_letters():
    words = CountVectorizer(token_pattern=TOKEN).build_analyzer()("I don't like A-list 'stars'; c'est ça!")
    assert words == ["i", "don't", "like", "a", "list", "stars", "c'est", "ça"]


def test_the_log_count_ratio_by_hand():
    """Four texts over the words good, film, bad: how many texts of each class hold a word, and one more."""
    counts = scipy.sparse.csr_array(np.array([[1, 1, 0], [1, 0, 0], [0, 1, 1], [0, 1, 0]], np.float32))
    ratio = log_count_ratio(counts, np.array([1, 1, 0, 0]))
    # Of class 1: good 2 + 1, film 1 + 1, bad 0 + 1, in all 6; of class 0: good 1, film 3, bad 2, in all 6.
    np.testing.assert_allclose(ratio, np.log([3 / 1, 2 / 3, 1 / 2]), rtol=1e-6)
    np.testing.assert_allclose(log_count_ratio(counts, np.array([0, 0, 1, 1])), -ratio, rtol=1e-6)


def test_nb_svm_is_logistic_regression_on_words_and_pairs_weighted_by_their_ratio():
    texts, labels = corpus()
    vectorizer = CountVectorizer(token_pattern=TOKEN, ngram_range=(1, 2), binary=True)
    counts = {part: vectorizer.fit(texts["train"]).transform(texts[part]).toarray() for part in texts}
    p, q = (counts["train"][labels["train"] == label].sum(axis=0) + 1 for label in (1, 0))
    ratio = np.log(p / p.sum()) - np.log(q / q.sum())
    assert ratio[vectorizer.vocabulary_["lovely"]] > 1 > -1 > ratio[vectorizer.vocabulary_["awful"]]
    expected = by_hand({part: values * ratio for part, values in counts.items()}, labels)
    said = nb_svm(texts, labels)
    for part in ("val", "test"):
        # liblinear stops at a tolerance of 1e-4, and ours are float32.
        np.testing.assert_allclose(said[part], expected[part], atol=1e-3)
    assert accuracy(said["test"], labels["test"]) > 0.85


def test_tfidf_logistic_is_scikit_learn_s_at_the_penalty_that_validation_chose():
    texts, labels = corpus()
    vectorizer = TfidfVectorizer(token_pattern=TOKEN, ngram_range=(1, 2), sublinear_tf=True).fit(
        texts["train"]
    )
    expected = by_hand({part: vectorizer.transform(texts[part]).toarray() for part in texts}, labels)
    said = tfidf_logistic(texts, labels)
    for part in ("val", "test"):
        np.testing.assert_allclose(said[part], expected[part], atol=1e-3)
    assert accuracy(said["test"], labels["test"]) > 0.85


def by_hand(inputs, labels):
    """The best of three penalties on validation; the first, which is the simplest, of equals."""
    models = [
        LogisticRegression(C=strength, solver="liblinear", dual=True, random_state=0, max_iter=1000).fit(
            inputs["train"], labels["train"]
        )
        for strength in STRENGTHS
    ]
    scores = [accuracy(model.predict_proba(inputs["val"])[:, 1], labels["val"]) for model in models]
    model = models[int(np.argmax(scores))]
    return {part: model.predict_proba(inputs[part])[:, 1] for part in ("val", "test")}


@pytest.mark.parametrize("classifier", [tfidf_logistic, nb_svm])
def test_test_labels_are_not_read_and_test_texts_teach_nothing(classifier):
    texts, labels = corpus()
    said = classifier(texts, labels)
    without = classifier(texts, {part: labels[part] for part in ("train", "val")})
    np.testing.assert_array_equal(said["test"], without["test"])
    other = classifier({**texts, "test": ["entirely other words"] * 5}, labels)
    np.testing.assert_array_equal(said["val"], other["val"])
    assert other["test"].shape == (5,)
    assert np.ptp(other["test"]) == 0, "words that training never saw count for nothing"


def test_the_penalty_is_validation_s():
    """The rarer column is right in training by chance alone: validation decides how much it may count."""
    train = scipy.sparse.csr_array(np.array([[1.0, 0.0]] * 6 + [[0.0, 1.0]] * 6 + [[0.3, 0.3]], np.float32))
    labels = {"train": np.array([1] * 6 + [0] * 6 + [1])}
    between = scipy.sparse.csr_array(np.array([[0.5, 0.5], [1.0, 0.0], [0.0, 1.0]], np.float32))
    said = {}
    for first in (0, 1):
        labels["val"] = np.array([first, 1, 0])
        said[first] = chosen(train, {"val": between, "test": between}, labels)["test"]
    models = [
        LogisticRegression(C=strength, solver="liblinear", dual=True, random_state=0, max_iter=1000)
        .fit(train, labels["train"])
        .predict_proba(between)[:, 1]
        for strength in STRENGTHS
    ]
    for first, probability in said.items():
        scores = [accuracy(model, np.array([first, 1, 0])) for model in models]
        np.testing.assert_allclose(probability, models[int(np.argmax(scores))], atol=1e-6)


def test_the_majority_is_training_s():
    said = majority(np.array([1, 1, 0, 1]), {"val": 2, "test": 3})
    assert said["val"].tolist() == [0.75, 0.75] and said["test"].tolist() == [0.75] * 3


def test_words_of_one_text_count_only_where_texts_are_few():
    assert min_documents({"train": ["a"] * 999}) == 1
    assert min_documents({"train": ["a"] * 1000}) == 2


@pytest.mark.parametrize("classifier", [tfidf_logistic, nb_svm])
def test_a_single_class(classifier):
    texts, labels = corpus()
    with pytest.raises(SunhwanError, match=r"^all 200 training texts are of class 1; expected texts of both"):
        classifier(texts, {**labels, "train": np.ones(200, int)})


@pytest.mark.parametrize("classifier", [tfidf_logistic, nb_svm])
def test_texts_without_words(classifier):
    texts, labels = corpus()
    with pytest.raises(SunhwanError, match=r"^the 200 training texts hold no word often enough to count"):
        classifier({**texts, "train": ["..."] * 200}, labels)
