"""What makes a result mean less than it seems to: warnings and notes, a function each."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from sunhwan.audit.baselines import NAMES, Comparison
from sunhwan.audit.findings.finding import Finding
from sunhwan.audit.findings.leaks import FORMULA, Case, selected_on_reported
from sunhwan.audit.findings.reach import reach
from sunhwan.audit.findings.scaling import scaler_of, units
from sunhwan.audit.fits import METRICS, outputs

IMBALANCED = 0.75
"""A share of one class from which accuracy alone says little."""


def worse_than_baseline(case: Case) -> Iterator[Finding]:
    found = case.comparison
    if found.network is None or not found.baselines or not np.isfinite(found.network):
        return
    best, gain = found.best, found.against.get(found.best)
    value = found.baselines[best]
    better = value > found.network if found.metric == "accuracy" else value < found.network
    if not better:
        return
    sure = gain is not None and gain.sure
    text = f"{NAMES[best]} is better than the network on the same rows"
    if not sure:
        if gain is None:  # of a model that keeps its state, say
            text += "; how sure that is cannot be told without its answers row by row"
        else:
            text += ", which are too few to be sure" if gain.interval is None else ", though not for certain"
    yield Finding(
        "warning" if sure else "note",
        "worse_than_baseline",
        text,
        True,
        "It is all but exact: either the series is a formula, or an input holds the target. Find out which."
        if exact(found)
        else "Use that, or give the network what it lacks, before its size is raised.",
        lines=case.fit.lines,
        evidence={
            "metric": found.metric,
            "network": found.network,
            best: value,
            "percent": None if gain is None else gain.percent,
            "interval": None if gain is None else gain.interval,
        },
    )


def exact(found: Comparison) -> bool:
    """Whether the best baseline misses less of the targets' spread than any real series would let it."""
    if found.metric == "accuracy" or found.truth is None:
        return False
    error = found.baselines[found.best]
    error = np.sqrt(error) if found.metric == "mse" else error
    return bool(error < FORMULA * np.std(found.truth))


def constant_predictions(case: Case) -> Iterator[Finding]:
    """A network that says the same of every row: whatever its metric is, it is that of a constant."""
    said, truth = case.comparison.said, case.comparison.truth
    if said is None or truth is None or len(said) < 10 or not np.isfinite(said).all():
        return
    if case.fit.task == "classes":
        said = said.reshape(len(said), -1)
        chosen = (said[:, 0] > 0.5).astype(int) if said.shape[1] == 1 else said.argmax(axis=1)
        labels = case.fit.labels(truth)
        if len(np.unique(chosen)) > 1 or len(np.unique(labels)) == 1:
            return
        text = f"the network says class {chosen[0]} of all {len(chosen):,} rows"
        evidence = {
            "class": int(chosen[0]),
            "rows": len(chosen),
            "share": float((labels == chosen[0]).mean()),
        }
    else:
        spread, of_truth = outputs(said).std(axis=0), outputs(truth).std(axis=0)
        if not (of_truth > 0).all() or (spread > 0.01 * of_truth).any():
            return
        text = (
            f"the network forecasts the same for all {len(said):,} rows: its spread is {spread.max():.2g}, "
        )
        text += f"that of the targets {of_truth.max():.2g}"
        evidence = {"spread": spread, "of_targets": of_truth, "rows": len(said)}
    yield Finding(
        "warning",
        "constant_predictions",
        text,
        True,
        "Scale inputs and targets, lower the learning rate or train longer: this is the metric of a "
        "constant.",
        lines=case.fit.lines,
        evidence=evidence,
    )


def accuracy_of_numbers(case: Case) -> Iterator[Finding]:
    """Accuracy counts targets that are met exactly, which numbers never are."""
    names = [name for name in case.fit.metric_names if METRICS.get(name) == "accuracy"]
    y = case.train.y
    if not names or y is None or case.fit.task == "classes" or case.fit.declined:
        return
    different = len(np.unique(y))
    if different <= 20:
        return
    yield Finding(
        "warning",
        "accuracy_of_numbers",
        f"the metric {names[0]} is of classes, and the target has {different:,} different values",
        True,
        'Use metrics=["mae"].',
        lines=case.fit.lines,
        evidence={"metric": names[0], "different_targets": different},
    )


