"""A user's labelled examples -> a run that classifies: read, trained, scored once on test, and saved.

file --load--> texts or recordings, labels --stratified--> train, validation, test
                                                             |-- fit --> a classifier (see `ensemble`)
                                                             |-- score: on test alone
                                                             v
                                                         run directory (see `rundir`)
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
from sunhwan.baselines.names import NETWORK, words
from sunhwan.classify.ensemble import Ensemble, Fitted, fit
from sunhwan.classify.recordings import classifier as recording_classifier
from sunhwan.classify.recordings.classifier import RecordingClassifier
from sunhwan.classify.texts import classifier as text_classifier
from sunhwan.classify.texts.classifier import TextClassifier
from sunhwan.data import recordings
from sunhwan.data.recordings import Recordings
from sunhwan.data.split import stratified
from sunhwan.data.table import Table
from sunhwan.data.texts import labelled
from sunhwan.data.texts.labelled import Labelled, classes_of
from sunhwan.errors import SunhwanError
from sunhwan.files import as_csv
from sunhwan.provenance import now

MODEL, MAJORITY = "model", "majority"

KINDS = {kind.noun: kind for kind in (TextClassifier, RecordingClassifier)}
"""The classifier of each kind of examples."""

SPLIT_SEED = 0
"""One split for all seeds of a network, so that their spread is the network's alone."""

MOST_WRONG, EXCERPT = 30, 400
"""Wrong predictions that a run lists, and characters of each text."""

SURE = 0.05
"""Below this p-value two classifiers differ."""

Options = text_classifier.Options | recording_classifier.Options


@dataclass(frozen=True)
class Scored:
    """Predictions of the test part.

    Attributes:
        labels: (examples,) integers.
        probabilities: (examples, classes) by name, calibrated: the model, the network alone, each baseline.
        before: the same before calibration, that is at a temperature of 1.
    """

    labels: np.ndarray
    probabilities: Mapping[str, np.ndarray]
    before: Mapping[str, np.ndarray]

    def correct(self, name: str) -> np.ndarray:
        """(examples,) bool: whether the likeliest class is the label."""
        return self.probabilities[name].argmax(axis=1) == self.labels

    @property
    def baselines(self) -> list[str]:
        """The names of the baselines, the strongest kinds first."""
        return [name for name in self.probabilities if name not in (MODEL, NETWORK)]

    @property
    def best_baseline(self) -> str:
        """The most accurate on the test part: harder to beat than the most accurate on validation."""
        return max(self.baselines, key=lambda name: self.correct(name).mean())


@dataclass(frozen=True)
class Result:
    """A whole run, before it is written.

    Attributes:
        fitted: the classifier and what training gave.
        scored: its predictions of the test part.
        source: the examples that it was trained on.
        notes: what users may want to know.
        metrics: what `--json` prints, without the run directory.
        wrong: the most confident wrong predictions of the test part; see `most_wrong`.
    """

    fitted: Fitted
    scored: Scored
    source: Labelled | Recordings
    notes: tuple[str, ...]
    metrics: dict
    wrong: list[dict]


def run(
    file: Path,
    columns: labelled.Columns | recordings.Columns,
    shares: Sequence[float],
    options: Options,
    folder: Path,
    watcher,
    test: Path | None = None,
    command: Sequence[str] = (),
    asked: Mapping | None = None,
) -> tuple[dict, tuple[str, ...]]:
    """Train a classifier on a file, score it on the test part and write the run directory.

    Args:
        file: labelled texts, or recordings.
        columns: what its columns are called.
        shares: of train, validation and test; of train and validation where `test` is given.
        options: of training, for examples of this kind.
        folder: the run directory, from `files.new_run`.
        watcher: notified of the progress.
        test: a file that is the test part.
        command: the command line, for the record.
        asked: the options of the command, for the record.

    Returns:
        What `--json` prints, and notes.
    """
    began = now()
    load = recordings.load if isinstance(columns, recordings.Columns) else labelled.load
    source = load(file, columns)
    later = load(test, source.columns) if test else None
    result = learn(source, shares, options, watcher, later)
    data = {each.name: each.fingerprint for each in (source, later) if each is not None}
    record = rundir.record("classify", list(command), asked or {}, data, began)
    return save(result, record, folder), result.notes


