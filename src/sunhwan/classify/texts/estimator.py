"""`sunhwan.Classifier`: the task from Python, by scikit-learn's conventions."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.validation import check_is_fitted

from sunhwan import rundir
from sunhwan.classify import run as classify
from sunhwan.classify.texts import classifier as text_classifier
from sunhwan.classify.texts.classifier import Options, TextClassifier
from sunhwan.classify.texts.network import Settings
from sunhwan.data.split import stratified
from sunhwan.data.texts.labelled import classes_of
from sunhwan.errors import SunhwanError
from sunhwan.files import new_run
from sunhwan.provenance import now


class Classifier(ClassifierMixin, BaseEstimator):
    """Tells texts apart, as `sunhwan classify` does those of a file.

    Args:
        validation: the share of texts that chooses epochs, penalties and weights; at the end all of them are
            trained on.
        seeds: networks that are averaged.
        model: "lstm", "gru" or "simple_rnn".
        units, embedding, words, length, dropout, epochs: of the networks; see `text_network.Settings`.

    Attributes:
        classes_: (classes,) the labels, in the order of `predict_proba`'s columns.
        classifier_: what was trained.
        notes_: what was met and done on the way, in sentences.

    Example:
        >>> texts = [f"{word} film number {i}" for i in range(20) for word in ("fine", "dull")]
        >>> model = Classifier(seeds=1, epochs=1, units=4, embedding=4).fit(texts, [1, 0] * 20)
        >>> model.predict(["a fine film", "a dull one"]).tolist()
        [1, 0]
        >>> model.explain("a dull one", top=1)[0][0]
        'dull'
    """

    def __init__(
        self,
        *,
        validation: float = 0.2,
        seeds: int = 2,
        model: str = "lstm",
        units: int = 32,
        embedding: int = 64,
        words: int = 20_000,
        length: int = 400,
        dropout: float = 0.5,
        epochs: int = 12,
    ):
        self.validation = validation
        self.seeds = seeds
        self.model = model
        self.units = units
        self.embedding = embedding
        self.words = words
        self.length = length
        self.dropout = dropout
        self.epochs = epochs

    def fit(self, X: Any, y: Any, watcher: object = None) -> Classifier:
        """Learn from texts and their labels.

        Args:
            X: n texts: a list, an array, or a pandas or polars Series.
            y: (n,) labels: strings, whole numbers or booleans.
            watcher: told how it goes.

        Raises:
            SunhwanError: they are no texts, their numbers differ, or the labels are no classes.
        """
        from sunhwan.training.progress import Nobody

        began = now()
        if not 0 < self.validation < 1:
            raise SunhwanError(f"validation is {self.validation!r}, expected a share above 0 and below 1")
        texts = as_texts(X)
        classes, labels = as_labels(y)
        if len(texts) != len(labels):
            raise SunhwanError(f"X has {len(texts):,} texts and y {len(labels):,} labels; expected as many")
        names = [str(label) for label in classes.tolist()]
        classes_of(pl.Series(names, dtype=pl.String).gather(labels), 2, "y")
        part = stratified(texts, labels, (1 - self.validation, self.validation), classify.SPLIT_SEED)
        classify.check_parts(labels, part, names, 2, "y")
        settings = Settings(
            cell=self.model,
            units=self.units,
            embedding=self.embedding,
            words=self.words,
            length=self.length,
            dropout=self.dropout,
            epochs=self.epochs,
        )
        options = Options(settings, self.seeds)
        fitted = text_classifier.fit(texts, labels, names, part == 1, options, watcher or Nobody())
        self.classes_, self.classifier_, self.notes_ = classes, fitted.classifier, fitted.notes
        self.began_ = began
        return self

    def predict_proba(self, X: Any) -> np.ndarray:
        """(texts, classes) calibrated probabilities, in the order of `classes_`."""
        check_is_fitted(self, "classifier_")
        return self.classifier_.predict_proba(as_texts(X))

    def predict(self, X: Any) -> np.ndarray:
        """(texts,) the likeliest label of each text, of the kind of `y`."""
        said = self.predict_proba(X).argmax(axis=1)
        return self.classes_[said]

    def explain(self, text: str, top: int = 10) -> list[tuple[str, float]]:
        """The words that moved a prediction; see `TextClassifier.explain`."""
        check_is_fitted(self, "classifier_")
        return self.classifier_.explain(text, top)

    def save(self, folder: str | Path) -> None:
        """Write a run directory, which `load` and `sunhwan.classify.run.load` read."""
        check_is_fitted(self, "classifier_")
        folder = new_run("classify", Path(folder))
        model, arrays = self.classifier_.as_kept()
        model["estimator"] = {"parameters": self.get_params(), "labels": self.classes_.tolist()}
        known = rundir.record("classify", [], self.get_params(), {}, self.began_)
        rundir.write(folder, {**known, "notes": list(self.notes_)}, model, arrays)

    @classmethod
    def load(cls, folder: str | Path) -> Classifier:
        """The classifier that a run directory holds, of `save` or of `sunhwan classify`."""
        model, arrays = rundir.read(Path(folder), "classify")
        classifier = classify.from_kept(model, arrays)
        if not isinstance(classifier, TextClassifier):
            raise SunhwanError(
                f"{str(folder)!r} is a run of recordings: load it with sunhwan.SeriesClassifier"
            )
        kept = model.get("estimator", {})
        found = cls(**kept.get("parameters", {}))
        found.classifier_ = classifier
        found.classes_ = np.array(kept.get("labels", model["classes"]))
        found.notes_, found.began_ = (), rundir.began(Path(folder))
        return found

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.string, tags.input_tags.two_d_array = True, False
        return tags


def as_texts(X: Any) -> pl.Series:
    """A list, an array or a Series as texts.

    Raises:
        SunhwanError: it is a single text or a table, or something in it is no text.

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
            f"X is a {type(X).__name__} {shape}; expected texts in one dimension: give a column"
        )
    texts = list(X)
    for number, text in enumerate(texts):
        if not isinstance(text, str):
            raise SunhwanError(
                f"X[{number}] is {text!r}, expected a text; leave it out, or make it one (str, or '')"
            )
    try:
        return pl.Series("text", texts, dtype=pl.String)
    except UnicodeEncodeError:
        raise SunhwanError(
            "a text of X holds half a character, as texts do that "
            "were decoded with errors='surrogateescape'; decode them as what they are"
        ) from None


