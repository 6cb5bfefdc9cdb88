"""New texts -> their classes by a run of `classify`, beside the columns of their file.

file --portions--> frames --TextClassifier--> frames with the likeliest class and each class's probability

Memory does not grow with the file. Each row of the file gives a row, in its order.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import polars as pl
from scipy.special import softmax

from sunhwan.data.labelled import as_labels, strings
from sunhwan.data.portions import Portions, portions
from sunhwan.data.records import listed
from sunhwan.data.segments import UNKNOWN
from sunhwan.errors import SunhwanError
from sunhwan.evaluation.ngrams import owners
from sunhwan.tasks import folder as folders
from sunhwan.tasks.text_classifier import PREDICTED_AT_ONCE, TextClassifier

PREDICTED, MOVED = "predicted", "moved_by"
"""The columns of the likeliest class, and of the words that moved the prediction."""

DECIMALS = 6
"""Of probabilities."""


@dataclass
class Tally:
    """What was met among the rows so far.

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


@dataclass(frozen=True)
class Labelling:
    """A file that is told apart by a classifier.

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
        """The columns of the answers: `PREDICTED`, each class, and `MOVED` if it was asked for.

        Where the file has a column of that name already, the answer's gives way.

        Example:
            >>> source = Portions(Path("new.csv"), "csv", ("text", "good"), 1)
            >>> Labelling(TextClassifier(("bad", "good"), None, {}), source, "text", "label").names
            ['predicted', 'bad', 'good_']
        """
        taken, names = set(self.source.columns), []
        for name in (PREDICTED, *self.classifier.classes, *([MOVED] if self.explain else [])):
            while name in taken:
                name += "_"
            taken.add(name)
            names.append(name)
        return names

    def frames(self, watcher) -> Iterator[pl.DataFrame]:
        """The columns of the file and those of the answers, some rows at a time.

        Args:
            watcher: told of the rows that are done.
        """
        watcher.begin(self.source.name, 1, self.source.rows)
        for frame in self.source:
            texts = strings(frame[self.text], self.source.name)
            answers = self.answers(texts, watcher)
            if self.label in frame.columns:
                self.judge(as_labels(frame[self.label]), answers[0])
            yield frame.hstack([one.alias(name) for one, name in zip(answers, self.names, strict=True)])

    def answers(self, texts: pl.Series, watcher) -> list[pl.Series]:
        """The columns that `names` names, (texts,) each; null where there is no text."""
        classes, tally = np.array(self.classifier.classes, object), self.tally
        lacking = (texts.is_null() | (texts.str.strip_chars() == "")).to_numpy()
        probabilities = np.empty((len(texts), len(classes)))
        for start in range(0, len(texts), PREDICTED_AT_ONCE):
            some = slice(start, start + PREDICTED_AT_ONCE)
            ids = self.classifier.ids(texts[some])
            known = np.bincount(owners(ids)[ids.ids != UNKNOWN], minlength=len(ids)) > 0
            tally.strange += int((~known & ~lacking[some]).sum())
            logits = self.classifier.combined(self.classifier.members.logits(ids))
            probabilities[some] = softmax(logits, axis=1).round(DECIMALS)
            if not self.explain:
                watcher.batch(1, tally.rows + start + len(ids))
        said = pl.Series(classes[probabilities.argmax(axis=1)], dtype=pl.String)
        given = [said, *(pl.Series(column) for column in probabilities.T)]
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

    def judge(self, labels: pl.Series, said: pl.Series) -> None:
        """Count how many answers agree with the labels of the file."""
        both = labels.is_not_null() & said.is_not_null()
        labels, said = labels.filter(both), said.filter(both)
        unknown = labels.filter(~labels.is_in(list(self.classifier.classes)))
        if len(unknown):
            self.tally.example = self.tally.example or unknown[0]
        self.tally.unknown += len(unknown)
        self.tally.judged += len(labels)
        self.tally.right += int((labels == said).sum())

    def notes(self) -> list[str]:
        """What was met, in sentences, once all frames were taken."""
        tally, notes = self.tally, []
        for wanted, name in zip((PREDICTED, *self.classifier.classes, MOVED), self.names, strict=False):
            if name != wanted:
                notes.append(
                    f"{self.source.name} has a column {wanted!r} already; that of the answers is {name!r}"
                )
        if tally.empty:
            notes.append(f"{count(tally.empty, 'row')} without a text in {self.text!r}: no answer there")
        if tally.strange:
            notes.append(
                f"{count(tally.strange, 'text')} without a word that training knew: the answer is about the "
                "classes' shares"
            )
        if tally.unknown == tally.judged > 0:
            notes.append(
                f"{self.label!r} holds no class of the run (first {tally.example!r}), so that nothing can be "
                "said of right and wrong"
            )
        elif tally.judged:
            notes.append(
                f"{tally.right:,} of {count(tally.judged, 'label')} in {self.label!r} were told "
                f"({tally.right / tally.judged:.1%})"
            )
            if tally.unknown:
                notes[-1] += f"; {tally.unknown:,}, such as {tally.example!r}, are no class of the run"
        return notes


def labelling(run: Path, file: Path, explain: bool = False) -> Labelling:
    """A file that a run tells apart.

    Args:
        run: the run directory.
        file: with the column of texts that the run was trained on, among any others.
        explain: whether to say which words moved each prediction; many times slower.

    Raises:
        SunhwanError: the run or the file cannot be used.
    """
    model, arrays = folders.read(run, "classify")
    classifier, columns = TextClassifier.from_kept(model, arrays), model.get("columns", {})
    source = portions(file)
    if source.kind == "folder":
        columns = {}
    text, label = columns.get("text", "text"), columns.get("label", "label")
    if text not in source.columns:
        raise SunhwanError(
            f"{source.name} has no column {text!r}, from which the run reads texts; it has "
            f"{listed(source.columns)}: rename the column of texts"
        )
    return Labelling(classifier, source, text, label, explain)


def count(number: int, noun: str) -> str:
    """A number of things: `1 row`, `2,000 rows`."""
    return f"{number:,} {noun}{'s' * (number != 1)}"