def options_of(
    columns: labelled.Columns | recordings.Columns, *, seeds: int, cell: str, epochs: int | None = None
) -> Options:
    """The options of training on a file with these columns; other settings are the defaults.

    Args:
        columns: of texts or recordings.
        seeds: networks that are averaged.
        cell: of the recurrent layers.
        epochs: at most; None for the default.
    """
    settings = {"cell": cell} if epochs is None else {"cell": cell, "epochs": epochs}
    if isinstance(columns, labelled.Columns):
        return text_classifier.Options(text_classifier.Settings(**settings), seeds)
    settings = recording_classifier.Settings(**settings)
    return recording_classifier.Options(settings, seeds, columns.features)


def learn(
    source: Labelled | Recordings,
    shares: Sequence[float],
    options: Options,
    watcher,
    later: Labelled | Recordings | None = None,
) -> Result:
    """Train a classifier on labelled examples and score it on the test part, or on others.

    Args:
        source: for training and validation, and for test where `later` is None.
        shares: of train, validation and test; of train and validation where `later` is given.
        options: of training, for examples of this kind.
        watcher: notified of the progress.
        later: the test part, where it is a file of its own.

    Raises:
        SunhwanError: the labels are not classes, or the test part has a class that training has not.
    """
    began = time.perf_counter()
    parts, noun = (3 if later is None else 2), source.noun
    if len(shares) != parts:
        raise SunhwanError(
            f"got {len(shares)} shares, expected {parts}, such as {'60/20/20'[: 3 * parts - 1]}"
        )
    classes = classes_of(source.labels, parts, source.name, noun)
    labels = numbered(source.labels, classes)
    part = split(source.keys, labels, classes, shares, source.name, noun)
    notes = [*source.notes, *(later.notes if later else ())]
    learning = part < 2
    if later is None:
        test, test_labels = source.take(~learning), labels[~learning]
    else:
        strange = later.labels.filter(~later.labels.is_in(list(classes)))
        if len(strange):
            raise SunhwanError(
                f"{later.name} has {len(strange):,} labels that do not occur in {source.name}, first "
                f"{strange[0]!r}; expected {', '.join(classes[:10])}: give a test file of the same classes"
            )
        test_labels = numbered(later.labels, classes)
        test = later.take(np.ones(len(test_labels), bool))
        seen = int(later.keys.is_in(source.keys.implode()).sum())
        if seen:
            notes.append(f"{seen:,} of {len(test_labels):,} test {noun} also occur in {source.name}")
    counts = np.bincount(part, minlength=parts)
    notes.append(f"{noun}: {counts[0]:,} train, {counts[1]:,} validation, {len(test_labels):,} test")
    common = np.bincount(labels, minlength=len(classes))
    if common.max() > 3 * common.min():
        notes.append(
            f"classes are unbalanced: {classes[common.argmax()]!r} has {common.max():,} {noun}, "
            f"{classes[common.argmin()]!r} {common.min():,}; macro-F1 weights them equally"
        )
    examples, validation = source.take(learning), part[learning] == 1
    fitted = fit(KINDS[noun], examples, labels[learning], classes, validation, options, watcher)
    watcher.begin("test part", 1, 1)
    scored = score(fitted, test, test_labels)
    metrics = summary(fitted, scored, noun, time.perf_counter() - began)
    wrong = most_wrong(scored, test, classes)
    return Result(fitted, scored, source, (*notes, *fitted.notes), metrics, wrong)


def numbered(labels: pl.Series, classes: Sequence[str]) -> np.ndarray:
    """(n,) int64: the place of each label among the classes."""
    return labels.replace_strict(list(classes), list(range(len(classes))), return_dtype=pl.Int64).to_numpy()


