"""`sunhwan.SeriesClassifier`: windows of sensor readings from Python, by scikit-learn's conventions."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from scipy.special import softmax
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.validation import check_is_fitted

from sunhwan import rundir
from sunhwan.classify import run as classify
from sunhwan.classify.predict import names
from sunhwan.classify.recordings import classifier as recording_classifier
from sunhwan.classify.recordings.classifier import Options, RecordingClassifier
from sunhwan.classify.recordings.network import Settings
from sunhwan.data import recordings
from sunhwan.data.files import frames
from sunhwan.data.files.records import Records, named
from sunhwan.data.recordings import Columns, Recordings, Sequences
from sunhwan.data.split import stratified
from sunhwan.data.texts.labelled import classes_of
from sunhwan.errors import SunhwanError
from sunhwan.files import new_run
from sunhwan.provenance import now


class SeriesClassifier(ClassifierMixin, BaseEstimator):
    """Tells windows of sensor readings apart, as `sunhwan classify --series` does those of a file.

    A frame (pandas or polars) or the path of a CSV or Parquet file has a row for each reading. The rows of
    one ID are a recording, of any length, and have one label. Answers have a row for each recording.

    In cross-validation all rows of a recording must be on one side: give its ID as `groups`, and a splitter
    that heeds them, such as `GroupKFold` or `StratifiedGroupKFold`.

    Args:
        series: the column of each recording's ID.
        label: the column of labels; none is needed where `fit` is given `y`.
        time: the column, or columns, that order the rows of a recording; by default the one with a customary
            name, else the order of the rows.
        features: the columns that are read; by default all that can serve.
        validation: the share of recordings that chooses epochs, penalties and weights; at the end all of them
            are trained on.
        seeds: networks that are averaged.
        model: "lstm", "gru" or "simple_rnn".
        units, layers, dropout, epochs: of the networks; see `recording_network.Settings`.

    Attributes:
        classes_: (classes,) the labels, in the order of `predict_proba`'s columns.
        classifier_: what was trained.
        notes_: what was met and done on the way, in sentences.

    Example:
        >>> turns = np.arange(40 * 12).reshape(40, 12) * np.array([0.5, 2.0] * 20)[:, None]
        >>> frame = pl.DataFrame({
        ...     "stroke": np.repeat(np.arange(40), 12),
        ...     "x": np.sin(turns).ravel(),
        ...     "pace": np.repeat(["slow", "fast"] * 20, 12),
        ... })
        >>> model = SeriesClassifier("stroke", "pace", seeds=1, epochs=2, units=4).fit(frame[: 30 * 12])
        >>> model.predict(frame[30 * 12 : 32 * 12]).rows()
        [(30, 'slow'), (31, 'fast')]
        >>> model.score(frame[30 * 12 :])
        1.0
    """

    def __init__(
        self,
        series: str = "series",
        label: str = "label",
        *,
        time: str | Sequence[str] = (),
        features: Sequence[str] = (),
        validation: float = 0.2,
        seeds: int = 2,
        model: str = "lstm",
        units: int = 48,
        layers: int = 2,
        dropout: float = 0.3,
        epochs: int = 40,
    ):
        self.series = series
        self.label = label
        self.time = time
        self.features = features
        self.validation = validation
        self.seeds = seeds
        self.model = model
        self.units = units
        self.layers = layers
        self.dropout = dropout
        self.epochs = epochs

    def fit(self, X: Any, y: Any = None, watcher: object = None) -> SeriesClassifier:
        """Learn from recordings and their labels.

        Args:
            X: rows of recordings: a frame of pandas or polars, or a file.
            y: (rows,) the label of each row's recording; None for those of the column.
            watcher: told how it goes.

        Raises:
            SunhwanError: the recordings or labels cannot be learnt from; see `recordings.load` and
                `labelled.classes_of`.
        """
        from sunhwan.training.progress import Nobody

        if not 0 < self.validation < 1:
            raise SunhwanError(f"validation is {self.validation!r}, expected a share above 0 and below 1")
        settings = Settings(
            cell=self.model, units=self.units, layers=self.layers, dropout=self.dropout, epochs=self.epochs
        )
        began, records = now(), self._records(X, y)
        columns = Columns(self.series, self.label, named(self.time), named(self.features))
        found = recordings.of(records, columns)
        noun = found.noun
        classes = classes_of(found.labels, 2, found.name, noun)
        labels = classify.numbered(found.labels, classes)
        shares = (1 - self.validation, self.validation)
        part = stratified(found.keys, labels, shares, classify.SPLIT_SEED)
        classify.check_parts(labels, part, classes, 2, found.name, noun)
        options = Options(settings, self.seeds, columns.features)
        fitted = recording_classifier.fit(
            found.table, labels, classes, part == 1, options, watcher or Nobody()
        )
        self.columns_, self.classifier_ = found.columns, fitted.classifier
        self.classes_ = of_kind(classes, records.frame[self.label].dtype)
        self.notes_, self.began_ = (*found.notes, *fitted.notes), began
        return self

    def predict(self, X: Any) -> Any:
        """The likeliest label of each recording.

        Returns:
            A frame of X's kind (of polars for a file), a row for each recording in the order of first rows:
            its ID, and the label as `predicted`.
        """
        found, logits = self._told(X)
        answer, *_ = names(self.classifier_, [self.columns_.series])
        return frames.like(X, {**found, answer: self.classes_[logits.argmax(axis=1)]})

    def predict_proba(self, X: Any) -> Any:
        """`predict` with a column for each of `classes_`, its calibrated probability, not the label."""
        found, logits = self._told(X)
        _, *each = names(self.classifier_, [self.columns_.series])
        return frames.like(X, {**found, **dict(zip(each, softmax(logits, axis=1).T, strict=True))})

    def score(self, X: Any, y: Any = None) -> float:
        """The share of recordings that are told right, of those that have a label.

        Args:
            X, y: as for `fit`.
        """
        check_is_fitted(self, "classifier_")
        found = self._recordings(self._records(X, y))
        there = found.labels.is_not_null()
        if not there.any():
            raise SunhwanError(
                f"no recording has a label to score by: give y, or a column {self.columns_.label!r}"
            )
        told = pl.Series(self.classifier_.predict(found.table))
        return float((told == found.labels).filter(there).mean())

    def save(self, folder: str | Path) -> None:
        """Write a run directory, which `load` and `sunhwan predict` read."""
        check_is_fitted(self, "classifier_")
        folder = new_run("classify", Path(folder))
        model, arrays = self.classifier_.as_kept()
        model |= {"kind": Recordings.noun, "columns": self.columns_.as_dict()}
        model["estimator"] = {"parameters": self.get_params(), "labels": self.classes_.tolist()}
        known = rundir.record("classify", [], self.get_params(), {}, self.began_)
        rundir.write(folder, {**known, "notes": list(self.notes_)}, model, arrays)

    @classmethod
    def load(cls, folder: str | Path) -> SeriesClassifier:
        """The classifier that a run directory holds, of `save` or of `sunhwan classify --series`."""
        model, arrays = rundir.read(Path(folder), "classify")
        classifier = classify.from_kept(model, arrays)
        if not isinstance(classifier, RecordingClassifier):
            raise SunhwanError(f"{str(folder)!r} is a run of texts: load it with sunhwan.Classifier")
        with rundir.reading("classifier"):
            columns, kept = Columns.from_dict(model["columns"]), model.get("estimator", {})
        usual = {
            "series": columns.series,
            "label": columns.label,
            "time": list(columns.time),
            "features": list(columns.features),
        }
        found = cls(**kept.get("parameters", usual))
        found.columns_, found.classifier_, found.notes_ = columns, classifier, ()
        found.began_ = rundir.began(Path(folder))
        found.classes_ = np.array(kept.get("labels", classifier.classes))
        return found

    def _records(self, X: Any, y: Any = None) -> Records:
        """The rows, with `y` as their column of labels."""
        records = frames.records(X, (self.series, *named(self.time)))
        if y is None:
            return records
        given = y if isinstance(y, pl.Series) else y.tolist() if hasattr(y, "tolist") else list(y)
        if len(given) != len(records.frame):
            raise SunhwanError(
                f"X has {len(records.frame):,} rows and y {len(given):,} labels; expected the label of each "
                "row's recording"
            )
        try:
            labels = pl.Series(self.label, given)
        except TypeError:
            kinds = sorted({type(label).__name__ for label in given})
            raise SunhwanError(f"y mixes {', '.join(kinds)}; expected labels of one kind") from None
        return replace(records, frame=records.frame.with_columns(labels))

    def _recordings(self, records: Records) -> Recordings:
        """New recordings, of which those columns are read that were learnt from."""
        read = replace(self.columns_, features=self.classifier_.members.recipe.columns)
        return recordings.of(records, read, labelled=False)

    def _told(self, X: Any) -> tuple[dict[str, np.ndarray], np.ndarray]:
        """The column of IDs, of the kind of X's, and (recordings, classes) logits."""
        check_is_fitted(self, "classifier_")
        records = self._records(X)
        found = self._recordings(records)
        members = self.classifier_.members
        read, notes = Sequences.of(found.table, members.recipe)
        for note in notes:
            warnings.warn(note, stacklevel=3)
        ids, kind = pl.Series(found.table.series_names), records.frame[self.columns_.series].dtype
        ids = ids.cast(kind) if kind.is_numeric() else ids
        return {self.columns_.series: ids.to_numpy()}, self.classifier_.combined(members.logits(read))


def of_kind(classes: Sequence[str], kind: pl.DataType) -> np.ndarray:
    """Classes as labels of the kind of their column.

    Example:
        >>> of_kind(["1", "2"], pl.Int64()).tolist(), of_kind(["false", "true"], pl.Boolean()).tolist()
        ([1, 2], [False, True])
    """
    if kind == pl.Boolean:
        return np.array([name == "true" for name in classes])
    if kind.is_integer():
        return np.array([int(name) for name in classes])
    return np.array([float(name) for name in classes] if kind.is_float() else list(classes))
