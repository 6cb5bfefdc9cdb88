"""How much faster a fit was on fused kernels: some of its training steps, stock and accelerated in turns.

Nothing is measured while the program runs. Afterwards its own model trains on the first batches of its fit
again, each block from the same weights, optimizer, seeds and states, and all of these are restored to the
bit. What a fit would have taken is scaled from that: its steps by the ratio, and nothing else, so that
compiling and validation count as they were. Ratios are of blocks that took turns, which a busy machine
disturbs little; the duration of a step is that of the fastest block, which it disturbs least.
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
"""The most steps of a block."""

PAIRS = 5
"""The most blocks of each kind."""

MOST_SECONDS = 8.0
"""After this long no further pair of blocks is begun for a fit."""

BLOCK_SECONDS = 0.5
"""A block of the slower kind lasts about this long, if there are enough steps."""

SAME = 1e-4
"""Losses that differ relatively by no more than this are called the same."""


@dataclass(frozen=True)
class Speed:
    """The duration of a training step of a fit, stock and accelerated.

    Attributes:
        ratio: how many times faster it is accelerated, the median over pairs of blocks.
        accelerated: seconds of a step in the fastest block.
        steps: how many of each kind were timed.
        difference: the largest relative difference between losses of the same steps.
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
    """The speed of each fit; equal models on batches of equal shape are measured once."""
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
        return Speed(declined="the time budget is spent")
    try:
        with unchanged(model) as put_back, quiet():
            return in_turns(fit, limit, put_back)
    except Exception as error:  # the script's model, which may not run again
        return Speed(declined=f"its first batches could not be run again ({type(error).__name__}: {error})")


def unfit(fit: Fit) -> str:
    """Why a fit cannot be measured, or ""."""
    if fit.train.rows.declined:
        return fit.train.rows.declined
    if not fit.recurrent:
        return "the model has no recurrent layer"
    if not type(fit.model).train_step.__module__.startswith("keras."):
        return "the model has a train_step of its own, which may do more than train"
    return switch.forgets_programs() or ""


def in_turns(fit: Fit, limit: Budget, put_back: Any) -> Speed:
    """Blocks of steps in turns, each from the same state."""
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

    block(switch.accelerated, 1)  # compiles, and shows which layers are fused
    with switch.accelerated():
        rows = explain(fit.model).rows
    if not any(row.path == FUSED for row in rows):
        reasons = dict.fromkeys(row.reason for row in rows if row.path == KERAS)
        return Speed(declined=f"no layer is accelerated: {'; '.join(reasons)}")
    block(stock, 1)
    if limit.left <= 0:
        return Speed(declined="the time budget is spent")
    once = block(stock, 1).seconds
    most = min(STEPS, -(-len(x) // batch))
    steps = int(np.clip(BLOCK_SECONDS / max(once, 1e-6), 1, most))
    begun, seconds, losses = time.monotonic(), [], 0.0
    while len(seconds) < PAIRS:
        lasted = (time.monotonic() - begun) / max(len(seconds), 1)
        if seconds and (time.monotonic() - begun > MOST_SECONDS or limit.left < lasted):
            break
        slow, fast = block(stock, steps), block(switch.accelerated, steps)
        seconds.append((slow.seconds / steps, fast.seconds / steps))
        losses = max(losses, difference(slow.losses, fast.losses))
    slow, fast = np.array(seconds).T
    return Speed(float(np.median(slow / fast)), float(fast.min()), steps * len(seconds), losses)


def first_batches(fit: Fit) -> tuple[Any, Any, int]:
    """Inputs and targets of the first batches, and how many rows a batch has."""
    call = fit.calls[0]
    rows = fit.train.rows
    if rows.x is None:
        return None, None, 0
    streamed = isinstance(call.rows, Stream)
    batch = len(call.rows.batches[0][0]) if streamed else call.options.get("batch_size") or 32
    batch = min(batch, len(rows))
    whole = max(len(rows) // batch, 1) * batch
    most = min(STEPS * batch, whole)
    return rows.x[:most], None if rows.y is None else rows.y[:most], batch


@contextmanager
def stock() -> Iterator[None]:
    """Keras's own path for the length of a `with` block."""
    before = switch.is_on()
    switch.restore()
    try:
        yield
    finally:
        if before:
            switch.accelerate()


def timed() -> Any:
    """A callback that sums up the seconds of steps, and collects their losses."""
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


def difference(losses: list[float], others: list[float]) -> float:
    """The largest relative difference between two lists of losses.

    Example:
        >>> difference([1.0, 2.0], [1.0, 2.5]), difference([float("nan")], [float("nan")])
        (0.2, 0.0)
    """
    a, b = np.array(losses), np.array(others)
    largest = np.maximum(np.abs(a), np.abs(b))
    differ = ~((a == b) | (np.isnan(a) & np.isnan(b)))
    with np.errstate(invalid="ignore", divide="ignore"):
        return float(np.max(np.where(differ, np.abs(a - b) / largest, 0.0), initial=0.0))


@dataclass(frozen=True)
class Times:
    """Seconds of a whole program, as it ran and, estimated, as it would have run otherwise."""

    ran: float
    otherwise: float
    accelerated: bool


def estimate(fits: list[Fit], speeds: list[Speed], ran: float) -> Times | None:
    """How long a program would have run without acceleration, or with it where it had none.

    Args:
        ran: seconds that it took.

    Returns:
        None where no fit was measured.
    """
    measured = [(fit, speed) for fit, speed in zip(fits, speeds, strict=True) if speed]
    if not measured:
        return None
    on = all(call.accelerated for fit, _ in measured for call in fit.calls)
    change = 0.0
    for fit, speed in measured:
        for call in fit.calls:
            if on:
                change += min(call.steps * speed.accelerated, call.seconds) * (speed.ratio - 1)
            elif not call.accelerated:
                change += min(call.steps * speed.stock, call.seconds) * (1 - 1 / speed.ratio)
    return Times(ran, ran + change if on else max(ran - change, 0.0), on)


def sentence(times: Times | None, speeds: list[Speed]) -> str:
    """The line about speed at the end of an audit.

    Example:
        >>> speed = Speed(12.0, accelerated=0.01, steps=40, difference=2e-7)
        >>> sentence(Times(41.0, 500.0, True), [speed]).partition(" (")[0]
        'accelerated: 41 s instead of about 8 min 20 s'
    """
    if times is None:
        reasons = "; ".join(dict.fromkeys(speed.declined for speed in speeds))
        return f"speed not measured: {reasons}" if reasons else ""
    measured = list(dict.fromkeys(speed for speed in speeds if speed))
    low, high = (end(speed.ratio for speed in measured) for end in (min, max))
    ratio = times_faster(low)
    if times_faster(high) != ratio:
        ratio += f" to {times_faster(high)}"
    text = f"{spent(times.ran)} instead of about {spent(times.otherwise)}"
    if not times.accelerated:
        text = f"about {spent(times.otherwise)} instead of {spent(times.ran)}"
    differ = max(speed.difference for speed in measured)
    same = "same losses" if differ <= SAME else f"losses differ by up to {100 * differ:.1g}%"
    steps = sum(speed.steps for speed in measured)
    missing = sum(not speed for speed in speeds)
    left_out = f"; {missing} of {len(speeds)} fits not measured" if missing else ""
    begin = "accelerated" if times.accelerated else "with sunhwan.accelerate()"
    how = f"training step {ratio} faster, estimated from {steps} steps of each kind{left_out}"
    return f"{begin}: {text} ({how}); {same}"


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
