"""Linear classifiers over words, pairs and triples of words, for any number of classes: NB-SVM and TF-IDF.

What they learn is plain arrays: a list of words, sorted integers that stand for pairs and triples, and a
weight for each class. So they can be kept without code, and predict with NumPy and SciPy alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.sparse

from sunhwan.data.texts.vocabulary import Ragged
from sunhwan.data.texts.words import UNKNOWN

STRENGTHS = (0.1, 1.0, 10.0)
"""Inverse penalties that validation chooses from."""

MOST = 1_000_000
"""Pairs that are kept, and triples: those of most texts."""


@dataclass(frozen=True, eq=False)
class Ngrams:
    """Which words, pairs and triples of words are counted; the features in this order.

    Attributes:
        words: how many words there are; their ids are their features.
        pairs: (pairs,) int64 ascending: first * words + second.
        triples: (triples,) int64 ascending: the number of the first two among `pairs`, * words + third.

    Example:
        >>> texts = Ragged(np.array([0, 1, 2, 0, 1], np.int32), np.array([0, 3, 5]))
        >>> ngrams = Ngrams.fit(texts, words=3, least=2)
        >>> ngrams.features, ngrams.counts(texts).toarray().tolist()
        (4, [[1.0, 1.0, 1.0, 1.0], [1.0, 1.0, 0.0, 1.0]])
    """

    words: int
    pairs: np.ndarray
    triples: np.ndarray

    @property
    def features(self) -> int:
        return self.words + len(self.pairs) + len(self.triples)

    @classmethod
    def fit(cls, texts: Ragged, words: int, least: int, order: int = 3) -> Ngrams:
        """What occurs in at least `least` of the texts.

        Args:
            texts: ids of words, 0 to words - 1, or `UNKNOWN`.
            words: how many there are.
            least: texts that a pair or triple must occur in.
            order: 1 for words alone, 2 with pairs, 3 with triples.
        """
        none = np.empty(0, np.int64)
        if not words or order < 2:
            return cls(words, none, none)
        document = owners(texts)
        pairs = frequent(*following(texts.ids.astype(np.int64), texts.ids, document, words), least)
        if order < 3:
            return cls(words, pairs, none)
        first = cls(words, pairs, none).pair_at(texts)
        return cls(words, pairs, frequent(*following(first, texts.ids, document, words, 2), least))

    def pair_at(self, texts: Ragged) -> np.ndarray:
        """(total,) int64: the number among `pairs` of the pair that begins at a token, or `UNKNOWN`."""
        keys, position = following(texts.ids.astype(np.int64), texts.ids, None, self.words, 1, texts)
        return placed(len(texts.ids), position, found(self.pairs, keys))

    def counts(self, texts: Ragged, *, binary: bool = True) -> scipy.sparse.csr_array:
        """(texts, features) float32: which features a text has, or how often.

        Args:
            texts: ids of words, as for `fit`.
            binary: 1 for what occurs, however often.
        """
        row, column = [], []
        document = owners(texts)

        def add(feature: np.ndarray, first: int) -> None:
            there = feature != UNKNOWN
            row.append(document[there])
            column.append((feature[there] + first).astype(np.int32))

        add(texts.ids, 0)
        if len(self.pairs):
            pair = self.pair_at(texts)
            add(pair, self.words)
            if len(self.triples):
                keys, position = following(pair, texts.ids, None, self.words, 2, texts)
                triple = placed(len(texts.ids), position, found(self.triples, keys))
                add(triple, self.words + len(self.pairs))
        rows, columns = np.concatenate(row), np.concatenate(column)
        ones = np.ones(len(rows), np.float32)
        # Duplicates are added up on the way from coordinates to rows.
        counts = scipy.sparse.coo_array((ones, (rows, columns)), (len(texts), self.features)).tocsr()
        counts.sum_duplicates()
        if binary:
            counts.data[:] = 1
        return counts


def owners(texts: Ragged) -> np.ndarray:
    """(total,) int32: the text that each token is of."""
    return np.repeat(np.arange(len(texts), dtype=np.int32), texts.lengths)


def following(
    first: np.ndarray,
    ids: np.ndarray,
    document: np.ndarray | None,
    words: int,
    distance: int = 1,
    texts: Ragged | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Keys first * words + the id `distance` further on in the same text, and the text (or place) of each."""
    owner = owners(texts) if document is None else document
    if len(ids) <= distance:
        return np.empty(0, np.int64), np.empty(0, np.int64)
    second = ids[distance:]
    whole = (first[:-distance] != UNKNOWN) & (second != UNKNOWN) & (owner[:-distance] == owner[distance:])
    place = np.flatnonzero(whole)
    keys = first[place] * words + second[place]
    return keys, (place if document is None else owner[place])


