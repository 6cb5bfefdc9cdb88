"""A user's labelled examples -> a run that classifies: read, learnt, scored once on test, and kept.

file --load--> texts or recordings, labels --stratified--> train, val, test
                                                             |-- fit --> a classifier (see `combined`)
                                                             |-- judge: on test alone
                                                             v
                                                         run directory (see `folder`)

What is done for texts alone is in `labelled` and `text_classifier`; for windows of sensor readings, in
`recordings` and `recording_classifier`.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import polars as pl
from scipy.special import softmax

from sunhwan import rundir
from sunhwan.classify.ensemble import RECURRENT, Combined, Fitted
from sunhwan.classify.recordings import classifier as recording_classifier
from sunhwan.classify.recordings.classifier import MINIROCKET, SUMMARY, RecordingClassifier
from sunhwan.classify.texts import classifier as text_classifier
from sunhwan.classify.texts.classifier import NB_SVM, TFIDF, TextClassifier
from sunhwan.data.recordings import Recordings
from sunhwan.data.split import stratified
from sunhwan.data.table import Table
from sunhwan.data.texts.labelled import Labelled, classes_of
from sunhwan.errors import SunhwanError
from sunhwan.files import as_csv

MODEL, MAJORITY = "model", "majority"

KINDS = {
    Labelled.noun: (text_classifier.fit, TextClassifier),
    Recordings.noun: (recording_classifier.fit, RecordingClassifier),
}
"""How each kind of examples is learnt from, and what is read from a run again."""

NAMES = {
    MODEL: "the model",
    RECURRENT: "the network",
    NB_SVM: "NB-SVM",
    TFIDF: "TF-IDF with logistic regression",
    SUMMARY: "logistic regression on summary statistics",
    MINIROCKET: "MiniRocket",
    MAJORITY: "the commonest class",
}
"""How people call them."""

SPLIT_SEED = 0
"""One split for all seeds of a network, so that their spread is the network's alone."""

MOST_WRONG, EXCERPT = 30, 400
"""Examples that a run keeps of those that it told wrong, and characters of each text."""

SURE = 0.05
"""Below this p-value two classifiers are held to differ."""


@dataclass(frozen=True)
class Judged:
    """What came of a classifier on the test part.

    Attributes:
        truth: (examples,) integers.
        probabilities: (examples, classes) by name, calibrated: the model, the network alone, each baseline.
        before: the same before calibration, that is at a temperature of 1.
    """

    truth: np.ndarray
    probabilities: Mapping[str, np.ndarray]
    before: Mapping[str, np.ndarray]

    def right(self, name: str) -> np.ndarray:
        """(examples,) bool: whether one of them told the class."""
        return self.probabilities[name].argmax(axis=1) == self.truth

    @property
    def baselines(self) -> list[str]:
        """The names of those that are no network, the strongest kinds first."""
        return [name for name in self.probabilities if name not in (MODEL, RECURRENT)]

    @property
    def best_baseline(self) -> str:
        """The most accurate on the test part: harder to beat than the one that validation names."""
        return max(self.baselines, key=lambda name: self.right(name).mean())


@dataclass(frozen=True)
class Result:
    """A whole run, before it is written.

    Attributes:
        fitted: the classifier and what training told.
        judged: on the test part.
        noun: what people call its examples.
        notes: what was met and done.
        metrics: what `--json` prints, without the run's folder.
        wrong: the examples of the test part that were told wrong with the most confidence; see `most_wrong`.
    """

    fitted: Fitted
    judged: Judged
    noun: str
    notes: tuple[str, ...]
    metrics: dict
    wrong: list[dict]


