"""`audit`: a program is watched, and once it has ended its fits are compared with baselines and examined."""

from __future__ import annotations

import linecache
import random
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from sunhwan.audit.baselines import Budget, compare
from sunhwan.audit.findings.case import Case
from sunhwan.audit.findings.finders import FINDERS, LEAKS
from sunhwan.audit.fits import outputs, read
from sunhwan.audit.observe.trace import Trace
from sunhwan.audit.observe.watch import Observations, watching
from sunhwan.audit.scalers import error_units
from sunhwan.audit.speed import estimate, measure, spent
from sunhwan.audit.text import NO_FIT, Audit
from sunhwan.units import numbered

BUDGET = 60.0
"""Seconds for findings, baselines and timing by default."""

BASELINES_SHARE = 0.8
"""No baseline is begun when this share of a budget is spent, which leaves time for findings and speed."""


@contextmanager
def audit(budget: float = BUDGET) -> Iterator[Audit]:
    """Audit the Keras models that a `with` block fits; it yields an audit that is filled when the block ends.

    The block's results do not change: they have the same bits as without. Afterwards baselines are fitted to
    the same rows, and leaks that the arrays prove are found.

    Args:
        budget: seconds for findings, baselines, and measuring how much faster acceleration is; 60 by default.

    Example:
        >>> import keras, numpy, sunhwan
        >>> x, y = numpy.random.default_rng(0).normal(size=(2, 60, 5))
        >>> layers = [keras.layers.Reshape((5, 1)), keras.layers.GRU(4), keras.layers.Dense(1)]
        >>> model = keras.Sequential(layers)
        >>> model.compile("adam", "mse")
        >>> with sunhwan.audit() as findings:
        ...     history = model.fit(x, y[:, :1], verbose=0)
        >>> print(findings.fits[0].title)
        GRU 4, 60 windows of 5 -> 1
    """
    script = sys._getframe(2).f_code.co_filename
    result = Audit(script)
    try:
        with watching(script) as observed:
            yield result
    finally:
        with undisturbed():
            complete(result, observed, "".join(linecache.getlines(script)), Budget(budget))


def complete(result: Audit, observed: Observations, source: str, limit: Budget, processes: int = 0) -> None:
    """Everything about an observed program, into an audit: findings, baselines and speed.

    Args:
        source: the program's text, "" where it is unknown.
        limit: of time.
        processes: how many others trained models, which were not observed.
    """
    fill(result, observed, source, limit)
    clock(result, observed.ran, limit)
    if processes:
        others = f"{processes} other process{'es' if processes > 1 else ''}"
        result.remarks.append(
            f"models also ran in {others}, which {'are' if processes > 1 else 'is'} not audited"
        )


def fill(result: Audit, observed: Observations, source: str, limit: Budget, finders: tuple = FINDERS) -> None:
    """Findings and comparisons, into an audit: leaks first, then baselines and what depends on them.

    Args:
        source: the program's text, "" where it is unknown.
        limit: of time; nothing is begun when it is spent, and what was left out is named.
        finders: functions that look for findings.
    """
    result.source, result.fits = source, read(observed)
    trace, known, left_out = Trace(source), {}, {}
    cases = [Case(fit, observed, trace, result.fits) for fit in result.fits]

    def look(case, finders):
        for find in finders if not case.train.declined else ():
            if limit.left <= 0:
                left_out.setdefault(find.__name__, []).append(case.fit.number)
                continue
            try:
                result.findings += list(find(case))
            except Exception as error:  # arrays that nobody thought of; the other finders still run
                result.remarks.append(
                    f"{find.__name__} could not be checked in fit #{case.fit.number} "
                    f"({type(error).__name__}: {error})"
                )

    for case in cases:
        look(case, [find for find in finders if find in LEAKS])
    for case in cases:
        fit = case.fit
        comparison = case.comparison = compare(fit, limit.part(BASELINES_SHARE), known)
        if fit.task == "regression" and not comparison.declined:
            targets = outputs(case.train.y)[:, 0]
            targets = targets[np.isfinite(targets)]
            comparison.units = error_units(targets, comparison.metric, comparison.network, observed.scalings)
        result.comparisons.append(comparison)
        look(case, [find for find in finders if find not in LEAKS])
    result.findings.sort(key=lambda finding: finding.fit)
    for numbers in dict.fromkeys(map(tuple, left_out.values())):
        names = ", ".join(name for name, fits in left_out.items() if tuple(fits) == numbers)
        result.remarks.append(
            f"the time budget of {spent(limit.seconds)} was spent before {numbered('fit', numbers)} could be "
            f"checked for {names}"
        )
    if not result.fits:
        result.remarks.append(NO_FIT)
    if observed.unrecorded:
        result.remarks.append(f"{observed.unrecorded} more calls of fit were not audited")


def clock(result: Audit, ran: float, limit: Budget) -> None:
    """How fast the audited fits are, into an audit.

    Args:
        ran: seconds that the program took.
        limit: what is left of the budget.
    """
    result.speeds = measure(result.fits, limit)
    result.times = estimate(result.fits, result.speeds, ran)


@contextmanager
def undisturbed() -> Iterator[None]:
    """Random numbers that are drawn in here leave those of the program as they would have been."""
    states = random.getstate(), np.random.get_state()
    torch = sys.modules.get("torch")
    torch_state = torch.get_rng_state() if torch else None
    try:
        yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])
        if torch:
            torch.set_rng_state(torch_state)