def no_test(case: Case) -> Iterator[Finding]:
    """Nothing is judged on rows that neither training nor selection saw."""
    fit = case.fit
    if fit.tests:
        return
    seen = f" ({'; '.join(dict.fromkeys(why for _, why in fit.no_tests))})" if fit.no_tests else ""
    lines = list(dict.fromkeys([*fit.lines, *(line for call, _ in fit.no_tests for line in call.lines[:1])]))
    if fit.val is None:
        yield Finding(
            "warning",
            "no_test",
            f"the model is judged on the {fit.train.rows.count:,} rows that it learnt from, if at all{seen}",
            True,
            "Hold rows back, the last ones of a series, and evaluate on them once.",
            lines=lines,
            evidence={"training": fit.train.rows.count, "validation": 0, "test": 0},
        )
    elif not any(selected_on_reported(case)):
        yield Finding(
            "note",
            "no_test",
            f"there is no test part{seen}: validation is told as the result, and whatever is tuned by it "
            "flatters it",
            True,
            "Hold a third part back, and evaluate on it once.",
            lines=lines,
            evidence={"training": fit.train.rows.count, "validation": fit.val.rows.count, "test": 0},
        )


def targets_unknown(case: Case) -> Iterator[Finding]:
    """Rows that are predicted and scored by hand, with targets that could not be found."""
    fit = case.fit
    unknown = [part for part in fit.tests if part.rows.y is None]
    if not unknown or fit.reported.name == "test" or fit.declined:
        return
    rows = " and ".join(f"{part.rows.count:,}" for part in unknown)
    yield Finding(
        "note",
        "targets_unknown",
        f"{rows} other rows are predicted, and their targets are not known here, since no variable has the "
        f"name that goes with theirs (as y_test with x_test): what is compared is {fit.reported.name}",
        True,
        "Call evaluate on them, or name inputs and targets alike.",
        lines=list(dict.fromkeys(line for part in unknown for line in part.call.lines[:1])),
        evidence={"rows": [part.rows.count for part in unknown], "compared": fit.reported.name},
    )


def one_seed(case: Case) -> Iterator[Finding]:
    alike = [
        fit
        for fit in case.fits
        if fit.architecture == case.fit.architecture and fit.train.same_inputs(case.fit.train)
    ]
    if len(alike) > 1 or case.fit.declined:
        return
    yield Finding(
        "note",
        "one_seed",
        "one seed: another one gives other weights and another result",
        True,
        "Train with three seeds or more, and tell the spread.",
        lines=case.fit.lines,
        evidence={"fits": 1},
    )


def class_imbalance(case: Case) -> Iterator[Finding]:
    fit, part = case.fit, case.fit.reported
    if fit.task != "classes" or fit.declined or part.rows.y is None or fit.metric != "accuracy":
        return
    labels = fit.labels(part.rows.y)
    counts = np.bincount(labels, minlength=fit.classes)
    share = float(counts.max() / len(labels))
    if share < IMBALANCED:
        return
    network = case.comparison.network
    useless = network is not None and network <= share + 0.01
    others = [name for name in fit.metric_names if METRICS.get(name) != "accuracy"]
    if not useless and others:
        return
    yield Finding(
        "warning" if useless else "note",
        "class_imbalance",
        f"{share:.1%} of the {part.name} rows are of class {int(counts.argmax())}, so that whoever always "
        "says "
        "that is right as often"
        + (f"; the network is right on {network:.1%}" if network is not None else ""),
        True,
        "Tell recall and precision of each class, or the area under the curve, and weigh classes in "
        "training.",
        lines=fit.lines,
        evidence={"class": int(counts.argmax()), "share": share, "network": network, "counts": counts},
    )