def learn(
    source: Labelled | Recordings,
    shares: Sequence[float],
    options: text_classifier.Options | recording_classifier.Options,
    watcher,
    later: Labelled | Recordings | None = None,
) -> Result:
    """Learn a classifier from labelled examples and judge it on the test part, or on others.

    Args:
        source: for training and validation, and for test where `later` is None.
        shares: of train, validation and test; of train and validation where `later` is given.
        options: of training, for examples of this kind.
        watcher: told how it goes.
        later: the test part, where it is a file of its own.

    Raises:
        SunhwanError: the labels are no classes, or a class of the test part is not among those of training.
    """
    began = time.perf_counter()
    parts, noun = (3 if later is None else 2), source.noun
    if len(shares) != parts:
        raise SunhwanError(
            f"got {len(shares)} shares, expected {parts}, such as {'60/20/20'[: 3 * parts - 1]}"
        )
    classes = classes_of(source.labels, parts, source.name, noun)
    labels = numbered(source.labels, classes)
    part = stratified(source.keys, labels, shares, SPLIT_SEED)
    notes = [*source.notes, *(later.notes if later else ())]
    learning = part < 2
    check_parts(labels, part, classes, parts, source.name, noun)
    if later is None:
        test, truth = source.take(~learning), labels[~learning]
    else:
        strange = later.labels.filter(~later.labels.is_in(list(classes)))
        if len(strange):
            raise SunhwanError(
                f"{later.name} has {len(strange):,} labels that {source.name} has not, first {strange[0]!r}; "
                f"it has {', '.join(classes[:10])}: give a test file of the same classes"
            )
        truth = numbered(later.labels, classes)
        test = later.take(np.ones(len(truth), bool))
        seen = int(later.keys.is_in(source.keys.implode()).sum())
        if seen:
            notes.append(f"{seen:,} of {len(truth):,} test {noun} stand in {source.name}, too")
    counts = np.bincount(part, minlength=parts)
    notes.append(f"{noun}: {counts[0]:,} train, {counts[1]:,} validation, {len(truth):,} test")
    common = np.bincount(labels, minlength=len(classes))
    if common.max() > 3 * common.min():
        notes.append(
            f"classes are unbalanced: {classes[common.argmax()]!r} has {common.max():,} {noun}, "
            f"{classes[common.argmin()]!r} {common.min():,}; macro-F1 weighs them alike"
        )
    fit, _ = KINDS[noun]
    fitted = fit(source.take(learning), labels[learning], classes, part[learning] == 1, options, watcher)
    watcher.begin("test part", 1, 1)
    found = judge(fitted, test, truth)
    metrics = summary(fitted, found, noun, time.perf_counter() - began)
    wrong = most_wrong(found, test, classes)
    return Result(fitted, found, noun, (*notes, *fitted.notes), metrics, wrong)


def numbered(labels: pl.Series, classes: Sequence[str]) -> np.ndarray:
    """(n,) int64: the place of each label among the classes."""
    return labels.replace_strict(list(classes), list(range(len(classes))), return_dtype=pl.Int64).to_numpy()


def check_parts(
    labels: np.ndarray, part: np.ndarray, classes: Sequence[str], parts: int, name: str, noun: str = "texts"
) -> None:
    """Refuse a split in which a class is missing in a part: its examples are all the same."""
    for number in range(parts):
        lacking = set(range(len(classes))) - set(labels[part == number].tolist())
        if lacking:
            raise SunhwanError(
                f"the class {classes[min(lacking)]!r} of {name} has fewer than {parts} different {noun}, so "
                "that not every part has one; add some, merge classes, or leave its rows out"
            )


def judge(fitted: Fitted, examples: pl.Series | Table, truth: np.ndarray) -> Judged:
    """The probabilities of the test part by the model, the network alone and every baseline."""
    logits, temperatures = fitted.members.told(examples), fitted.weighed.temperatures
    share = np.tile(fitted.majority, (len(truth), 1))
    combined = fitted.classifier.combined(logits)
    temperature = 1 / sum(fitted.classifier.weights.values())
    return Judged(
        truth,
        {
            MODEL: softmax(combined, axis=1),
            **{name: softmax(some / temperatures[name], axis=1) for name, some in logits.items()},
            MAJORITY: share,
        },
        {
            MODEL: softmax(combined * temperature, axis=1),
            **{name: softmax(some, axis=1) for name, some in logits.items()},
            MAJORITY: share,
        },
    )


def most_wrong(found: Judged, examples: pl.Series | Table, classes: Sequence[str]) -> list[dict]:
    """What was told wrong with the most confidence: a text by its beginning, a recording by its name."""
    names = examples if isinstance(examples, pl.Series) else examples.series_names
    probability = found.probabilities[MODEL]
    told = probability.argmax(axis=1)
    order = np.argsort(-probability.max(axis=1), kind="stable")
    return [
        {
            "example": names[int(i)][:EXCERPT],
            "truth": classes[found.truth[i]],
            "told": classes[told[i]],
            "probability": float(probability[i, told[i]]),
            "probability_of_truth": float(probability[i, found.truth[i]]),
        }
        for i in order[~found.right(MODEL)[order]][:MOST_WRONG]
    ]


def reliability_of(probabilities: np.ndarray, truth: np.ndarray) -> dict:
    """The reliability table of probabilities, for JSON: bins that hold no example are left out."""
    from sunhwan.evaluation.metrics import reliability

    table = reliability(probabilities, truth)
    held = table.count > 0
    return {key: getattr(table, key)[held].tolist() for key in ("confidence", "accuracy", "count")}