def split(
    keys: pl.Series,
    labels: np.ndarray,
    classes: Sequence[str],
    shares: Sequence[float],
    name: str,
    noun: str = "texts",
) -> np.ndarray:
    """(n,) the part of each example, 0 for train; every class is in every part, equal examples are in one.

    Raises:
        SunhwanError: a class has too few different examples.
    """
    part = stratified(keys, labels, shares, SPLIT_SEED)
    for number in range(len(shares)):
        lacking = set(range(len(classes))) - set(labels[part == number].tolist())
        if lacking:
            raise SunhwanError(
                f"the class {classes[min(lacking)]!r} of {name} has fewer than {len(shares)} different "
                f"{noun}, expected one or more for each part; add some, merge classes, or leave its rows out"
            )
    return part


def score(fitted: Fitted, examples: pl.Series | Table, labels: np.ndarray) -> Scored:
    """The probabilities of the test part by the model, the network alone and every baseline."""
    logits, temperatures = fitted.members.predict(examples), fitted.weighed.temperatures
    share = np.tile(fitted.majority, (len(labels), 1))
    combined = fitted.classifier.combined(logits)
    temperature = 1 / sum(fitted.classifier.weights.values())
    return Scored(
        labels,
        {
            MODEL: softmax(combined, axis=1),
            **{name: softmax(each / temperatures[name], axis=1) for name, each in logits.items()},
            MAJORITY: share,
        },
        {
            MODEL: softmax(combined * temperature, axis=1),
            **{name: softmax(each, axis=1) for name, each in logits.items()},
            MAJORITY: share,
        },
    )


def most_wrong(scored: Scored, examples: pl.Series | Table, classes: Sequence[str]) -> list[dict]:
    """The most confident wrong predictions: a text by its beginning, a recording by its name."""
    names = examples if isinstance(examples, pl.Series) else examples.series_names
    probability = scored.probabilities[MODEL]
    predicted = probability.argmax(axis=1)
    order = np.argsort(-probability.max(axis=1), kind="stable")
    return [
        {
            "example": names[int(i)][:EXCERPT],
            "label": classes[scored.labels[i]],
            "predicted": classes[predicted[i]],
            "probability": float(probability[i, predicted[i]]),
            "probability_of_label": float(probability[i, scored.labels[i]]),
        }
        for i in order[~scored.correct(MODEL)[order]][:MOST_WRONG]
    ]


def reliability_of(probabilities: np.ndarray, labels: np.ndarray) -> dict:
    """The reliability table of probabilities, for JSON, without empty bins."""
    from sunhwan.evaluation.metrics import reliability

    table = reliability(probabilities, labels)
    filled = table.count > 0
    return {key: getattr(table, key)[filled].tolist() for key in ("confidence", "accuracy", "count")}


def summary(fitted: Fitted, scored: Scored, noun: str, seconds: float) -> dict:
    """What `--json` prints."""
    from sunhwan.evaluation.metrics import classification, expected_calibration_error
    from sunhwan.evaluation.significance import mcnemar

    classes = fitted.classifier.classes
    test, figures = {}, {}
    for name in (MODEL, NETWORK, *scored.baselines):
        predicted = scored.probabilities[name].argmax(axis=1)
        figures[name] = classification(scored.labels, predicted, len(classes))
        test[name] = {
            "accuracy": figures[name].accuracy,
            "macro_f1": figures[name].macro_f1,
            "ece": expected_calibration_error(scored.probabilities[name], scored.labels),
            "ece_before": expected_calibration_error(scored.before[name], scored.labels),
        }
    model, best = figures[MODEL], scored.best_baseline
    compared = mcnemar(scored.correct(MODEL), scored.correct(best))
    weights = dict(fitted.classifier.weights)
    return {
        "kind": "classify",
        "classes": list(classes),
        noun: len(scored.labels),
        "test": test,
        "names": {name: words(name) for name in test},
        "per_class": [
            {
                "class": name,
                "precision": float(model.precision[k]),
                "recall": float(model.recall[k]),
                "f1": float(model.f1[k]),
                "support": int(model.support[k]),
            }
            for k, name in enumerate(classes)
        ],
        "confusion": model.confusion.tolist(),
        "reliability": {
            "before": reliability_of(scored.before[MODEL], scored.labels),
            "after": reliability_of(scored.probabilities[MODEL], scored.labels),
        },
        "validation": {name: dict(losses) for name, losses in fitted.weighed.validation.items()},
        "weights": weights,
        "best_baseline": best,
        "mcnemar": asdict(compared),
        "verdict": verdict(test, best, compared.p_value, weights, noun),
        "seconds": round(seconds, 1),
    }


