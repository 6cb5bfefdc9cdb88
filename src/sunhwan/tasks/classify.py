"""A user's labelled texts -> a run that classifies: read, learnt, scored once on the test part, and kept.

file --labelled.load--> texts, labels --labelled.stratified--> train, val, test
                                                                 |-- text_classifier.fit --> TextClassifier
                                                                 |-- judge: on test alone
                                                                 v
                                                             run directory (see `folder`)
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import polars as pl
from scipy.special import softmax

from sunhwan.data.labelled import Labelled, classes_of, stratified
from sunhwan.data.segments import segment
from sunhwan.errors import SunhwanError
from sunhwan.files import as_csv
from sunhwan.tasks import folder as folders
from sunhwan.tasks import text_classifier
from sunhwan.tasks.text_classifier import NB_SVM, RECURRENT, TFIDF, Fitted, Options, TextClassifier

MODEL, MAJORITY = "model", "majority"

BASELINES = (NB_SVM, TFIDF, MAJORITY)

NAMES = {
    MODEL: "the model",
    RECURRENT: "the network",
    NB_SVM: "NB-SVM",
    TFIDF: "TF-IDF with logistic regression",
    MAJORITY: "the commonest class",
}
"""How people call them."""

SPLIT_SEED = 0
"""One split for all seeds of a network, so that their spread is the network's alone."""

SURE = 0.05
"""Below this p-value two classifiers are held to differ."""


@dataclass(frozen=True)
class Judged:
    """What came of a classifier on the test part.

    Attributes:
        truth: (texts,) integers.
        probabilities: (texts, classes) by name: the model, the network alone, each baseline, all calibrated.
        before: the same before calibration, that is at a temperature of 1.
    """

    truth: np.ndarray
    probabilities: Mapping[str, np.ndarray]
    before: Mapping[str, np.ndarray]

    def right(self, name: str) -> np.ndarray:
        """(texts,) bool: whether one of them told the class."""
        return self.probabilities[name].argmax(axis=1) == self.truth

    @property
    def best_baseline(self) -> str:
        """The most accurate on the test part: harder to beat than the one that validation names."""
        return max(BASELINES, key=lambda name: self.right(name).mean())


@dataclass(frozen=True)
class Result:
    """A whole run, before it is written.

    Attributes:
        fitted: the classifier and what training told.
        judged: on the test part.
        notes: what was met and done.
        metrics: what `--json` prints, without the run's folder.
    """

    fitted: Fitted
    judged: Judged
    notes: tuple[str, ...]
    metrics: dict


def learn(
    source: Labelled, shares: Sequence[float], options: Options, watcher, later: Labelled | None = None
) -> Result:
    """Learn a classifier from labelled texts and judge it on the test part, or on other texts.

    Args:
        source: training and validation texts, and test texts where `later` is None.
        shares: of train, validation and test; of train and validation where `later` is given.
        options: of training.
        watcher: told how it goes.
        later: the test part, where it is a file of its own.

    Raises:
        SunhwanError: the labels are no classes, or a class of the test part is not among those of training.
    """
    began = time.perf_counter()
    parts = 3 if later is None else 2
    if len(shares) != parts:
        raise SunhwanError(
            f"got {len(shares)} shares, expected {parts}, such as {'60/20/20'[: 3 * parts - 1]}"
        )
    classes = classes_of(source.labels, parts, source.name)
    labels = numbered(source.labels, classes)
    part = stratified(source.texts, labels, shares, SPLIT_SEED)
    notes = [*source.notes, *(later.notes if later else ())]
    learning = part < 2
    check_parts(labels, part, classes, parts, source.name)
    if later is None:
        test_texts, truth = source.texts.filter(~learning), labels[~learning]
    else:
        strange = later.labels.filter(~later.labels.is_in(list(classes)))
        if len(strange):
            raise SunhwanError(
                f"{later.name} has {len(strange):,} labels that {source.name} has not, first {strange[0]!r}; "
                f"it has {', '.join(classes[:10])}: give a test file of the same classes"
            )
        test_texts, truth = later.texts, numbered(later.labels, classes)
        seen = int(test_texts.is_in(source.texts.implode()).sum())
        if seen:
            notes.append(f"{seen:,} of {len(truth):,} test texts stand in {source.name}, too")
    texts = source.texts.filter(learning)
    counts = np.bincount(part, minlength=parts)
    test_count = len(truth)
    notes.append(f"texts: {counts[0]:,} train, {counts[1]:,} validation, {test_count:,} test")
    common = np.bincount(labels, minlength=len(classes))
    if common.max() > 3 * common.min():
        notes.append(
            f"classes are unbalanced: {classes[common.argmax()]!r} has {common.max():,} texts, "
            f"{classes[common.argmin()]!r} {common.min():,}; macro-F1 weighs them alike"
        )
    fitted = text_classifier.fit(texts, labels[learning], classes, part[learning] == 1, options, watcher)
    watcher.begin("test part", 1, 1)
    found = judge(fitted, test_texts, truth)
    metrics = summary(fitted, found, time.perf_counter() - began)
    return Result(fitted, found, (*notes, *fitted.notes), metrics)


