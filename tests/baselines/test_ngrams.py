"""Linear classifiers over n-grams, against counting by hand and scikit-learn's vectorizers."""

import numpy as np
import pytest
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.linear_model import LogisticRegression

from sunhwan.baselines import ngrams
from sunhwan.baselines.classifiers import STRENGTHS
from sunhwan.baselines.ngrams import NbSvm, Ngrams, TextEncoder, TfIdf, log_count_ratio
from sunhwan.data.texts.words import Words, segment
from sunhwan.errors import SunhwanError

KINDS = (("fine", "lovely"), ("dull", "awful"), ("long", "endless"))


def corpus(count=200, classes=2, seed=0):
    random = np.random.default_rng(seed)
    labels = random.integers(0, classes, count)
    texts = [
        " ".join(
            random.permutation([*random.choice(["film", "the", "a", "plot"], 8), *random.choice(KINDS[k], 2)])
        )
        for k in labels
    ]
    return texts, labels


def counted(texts, least=1, order=3, binary=True):
    words = Words.fit(segment(texts), least)
    ids = words.ids(segment(texts))
    grams = Ngrams.fit(ids, len(words.words), least, order)
    return words, grams, ids, grams.counts(ids, binary=binary)


@pytest.mark.parametrize("order", [1, 2, 3])
@pytest.mark.parametrize("least", [1, 3])
@pytest.mark.parametrize("binary", [True, False])
def test_counts_are_those_of_scikit_learn(order, least, binary):
    texts, _ = corpus(60)
    words, grams, _, counts = counted(texts, least, order, binary)
    vectorizer = CountVectorizer(token_pattern=r"\w+", ngram_range=(1, order), min_df=least, binary=binary)
    expected = vectorizer.fit_transform(texts).toarray()
    assert counts.shape == expected.shape == (60, grams.features)
    names = list(words.words)
    pairs = [f"{names[key // grams.words]} {names[key % grams.words]}" for key in grams.pairs]
    triples = [f"{pairs[key // grams.words]} {names[key % grams.words]}" for key in grams.triples]
    columns = [vectorizer.vocabulary_[name] for name in (names + pairs + triples)]
    np.testing.assert_array_equal(counts.toarray(), expected[:, columns])


def test_no_ngram_goes_over_the_end_of_a_text_or_a_word_that_is_not_known():
    words, grams, _, _ = counted(["a b", "c d", "a b"])
    found = grams.counts(words.ids(segment(["b", "c", "b c d", "a x b", "", "d"])))
    pairs = found.toarray()[:, grams.words :]
    assert len(grams.pairs) == 2 and len(grams.triples) == 0
    assert pairs.sum(axis=1).tolist() == [0, 0, 1, 0, 0, 0]


def test_the_log_count_ratio_by_hand():
    counts = counted(["good film", "good", "film bad", "film"], order=1)
    words, _, _, table = counts
    ratio = log_count_ratio(table, np.array([True, True, False, False]))
    by_word = dict(zip(words.words, ratio, strict=True))
    # Of the first class: good 2 + 1, film 1 + 1, bad 0 + 1, in all 6; of the rest: good 1, film 3, bad 2.
    assert by_word == pytest.approx(
        {"good": np.log(3), "film": np.log(2 / 3), "bad": np.log(1 / 2)}, rel=1e-6
    )


@pytest.mark.parametrize("classes", [2, 3])
def test_nb_svm_is_logistic_regression_on_what_occurs_weighted_by_its_ratio(classes):
    texts, labels = corpus(classes=classes)
    _, _, _, counts = counted(texts)
    model = NbSvm.train(counts, labels, classes, strength=1.0)
    logits = model.scores(counts)
    assert logits.shape == (200, classes)
    for k in range(classes):
        side = labels == k
        ratio = log_count_ratio(counts, side)
        by_hand = LogisticRegression(C=1.0, solver="liblinear", tol=1e-6).fit(counts.toarray() * ratio, side)
        ours = logits[:, 1] * (1 if k else -1) if classes == 2 else logits[:, k]
        # liblinear stops early by its tolerance, and its starts differ.
        np.testing.assert_allclose(ours, by_hand.decision_function(counts.toarray() * ratio), atol=0.15)
    assert (logits.argmax(axis=1) == labels).all()


def test_tfidf_is_scikit_learn_s():
    texts, labels = corpus()
    words, grams, _, counts = counted(texts, order=1, binary=False)
    vectorizer = TfidfVectorizer(token_pattern=r"\w+", sublinear_tf=True)
    expected = vectorizer.fit_transform(texts).toarray()[:, [vectorizer.vocabulary_[w] for w in words.words]]
    idf = ngrams.inverse_document_frequency(counts)
    np.testing.assert_allclose(ngrams.tfidf(counts, idf).toarray(), expected, atol=1e-6)
    model = TfIdf.train(counts, labels, 2, strength=10.0)
    assert (model.scores(counts).argmax(axis=1) == labels).mean() > 0.98
    assert np.isfinite(model.scores(grams.counts(words.ids(segment([""])), binary=False))).all()


@pytest.mark.parametrize("kind", [NbSvm, TfIdf])
def test_validation_chooses_the_strength(kind):
    texts, labels = corpus()
    validation_texts, validation_labels = corpus(80, seed=1)
    encoder, train = TextEncoder.fit(texts)
    validation, wrong = encoder.encode(validation_texts), 1 - validation_labels
    scores = {}
    for strength in STRENGTHS:
        model = kind.train(kind.counts(train), labels, 2, strength)
        scores[strength] = (model.logits(validation).argmax(axis=1) == wrong).mean()
    chosen = kind.fit(train, labels, 2, (validation, wrong))
    assert scores[chosen.strength] == max(scores.values())
    assert kind.fit(train, labels, 2, (validation, validation_labels)).refit(train, labels, 2).strength > 0


@pytest.mark.parametrize("kind", [NbSvm, TfIdf])
def test_words_that_training_never_saw_count_for_nothing(kind):
    texts, labels = corpus()
    encoder, train = TextEncoder.fit(texts)
    model = kind.fit(train, labels, 2, (train, labels))
    logits = model.logits(encoder.encode(["entirely other words", "none known", "", None]))
    assert np.ptp(logits, axis=0).tolist() == [0, 0]
    again = kind.from_arrays(model.to_arrays())
    np.testing.assert_array_equal(again.logits(train), model.logits(train))


def test_words_of_one_text_count_only_where_texts_are_few():
    texts = [f"film n{number}" for number in range(1_000)]
    assert len(TextEncoder.fit(texts[:999])[0].words.words) == 1_000
    assert TextEncoder.fit(texts)[0].words.words == ("film",)


def test_texts_without_words_are_refused():
    with pytest.raises(SunhwanError, match=r"^no word occurs in enough of the 200 training texts"):
        TextEncoder.fit(["..."] * 200)
