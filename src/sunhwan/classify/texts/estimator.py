"""`sunhwan.Classifier`: classifies texts from Python, by scikit-learn's conventions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl
from sklearn.utils.validation import check_is_fitted

from sunhwan.classify.estimator import Estimator
from sunhwan.classify.texts.classifier import Options, TextClassifier
from sunhwan.classify.texts.network import Settings
from sunhwan.data.texts.labelled import Columns, classes_of
from sunhwan.errors import SunhwanError


class Classifier(Estimator):
    """Classifies texts, as `sunhwan classify` does those of a file.

    Args:
        validation: the share of texts that chooses epochs, penalties and weights; at the end all of them are
            trained on.
        seeds: networks that are averaged.
        cell: "lstm", "gru" or "simple_rnn".
        units, embedding, words, length, dropout, epochs: of the networks; see `texts.network.Settings`.

    Attributes:
        classes_: (classes,) the labels, in the order of `predict_proba`'s columns.
        classifier_: the trained ensemble.
        notes_: what users may want to know, in sentences.

    Example:
        >>> texts = [f"{word} film number {i}" for i in range(20) for word in ("fine", "dull")]
        >>> model = Classifier(seeds=1, epochs=1, units=4, embedding=4).fit(texts, [1, 0] * 20)
        >>> model.predict(["a fine film", "a dull one"]).tolist()
        [1, 0]
        >>> model.explain("a dull one", top=1)[0][0]
        'dull'
    """

    kind, columns, settings = TextClassifier, Columns, Settings

    def __init__(
        self,
        *,
        validation: float = 0.2,
        seeds: int = 2,
        cell: str = "lstm",
        units: int = 32,
        embedding: int = 64,
        words: int = 20_000,
        length: int = 400,
        dropout: float = 0.5,
        epochs: int = 12,
    ):
        self.validation = validation
        self.seeds = seeds
        self.cell = cell
        self.units = units
        self.embedding = embedding
        self.words = words
        self.length = length
        self.dropout = dropout
        self.epochs = epochs

    def fit(self, X: Any, y: Any, watcher: object = None) -> Classifier:
        """Train on texts and their labels.

        Args:
            X: n texts: a list, an array, or a pandas or polars Series.
            y: (n,) labels: strings, whole numbers or booleans.
            watcher: notified of the progress.

        Raises:
            SunhwanError: X or y cannot be used, or their lengths differ.
        """
        texts = as_texts(X)
        classes, labels = as_labels(y)
        if len(texts) != len(labels):
            raise SunhwanError(
                f"X has {len(texts):,} texts and y {len(labels):,} labels; expected one label per text"
            )
        names = [str(label) for label in classes.tolist()]
        classes_of(pl.Series(names, dtype=pl.String).gather(labels), 2, "y")
        self._train(texts, texts, labels, names, Options, "y", watcher)
        self.classes_, self.columns_ = classes, Columns()
        return self

    def predict_proba(self, X: Any) -> np.ndarray:
        """(texts, classes) calibrated probabilities, in the order of `classes_`."""
        check_is_fitted(self, "classifier_")
        return self.classifier_.predict_proba(as_texts(X))

    def predict(self, X: Any) -> np.ndarray:
        """(texts,) the likeliest label of each text, of the type of `y`."""
        likeliest = self.predict_proba(X).argmax(axis=1)
        return self.classes_[likeliest]

    def explain(self, text: str, top: int = 10) -> list[tuple[str, float]]:
        """The words that moved a prediction; see `TextClassifier.explain`."""
        check_is_fitted(self, "classifier_")
        return self.classifier_.explain(text, top)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.string, tags.input_tags.two_d_array = True, False
        return tags


def as_texts(X: Any) -> pl.Series:
    """A list, an array or a Series as texts.

    Raises:
        SunhwanError: it is a single text or a table, or an entry is not a text.

    Example:
        >>> as_texts(np.array(["a", "b"])).to_list()
        ['a', 'b']
    """
    if isinstance(X, str | bytes):
        raise SunhwanError("X is a single text; expected a list of texts: put it in brackets")
    if isinstance(X, pl.Series) and X.dtype == pl.String and not X.null_count():
        return X
    if getattr(X, "ndim", 1) != 1 or hasattr(X, "columns"):
        shape = getattr(X, "shape", "")
        raise SunhwanError(
            f"X is a {type(X).__name__} {shape}; expected texts in one dimension: give one column"
        )
    texts = list(X)
    for number, text in enumerate(texts):
        if not isinstance(text, str):
            raise SunhwanError(
                f"X[{number}] is {text!r}, expected a text; leave it out, or convert it (str, or '')"
            )
    try:
        return pl.Series("text", texts, dtype=pl.String)
    except UnicodeEncodeError:
        raise SunhwanError(
            "a text of X contains half a character (a lone surrogate), as decoding with "
            "errors='surrogateescape' gives; decode X with its real encoding"
        ) from None


def as_labels(y: Sequence) -> tuple[np.ndarray, np.ndarray]:
    """The distinct labels in order, and (n,) int64 the place of each label among them.

    Raises:
        SunhwanError: there are none, one is missing, or they are of several types.

    Example:
        >>> classes, labels = as_labels(["no", "yes", "no"])
        >>> classes.tolist(), labels.tolist()
        (['no', 'yes'], [0, 1, 0])
    """
    values = np.asarray(y.to_list() if isinstance(y, pl.Series) else y)
    if values.ndim != 1 or not len(values):
        raise SunhwanError(f"y has shape {values.shape}, expected one label for each text")
    missing = [number for number, label in enumerate(values.tolist()) if label is None or label != label]
    if missing:
        raise SunhwanError(
            f"{len(missing):,} labels of y are missing, first y[{missing[0]}]; leave those texts out"
        )
    if values.dtype.kind == "O":
        # Labels of mixed types have no order, and np.asarray would silently turn numbers into strings.
        kinds = {type(label).__name__ for label in values.tolist()}
        if len(kinds) > 1:
            raise SunhwanError(f"y mixes {', '.join(sorted(kinds))}; expected labels of one type")
        values = np.array(values.tolist())
    classes, labels = np.unique(values, return_inverse=True)
    return classes, labels.astype(np.int64)
