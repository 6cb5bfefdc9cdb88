"""Vectors of words, computed from their neighbours in the training texts, with which a network begins.

Labels are few and words many: a network that begins with random vectors learns little about rare words. The
texts show, without labels, which words occur in the same places; on film reviews this gains about a point of
accuracy for a few seconds.

Source: Levy and Goldberg, "Neural word embedding as implicit matrix factorization", NIPS 2014: the positive
pointwise mutual information of words and neighbours, with smoothed contexts; its leading singular vectors.
"""

from __future__ import annotations

import numpy as np
import scipy.sparse

from sunhwan.data.ragged import Ragged
from sunhwan.data.texts.words import UNKNOWN

REACH = 5
"""How many words away a neighbour is at most; at a distance d it counts 1 / d."""

SMOOTHING = 0.75
"""The power of contexts' counts, so that rare ones do not dominate."""

MOST_TOKENS = 20_000_000
"""Tokens that are read: more would not change the vectors, but would take memory."""


def word_vectors(texts: Ragged, words: int, dimensions: int, size: float, seed: int = 0) -> np.ndarray:
    """(words, dimensions) float32: words with the same neighbours have similar vectors.

    Args:
        texts: ids of words; those from `words` on, and `UNKNOWN`, are ignored.
        words: how many words get a vector.
        dimensions: of each vector; where there are fewer singular vectors, the rest are zeros.
        size: the root of the mean square of all numbers.
        seed: of the randomised decomposition.

    Example: cats and dogs have the same neighbours, stones have others.
        >>> cat, dog, stone, purrs, falls = range(5)
        >>> texts = Ragged.of([[cat, purrs], [dog, purrs], [stone, falls]] * 10)
        >>> vectors = word_vectors(texts, words=5, dimensions=4, size=1.0)
        >>> bool(vectors[cat] @ vectors[dog] > 0.9 > 0.1 > abs(vectors[cat] @ vectors[stone]))
        True
    """
    from sklearn.utils.extmath import randomized_svd

    vectors = np.zeros((words, dimensions), np.float32)
    table = mutual_information(texts, words)
    rank = min(dimensions, words - 1)
    if rank < 1 or not table.nnz:
        return vectors
    left, strength, _ = randomized_svd(table, rank, n_iter=3, random_state=seed)
    vectors[:, :rank] = left * np.sqrt(strength)
    scale = np.sqrt((vectors[:, :rank] ** 2).mean())
    return vectors * np.float32(size / scale) if scale > 0 else vectors


def mutual_information(texts: Ragged, words: int) -> scipy.sparse.csr_array:
    """(words, words) float32: log of how much more often than by chance words are neighbours, if above 0."""
    ids, owner = texts.values[:MOST_TOKENS], texts.owners[:MOST_TOKENS]
    known = (ids != UNKNOWN) & (ids < words)
    counts = scipy.sparse.csr_array((words, words), dtype=np.float32)
    for distance in range(1, min(REACH, len(ids) - 1) + 1):
        whole = (owner[:-distance] == owner[distance:]) & known[:-distance] & known[distance:]
        first, second = ids[:-distance][whole], ids[distance:][whole]
        weight = np.full(len(first), 1 / distance, np.float32)
        counts = counts + scipy.sparse.coo_array((weight, (first, second)), (words, words)).tocsr()
    counts = (counts + counts.T).tocoo()
    row, column = counts.coords
    if not len(row):
        return counts.tocsr()
    of_word = np.bincount(row, counts.data, words)
    of_context = of_word**SMOOTHING
    information = np.log(counts.data / (of_word[row] * (of_context / of_context.sum())[column]))
    above = information > 0
    return scipy.sparse.csr_array(
        (information[above].astype(np.float32), (row[above], column[above])), (words, words)
    )
