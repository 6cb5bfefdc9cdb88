"""Linear classifiers over words, pairs and triples of words, for any number of classes: NB-SVM and TF-IDF.

They learn plain arrays: sorted integers that stand for pairs and triples, and a weight per class.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np
import polars as pl
import scipy.sparse

from sunhwan.baselines.classifiers import STRENGTHS, Baseline, most_accurate, two_columns
from sunhwan.data.ragged import Ragged
from sunhwan.data.texts.words import UNKNOWN, Words, segment
from sunhwan.errors import SunhwanError

MOST = 1_000_000
"""Pairs that are counted, and triples: the ones that occur in most texts."""


@dataclass(frozen=True, eq=False)
class Ngrams:
    """The words, pairs and triples of words that are counted; the features are in this order.

    Attributes:
        words: how many words there are; their ids are their features.
        pairs: (pairs,) int64 ascending: first * words + second.
        triples: (triples,) int64 ascending: the number of the first two among `pairs`, * words + third.

    Example:
        >>> texts = Ragged.of([[0, 1, 2], [0, 1]])
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
        """The n-grams that occur in at least `least` of the texts.

        Args:
            texts: ids of words, 0 to words - 1, or `UNKNOWN`.
            words: how many there are.
            least: texts that a pair or triple must occur in.
            order: 1 for words alone, 2 with pairs, 3 with triples.
        """
        none = np.empty(0, np.int64)
        if not words or order < 2:
            return cls(words, none, none)
        document = texts.owners
        pairs = frequent(*following(texts.values.astype(np.int64), texts.values, document, words), least)
        if order < 3:
            return cls(words, pairs, none)
        first = cls(words, pairs, none).pair_at(texts)
        return cls(words, pairs, frequent(*following(first, texts.values, document, words, 2), least))

    def pair_at(self, texts: Ragged) -> np.ndarray:
        """(total,) int64: the number among `pairs` of the pair that begins at a token, or `UNKNOWN`."""
        keys, position = following(texts.values.astype(np.int64), texts.values, None, self.words, 1, texts)
        return placed(len(texts.values), position, place_of(keys, self.pairs))

    def counts(self, texts: Ragged, *, binary: bool = True) -> scipy.sparse.csr_array:
        """(texts, features) float32: which features a text has, or how often.

        Args:
            texts: ids of words, as for `fit`.
            binary: 1 for what occurs, however often.
        """
        row, column = [], []
        document = texts.owners

        def add(feature: np.ndarray, first: int) -> None:
            there = feature != UNKNOWN
            row.append(document[there])
            column.append((feature[there] + first).astype(np.int32))

        add(texts.values, 0)
        if len(self.pairs):
            pair = self.pair_at(texts)
            add(pair, self.words)
            if len(self.triples):
                keys, position = following(pair, texts.values, None, self.words, 2, texts)
                triple = placed(len(texts.values), position, place_of(keys, self.triples))
                add(triple, self.words + len(self.pairs))
        rows, columns = np.concatenate(row), np.concatenate(column)
        ones = np.ones(len(rows), np.float32)
        # Duplicates are added up on the way from coordinates to rows.
        counts = scipy.sparse.coo_array((ones, (rows, columns)), (len(texts), self.features)).tocsr()
        counts.sum_duplicates()
        if binary:
            counts.data[:] = 1
        return counts