def frequent(keys: np.ndarray, document: np.ndarray, least: int) -> np.ndarray:
    """The keys, ascending, that occur in at least `least` texts; at most `MOST`, those of most texts."""
    order = np.lexsort((document, keys)) if len(keys) else np.empty(0, np.int64)
    keys, document = keys[order], document[order]
    fresh = np.ones(len(keys), bool)
    fresh[1:] = (keys[1:] != keys[:-1]) | (document[1:] != document[:-1])
    unique, texts = np.unique(keys[fresh], return_counts=True)
    kept = texts >= least
    if kept.sum() > MOST:
        kept &= texts > np.partition(texts, -MOST)[-MOST]
    return unique[kept]


def found(sorted_keys: np.ndarray, keys: np.ndarray) -> np.ndarray:
    """The place of each key among `sorted_keys`, or `UNKNOWN`."""
    if not len(sorted_keys):
        return np.full(len(keys), UNKNOWN, np.int64)
    place = np.minimum(np.searchsorted(sorted_keys, keys), len(sorted_keys) - 1)
    return np.where(sorted_keys[place] == keys, place, UNKNOWN)


def placed(length: int, position: np.ndarray, values: np.ndarray) -> np.ndarray:
    """(length,) int64: `values` at their positions, `UNKNOWN` elsewhere."""
    whole = np.full(length, UNKNOWN, np.int64)
    whole[position] = values
    return whole


@dataclass(frozen=True, eq=False)
class Linear:
    """A linear classifier over `Ngrams`.

    Attributes:
        weights: (features, columns) float32; one column for two classes, else one a class.
        bias: (columns,) float32.
        idf: (features,) float32 for TF-IDF, or None where occurrence alone counts.
        strength: the inverse penalty that validation chose.
    """

    weights: np.ndarray
    bias: np.ndarray
    idf: np.ndarray | None
    strength: float

    def logits(self, counts: scipy.sparse.csr_array) -> np.ndarray:
        """(texts, classes) float32: their softmax are probabilities.

        Args:
            counts: from `Ngrams.counts`, with `binary=False` for TF-IDF.
        """
        inputs = counts if self.idf is None else tfidf(counts, self.idf)
        return two_columns(np.asarray(inputs @ self.weights) + self.bias)


def two_columns(scores: np.ndarray) -> np.ndarray:
    """Scores (n, 1) of class 1 as logits (n, 2); scores of three or more classes as they are.

    Example:
        >>> two_columns(np.array([[1.5]])).tolist()
        [[0.0, 1.5]]
    """
    if scores.shape[1] > 1:
        return scores
    return np.concatenate([np.zeros_like(scores), scores], axis=1)


def majority(labels: np.ndarray, classes: int, count: int) -> np.ndarray:
    """(count, classes) float32: the training share of each class, for every text.

    Example:
        >>> majority(np.array([0, 1, 1, 1]), classes=2, count=1).tolist()
        [[0.25, 0.75]]
    """
    share = np.bincount(labels, minlength=classes) / len(labels)
    return np.tile(share.astype(np.float32), (count, 1))


def inverse_document_frequency(counts: scipy.sparse.csr_array) -> np.ndarray:
    """(features,) float32, as scikit-learn's `TfidfTransformer` smooths it."""
    texts, features = counts.shape
    holding = np.bincount(counts.indices, minlength=features)
    return (np.log((1 + texts) / (1 + holding)) + 1).astype(np.float32)


def tfidf(counts: scipy.sparse.csr_array, idf: np.ndarray) -> scipy.sparse.csr_array:
    """1 + log of each count, times its idf, every row of length one."""
    data = (1 + np.log(counts.data)) * idf[counts.indices]
    rows = np.repeat(np.arange(counts.shape[0]), np.diff(counts.indptr))
    norm = np.sqrt(np.bincount(rows, weights=data**2, minlength=counts.shape[0]))
    data = (data / norm[rows]).astype(np.float32)
    return scipy.sparse.csr_array((data, counts.indices, counts.indptr), counts.shape)


