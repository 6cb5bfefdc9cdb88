"""New examples -> their classes by a run of `classify`: the likeliest, and the probability of each.

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
from sunhwan.baselines.ngrams import owners
from sunhwan.classify.ensemble import Combined
from sunhwan.classify.recordings.classifier import RecordingClassifier
from sunhwan.classify.run import from_kept
from sunhwan.classify.texts.classifier import PREDICTED_AT_ONCE, TextClassifier
from sunhwan.data import recordings
from sunhwan.data.files.records import listed
from sunhwan.data.recordings import Columns, Recordings, Sequences
from sunhwan.data.texts.labelled import as_labels, strings
from sunhwan.data.texts.portions import Portions, portions
from sunhwan.data.texts.words import UNKNOWN
from sunhwan.errors import SunhwanError

PREDICTED, MOVED = "predicted", "moved_by"
"""The columns of the likeliest class, and of the words that moved the prediction."""

DECIMALS = 6
"""Of probabilities."""

RECORDINGS_AT_ONCE = 1_000
"""After so many a watcher is told."""


@dataclass
class Tally:
    """What was met among the answers so far.

    Attributes:
        rows: all of them.
        empty: rows without a text, which get no answer.
        strange: texts without a word that training knew.
        judged, right: answers beside a label of the file, and those that agree with it.
        unknown: labels that are no class of the run; `example` is one.
    """

    rows: int = 0
    empty: int = 0
    strange: int = 0
    judged: int = 0
    right: int = 0
    unknown: int = 0
    example: str = ""

    def judge(self, labels: pl.Series, said: pl.Series, classes: Sequence[str]) -> None:
        """Count how many answers agree with the labels of the file."""
        both = labels.is_not_null() & said.is_not_null()
        labels, said = labels.filter(both), said.filter(both)
        unknown = labels.filter(~labels.is_in(list(classes)))
        if len(unknown):
            self.example = self.example or unknown[0]
        self.unknown += len(unknown)
        self.judged += len(labels)
        self.right += int((labels == said).sum())

    def notes(self, text: str, label: str) -> list[str]:
        """What was met, in sentences; `text` and `label` are the columns."""
        notes = []
        if self.empty:
            notes.append(f"{count(self.empty, 'row')} without a text in {text!r}: no answer there")
        if self.strange:
            notes.append(
                f"{count(self.strange, 'text')} without a word that training knew: the answer is about the "
                "classes' shares"
            )
        if self.unknown == self.judged > 0:
            notes.append(
                f"{label!r} holds no class of the run (first {self.example!r}), so that nothing can be said "
                "of right and wrong"
            )
        elif self.judged:
            notes.append(
                f"{self.right:,} of {count(self.judged, 'label')} in {label!r} were told "
                f"({self.right / self.judged:.1%})"
            )
            if self.unknown:
                notes[-1] += f"; {self.unknown:,}, such as {self.example!r}, are no class of the run"
        return notes


class Labelling(Protocol):
    """A file that is told apart by a classifier."""

    def frames(self, watcher) -> Iterator[pl.DataFrame]:
        """Columns of the file and those of the answers, some rows at a time.

        Args:
            watcher: told of the rows that are done.
        """
        ...

    def notes(self) -> list[str]:
        """What was met, in sentences, once all frames were taken."""
        ...


@dataclass(frozen=True)
class OfTexts:
    """A file of texts.

    Attributes:
        classifier: of the run.
        source: the file.
        text, label: the columns of texts and, where the file has it, of labels.
        explain: whether to say which words moved each prediction.
        tally: of the rows that `frames` gave.
    """

    classifier: TextClassifier
    source: Portions
    text: str
    label: str
    explain: bool = False
    tally: Tally = field(default_factory=Tally)

    @property
    def names(self) -> list[str]:
        """The columns of the answers; see `names`."""
        return names(self.classifier, self.source.columns, [MOVED] if self.explain else [])

    def frames(self, watcher) -> Iterator[pl.DataFrame]:
        """All columns of the file, with those of the answers; see `Labelling`."""
        watcher.begin(self.source.name, 1, self.source.rows)
        for frame in self.source:
            answers = self.answers(strings(frame[self.text], self.source.name), watcher)
            if self.label in frame.columns:
                self.tally.judge(as_labels(frame[self.label]), answers[0], self.classifier.classes)
            yield frame.hstack([one.alias(name) for one, name in zip(answers, self.names, strict=True)])

    def answers(self, texts: pl.Series, watcher) -> list[pl.Series]:
        """The columns that `names` names, (texts,) each; null where there is no text."""
        tally, logits = self.tally, []
        lacking = (texts.is_null() | (texts.str.strip_chars() == "")).to_numpy()
        for start in range(0, max(len(texts), 1), PREDICTED_AT_ONCE):
            some = slice(start, start + PREDICTED_AT_ONCE)
            ids = self.classifier.members.ids(texts[some])
            known = np.bincount(owners(ids)[ids.ids != UNKNOWN], minlength=len(ids)) > 0
            tally.strange += int((~known & ~lacking[some]).sum())
            logits.append(self.classifier.combined(self.classifier.members.logits(ids)))
            if not self.explain:
                watcher.batch(1, tally.rows + start + len(ids))
        given = answered(self.classifier, np.concatenate(logits))
        if self.explain:
            moved = []
            for number, text in enumerate(texts, start=1):
                moved.append(self.moved(text))
                watcher.batch(1, tally.rows + number)
            given.append(pl.Series(moved, dtype=pl.String))
        tally.rows += len(texts)
        tally.empty += int(lacking.sum())
        return [one.set(pl.Series(lacking), None) for one in given]

    def moved(self, text: str | None) -> str:
        """The words that moved a prediction, in one line: `fine +1.32, plot -0.04`."""
        return ", ".join(f"{word} {effect:+.2f}" for word, effect in self.classifier.explain(text or ""))

    def notes(self) -> list[str]:
        """See `Labelling`."""
        given = (PREDICTED, *self.classifier.classes, MOVED)
        return [
            *(
                f"{self.source.name} has a column {wanted!r} already; that of the answers is {name!r}"
                for wanted, name in zip(given, self.names, strict=False)
                if name != wanted
            ),
            *self.tally.notes(self.text, self.label),
        ]


@dataclass(frozen=True)
class OfRecordings:
    """A file of recordings, all of it in memory.

    Attributes:
        classifier: of the run.
        source: the recordings.
        tally: of the recordings that `frames` gave.
        met: what was met in their rows.
    """

    classifier: RecordingClassifier
    source: Recordings
    tally: Tally = field(default_factory=Tally)
    met: list[str] = field(default_factory=list)

    def frames(self, watcher) -> Iterator[pl.DataFrame]:
        """The ID of each recording, its label if it has one, and the answers; see `Labelling`."""
        source, classifier = self.source, self.classifier
        watcher.begin(source.name, 1, len(source))
        found, met = Sequences.of(source.table, classifier.members.recipe)
        self.met.extend(met)
        columns = {source.columns.series: pl.Series(source.table.series_names, dtype=pl.String)}
        if source.labels.is_not_null().any():
            columns[source.columns.label] = source.labels
        frame = pl.DataFrame(columns)
        for start in range(0, len(source), RECORDINGS_AT_ONCE):
            some = found.part(start, start + RECORDINGS_AT_ONCE)
            answers = answered(classifier, classifier.combined(classifier.members.logits(some)))
            mine = slice(start, start + len(some))
            self.tally.judge(source.labels[mine], answers[0], classifier.classes)
            watcher.batch(1, start + len(some))
            given = zip(answers, names(classifier, frame.columns), strict=True)
            yield frame[mine].hstack([one.alias(name) for one, name in given])

    def notes(self) -> list[str]:
        """See `Labelling`."""
        columns = self.source.columns
        return [*self.source.notes, *self.met, *self.tally.notes(columns.series, columns.label)]


def answered(classifier: Combined, logits: np.ndarray) -> list[pl.Series]:
    """The likeliest class by logits (examples, classes), and the probability of each."""
    probabilities = softmax(logits, axis=1).round(DECIMALS)
    said = np.array(classifier.classes, object)[logits.argmax(axis=1)]
    return [pl.Series(said, dtype=pl.String), *(pl.Series(column) for column in probabilities.T)]


def names(classifier: Combined, taken: Sequence[str], more: Sequence[str] = ()) -> list[str]:
    """The columns of answers: `PREDICTED`, each class, and more; one that the file has already gives way.

    Example:
        >>> names(Combined(("bad", "good"), None, {}), ["text", "good"])
        ['predicted', 'bad', 'good_']
    """
    taken, given = set(taken), []
    for name in (PREDICTED, *classifier.classes, *more):
        while name in taken:
            name += "_"
        taken.add(name)
        given.append(name)
    return given


def labelling(run: Path, file: Path, explain: bool = False) -> Labelling:
    """A file that a run tells apart.

    Args:
        run: the run directory.
        file: with the columns that the run was trained on, among any others.
        explain: whether to say which words moved the prediction of a text; many times slower.

    Raises:
        SunhwanError: the run or the file cannot be used.
    """
    model, arrays = rundir.read(run, "classify")
    classifier, columns = from_kept(model, arrays), model.get("columns", {})
    if isinstance(classifier, RecordingClassifier):
        if explain:
            raise SunhwanError(f"--explain is for texts; {str(run)!r} is a run of sensor readings")
        with rundir.reading("columns"):
            read = replace(Columns.from_dict(columns), features=classifier.members.recipe.columns)
        return OfRecordings(classifier, recordings.load(file, read, labelled=False))
    source = portions(file)
    if source.kind == "folder":
        columns = {}
    text, label = columns.get("text", "text"), columns.get("label", "label")
    if text not in source.columns:
        raise SunhwanError(
            f"{source.name} has no column {text!r}, from which the run reads texts; it has "
            f"{listed(source.columns)}: rename the column of texts"
        )
    return OfTexts(classifier, source, text, label, explain)


def count(number: int, noun: str) -> str:
    """A number of things: `1 row`, `2,000 rows`."""
    return f"{number:,} {noun}{'s' * (number != 1)}"