def numbered(labels: pl.Series, classes: Sequence[str]) -> np.ndarray:
    """(n,) int64: the place of each label among the classes."""
    return labels.replace_strict(list(classes), list(range(len(classes))), return_dtype=pl.Int64).to_numpy()


def check_parts(labels: np.ndarray, part: np.ndarray, classes: Sequence[str], parts: int, name: str) -> None:
    """Refuse a split in which a class is missing in a part: its texts are all the same."""
    for number in range(parts):
        lacking = set(range(len(classes))) - set(labels[part == number].tolist())
        if lacking:
            raise SunhwanError(
                f"the class {classes[min(lacking)]!r} of {name} has fewer than {parts} different texts, so "
                "that not every part has one; add some, merge classes, or leave its rows out"
            )


def judge(fitted: Fitted, texts: pl.Series, truth: np.ndarray) -> Judged:
    """The probabilities of the test part by the model, the network alone and every baseline."""
    logits = {name: [] for name in (RECURRENT, NB_SVM, TFIDF)}
    step = text_classifier.PREDICTED_AT_ONCE
    for start in range(0, len(texts), step):
        ids = fitted.members.words.ids(segment(texts[start : start + step]))
        for name, some in fitted.members.logits(ids).items():
            logits[name].append(some)
    logits = {name: np.concatenate(some).astype(np.float64) for name, some in logits.items()}
    share = np.tile(fitted.majority, (len(truth), 1))
    combined = fitted.classifier.combined(logits)
    temperature = 1 / sum(fitted.classifier.weights.values())
    return Judged(
        truth,
        {
            MODEL: softmax(combined, axis=1),
            **{name: softmax(some / fitted.temperatures[name], axis=1) for name, some in logits.items()},
            MAJORITY: share,
        },
        {
            MODEL: softmax(combined * temperature, axis=1),
            **{name: softmax(some, axis=1) for name, some in logits.items()},
            MAJORITY: share,
        },
    )


def summary(fitted: Fitted, found: Judged, seconds: float) -> dict:
    """What `--json` prints."""
    from sunhwan.evaluation.metrics import classification, expected_calibration_error
    from sunhwan.evaluation.significance import mcnemar

    classes = fitted.classifier.classes
    test, whole = {}, {}
    for name in (MODEL, RECURRENT, *BASELINES):
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
        "task": "classify",
        "classes": list(classes),
        "texts": len(found.truth),
        "test": test,
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
        "validation": {name: dict(figures) for name, figures in fitted.validation.items()},
        "weights": weights,
        "best_baseline": rival,
        "mcnemar": asdict(compared),
        "verdict": verdict(test, rival, compared.p_value, weights),
        "seconds": round(seconds, 1),
    }


def verdict(test: Mapping, rival: str, p_value: float, weights: Mapping[str, float]) -> str:
    """Whether the network is worth it, in a sentence with a figure and how sure that is.

    Example:
        >>> test = {"model": {"accuracy": 0.92}, "nb_svm": {"accuracy": 0.91}}
        >>> verdict(test, "nb_svm", 0.0004, {"recurrent": 0.5, "nb_svm": 0.4})
        'The model tells 92.0 % of the test texts and beats NB-SVM (91.0 %) by 1.0 points, p = 0.0004.'
    """
    ours, theirs = test[MODEL]["accuracy"], test[rival]["accuracy"]
    said = f"The model tells {100 * ours:.1f} % of the test texts"
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
        known: from `folders.record`.
        folder: from `files.new_run`.
        columns: `text` and `label`, by which new files are read.
    """
    metrics = {"run": str(folder), **result.metrics}
    model, arrays = result.fitted.classifier.as_kept()
    found = result.judged
    folders.write(
        folder,
        {**known, "notes": list(result.notes), "seconds": result.metrics["seconds"]},
        {**model, "columns": dict(columns)},
        arrays,
        metrics_json=metrics,
        history_csv=as_csv(result.fitted.history),
        predictions_npz={
            "truth": found.truth,
            "classes": np.array(result.fitted.classifier.classes),
            **{
                name if name in (MODEL, RECURRENT) else f"baseline:{name}": said.astype(np.float32)
                for name, said in found.probabilities.items()
            },
        },
    )
    return metrics


def load(folder: Path | str) -> TextClassifier:
    """The classifier that a run holds: `predict`, `predict_proba` and `explain`, without a framework.

    Raises:
        SunhwanError: it is no run of `classify`, or a file is missing or altered.
    """
    return TextClassifier.from_kept(*folders.read(Path(folder), "classify"))
