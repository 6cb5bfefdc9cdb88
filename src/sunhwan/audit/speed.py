"""How much faster a fit was on fused kernels: some of its training steps, stock and accelerated in turns.

Nothing is measured while the program runs. Afterwards its own model takes the first batches of its fit again,
each block from the same weights, optimizer, seeds and states, and all of these are put back to their bits.
What a fit would have taken is scaled from that: its steps by the ratio, and nothing else, so that compiling
and validation count as they were. Ratios are of blocks that took turns, which a busy machine disturbs little;
how long the steps of the fit took is told by the fastest block, which it disturbs least.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from sunhwan.audit.baselines import Budget, quiet
from sunhwan.audit.fits import Fit
from sunhwan.audit.observe.rows import Stream
from sunhwan.audit.unchanged import unchanged
from sunhwan.recurrence.keras import accelerate as switch
from sunhwan.recurrence.keras.dispatch_log import FUSED, KERAS
from sunhwan.recurrence.keras.explain import explain

STEPS = 8
"""Steps of a block, at most."""

PAIRS = 5
"""Blocks of each kind, at most."""

MOST_SECONDS = 8.0
"""After so long no further pair of blocks is begun for a fit."""

BLOCK_SECONDS = 0.5
"""A block of the slower kind lasts about so long, if its steps are enough for that."""

SAME = 1e-4
"""Losses that differ by no more than this share of them are called the same."""


@dataclass(frozen=True)
class Speed:
    """A training step of a fit, stock and accelerated.

    Attributes:
        ratio: how many times faster, the median over pairs of blocks.
        accelerated: seconds of a step in the fastest block.
        steps: how many of each kind were timed.
        difference: by what share the losses of the same steps differ, at most.
        declined: why nothing was measured, or "".
    """

    ratio: float | None = None
    accelerated: float = 0.0
    steps: int = 0
    difference: float = 0.0
    declined: str = ""

    def __bool__(self) -> bool:
        return self.ratio is not None

    @property
    def stock(self) -> float:
        """Seconds of a step on Keras's own path."""
        return self.accelerated * (self.ratio or 0.0)


def measure(fits: list[Fit], limit: Budget) -> list[Speed]:
    """The speed of each fit; fits of equal models on batches of equal shape are measured once."""
    known: dict[tuple, Speed] = {}
    speeds = []
    for fit in fits:
        x, _, batch = first_batches(fit)
        key = (fit.architecture, fit.loss, batch, None if x is None else x.shape[1:])
        if not known.get(key):
            known[key] = speed(fit, limit)
        speeds.append(known[key])
    return speeds


def speed(fit: Fit, limit: Budget) -> Speed:
    """Some training steps of a fit, stock and accelerated in turns; its model is as before afterwards."""
    model = fit.model
    if why := unfit(fit):
        return Speed(declined=why)
    if limit.left <= 0:
        return Speed(declined="the budget is spent")
    try:
        with unchanged(model) as put_back, quiet():
            return in_turns(fit, limit, put_back)
    except Exception as error:  # somebody's model: why it would not run again is told
        return Speed(declined=f"its first batches would not run again ({type(error).__name__}: {error})")


def unfit(fit: Fit) -> str:
    """Why nothing of a fit can be measured, or ""."""
    if fit.train.rows.declined:
        return fit.train.rows.declined
    if not fit.recurrent:
        return "it has no recurrent layer"
    if not type(fit.model).train_step.__module__.startswith("keras."):
        return "the model has a training step of its own, which may do more than compute"
    return switch.forgets_programs() or ""


