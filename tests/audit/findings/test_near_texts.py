"""Texts that are nearly others: some words changed, moved or cut off, and texts that only share phrases."""

import time

import numpy as np
import pytest

from sunhwan.audit.findings.near_texts import CHECKED, alike


def texts(count, words=5_000, longest=60, seed=0):
    """Rows of ids, padded in front, with words as frequent as words are."""
    random = np.random.default_rng(seed)
    ids = np.minimum(random.zipf(1.4, (count, longest)), words - 1).astype(np.int32)
    lengths = random.integers(longest // 2, longest + 1, count)
    ids[np.arange(longest) < longest - lengths[:, None]] = 0
    return ids


@pytest.mark.parametrize(
    "edited",
    [
        lambda ids: np.where(np.arange(60) == 50, 7, ids),  # a word replaced
        lambda ids: np.concatenate([ids[:, 1:], np.full((len(ids), 1), 9)], axis=1),  # all words moved
        lambda ids: np.where(np.arange(60) >= 54, 0, ids),  # the end cut off
    ],
)
def test_texts_that_were_edited_are_found_with_the_texts_they_were(edited):
    training = texts(400)
    judged = np.concatenate([edited(training[100:130]), texts(100, seed=1)])
    matches = alike(judged, training)
    assert (matches.rows, matches.count) == (30, 130)
    assert matches.examples == tuple((row, 100 + row, matches.examples[row][2]) for row in range(3))
    assert 0.6 < matches.shared < 1


def test_texts_that_share_phrases_or_all_of_their_words_are_not():
    training = texts(400)
    assert alike(texts(400, seed=1), training).rows == 0
    assert alike(training[:50], training).rows == 0  # equal ones are told elsewhere
    phrase = texts(400, seed=1)
    phrase[:, -15:] = training[0, -15:]  # the same end under every text
    training = training.copy()
    training[:, -15:] = training[0, -15:]
    assert alike(phrase, training).rows == 0
    shuffled = np.random.default_rng(2).permuted(training, axis=1)
    assert alike(shuffled, training).rows == 0


@pytest.mark.parametrize("letters", [4, 60])
def test_letters_are_compared_in_longer_runs(letters):
    random = np.random.default_rng(0)
    training = random.integers(1, letters + 1, (300, 200))
    judged = np.concatenate([training[:20], random.integers(1, letters + 1, (100, 200))])
    judged[:, 100] = 1
    matches = alike(judged, training)
    assert matches.rows == pytest.approx(
        20, abs=20 / letters + 2
    )  # where the letter was that one, nothing changed
    assert matches.run == {4: 13, 60: 6}[letters]


def test_within_training_no_text_is_compared_with_itself():
    training = texts(300)
    assert alike(training, training, within=True).rows == 0
    doubled = np.concatenate([training, np.where(np.arange(60) == 50, 7, training[:60])])
    assert alike(doubled, doubled, within=True).rows == pytest.approx(120, abs=6)


def test_short_texts_and_none_say_nothing():
    assert alike(texts(50, longest=6), texts(50, longest=6)).rows == 0
    assert alike(np.zeros((5, 8), int), np.zeros((9, 8), int)).rows == 0
    assert alike(np.zeros((0, 8), int), texts(9)) is None


def test_as_many_as_a_library_of_reviews_take_seconds():
    """A bound that comparing each text with each would miss by far, on a busy machine too."""
    training, judged = texts(25_000, 10_000, 500), texts(25_000, 10_000, 500, seed=1)
    begun = time.process_time()
    assert alike(judged, training).count == CHECKED
    assert time.process_time() - begun < 10


@pytest.mark.parametrize(
    ("made", "before", "leaks"),
    [
        ("np.where(np.arange(30) == 20, 1, texts[:60])", True, ["near_duplicates"]),
        ("np.where(np.arange(30) == 20, 1, texts[:60])", False, []),
        ("random.integers(1, 3000, (60, 30))", True, []),
    ],
)
def test_texts_that_were_edited_and_added_before_the_split(made, before, leaks, named):
    names, by_name = named(
        f"""
texts = random.integers(1, 3000, (300, 30))
added = {made}
x = np.concatenate([texts, added] if {before} else [texts[:240], added, texts[240:]])
at = 300
y = (x.sum(axis=1) % 2).astype(int)
layers = [keras.layers.Embedding(3000, 2), keras.layers.GRU(2), keras.layers.Dense(1, activation="sigmoid")]
model = keras.Sequential(layers)
model.compile("adam", "binary_crossentropy", metrics=["accuracy"])
model.fit(x[:at], y[:at], verbose=0)
model.evaluate(x[at:], y[at:], verbose=0)
"""
    )
    assert names == leaks
    if leaks:
        by_name = by_name.findings[0]
        assert (by_name.evidence["rows"], by_name.evidence["of"], by_name.certain) == (60, 60, False)
        assert by_name.evidence["examples"][0] == {
            "test": 0,
            "train": 0,
            "shared": pytest.approx(0.8, abs=0.1),
        }