def padding_without_mask(case: Case) -> Iterator[Finding]:
    """Zeros after the end of a sequence, which the recurrent layers run through like words."""
    import keras

    fit, x = case.fit, case.train.x
    if x is None or not fit.recurrent or fit.declined or x.ndim < 2 or x.shape[1] < 4:
        return
    masked = any(
        isinstance(layer, keras.layers.Masking) or getattr(layer, "mask_zero", False) for layer in fit.layers
    )
    if masked:
        return
    empty = x == 0 if x.ndim == 2 else (x.reshape(*x.shape[:2], -1) == 0).all(axis=2)
    if fit.kind == "numbers" and x.ndim == 2:
        return
    lengths = x.shape[1] - np.argmax(~empty[:, ::-1], axis=1)
    inside = np.arange(x.shape[1]) < lengths[:, None]
    inside, lengths = inside[~empty.all(axis=1)], lengths[~empty.all(axis=1)]
    # Where zeros stand before the end too, they are readings.
    if not len(lengths) or empty[~empty.all(axis=1)][inside].mean() > 0.02:
        return
    padded = lengths < x.shape[1]
    steps = 1 - lengths.mean() / x.shape[1]
    different = len(np.unique(lengths))
    # Sequences of many lengths, and a good part of the steps: else a zero is a reading like others.
    if padded.mean() < 0.2 or steps < 0.1 or different < 4:
        return
    yield Finding(
        "warning",
        "padding_without_mask",
        f"{padded.mean():.0%} of the training rows end with zeros, {steps:.0%} of all timesteps, and no "
        "layer masks "
        "them: what the recurrent layer ends with has run through padding",
        True,
        "Use Embedding(..., mask_zero=True) or a Masking layer, or pad in front."
        if fit.kind == "tokens"
        else "Put a Masking layer in front, or pad at the beginning.",
        lines=sorted({*case.trace.calls("pad_sequences"), *fit.lines}),
        evidence={"rows": float(padded.mean()), "timesteps": float(steps), "lengths": different},
    )


def stateful_shuffled(case: Case) -> Iterator[Finding]:
    """A state that is kept from batch to batch, while the batches are shuffled."""
    stateful = [layer.name for layer in case.fit.recurrent if getattr(layer, "stateful", False)]
    shuffled = case.fit.calls[0].options.get("shuffle")
    if not stateful or case.train.streamed or shuffled is False:
        return
    yield Finding(
        "warning",
        "stateful_shuffled",
        f"{', '.join(stateful)} keeps its state from batch to batch, and fit shuffles the rows: each batch "
        "begins "
        "with the state of unrelated rows",
        True,
        "Pass shuffle=False, with rows in the order of the series, or leave stateful=True out.",
        lines=case.fit.lines,
        evidence={"layers": stateful, "shuffle": True if shuffled is None else shuffled},
    )


def broken_loss(case: Case) -> Iterator[Finding]:
    """A loss that is no number any more: by what the arrays hold, or by steps that were too large."""
    fit = case.fit
    history = [value for call in fit.calls for value in call.history.get("loss", [])]
    epoch = next((number for number, value in enumerate(history, 1) if not np.isfinite(value)), None)
    first, step = next(
        (
            (call.first, number)
            for call in fit.calls
            for number, value in enumerate(call.first.losses, 1)
            if not np.isfinite(value)
        ),
        (fit.calls[0].first, None),
    )
    if not epoch and not step:
        return
    # Epochs that are calls of their own are counted on; the step is in the first epoch of its call.
    at = f"step {step} of epoch {epoch or 1}" if step else f"epoch {epoch}"
    seen = {"epoch": epoch, "step": step, "losses": first.losses[:step] if step else history[:epoch]}
    missing = {
        what: np.count_nonzero(~np.isfinite(array))
        for what, array in (("inputs", case.train.x), ("targets", case.train.y))
        if array is not None and array.dtype.kind == "f"
    }
    if any(missing.values()):
        told = " and ".join(f"the training {what} hold {held:,}" for what, held in missing.items() if held)
        yield Finding(
            "warning",
            "nan_in_arrays",
            f"{told} values that are no numbers, and the loss is none from {at} on",
            True,
            "Fill or drop them before windows are cut.",
            lines=fit.lines,
            evidence={**missing, **seen},
        )
    elif step == 1 and all(np.isfinite(norm) for norm in first.norms[:1] if norm is not None):
        yield Finding(
            "warning",
            "broken_loss",
            f"the loss is no number in {at}, before that call changed any weight: what it is computed of "
            "(targets, sample weights, the weights to begin with) makes it so, and no gradient",
            True,
            "Look at what the loss gives for the first batch.",
            lines=fit.lines,
            evidence=seen,
        )
    else:
        yield Finding(
            "warning",
            "exploding_gradients",
            f"the loss is no number from {at} on",
            True,
            TOO_LARGE,
            lines=fit.lines,
            evidence={**seen, "weights": first.norms},
        )


