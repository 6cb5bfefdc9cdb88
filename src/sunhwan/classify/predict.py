"""New examples -> their classes by a run of `classify`: the likeliest class and the probability of each.

file --portions----> texts ------TextClassifier-------> a row for each row of the file, with all its columns
file --recordings--> recordings --RecordingClassifier--> a row for each recording, with its ID

With texts, memory does not grow with the file.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

import numpy as np
import polars as pl
from scipy.special import softmax

from sunhwan import rundir
from sunhwan.classify.ensemble import Ensemble
from sunhwan.classify.recordings.classifier import RecordingClassifier
from sunhwan.classify.run import from_dict
from sunhwan.classify.texts.classifier import PREDICTED_AT_ONCE, TextClassifier
from sunhwan.data import recordings
from sunhwan.data.files.records import listed
from sunhwan.data.recordings import Recordings
from sunhwan.data.texts import labelled
from sunhwan.data.texts.labelled import as_labels, strings
from sunhwan.data.texts.portions import Portions, portions
from sunhwan.data.texts.words import UNKNOWN
from sunhwan.errors import SunhwanError

PREDICTED, MOVED = "predicted", "moved_by"
"""The columns of the likeliest class, and of the words that moved the prediction."""

DECIMALS = 6
"""Of probabilities."""

RECORDINGS_AT_ONCE = 1_000
"""After so many a watcher is notified."""


@dataclass
class Tally:
    """Counts of the predictions so far.

    Attributes:
        rows: all of them.
        empty: rows without a text, which get no prediction.
        strange: texts without a word that occurred in training.
        labelled, matches: predictions beside a label of the file, and those that match it.
        unknown: labels that are no class of the run; `example` is one.
    """

    rows: int = 0
    empty: int = 0
    strange: int = 0
    labelled: int = 0
    matches: int = 0
    unknown: int = 0
    example: str = ""

    def compare(self, labels: pl.Series, predictions: pl.Series, classes: Sequence[str]) -> None:
        """Count how many predictions match the labels of the file."""
        both = labels.is_not_null() & predictions.is_not_null()
        labels, predictions = labels.filter(both), predictions.filter(both)
        unknown = labels.filter(~labels.is_in(list(classes)))
        if len(unknown):
            self.example = self.example or unknown[0]
        self.unknown += len(unknown)
        self.labelled += len(labels)
        self.matches += int((labels == predictions).sum())

    def notes(self, text: str, label: str) -> list[str]:
        """The counts in sentences; `text` and `label` are the columns."""
        notes = []
        if self.empty:
            notes.append(f"{count(self.empty, 'row')} without a text in {text!r}: no prediction there")
        if self.strange:
            notes.append(
                f"{count(self.strange, 'text')} without a word that occurred in training: the probabilities "
                "are about the classes' shares"
            )
        if self.unknown == self.labelled > 0:
            notes.append(
                f"no label in {label!r} is a class of the run (first {self.example!r}), so predictions "
                "cannot be compared with them"
            )
        elif self.labelled:
            notes.append(
                f"{self.matches:,} of {self.labelled:,} predictions match the labels in {label!r} "
                f"({self.matches / self.labelled:.1%})"
            )
            if self.unknown:
                notes[-1] += (
                    f"; {count(self.unknown, 'label')} (first {self.example!r}) not among the run's classes"
                )
        return notes


class Predictions(Protocol):
    """Predictions for a file."""

    def frames(self, watcher) -> Iterator[pl.DataFrame]:
        """Columns of the file and those of the predictions, some rows at a time.

        Args:
            watcher: notified of the rows that are done.
        """
        ...

    def notes(self) -> list[str]:
        """What users may want to know, in sentences, after the last frame."""
        ...


@dataclass(frozen=True)
class TextPredictions:
    """Predictions for a file of texts.

    Attributes:
        classifier: of the run.
        source: the file.
        columns: of texts and, where the file has it, of labels.
        explain: whether to list the words that moved each prediction.
        tally: of the rows that `frames` gave.
    """

    classifier: TextClassifier
    source: Portions
    columns: labelled.Columns
    explain: bool = False
    tally: Tally = field(default_factory=Tally)

    @property
    def names(self) -> list[str]:
        """The columns of the predictions; see `names`."""
        return names(self.classifier, self.source.columns, [MOVED] if self.explain else [])

    def frames(self, watcher) -> Iterator[pl.DataFrame]:
        """All columns of the file, with those of the predictions; see `Predictions`."""
        watcher.begin(self.source.name, 1, self.source.rows)
        for frame in self.source:
            predictions = self.predict(strings(frame[self.columns.text], self.source.name), watcher)
            if self.columns.label in frame.columns:
                labels = as_labels(frame[self.columns.label])
                self.tally.compare(labels, predictions[0], self.classifier.classes)
            named = zip(predictions, self.names, strict=True)
            yield frame.hstack([column.alias(name) for column, name in named])

    def predict(self, texts: pl.Series, watcher) -> list[pl.Series]:
        """The columns that `names` names, (texts,) each; null where there is no text."""
        tally, logits, encoder = self.tally, [], self.classifier.members.encoder
        lacking = (texts.is_null() | (texts.str.strip_chars() == "")).to_numpy()
        for start in range(0, max(len(texts), 1), PREDICTED_AT_ONCE):
            some = slice(start, start + PREDICTED_AT_ONCE)
            inputs = encoder.encode(texts[some])
            known = np.bincount(inputs.owners[inputs.values != UNKNOWN], minlength=len(inputs)) > 0
            tally.strange += int((~known & ~lacking[some]).sum())
            logits.append(self.classifier.logits_of(inputs))
            if not self.explain:
                watcher.batch(1, tally.rows + start + len(inputs))
        columns = columns_of(self.classifier, np.concatenate(logits))
        if self.explain:
            moved = []
            for number, text in enumerate(texts, start=1):
                moved.append(self.moved(text))
                watcher.batch(1, tally.rows + number)
            columns.append(pl.Series(moved, dtype=pl.String))
        tally.rows += len(texts)
        tally.empty += int(lacking.sum())
        return [column.set(pl.Series(lacking), None) for column in columns]

    def moved(self, text: str | None) -> str:
        """The words that moved a prediction, in one line: `fine +1.32, plot -0.04`."""
        return ", ".join(f"{word} {effect:+.2f}" for word, effect in self.classifier.explain(text or ""))

    def notes(self) -> list[str]:
        """See `Predictions`."""
        wanted = (PREDICTED, *self.classifier.classes, MOVED)
        return [
            *(
                f"{self.source.name} has a column {usual!r} already; that of the predictions is {name!r}"
                for usual, name in zip(wanted, self.names, strict=False)
                if name != usual
            ),
            *self.tally.notes(self.columns.text, self.columns.label),
        ]


@dataclass(frozen=True)
class RecordingPredictions:
    """Predictions for a file of recordings, all of it in memory.

    Attributes:
        classifier: of the run.
        source: the recordings.
        tally: of the recordings that `frames` gave.
        encoding: notes on the encoding of their rows.
    """

    classifier: RecordingClassifier
    source: Recordings
    tally: Tally = field(default_factory=Tally)
    encoding: list[str] = field(default_factory=list)

    def frames(self, watcher) -> Iterator[pl.DataFrame]:
        """The ID of each recording, its label if it has one, and the predictions; see `Predictions`."""
        source, classifier = self.source, self.classifier
        watcher.begin(source.name, 1, len(source))
        inputs, notes = recordings.encode(source.table, classifier.members.encoder.recipe)
        self.encoding.extend(notes)
        columns = {source.columns.series: pl.Series(source.table.series_names, dtype=pl.String)}
        if source.labels.is_not_null().any():
            columns[source.columns.label] = source.labels
        frame = pl.DataFrame(columns)
        for start in range(0, len(source), RECORDINGS_AT_ONCE):
            end = min(start + RECORDINGS_AT_ONCE, len(source))
            predictions = columns_of(classifier, classifier.logits_of(inputs.part(start, end)))
            self.tally.compare(source.labels[start:end], predictions[0], classifier.classes)
            watcher.batch(1, end)
            named = zip(predictions, names(classifier, frame.columns), strict=True)
            yield frame[start:end].hstack([column.alias(name) for column, name in named])

    def notes(self) -> list[str]:
        """See `Predictions`."""
        columns = self.source.columns
        return [*self.source.notes, *self.encoding, *self.tally.notes(columns.series, columns.label)]


def columns_of(classifier: Ensemble, logits: np.ndarray) -> list[pl.Series]:
    """The likeliest class by logits (examples, classes), and the probability of each."""
    probabilities = softmax(logits, axis=1).round(DECIMALS)
    likeliest = np.array(classifier.classes, object)[logits.argmax(axis=1)]
    return [pl.Series(likeliest, dtype=pl.String), *(pl.Series(column) for column in probabilities.T)]


def names(classifier: Ensemble, existing: Sequence[str], more: Sequence[str] = ()) -> list[str]:
    """The columns of predictions: `PREDICTED`, each class, and more; an existing name is followed by `_`.

    Example:
        >>> names(Ensemble(("bad", "good"), None, {}), ["text", "good"])
        ['predicted', 'bad', 'good_']
    """
    existing, unique = set(existing), []
    for name in (PREDICTED, *classifier.classes, *more):
        while name in existing:
            name += "_"
        existing.add(name)
        unique.append(name)
    return unique


def predict(run: Path, file: Path, explain: bool = False) -> Predictions:
    """The predictions of a run for a file.

    Args:
        run: the run directory.
        file: with the columns that the run was trained on, among any others.
        explain: whether to list the words that moved the prediction of a text; many times slower.

    Raises:
        SunhwanError: the run or the file cannot be used.
    """
    model, arrays = rundir.read(run, "classify")
    classifier = from_dict(model, arrays)
    if isinstance(classifier, RecordingClassifier):
        if explain:
            raise SunhwanError(f"--explain is for texts; {str(run)!r} is a run of sensor readings")
        with rundir.reading("columns"):
            columns = recordings.Columns.from_dict(model["columns"])
        columns = replace(columns, features=classifier.members.encoder.recipe.columns)
        return RecordingPredictions(classifier, recordings.load(file, columns, labelled=False))
    source = portions(file)
    with rundir.reading("columns"):
        columns = labelled.Columns.from_dict({} if source.kind == "folder" else model["columns"])
    if columns.text not in source.columns:
        raise SunhwanError(
            f"{source.name} has no column {columns.text!r}, which the run reads texts from; it has "
            f"{listed(source.columns)}: rename the column of texts"
        )
    return TextPredictions(classifier, source, columns, explain)


def count(number: int, noun: str) -> str:
    """A number of things: `1 row`, `2,000 rows`."""
    return f"{number:,} {noun}{'s' * (number != 1)}"
