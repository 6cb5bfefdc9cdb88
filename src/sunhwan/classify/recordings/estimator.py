"""`sunhwan.SeriesClassifier`: classifies windows of sensor readings, by scikit-learn's conventions."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
from scipy.special import softmax
from sklearn.utils.validation import check_is_fitted

from sunhwan.classify import run as classify
from sunhwan.classify.estimator import Estimator
from sunhwan.classify.predict import names
from sunhwan.classify.recordings.classifier import Options, RecordingClassifier
from sunhwan.classify.recordings.network import Settings
from sunhwan.data import recordings
from sunhwan.data.files import frames
from sunhwan.data.files.records import Records, named
from sunhwan.data.recordings import Columns, Recordings
from sunhwan.data.texts.labelled import classes_of
from sunhwan.errors import SunhwanError


class SeriesClassifier(Estimator):
    """Classifies windows of sensor readings, as `sunhwan classify --series` does those of a file.

    A frame (pandas or polars) or the path of a CSV or Parquet file has a row for each reading. The rows of
    one ID are a recording, of any length, and have one label. Predictions have a row for each recording.

    In cross-validation all rows of a recording must be in one fold: pass its ID as `groups`, with a splitter
    that respects them, such as `GroupKFold` or `StratifiedGroupKFold`.

    Args:
        series: the column of each recording's ID.
        label: the column of labels; not needed where `fit` is given `y`.
        time: the column, or columns, that order the rows of a recording; by default the one with a customary
            name, else the order of the rows.
        features: the columns that are read; by default every usable one.
        validation: the share of recordings that chooses epochs, penalties and weights; at the end all of them
            are trained on.
        seeds: networks that are averaged.
        cell: "lstm", "gru" or "simple_rnn".
        units, layers, dropout, epochs: of the networks; see `recordings.network.Settings`.

    Attributes:
        classes_: (classes,) the labels, in the order of `predict_proba`'s columns.
        classifier_: the trained ensemble.
        notes_: what users may want to know, in sentences.

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

    kind, columns, settings = RecordingClassifier, Columns, Settings

    def __init__(
        self,
        series: str = "series",
        label: str = "label",
        *,
        time: str | Sequence[str] = (),
        features: Sequence[str] = (),
        validation: float = 0.2,
        seeds: int = 2,
        cell: str = "lstm",
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
        self.cell = cell
        self.units = units
        self.layers = layers
        self.dropout = dropout
        self.epochs = epochs

    def fit(self, X: Any, y: Any = None, watcher: object = None) -> SeriesClassifier:
        """Train on recordings and their labels.

        Args:
            X: rows of recordings: a frame of pandas or polars, or a file.
            y: (rows,) the label of each row's recording; None for those of the column.
            watcher: notified of the progress.

        Raises:
            SunhwanError: the recordings or labels cannot be used; see `recordings.load` and
                `labelled.classes_of`.
        """
        records = self._records(X, y)
        columns = Columns(self.series, self.label, named(self.time), named(self.features))
        source = recordings.of(records, columns)
        classes = classes_of(source.labels, 2, source.name, source.noun)
        labels = classify.numbered(source.labels, classes)
        self._train(
            source.table,
            source.keys,
            labels,
            classes,
            Options,
            source.name,
            watcher,
            features=columns.features,
        )
        self.columns_, self.classes_ = source.columns, of_type(classes, records.frame[self.label].dtype)
        self.notes_ = (*source.notes, *self.notes_)
        return self

    def predict(self, X: Any) -> Any:
        """The likeliest label of each recording.

        Returns:
            A frame of X's kind (of polars for a file), a row for each recording in the order of first rows:
            its ID, and the label as `predicted`.
        """
        ids, logits = self._logits(X)
        column, *_ = names(self.classifier_, [self.columns_.series])
        return frames.like(X, {**ids, column: self.classes_[logits.argmax(axis=1)]})

    def predict_proba(self, X: Any) -> Any:
        """Like `predict`, with the calibrated probability of each of `classes_` in place of the label."""
        ids, logits = self._logits(X)
        _, *columns = names(self.classifier_, [self.columns_.series])
        return frames.like(X, {**ids, **dict(zip(columns, softmax(logits, axis=1).T, strict=True))})

    def score(self, X: Any, y: Any = None) -> float:
        """The accuracy on the recordings that have a label.

        Args:
            X, y: as for `fit`.
        """
        check_is_fitted(self, "classifier_")
        source = self._recordings(self._records(X, y))
        there = source.labels.is_not_null()
        if not there.any():
            raise SunhwanError(
                f"no recording has a label to score by: give y, or a column {self.columns_.label!r}"
            )
        predictions = pl.Series(self.classifier_.predict(source.table))
        return float((predictions == source.labels).filter(there).mean())

    @staticmethod
    def _parameters(columns: Columns) -> dict[str, Any]:
        return {
            "series": columns.series,
            "label": columns.label,
            "time": list(columns.time),
            "features": list(columns.features),
        }

    def _records(self, X: Any, y: Any = None) -> Records:
        """The rows, with `y` as their column of labels."""
        records = frames.records(X, (self.series, *named(self.time)))
        if y is None:
            return records
        values = y if isinstance(y, pl.Series) else y.tolist() if hasattr(y, "tolist") else list(y)
        if len(values) != len(records.frame):
            raise SunhwanError(
                f"X has {len(records.frame):,} rows and y {len(values):,} labels; expected the label of each "
                "row's recording"
            )
        try:
            labels = pl.Series(self.label, values)
        except TypeError:
            kinds = sorted({type(label).__name__ for label in values})
            raise SunhwanError(f"y mixes {', '.join(kinds)}; expected labels of one type") from None
        return replace(records, frame=records.frame.with_columns(labels))

    def _recordings(self, records: Records) -> Recordings:
        """New recordings, with the columns that training read."""
        columns = replace(self.columns_, features=self.classifier_.members.encoder.recipe.columns)
        return recordings.of(records, columns, labelled=False)

    def _logits(self, X: Any) -> tuple[dict[str, np.ndarray], np.ndarray]:
        """The column of IDs, of the same type as in X, and (recordings, classes) logits."""
        check_is_fitted(self, "classifier_")
        records = self._records(X)
        table = self._recordings(records).table
        inputs, notes = recordings.encode(table, self.classifier_.members.encoder.recipe)
        for note in notes:
            warnings.warn(note, stacklevel=3)
        ids, dtype = pl.Series(table.series_names), records.frame[self.columns_.series].dtype
        ids = ids.cast(dtype) if dtype.is_numeric() else ids
        return {self.columns_.series: ids.to_numpy()}, self.classifier_.logits_of(inputs)


def of_type(classes: Sequence[str], dtype: pl.DataType) -> np.ndarray:
    """Classes as labels of the type of their column.

    Example:
        >>> of_type(["1", "2"], pl.Int64()).tolist(), of_type(["false", "true"], pl.Boolean()).tolist()
        ([1, 2], [False, True])
    """
    if dtype == pl.Boolean:
        return np.array([name == "true" for name in classes])
    if dtype.is_integer():
        return np.array([int(name) for name in classes])
    return np.array([float(name) for name in classes] if dtype.is_float() else list(classes))
