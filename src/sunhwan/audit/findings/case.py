"""What a finder is given, a `Case`, and what it yields, a `Finding`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from sunhwan.audit.baselines import Comparison
from sunhwan.audit.fits import Fit, Part, windows
from sunhwan.audit.observe.rows import ObservedRows
from sunhwan.audit.observe.trace import Trace
from sunhwan.audit.observe.watch import Observations

LEVELS = ("leak", "warning", "note")

SHUFFLES = (
    *("train_test_split", "ShuffleSplit", "KFold", "random_split"),
    *("shuffle", "permutation", "permuted", "sample"),
)
"""What scripts call to split rows without regard to time."""


@dataclass(frozen=True, eq=False)
class Finding:
    """Something about a fit that its author should know.

    Attributes:
        level: "leak": the result is too good, since training or selection saw the rows that it is reported
            on; "warning": the result means less than it seems to; "note": what a reader of the result should
            know.
        name: as `window_overlap`.
        text: what was found, in one sentence without its full stop.
        fix: what to do about it.
        certain: whether the arrays or the arguments prove it; otherwise it is likely.
        lines: of the script, where it can be traced.
        evidence: counts, shares and example rows.
        fit: the number of the fit.
    """

    level: str
    name: str
    text: str
    fix: str
    certain: bool
    lines: list[Any]
    evidence: dict[str, Any]
    fit: int


@dataclass(eq=False)
class Case:
    """One fit and everything that a finder may read; leaks are looked for before there is a comparison."""

    fit: Fit
    observed: Observations
    trace: Trace
    fits: list[Fit]
    comparison: Comparison | None = None
    known: dict[tuple, Any] = field(default_factory=dict)

    @property
    def train(self) -> ObservedRows:
        return self.fit.train.rows

    @cached_property
    def training(self) -> np.ndarray:
        """(rows, timesteps, features) of the training part."""
        return windows(self.train.x)

    @property
    def parts(self) -> list[Part]:
        """The parts to compare with training: the reported one and validation, and rows that were predicted
        without targets only where no test part has any."""
        reported = self.fit.reported
        parts = [reported] if reported is not self.fit.train else []
        if self.fit.validation and reported.name != "validation":
            parts.append(self.fit.validation)
        if reported.name != "test":
            parts += [part for part in self.fit.tests if part.rows.y is None]
        return [part for part in parts if len(part.rows) and part.rows.x.shape[1:] == self.train.x.shape[1:]]

    def level(self, part: Part) -> str:
        """A leak into the part that is reported; into another it misleads choices, but not the result."""
        return "leak" if part is self.fit.reported or part.name == "test" else "warning"

    def split_lines(self) -> list[int]:
        """Where the script shuffles rows, and where it fits."""
        return [*self.trace.calls(*SHUFFLES), *self.fit.lines]

    def once(self, measure: Callable[[Case, Part], Any], part: Part) -> Any:
        """What a measurement returns for a part, computed once however many finders read it."""
        key = measure, id(part)
        if key not in self.known:
            self.known[key] = measure(self, part)
        return self.known[key]

    def finding(
        self,
        level: str,
        name: str,
        text: str,
        fix: str,
        *,
        certain: bool = True,
        lines: list[Any] | None = None,
        **evidence: Any,
    ) -> Finding:
        """A finding about this fit, at its lines unless others are given."""
        lines = self.fit.lines if lines is None else lines
        return Finding(level, name, text, fix, certain, lines, evidence, self.fit.number)