def in_turns(fit: Fit, limit: Budget, put_back: Any) -> Speed:
    """Blocks of steps in turns, each from the same beginning."""
    import keras

    x, y, batch = first_batches(fit)

    def block(mode, steps):
        put_back()
        clock = timed()
        with mode():
            keras.Model.fit(
                fit.model,
                fit.train.rows.inputs(x[: steps * batch]),
                None if y is None else y[: steps * batch],
                batch_size=batch,
                shuffle=False,
                verbose=0,
                callbacks=[clock],
            )
        return clock

    block(switch.accelerated, 1)  # compiles, and shows what is fused
    with switch.accelerated():
        rows = explain(fit.model).rows
    if not any(row.path == FUSED for row in rows):
        reasons = dict.fromkeys(row.reason for row in rows if row.path == KERAS)
        return Speed(declined=f"nothing was fused: {'; '.join(reasons)}")
    block(stock, 1)
    if limit.left <= 0:
        return Speed(declined="the budget is spent")
    once = block(stock, 1).seconds
    most = min(STEPS, -(-len(x) // batch))
    steps = int(np.clip(BLOCK_SECONDS / max(once, 1e-6), 1, most))
    begun, taken, losses = time.monotonic(), [], 0.0
    while len(taken) < PAIRS:
        lasted = (time.monotonic() - begun) / max(len(taken), 1)
        if taken and (time.monotonic() - begun > MOST_SECONDS or limit.left < lasted):
            break
        slow, fast = block(stock, steps), block(switch.accelerated, steps)
        taken.append((slow.seconds / steps, fast.seconds / steps))
        losses = max(losses, apart(slow.losses, fast.losses))
    slow, fast = np.array(taken).T
    return Speed(float(np.median(slow / fast)), float(fast.min()), steps * len(taken), losses)


def first_batches(fit: Fit) -> tuple[Any, Any, int]:
    """Inputs and targets of the first batches, and how many rows a batch has."""
    call = fit.calls[0]
    rows, given = fit.train.rows, call.given
    if rows.x is None:
        return None, None, 0
    batch = len(given.batches[0][0]) if isinstance(given, Stream) else call.options.get("batch_size") or 32
    batch = min(batch, len(rows))
    whole = max(len(rows) // batch, 1) * batch
    most = min(STEPS * batch, whole)
    return rows.x[:most], None if rows.y is None else rows.y[:most], batch


@contextmanager
def stock() -> Iterator[None]:
    """Keras's own paths for the length of a `with` block."""
    before = switch.is_on()
    switch.restore()
    try:
        yield
    finally:
        if before:
            switch.accelerate()


def timed() -> Any:
    """A callback that sums up the seconds of steps, and keeps their losses."""
    import keras

    class Clock(keras.callbacks.Callback):
        def __init__(self):
            super().__init__()
            self.seconds, self.losses = 0.0, []

        def on_train_batch_begin(self, batch, logs=None):
            self.begun = time.perf_counter()

        def on_train_batch_end(self, batch, logs=None):
            self.losses.append(float(logs["loss"]))  # which waits for the step to end
            self.seconds += time.perf_counter() - self.begun

    return Clock()


def apart(ones: list[float], others: list[float]) -> float:
    """By what share two rows of losses differ, at most.

    Example:
        >>> apart([1.0, 2.0], [1.0, 2.5]), apart([float("nan")], [float("nan")])
        (0.2, 0.0)
    """
    a, b = np.array(ones), np.array(others)
    largest = np.maximum(np.abs(a), np.abs(b))
    differ = ~((a == b) | (np.isnan(a) & np.isnan(b)))
    with np.errstate(invalid="ignore", divide="ignore"):
        return float(np.max(np.where(differ, np.abs(a - b) / largest, 0.0), initial=0.0))


@dataclass(frozen=True)
class Times:
    """Seconds of a whole program, as it ran and as it would have run otherwise, which is an estimate."""

    ran: float
    otherwise: float
    accelerated: bool


def estimate(fits: list[Fit], speeds: list[Speed], ran: float) -> Times | None:
    """What a program would have taken without acceleration, or with it where it had none.

    Args:
        ran: seconds that it took.

    Returns:
        None where no fit was measured.
    """
    measured = [(fit, one) for fit, one in zip(fits, speeds, strict=True) if one]
    if not measured:
        return None
    on = all(call.accelerated for fit, _ in measured for call in fit.calls)
    change = 0.0
    for fit, one in measured:
        for call in fit.calls:
            if on:
                change += min(call.steps * one.accelerated, call.seconds) * (one.ratio - 1)
            elif not call.accelerated:
                change += min(call.steps * one.stock, call.seconds) * (1 - 1 / one.ratio)
    return Times(ran, ran + change if on else max(ran - change, 0.0), on)


def told(times: Times | None, speeds: list[Speed]) -> str:
    """The line about speed at the end of an audit.

    Example:
        >>> one = Speed(12.0, accelerated=0.01, steps=40, difference=2e-7)
        >>> told(Times(41.0, 500.0, True), [one]).partition(" (")[0]
        'accelerated: 41 s instead of about 8 min 20 s'
    """
    if times is None:
        reasons = "; ".join(dict.fromkeys(one.declined for one in speeds))
        return f"no speed is told: {reasons}" if reasons else ""
    measured = list(dict.fromkeys(one for one in speeds if one))
    low, high = (end(one.ratio for one in measured) for end in (min, max))
    ratio = times_faster(low)
    if times_faster(high) != ratio:
        ratio += f" to {times_faster(high)}"
    text = f"{spent(times.ran)} instead of about {spent(times.otherwise)}"
    if not times.accelerated:
        text = f"about {spent(times.otherwise)} instead of {spent(times.ran)}"
    differ = max(one.difference for one in measured)
    same = "same losses" if differ <= SAME else f"losses differ by up to {differ:.1g} of them"
    steps = sum(one.steps for one in measured)
    missing = sum(not one for one in speeds)
    left_out = f"; {missing} of {len(speeds)} fits not measured" if missing else ""
    begin = "accelerated" if times.accelerated else "with sunhwan.accelerate()"
    return f"{begin}: {text} (fit step {ratio}, estimated from {steps} steps of each kind{left_out}); {same}"


def times_faster(ratio: float) -> str:
    return f"{ratio:.0f}x" if ratio >= 9.5 else f"{ratio:.1f}x"


def spent(seconds: float) -> str:
    """How long something took, to two figures or the second.

    Example:
        >>> spent(0.83), spent(41.2), spent(500), spent(7530)
        ('0.8 s', '41 s', '8 min 20 s', '2 h 5 min')
    """
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    for size, unit, least, part in ((3600, "h", 60, "min"), (60, "min", 1, "s")):
        if whole >= 2 * size:
            rest = whole % size // least
            return f"{whole // size} {unit}" + (f" {rest} {part}" if rest else "")
    return f"{whole} s"