def following(
    first: np.ndarray,
    ids: np.ndarray,
    document: np.ndarray | None,
    words: int,
    distance: int = 1,
    texts: Ragged | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Keys first * words + the id `distance` further on in the same text, and the text (or place) of each."""
    owner = texts.owners if document is None else document
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
    often = texts >= least
    if often.sum() > MOST:
        often &= texts > np.partition(texts, -MOST)[-MOST]
    return unique[often]


def place_of(keys: np.ndarray, sorted_keys: np.ndarray) -> np.ndarray:
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
class NgramTexts(Ragged):
    """Texts as ids of words, and the n-grams that are counted in them.

    Attributes:
        values: (total,) int32, ids of words, 0 to words - 1, or `UNKNOWN`.
        offsets: see `Ragged`.
        ngrams: that are counted.
    """

    ngrams: Ngrams


@dataclass(frozen=True)
class TextEncoder:
    """The words and n-grams that occur often enough in training texts.

    Attributes:
        words: that have ids.
        ngrams: of these words.
    """

    words: Words
    ngrams: Ngrams

    @classmethod
    def fit(cls, texts: Sequence[str] | pl.Series, order: int = 3) -> tuple[Self, NgramTexts]:
        """Learn from training texts, and encode them.

        Args:
            texts: n texts.
            order: words of the longest n-grams.

        Raises:
            SunhwanError: no word occurs often enough.
        """
        tokens = segment(texts)
        least = least_texts(len(tokens))
        words = Words.fit(tokens, least)
        if not words.words:
            raise SunhwanError(
                f"no word occurs in enough of the {len(tokens):,} training texts; expected texts of words"
            )
        ids = words.ids(tokens)
        encoder = cls(words, Ngrams.fit(ids, len(words.words), least, order))
        return encoder, encoder.inputs(ids)

    def inputs(self, ids: Ragged) -> NgramTexts:
        """Ids of words with the n-grams to count in them."""
        return NgramTexts(ids.values, ids.offsets, self.ngrams)

    def encode(self, texts: Sequence[str | None] | pl.Series) -> NgramTexts:
        """The ids of each text's words, `UNKNOWN` for those that did not occur in training."""
        return self.inputs(self.words.ids(segment(texts)))


def least_texts(count: int) -> int:
    """Texts that a word must occur in: what occurs in a single text teaches little, unless texts are few."""
    return 2 if count >= 1_000 else 1


@dataclass(frozen=True, eq=False)
class Linear(Baseline):
    """A linear classifier over `Ngrams`.

    Attributes:
        weights: (features, columns) float32; one column for two classes, else one per class.
        bias: (columns,) float32.
        strength: the inverse penalty that validation chose.
    """

    weights: np.ndarray
    bias: np.ndarray
    strength: float

    binary: ClassVar[bool]
    """Whether it reads which n-grams a text has, not how often."""

    @classmethod
    def train(cls, counts: scipy.sparse.csr_array, labels: np.ndarray, classes: int, strength: float) -> Self:
        """The model of one penalty.

        Args:
            counts: (texts, features) from `Ngrams.counts`, binary or not as the class has it.
            labels: (texts,) 0 to classes - 1.
            classes: how many there are.
            strength: the inverse penalty.
        """
        raise NotImplementedError

    def scores(self, counts: scipy.sparse.csr_array) -> np.ndarray:
        """(texts, classes) float32 logits of counts as for `train`."""
        return two_columns(np.asarray(counts @ self.weights) + self.bias)

    @classmethod
    def counts(cls, texts: NgramTexts) -> scipy.sparse.csr_array:
        """What `train` reads of texts."""
        return texts.ngrams.counts(texts, binary=cls.binary)

    @classmethod
    def fit(cls, inputs, labels, classes, validation):
        counts, validation_counts = cls.counts(inputs), cls.counts(validation[0])
        models = (cls.train(counts, labels, classes, strength) for strength in STRENGTHS)
        return most_accurate(models, lambda model: model.scores(validation_counts), validation[1])

    def refit(self, inputs, labels, classes):
        return self.train(self.counts(inputs), labels, classes, self.strength)

    def logits(self, inputs):
        return self.scores(self.counts(inputs))


@dataclass(frozen=True, eq=False)
class NbSvm(Linear):
    """A linear model on which n-grams occur, weighted by their naive Bayes log-count ratio.

    Logistic loss replaces the hinge of the paper's SVM: it scores the same and gives probabilities.

    Source: Wang and Manning, "Baselines and bigrams", ACL 2012.
    """

    binary = True

    @classmethod
    def train(cls, counts, labels, classes, strength):
        weights, bias = [], []
        for side in sides(labels, classes):
            ratio = log_count_ratio(counts, side)
            weight, offset = logistic(scaled(counts, ratio), side, strength)
            weights.append(weight * ratio)
            bias.append(offset)
        return cls(np.stack(weights, axis=1), np.array(bias, np.float32), strength)


@dataclass(frozen=True, eq=False)
class TfIdf(Linear):
    """Logistic regression on TF-IDF.

    Attributes:
        idf: (features,) float32.
    """

    idf: np.ndarray

    binary = False

    @classmethod
    def train(cls, counts, labels, classes, strength):
        idf = inverse_document_frequency(counts)
        inputs = tfidf(counts, idf)
        fitted = [logistic(inputs, side, strength) for side in sides(labels, classes)]
        weights, bias = zip(*fitted, strict=True)
        return cls(np.stack(weights, axis=1), np.array(bias, np.float32), strength, idf)

    def scores(self, counts):
        return super().scores(tfidf(counts, self.idf))


def inverse_document_frequency(counts: scipy.sparse.csr_array) -> np.ndarray:
    """(features,) float32, as scikit-learn's `TfidfTransformer` smooths it."""
    texts, features = counts.shape
    frequency = np.bincount(counts.indices, minlength=features)
    return (np.log((1 + texts) / (1 + frequency)) + 1).astype(np.float32)


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
    """(texts,) bool for each column of a `Linear`: the texts of class 1 of two, else of each class."""
    return [labels == k for k in ([1] if classes == 2 else range(classes))]


def scaled(counts: scipy.sparse.csr_array, ratio: np.ndarray) -> scipy.sparse.csr_array:
    """Counts with each feature multiplied by its ratio."""
    return scipy.sparse.csr_array(
        (counts.data * ratio[counts.indices], counts.indices, counts.indptr), counts.shape
    )


def logistic(inputs: scipy.sparse.csr_array, side: np.ndarray, strength: float) -> tuple[np.ndarray, float]:
    """Weights (features,) and bias of a logistic regression."""
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(
        C=strength, solver="liblinear", dual=True, random_state=0, max_iter=1000, tol=1e-2
    )
    model.fit(inputs, side)
    return model.coef_[0].astype(np.float32), float(model.intercept_[0])
