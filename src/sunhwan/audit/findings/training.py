"""Training that failed: losses and weights that exploded, and timesteps that no gradient reaches."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from sunhwan.audit.findings.case import Case, Finding
from sunhwan.audit.fits import Fit, spaced
from sunhwan.audit.unchanged import unchanged

JUMP = 1_000
"""A loss has exploded when it is this many times that of the first step."""

GROWTH = 100
"""Likewise the norm of all weights, within a single step."""

TOO_LARGE = "Scale the inputs, lower the learning rate, or pass clipnorm=1.0 to the optimizer."


def broken_loss(case: Case) -> Iterator[Finding]:
    """A loss that is NaN or infinite: because of values in the arrays, or because steps were too large."""
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
    # Epochs that are calls of their own are numbered on; the step is in the first epoch of its call.
    at = f"step {step} of epoch {epoch or 1}" if step else f"epoch {epoch}"
    evidence = {"epoch": epoch, "step": step, "losses": first.losses[:step] if step else history[:epoch]}
    missing = {
        what: np.count_nonzero(~np.isfinite(array))
        for what, array in (("inputs", case.train.x), ("targets", case.train.y))
        if array is not None and array.dtype.kind == "f"
    }
    if any(missing.values()):
        counts = " and ".join(
            f"the training {what} contain {number:,}" for what, number in missing.items() if number
        )
        yield case.finding(
            "warning",
            "nan_in_arrays",
            f"{counts} NaN or infinite value{'s' if sum(missing.values()) > 1 else ''}, and the loss is NaN "
            f"or infinite from {at}",
            "Fill or drop them before cutting windows.",
            **missing,
            **evidence,
        )
    elif step == 1 and all(np.isfinite(norm) for norm in first.norms[:1] if norm is not None):
        yield case.finding(
            "warning",
            "broken_loss",
            f"the loss is NaN or infinite in {at}, before that call changed any weight: the cause is what "
            "the loss is computed from (targets, sample weights or initial weights), not a gradient",
            "Check what the loss returns for the first batch.",
            **evidence,
        )
    else:
        yield case.finding(
            "warning",
            "exploding_gradients",
            f"the loss is NaN or infinite from {at}",
            TOO_LARGE,
            **evidence,
            weights=first.norms,
        )


def exploding_gradients(case: Case) -> Iterator[Finding]:
    """Losses or weights that grow by orders of magnitude within the first steps, though they stay finite."""
    first = case.fit.calls[0].first
    losses, norms = np.array(first.losses), np.array(first.norms, float)  # unknown ones are NaN
    if not np.isfinite(losses).all():
        return  # reported by `broken_loss`
    grown = np.flatnonzero(norms[1:] > GROWTH * np.maximum(norms[:-1], 1e-3))
    jumped = np.flatnonzero(losses > JUMP * losses[0]) if len(losses) and losses[0] > 0 else []
    if len(jumped):
        step = int(jumped[0]) + 1
        text = f"the mean loss rose from {losses[0]:.3g} to {losses[step - 1]:.3g} by step {step}"
    elif len(grown):
        step = int(grown[0]) + 1
        text = f"the norm of all weights grew {norms[step] / norms[step - 1]:,.0f} times in step {step}"
    else:
        return
    yield case.finding(
        "warning",
        "exploding_gradients",
        f"{text} of the first epoch",
        TOO_LARGE,
        step=step,
        losses=first.losses,
        weights=first.norms,
    )


UNSEEN = 1e-5
"""Predictions that change by less than this share of their spread do not depend on what was replaced."""


def vanishing_gradients(case: Case) -> Iterator[Finding]:
    """Recurrent weights that never changed, or beginnings of windows that no prediction depends on."""
    fit = case.fit
    before, after = fit.calls[0].before, fit.calls[-1].after
    variables = fit.model.weights
    if before is None or after is None or not fit.recurrent:
        return
    if [array.shape for array in before] != [array.shape for array in after] or len(after) != len(variables):
        return
    if not all(np.isfinite(array).all() for array in after):
        return
    trained = {variable.path for variable in fit.model.trainable_weights}
    changes = {
        variable.path: float(np.linalg.norm(b - a) / np.linalg.norm(a))
        for variable, a, b in zip(variables, before, after, strict=True)
        if variable.path in trained and a.ndim > 1 and np.linalg.norm(a) > 0
    }
    recurrent = {name: change for name, change in changes.items() if "recurrent_kernel" in name}
    # That other weights changed shows that it is not the learning rate.
    if recurrent and min(recurrent.values()) < 1e-6 and max(changes.values()) > 1e-3:
        still = min(recurrent, key=recurrent.get)
        yield case.finding(
            "warning",
            "vanishing_gradients",
            f"{still} hardly changed in all of training (by {recurrent[still]:.1g} of its norm): no gradient "
            "reaches it",
            "Shorten the sequences, or use tanh instead of the activation that is saturated.",
            changes=changes,
        )
        return
    if fit.declined or case.comparison.predictions is None:
        return
    at_first, at_end = reach(fit, before), {}
    timesteps = fit.train.rows.x.shape[1]
    unseen = [begin for begin, change in at_first.items() if change < UNSEEN]
    if unseen and max(unseen) >= timesteps / 2:
        at_end = reach(fit, after)
        unseen = [begin for begin in unseen if at_end.get(begin, 1.0) < UNSEEN]
    if not unseen or max(unseen) < timesteps / 2:
        return
    yield case.finding(
        "note",
        "vanishing_gradients",
        f"the predictions do not depend on the first {max(unseen)} of {timesteps} timesteps, neither before "
        "training nor after it: no gradient reaches them",
        "Shorten the windows, or bring distant values nearer: as a column, or by wider timesteps.",
        timesteps_replaced=list(at_first),
        prediction_change_before_training=list(at_first.values()),
        prediction_change_after_training=[at_end.get(begin) for begin in at_first],
    )


SHARES = (0.25, 0.5, 0.75, 0.9)
"""The parts of a window, from its beginning, that are replaced."""

ROWS = 48
"""Windows that are used, evenly spaced."""

FEWEST = 16
"""In this many the beginning must differ from its replacement: padding in place of padding shows nothing."""

SHORTEST = 10
"""Timesteps of the shortest window that is examined."""


def reach(fit: Fit, weights: list[np.ndarray]) -> dict[int, float]:
    """How far predictions change at most when the first timesteps of windows are those of other windows.

    Where they stay what they were, no gradient reaches those timesteps.

    Args:
        weights: of the model, as `get_weights` returns them.

    Returns:
        By number of timesteps replaced, shares of the predictions' spread; empty where that is unknown.
    """
    x = fit.train.rows.x
    if x is None or x.ndim < 2 or x.shape[1] < SHORTEST or len(x) < 2 * FEWEST:
        return {}
    if any(getattr(layer, "stateful", False) for layer in fit.layers):
        return {}  # its predictions depend on what it was fed before
    own = x[spaced(len(x), ROWS)]
    other = np.roll(own, len(own) // 2, axis=0)
    begins = [int(share * x.shape[1]) for share in SHARES]
    replaced = [np.concatenate([other[:, :begin], own[:, begin:]], axis=1) for begin in begins]
    inputs = fit.train.rows.inputs(np.concatenate([own, *replaced]))
    with unchanged(fit.model):
        fit.model.set_weights(weights)
        predictions = np.asarray(fit.model.predict(inputs, batch_size=len(own), verbose=0), np.float64)
    if not np.isfinite(predictions).all():
        return {}
    predictions = predictions.reshape(len(begins) + 1, len(own), -1)
    spread = predictions[0].std(axis=0).max()
    changes = {}
    for begin, moved in zip(begins, predictions[1:], strict=True):
        differs = (own[:, begin - 1] != other[:, begin - 1]).reshape(len(own), -1).any(axis=1)
        if spread > 0 and differs.sum() >= FEWEST:
            changes[begin] = float(np.abs(moved - predictions[0])[differs].max() / spread)
    return changes