TOO_LARGE = "Scale the inputs, lower the learning rate, or give the optimizer clipnorm=1.0."

JUMP = 1_000
"""A loss so many times that of the first step has exploded."""

GROWTH = 100
"""Likewise weights that a single step makes so many times as large."""


def exploding_gradients(case: Case) -> Iterator[Finding]:
    """Losses or weights that grow by orders of magnitude within the first steps, though they stay numbers."""
    first = case.fit.calls[0].first
    losses, norms = np.array(first.losses), np.array(first.norms, float)  # not known is NaN
    if not np.isfinite(losses).all():
        return  # told by `broken_loss`
    evidence = {"losses": first.losses, "weights": first.norms}
    grown = np.flatnonzero(norms[1:] > GROWTH * np.maximum(norms[:-1], 1e-3))
    jumped = np.flatnonzero(losses > JUMP * losses[0]) if len(losses) and losses[0] > 0 else []
    if len(jumped):
        step = int(jumped[0]) + 1
        text = f"the mean loss went from {losses[0]:.3g} to {losses[step - 1]:.3g} by step {step}"
    elif len(grown):
        step = int(grown[0]) + 1
        text = f"step {step} made all weights together {norms[step] / norms[step - 1]:,.0f} times as large"
    else:
        return
    yield Finding(
        "warning",
        "exploding_gradients",
        f"{text} of the first epoch",
        True,
        TOO_LARGE,
        lines=case.fit.lines,
        evidence={"step": step, **evidence},
    )


def vanishing_gradients(case: Case) -> Iterator[Finding]:
    """Recurrent weights that never moved, or beginnings of windows that no answer depends on."""
    fit = case.fit
    before, after = fit.calls[0].before, fit.calls[-1].after
    variables = fit.model.weights
    if before is None or after is None or not fit.recurrent:
        return
    if [each.shape for each in before] != [each.shape for each in after] or len(after) != len(variables):
        return
    if not all(np.isfinite(each).all() for each in after):
        return
    names = [variable.path for variable in variables]
    trained = {variable.path for variable in fit.model.trainable_weights}
    moved = {
        name: float(np.linalg.norm(b - a) / np.linalg.norm(a))
        for name, a, b in zip(names, before, after, strict=True)
        if name in trained and a.ndim > 1 and np.linalg.norm(a) > 0
    }
    recurrent = {name: by for name, by in moved.items() if "recurrent_kernel" in name}
    # That others moved shows that it is not the learning rate.
    if recurrent and min(recurrent.values()) < 1e-6 and max(moved.values()) > 1e-3:
        still = min(recurrent, key=recurrent.get)
        yield Finding(
            "warning",
            "vanishing_gradients",
            f"{still} has moved by a {recurrent[still]:.1g} of its size in all of training: no gradient "
            "reaches it",
            True,
            "Shorten the sequences, or use tanh in place of the activation that is saturated.",
            lines=fit.lines,
            evidence={"moved": moved},
        )
        return
    if fit.declined or case.comparison.said is None:
        return
    first = reach(fit, before)
    unseen = [begin for begin, by in first.items() if by < UNSEEN]
    if not unseen or max(unseen) < fit.train.rows.x.shape[1] / 2:
        return
    now = reach(fit, after)
    unseen = [begin for begin in unseen if now.get(begin, 1.0) < UNSEEN]
    if not unseen or max(unseen) < fit.train.rows.x.shape[1] / 2:
        return
    yield Finding(
        "note",
        "vanishing_gradients",
        f"the network's answers do not depend on the first {max(unseen)} of {fit.train.rows.x.shape[1]} "
        "timesteps, neither when training began nor when it had ended: no gradient reaches them",
        True,
        "Shorten the windows, or bring what lies far back nearer: as a column, or by wider steps.",
        lines=fit.lines,
        evidence={
            "timesteps_replaced": list(first),
            "answers_moved_at_first": list(first.values()),
            "answers_moved_at_the_end": [now.get(begin) for begin in first],
        },
    )