def log_count_ratio(counts: scipy.sparse.csr_array, of_class: np.ndarray) -> np.ndarray:
    """(features,) float32: log of a feature's share in a class over that in the rest, each counted once more.

    Args:
        counts: (texts, features).
        of_class: (texts,) bool, or 0 and 1.

    Source: Wang and Manning, "Baselines and bigrams", ACL 2012.

    Example:
        >>> counts = scipy.sparse.csr_array(np.array([[1, 0], [1, 1], [0, 1]], np.float32))
        >>> log_count_ratio(counts, np.array([True, True, False])).round(3)
        array([ 0.588, -0.511], dtype=float32)
    """
    of_class = np.asarray(of_class, bool)
    p, q = (
        np.asarray(counts[np.flatnonzero(side)].sum(axis=0)).ravel() + 1.0 for side in (of_class, ~of_class)
    )
    return np.log((p / p.sum()) / (q / q.sum())).astype(np.float32)


def sides(labels: np.ndarray, classes: int) -> list[np.ndarray]:
    """Which texts each column of a `Linear` is to say yes to: class 1 of two, else each class."""
    return [labels == k for k in ([1] if classes == 2 else range(classes))]


def nb_svm(
    counts: scipy.sparse.csr_array, labels: np.ndarray, classes: int, strength: float, seed: int = 0
) -> Linear:
    """A linear model on which n-grams occur, weighted by their naive Bayes log-count ratio.

    Logistic loss stands for the hinge of the paper's SVM: it scores the same and gives probabilities.

    Args:
        counts: (texts, features) binary.
        labels: (texts,) 0 to classes - 1.
        classes: how many there are.
        strength: the inverse penalty.

    Source: Wang and Manning, "Baselines and bigrams", ACL 2012.
    """
    weights, bias = [], []
    for side in sides(labels, classes):
        ratio = log_count_ratio(counts, side)
        weight, offset = logistic(scaled(counts, ratio), side, strength, seed)
        weights.append(weight * ratio)
        bias.append(offset)
    return Linear(np.stack(weights, axis=1), np.array(bias, np.float32), None, strength)


def tfidf_logistic(
    counts: scipy.sparse.csr_array, labels: np.ndarray, classes: int, strength: float, seed: int = 0
) -> Linear:
    """Logistic regression on TF-IDF. Arguments as for `nb_svm`, but counts are not binary."""
    idf = inverse_document_frequency(counts)
    inputs = tfidf(counts, idf)
    fitted = [logistic(inputs, side, strength, seed) for side in sides(labels, classes)]
    weights, bias = zip(*fitted, strict=True)
    return Linear(np.stack(weights, axis=1), np.array(bias, np.float32), idf, strength)


def scaled(counts: scipy.sparse.csr_array, ratio: np.ndarray) -> scipy.sparse.csr_array:
    return scipy.sparse.csr_array(
        (counts.data * ratio[counts.indices], counts.indices, counts.indptr), counts.shape
    )


def logistic(
    inputs: scipy.sparse.csr_array, side: np.ndarray, strength: float, seed: int
) -> tuple[np.ndarray, float]:
    """Weights (features,) and bias of a logistic regression."""
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(
        C=strength, solver="liblinear", dual=True, random_state=seed, max_iter=1000, tol=1e-2
    )
    model.fit(inputs, side)
    return model.coef_[0].astype(np.float32), float(model.intercept_[0])


def chosen(
    fit, counts, labels, held, held_labels, classes: int, strengths: Sequence[float] = STRENGTHS
) -> Linear:
    """The model of the strength that is most accurate on validation; of equals the simplest.

    Args:
        fit: `nb_svm` or `tfidf_logistic`.
        counts, labels: of training texts.
        held, held_labels: of validation texts.
    """
    best, best_accuracy = None, -1.0
    for strength in strengths:
        model = fit(counts, labels, classes, strength)
        accuracy = (model.logits(held).argmax(axis=1) == held_labels).mean()
        if accuracy > best_accuracy:
            best, best_accuracy = model, accuracy
    return best
