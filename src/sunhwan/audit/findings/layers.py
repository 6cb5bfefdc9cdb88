"""Recurrent layers that are fed wrongly: padding without a mask, a state across shuffled batches."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from sunhwan.audit.findings.case import Case, Finding


def padding_without_mask(case: Case) -> Iterator[Finding]:
    """Zeros after the end of a sequence, which the recurrent layers process like data."""
    import keras

    fit, x = case.fit, case.train.x
    if x is None or not fit.recurrent or fit.declined or x.ndim < 2 or x.shape[1] < 4:
        return
    if fit.kind == "numbers" and x.ndim == 2:
        return
    if any(
        isinstance(layer, keras.layers.Masking) or getattr(layer, "mask_zero", False) for layer in fit.layers
    ):
        return
    empty = x == 0 if x.ndim == 2 else (x.reshape(*x.shape[:2], -1) == 0).all(axis=2)
    empty = empty[~empty.all(axis=1)]
    lengths = x.shape[1] - np.argmax(~empty[:, ::-1], axis=1)
    inside = np.arange(x.shape[1]) < lengths[:, None]
    # Where zeros also occur before the end, they are readings.
    if not len(lengths) or empty[inside].mean() > 0.02:
        return
    padded = (lengths < x.shape[1]).mean()
    steps = 1 - lengths.mean() / x.shape[1]
    different = len(np.unique(lengths))
    # Sequences of many lengths, and a good part of the timesteps: otherwise a zero is a reading like others.
    if padded < 0.2 or steps < 0.1 or different < 4:
        return
    yield case.finding(
        "warning",
        "padding_without_mask",
        f"{padded:.0%} of the training rows end with zeros ({steps:.0%} of all timesteps), and no layer "
        "masks them: the last state of the recurrent layer has run through padding",
        "Use Embedding(..., mask_zero=True) or a Masking layer, or pad at the beginning."
        if fit.kind == "tokens"
        else "Put a Masking layer first, or pad at the beginning.",
        lines=sorted({*case.trace.calls("pad_sequences"), *fit.lines}),
        rows=float(padded),
        timesteps=float(steps),
        lengths=different,
    )


def stateful_shuffled(case: Case) -> Iterator[Finding]:
    """A state that is carried from batch to batch while the batches are shuffled."""
    stateful = [layer.name for layer in case.fit.recurrent if getattr(layer, "stateful", False)]
    shuffle = case.fit.calls[0].options.get("shuffle")
    if not stateful or case.train.streamed or shuffle is False:
        return
    yield case.finding(
        "warning",
        "stateful_shuffled",
        f"{', '.join(stateful)} carries its state from batch to batch, but fit shuffles the rows: each batch "
        "starts with the state of unrelated rows",
        "Pass shuffle=False, with rows in time order, or remove stateful=True.",
        layers=stateful,
        shuffle=True if shuffle is None else shuffle,
    )