def verdict(
    test: Mapping, best: str, p_value: float, weights: Mapping[str, float], noun: str = "texts"
) -> str:
    """Whether the network is worth it, in a sentence with a figure and how sure that is.

    Args:
        test: scores by name.
        best: the best baseline.
        p_value: of the model's difference from it.
        weights: of the members.
        noun: what people call the examples.

    Example:
        >>> test = {"model": {"accuracy": 0.92}, "nb_svm": {"accuracy": 0.91}}
        >>> print(verdict(test, "nb_svm", 0.0004, {"network": 0.5, "nb_svm": 0.4})[45:])
        correctly and beats NB-SVM (91.0%) by 1.0 points, p = 0.0004.
    """
    ours, theirs = test[MODEL]["accuracy"], test[best]["accuracy"]
    sentence = f"The model classifies {ours:.1%} of the test {noun} correctly"
    name, figure = words(best), f"{theirs:.1%}"
    if NETWORK not in weights:
        sentence += " without the network, which adds nothing on validation"
        if best in weights:
            return f"{sentence}: use {' and '.join(words(member) for member in weights)}."
        return f"{sentence}; {name} classifies {figure}: use it."
    p = "p < 0.0001" if p_value < 0.0001 else f"p = {p_value:.2g}"
    points = f"{100 * abs(ours - theirs):.1f} points"
    if p_value < SURE and ours > theirs:
        return f"{sentence} and beats {name} ({figure}) by {points}, {p}."
    if p_value < SURE:
        return f"{sentence} and is worse than {name} ({figure}) by {points}, {p}: use {name}."
    return f"{sentence} and does not beat {name} ({figure}) beyond chance, {p}: use {name}, which is simpler."


def save(result: Result, record: Mapping, folder: Path) -> dict:
    """Write the run directory; returns what `--json` prints.

    Args:
        result: from `learn`.
        record: from `rundir.record`.
        folder: from `files.new_run`.
    """
    metrics = {"run": str(folder), **result.metrics}
    classifier, scored = result.fitted.classifier, result.scored
    rundir.write(
        folder,
        {**record, "notes": list(result.notes), "seconds": result.metrics["seconds"]},
        {**classifier.to_dict(), "columns": result.source.columns.to_dict()},
        classifier.to_arrays(),
        metrics=metrics,
        mistakes={"examples": result.wrong},
        history=as_csv(result.fitted.history),
        predictions={
            "truth": scored.labels,
            "classes": np.array(classifier.classes),
            **{
                name if name in (MODEL, NETWORK) else f"baseline:{name}": probabilities.astype(np.float32)
                for name, probabilities in scored.probabilities.items()
            },
        },
    )
    return metrics


def load(folder: Path | str) -> Ensemble:
    """The classifier of a run: `predict`, `predict_proba` and `explain`, without a framework.

    Raises:
        SunhwanError: it is no run of `classify`, or a file is missing or altered.
    """
    return from_dict(*rundir.read(Path(folder), "classify"))


def from_dict(model: Mapping, arrays: Mapping[str, np.ndarray]) -> Ensemble:
    """The classifier that `rundir.read` gave.

    Raises:
        SunhwanError: it is of an unknown kind, something is missing, or of another shape.
    """
    with rundir.reading("classifier"):
        kind = KINDS[model["kind"]]
    return kind.from_dict(model, arrays)
