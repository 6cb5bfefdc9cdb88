"""What a finding is."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

LEVELS = ("leak", "warning", "note")


@dataclass(frozen=True, eq=False)
class Finding:
    """Something about a fit that its author should know.

    Attributes:
        level: "leak": the result flatters, since training or selection saw what it is judged on; "warning":
            the result means less than it seems to; "note": what a reader of the result should be told.
        name: as `window_overlap`.
        text: what was found, in one sentence.
        certain: whether the arrays, or the arguments, prove it; otherwise it is likely.
        lines: of the script, where it can be traced.
        evidence: counts, shares and example rows.
        mend: what to do.
        fit: the number of the fit.
    """

    level: str
    name: str
    text: str
    certain: bool
    mend: str
    lines: list[Any] = field(default_factory=list)
    evidence: dict[str, Any] = field(default_factory=dict)
    fit: int = 0
