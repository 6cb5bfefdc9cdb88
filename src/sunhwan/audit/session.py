"""`audit`: a program is watched, and once it has ended its fits are compared and looked through."""

from __future__ import annotations

import linecache
import random
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import numpy as np

from sunhwan.audit.baselines import Budget, compare
from sunhwan.audit.findings import cautions, leaks
from sunhwan.audit.findings.leaks import Case
from sunhwan.audit.findings.scaling import told_units
from sunhwan.audit.fits import outputs, read
from sunhwan.audit.observe.trace import Trace
from sunhwan.audit.observe.watch import Record, Watch
from sunhwan.audit.speed import estimate, measure, spent
from sunhwan.audit.text import Audit
from sunhwan.units import numbered

BUDGET = 60.0
"""Seconds for findings, baselines and timing, unless something else is asked for."""

OF_BASELINES = 0.8
"""When so much of a budget is spent, no baseline is begun, so that there is time for findings and speed."""


FINDERS = (*leaks.FINDERS, *cautions.FINDERS)


@contextmanager
def audit(budget: float = BUDGET) -> Iterator[Audit]:
    """Audit the Keras models that a `with` block fits; what it yields is filled when the block ends.

    Nothing about the block's results changes: they have the same bits as without. Afterwards baselines are
    fitted to the same rows, and whatever the arrays tell about leaks is found.

    Args:
        budget: seconds, 60 unless said, that findings and baselines may take, and measuring how much faster
            it is accelerated.

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
    source = sys._getframe(2).f_code.co_filename
    watch, found = Watch(source), Audit(source)
    watch.start()
    begun = time.monotonic()
    try:
        yield found
    finally:
        ran = time.monotonic() - begun
        watch.stop()
        with undisturbed():
            limit = Budget(budget)
            fill(found, watch.record, "".join(linecache.getlines(source)), limit)
            clock(found, ran - watch.record.seconds, limit)


def fill(found: Audit, record: Record, source: str, limit: Budget, finders: tuple = FINDERS) -> None:
    """What a record says, into an audit: leaks first, then baselines, and what may be said of both.

    Args:
        source: the program's text, "" where it is not known.
        limit: of time; nothing is begun when it is spent, and what was left out is said.
        finders: functions that look for findings.
    """
    found.source, found.fits = source, read(record)
    trace, known, left_out = Trace(source), {}, {}
    cases = [Case(fit, record, trace, found.fits) for fit in found.fits]

    def look(case, wanted):
        for find in wanted if not case.fit.train.rows.declined else ():
            if limit.left <= 0:
                left_out.setdefault(find.__name__, []).append(case.fit.number)
                continue
            try:
                found.findings += [replace(each, fit=case.fit.number) for each in find(case)]
            except Exception as error:  # of arrays that nobody thought of; the others are still told
                found.remarks.append(
                    f"{find.__name__} could not be looked for in fit #{case.fit.number} "
                    f"({type(error).__name__}: {error})"
                )

    for case in cases:
        look(case, [find for find in finders if find in leaks.FINDERS])
    for case in cases:
        fit = case.fit
        compared = case.comparison = compare(fit, limit.part(OF_BASELINES), known)
        if fit.task == "regression" and not compared.declined:
            targets = outputs(fit.train.rows.y)[:, 0]
            known_targets = targets[np.isfinite(targets)]
            compared.units = told_units(known_targets, compared.metric, compared.network, record.scalings)
        found.comparisons.append(compared)
        look(case, [find for find in finders if find not in leaks.FINDERS])
    found.findings.sort(key=lambda finding: finding.fit)
    for numbers in dict.fromkeys(map(tuple, left_out.values())):
        names = ", ".join(name for name, fits in left_out.items() if tuple(fits) == numbers)
        found.remarks.append(
            f"the budget of {spent(limit.seconds)} was spent before {numbered('fit', numbers)} could be "
            f"looked through for {names}"
        )
    if not found.fits:
        found.remarks.append("Keras's fit was never called, so there is nothing to audit")
    if record.uncounted:
        found.remarks.append(f"{record.uncounted} more calls of fit were not looked at")


def clock(found: Audit, ran: float, limit: Budget) -> None:
    """How fast the audited fits are, into an audit.

    Args:
        ran: seconds that the program took.
        limit: what is left of the budget.
    """
    found.speeds = measure(found.fits, limit)
    found.times = estimate(found.fits, found.speeds, ran)


@contextmanager
def undisturbed() -> Iterator[None]:
    """Whatever random numbers are drawn in here, the program's own go on as if they were not."""
    states = random.getstate(), np.random.get_state()
    torch = sys.modules.get("torch")
    of_torch = torch.get_rng_state() if torch else None
    try:
        yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])
        if torch:
            torch.set_rng_state(of_torch)
