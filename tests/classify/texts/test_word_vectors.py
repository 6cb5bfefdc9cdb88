"""Vectors of words, against counting by hand."""

import numpy as np
import pytest

from sunhwan.classify.texts.word_vectors import mutual_information, word_vectors
from sunhwan.data.ragged import Ragged


def ragged(*texts):
    return Ragged.of(texts)


def test_mutual_information_by_hand():
    """Neighbours within a text alone, one at a distance of two counting half; unknown words are ignored."""
    table = mutual_information(ragged([0, 1, 2], [0, -1, 3], [0, 5]), words=4).toarray()
    counts = np.zeros((4, 4))
    for first, second, weight in [(0, 1, 1), (1, 2, 1), (0, 2, 0.5), (0, 3, 0.5)]:
        counts[first, second] += weight
        counts[second, first] += weight
    context = counts.sum(axis=1) ** 0.75
    with np.errstate(divide="ignore"):
        expected = np.log(counts / np.outer(counts.sum(axis=1), context / context.sum()))
    np.testing.assert_allclose(table, np.maximum(expected, 0), atol=1e-6)
    assert (table > 0).any()


def test_size_and_shape():
    random = np.random.default_rng(0)
    texts = ragged(*(random.integers(0, 30, 12).tolist() for _ in range(50)))
    found = word_vectors(texts, words=30, dimensions=8, size=0.3)
    assert found.shape == (30, 8) and found.dtype == np.float32
    assert np.sqrt((found**2).mean()) == pytest.approx(0.3, rel=1e-5)
    np.testing.assert_array_equal(found, word_vectors(texts, words=30, dimensions=8, size=0.3))


def test_few_words_leave_dimensions_of_zeros():
    assert word_vectors(ragged([0], [0]), words=1, dimensions=4, size=1.0).tolist() == [[0] * 4]
    assert not word_vectors(ragged([0], [1], []), words=2, dimensions=4, size=1.0).any()
    found = word_vectors(ragged([0, 1, 2], [2, 1]), words=3, dimensions=9, size=1.0)
    assert np.isfinite(found).all() and not found[:, 2:].any()
