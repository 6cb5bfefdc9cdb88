"""Scores that mean little: a baseline beats the network, it is a constant, or the metric does not fit."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from sunhwan.audit.baselines import Comparison, predicted_labels
from sunhwan.audit.findings.case import Case, Finding
from sunhwan.audit.findings.target import FORMULA
from sunhwan.audit.fits import METRICS, outputs
from sunhwan.baselines.names import words

IMBALANCED = 0.75
"""From this share of the largest class on, accuracy alone says little."""


def worse_than_baseline(case: Case) -> Iterator[Finding]:
    """A baseline that beats the network on the same rows."""
    comparison = case.comparison
    best = comparison.best
    if not best or not comparison.beats(best):
        return
    gain = comparison.improvements.get(best)
    sure = gain is not None and gain.sure
    text = f"{words(best)} beats the network on the same rows"
    if gain is None:  # the network keeps its state, say
        text += "; whether that is significant is unknown without its predictions row by row"
    elif not sure:
        text += ", which are too few for an interval" if gain.interval is None else ", but not significantly"
    yield case.finding(
        "warning" if sure else "note",
        "worse_than_baseline",
        text,
        "It is almost exact: either the series follows a formula, or an input contains the target. Find "
        "out which."
        if exact(comparison)
        else "Use it instead, or find out what the network lacks before making it larger.",
        metric=comparison.metric,
        network=comparison.network,
        **{best: comparison.baselines[best]},
        percent=None if gain is None else gain.percent,
        interval=None if gain is None else gain.interval,
    )


def exact(comparison: Comparison) -> bool:
    """Whether the best baseline's error is smaller than the noise of any real series would allow."""
    if comparison.metric == "accuracy" or comparison.targets is None:
        return False
    error = comparison.baselines[comparison.best]
    error = np.sqrt(error) if comparison.metric == "mse" else error
    return bool(error < FORMULA * np.std(comparison.targets))


def constant_predictions(case: Case) -> Iterator[Finding]:
    """A network that predicts the same for every row: whatever its score is, a constant has it too."""
    predictions, targets = case.comparison.predictions, case.comparison.targets
    if predictions is None or targets is None or len(predictions) < 10 or not np.isfinite(predictions).all():
        return
    if case.fit.task == "classes":
        predicted, labels = predicted_labels(predictions), case.fit.labels(targets)
        if len(np.unique(predicted)) > 1 or len(np.unique(labels)) == 1:
            return
        text = f"the network predicts class {predicted[0]} for all {len(predicted):,} rows"
        evidence = {"predicted_class": int(predicted[0]), "share": float((labels == predicted[0]).mean())}
    else:
        spread, target_spread = outputs(predictions).std(axis=0), outputs(targets).std(axis=0)
        if not (target_spread > 0).all() or (spread > 0.01 * target_spread).any():
            return
        text = (
            f"the network predicts the same value for all {len(predictions):,} rows: the standard deviation "
            f"of its predictions is {spread.max():.2g}, that of the targets {target_spread.max():.2g}"
        )
        evidence = {"spread": spread, "target_spread": target_spread}
    yield case.finding(
        "warning",
        "constant_predictions",
        text,
        "Scale inputs and targets, lower the learning rate or train longer: this is the score of a constant.",
        rows=len(predictions),
        **evidence,
    )


def accuracy_of_numbers(case: Case) -> Iterator[Finding]:
    """Accuracy counts targets that are predicted exactly, which numbers never are."""
    names = [name for name in case.fit.metric_names if METRICS.get(name) == "accuracy"]
    y = case.train.y
    if not names or y is None or case.fit.task == "classes" or case.fit.declined:
        return
    different = len(np.unique(y))
    if different <= 20:
        return
    yield case.finding(
        "warning",
        "accuracy_of_numbers",
        f"the metric {names[0]} is for classes, but the target has {different:,} different values",
        'Use metrics=["mae"].',
        metric=names[0],
        different_targets=different,
    )


def class_imbalance(case: Case) -> Iterator[Finding]:
    """Accuracy beside a class so large that always predicting it has about the same."""
    fit, part = case.fit, case.fit.reported
    if fit.task != "classes" or fit.declined or part.rows.y is None or fit.metric != "accuracy":
        return
    labels = fit.labels(part.rows.y)
    counts = np.bincount(labels, minlength=fit.classes)
    share, largest = float(counts.max() / len(labels)), int(counts.argmax())
    if share < IMBALANCED:
        return
    network = case.comparison.network
    useless = network is not None and network <= share + 0.01
    others = [name for name in fit.metric_names if METRICS.get(name) != "accuracy"]
    if not useless and others:
        return
    text = f"{share:.1%} of the {part.words} rows are of class {largest}, so always predicting it"
    yield case.finding(
        "warning" if useless else "note",
        "class_imbalance",
        f"{text} has that accuracy" + (f"; the network has {network:.1%}" if network is not None else ""),
        "Report precision and recall for each class, or the area under the ROC curve, and weight classes "
        "in training.",
        largest_class=largest,
        share=share,
        network=network,
        counts=counts,
    )