def as_labels(y: Sequence) -> tuple[np.ndarray, np.ndarray]:
    """The distinct labels in order, and (n,) int64 the place of each label among them.

    Raises:
        SunhwanError: there are none, or one is missing or no label.

    Example:
        >>> classes, labels = as_labels(["no", "yes", "no"])
        >>> classes.tolist(), labels.tolist()
        (['no', 'yes'], [0, 1, 0])
    """
    given = np.asarray(y.to_list() if isinstance(y, pl.Series) else y)
    if given.ndim != 1 or not len(given):
        raise SunhwanError(f"y has shape {given.shape}, expected one label for each text")
    missing = [number for number, label in enumerate(given.tolist()) if label is None or label != label]
    if missing:
        raise SunhwanError(
            f"{len(missing):,} labels of y are missing, first y[{missing[0]}]; leave those texts out"
        )
    if given.dtype.kind == "O":
        # Labels of mixed kinds have no order, and np.asarray would make words of numbers in silence.
        kinds = {type(label).__name__ for label in given.tolist()}
        if len(kinds) > 1:
            raise SunhwanError(f"y mixes {', '.join(sorted(kinds))}; expected labels of one kind")
        given = np.array(given.tolist())
    classes, labels = np.unique(given, return_inverse=True)
    return classes, labels.astype(np.int64)