def summary(fitted: Fitted, found: Judged, noun: str, seconds: float) -> dict:
    """What `--json` prints."""
    from sunhwan.evaluation.metrics import classification, expected_calibration_error
    from sunhwan.evaluation.significance import mcnemar

    classes = fitted.classifier.classes
    test, whole = {}, {}
    for name in (MODEL, RECURRENT, *found.baselines):
        whole[name] = classification(found.truth, found.probabilities[name].argmax(axis=1), len(classes))
        test[name] = {
            "accuracy": whole[name].accuracy,
            "macro_f1": whole[name].macro_f1,
            "ece": expected_calibration_error(found.probabilities[name], found.truth),
            "ece_before": expected_calibration_error(found.before[name], found.truth),
        }
    ours, rival = whole[MODEL], found.best_baseline
    compared = mcnemar(found.right(MODEL), found.right(rival))
    weights = dict(fitted.classifier.weights)
    return {
        "kind": "classify",
        "classes": list(classes),
        noun: len(found.truth),
        "test": test,
        "names": {name: NAMES[name] for name in test},
        "per_class": [
            {
                "class": name,
                "precision": float(ours.precision[k]),
                "recall": float(ours.recall[k]),
                "f1": float(ours.f1[k]),
                "support": int(ours.support[k]),
            }
            for k, name in enumerate(classes)
        ],
        "confusion": ours.confusion.tolist(),
        "reliability": {
            "before": reliability_of(found.before[MODEL], found.truth),
            "after": reliability_of(found.probabilities[MODEL], found.truth),
        },
        "validation": {name: dict(figures) for name, figures in fitted.weighed.validation.items()},
        "weights": weights,
        "best_baseline": rival,
        "mcnemar": asdict(compared),
        "verdict": verdict(test, rival, compared.p_value, weights, noun),
        "seconds": round(seconds, 1),
    }


def verdict(
    test: Mapping, rival: str, p_value: float, weights: Mapping[str, float], noun: str = "texts"
) -> str:
    """Whether the network is worth it, in a sentence with a figure and how sure that is.

    Example:
        >>> test = {"model": {"accuracy": 0.92}, "nb_svm": {"accuracy": 0.91}}
        >>> verdict(test, "nb_svm", 0.0004, {"recurrent": 0.5, "nb_svm": 0.4})
        'The model tells 92.0 % of the test texts and beats NB-SVM (91.0 %) by 1.0 points, p = 0.0004.'
    """
    ours, theirs = test[MODEL]["accuracy"], test[rival]["accuracy"]
    said = f"The model tells {100 * ours:.1f} % of the test {noun}"
    named, figure = NAMES[rival], f"{100 * theirs:.1f} %"
    if RECURRENT not in weights:
        used = " and ".join(NAMES[name] for name in weights)
        without = f"{said} without the network, which adds nothing on validation"
        return (
            f"{without}: use {used}." if rival in weights else f"{without}; {named} tells {figure}: use it."
        )
    p = "p < 0.0001" if p_value < 0.0001 else f"p = {p_value:.2g}"
    points = f"{100 * abs(ours - theirs):.1f} points"
    if p_value < SURE and ours > theirs:
        return f"{said} and beats {named} ({figure}) by {points}, {p}."
    if p_value < SURE:
        return f"{said} and is worse than {named} ({figure}) by {points}, {p}: use {named}."
    return f"{said} and does not beat {named} ({figure}) beyond chance, {p}: use {named}, which is simpler."


def keep(result: Result, known: Mapping, folder: Path, columns: Mapping[str, str]) -> dict:
    """Write the run directory; what `--json` prints.

    Args:
        result: from `learn`.
        known: from `rundir.record`.
        folder: from `files.new_run`.
        columns: by which new files are read: `text` and `label`, or what `recordings.Columns` has.
    """
    metrics = {"run": str(folder), **result.metrics}
    model, arrays = result.fitted.classifier.as_kept()
    found = result.judged
    rundir.write(
        folder,
        {**known, "notes": list(result.notes), "seconds": result.metrics["seconds"]},
        {**model, "kind": result.noun, "columns": dict(columns)},
        arrays,
        metrics=metrics,
        mistakes={"examples": result.wrong},
        history=as_csv(result.fitted.history),
        predictions={
            "truth": found.truth,
            "classes": np.array(result.fitted.classifier.classes),
            **{
                name if name in (MODEL, RECURRENT) else f"baseline:{name}": said.astype(np.float32)
                for name, said in found.probabilities.items()
            },
        },
    )
    return metrics


def load(folder: Path | str) -> Combined:
    """The classifier that a run holds: `predict`, `predict_proba` and `explain`, without a framework.

    Raises:
        SunhwanError: it is no run of `classify`, or a file is missing or altered.
    """
    return from_kept(*rundir.read(Path(folder), "classify"))


def from_kept(model: Mapping, arrays: Mapping[str, np.ndarray]) -> Combined:
    """The classifier that `rundir.read` gave.

    Raises:
        SunhwanError: it is of no known kind, something is missing, or of another shape.
    """
    with rundir.reading("classifier"):
        # Runs before there were other kinds do not name theirs.
        _, kind = KINDS[model.get("kind", Labelled.noun)]
    return kind.from_kept(model, arrays)