UNSEEN = 1e-5
"""Answers that move by less than this share of their spread do not depend on what was replaced."""


def inverse_scaling(case: Case) -> Iterator[Finding]:
    """Predictions that are scaled back by another scaler than the targets were scaled by."""
    fit = case.fit
    if (
        fit.kind != "numbers"
        or fit.task != "regression"
        or fit.declined
        or outputs(case.train.y).shape[1] != 1
    ):
        return
    target = outputs(case.train.y)[:, 0].astype(np.float32)
    if len(np.unique(target)) < 10:
        return
    said = [part.call.said for part in fit.tests if part.call.said is not None]
    for back in case.record.scalings:
        if back.kind != "inverse":
            continue
        for predicted in said:
            column = _column_of(back.rows, predicted)
            if column is None:
                continue
            right = scaler_of(target, case.record.scalings)
            if right is None:
                continue
            mine, theirs = units(back.scaler, column), units(right[0].scaler, right[1])
            if np.allclose(mine, theirs, rtol=1e-6, atol=1e-9):
                continue
            yield Finding(
                "warning",
                "inverse_scaling",
                f"predictions are scaled back by column {column + 1} of a {back.name}, and the targets were "
                "scaled by "
                f"column {right[1] + 1} of another: an error of 1 becomes {mine[1]:.3g} where it is "
                f"{theirs[1]:.3g}",
                True,
                "Scale predictions back by the scaler, and the column, that scaled the targets.",
                lines=sorted({*back.lines[:1], *right[0].lines[:1]}),
                evidence={
                    "unit": mine[1],
                    "expected_unit": theirs[1],
                    "column": column + 1,
                    "expected_column": right[1] + 1,
                },
            )
            return


def _column_of(rows, predicted):
    predicted = outputs(predicted)
    if len(predicted) != len(rows) or predicted.shape[1] != 1:
        return None
    for column in range(rows.shape[1]):
        if np.allclose(rows[:, column], predicted[:, 0], rtol=1e-6):
            return column
    return None


def compared_on_reported(case: Case) -> Iterator[Finding]:
    """Several models, all told on the same rows: the best of them was chosen on these."""
    reported = case.fit.reported
    if case.fit is not case.fits[-1] or reported is case.fit.train:
        return
    others = [fit for fit in case.fits if fit.reported.same_inputs(reported)]
    different = {fit.architecture for fit in others}
    if len(different) < 3:
        return
    yield Finding(
        "note",
        "many_models",
        f"{len(different)} different models are told on the same {reported.rows.count:,} {reported.name} "
        "rows; the "
        "best of them looks better than it is",
        True,
        "Choose among them on validation, and tell the chosen one on test.",
        lines=sorted({line for fit in others for line in fit.lines}),
        evidence={"models": len(different), "rows": reported.rows.count},
    )


FINDERS = (
    worse_than_baseline,
    constant_predictions,
    accuracy_of_numbers,
    class_imbalance,
    padding_without_mask,
    stateful_shuffled,
    broken_loss,
    exploding_gradients,
    vanishing_gradients,
    inverse_scaling,
    no_test,
    targets_unknown,
    compared_on_reported,
    one_seed,
)
