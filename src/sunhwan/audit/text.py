"""An audit as text for people and as one JSON object for programs."""

from __future__ import annotations

import math
import textwrap
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from sunhwan.audit.baselines import NAMES, Comparison
from sunhwan.audit.findings.finding import LEVELS, Finding
from sunhwan.audit.fits import Fit
from sunhwan.audit.speed import Speed, Times, told
from sunhwan.units import numbered

WIDTH = 110

LABEL = 32
"""Columns that the name of a model takes."""


@dataclass(eq=False)
class Audit:
    """What an audit found; empty until what is audited has ended. `print` it to read it.

    Attributes:
        script: the file.
        fits, comparisons: each fit, and how it compares with baselines.
        findings: in the order of their levels, by fit.
        remarks: what could not be seen, in a sentence each.
        source: the program's text, "" where it is not known.
        speeds: of each fit; empty where none was to be measured.
        times: of the whole program, as it ran and as it would have run otherwise; or None.
        places: how a line of the script is told, where that is not its number (in notebooks).
    """

    script: str = ""
    fits: list[Fit] = field(default_factory=list)
    comparisons: list[Comparison] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    places: dict[int, str] = field(default_factory=dict)
    source: str = ""
    speeds: list[Speed] = field(default_factory=list)
    times: Times | None = None

    @property
    def leaks(self) -> bool:
        """Whether a leak is proved."""
        return any(finding.level == "leak" and finding.certain for finding in self.findings)

    def __iter__(self):
        return iter(self.findings)

    def __str__(self) -> str:
        lines = []
        for fit, found in zip(self.fits, self.comparisons, strict=True):
            where = f", {self._lines(fit.lines)}" if fit.lines else ""
            lines.append(f"fit #{fit.number} ({fit.title}){where}")
            lines += [f"  {line}" for line in compared(found)]
            lines += self._findings((fit.number,))
        for numbers in dict.fromkeys(numbers for numbers, _ in self.shared if len(numbers) > 1):
            lines += [numbered("fit", numbers), *self._findings(numbers)]
        speed = told(self.times, self.speeds)
        return "\n".join([*lines, *self.remarks, *([speed] if speed else [])])

    __repr__ = __str__

    @property
    def shared(self) -> list[tuple[tuple[int, ...], Finding]]:
        """Each finding once, with the numbers of all fits of which it says the same, and their lines."""
        said: dict[tuple, list[Finding]] = {}
        for one in self.findings:
            said.setdefault((one.level, one.name, one.text, one.certain, one.mend), []).append(one)
        return [
            (
                tuple(dict.fromkeys(one.fit for one in same)),
                replace(same[0], lines=list(dict.fromkeys(line for one in same for line in one.lines))),
            )
            for same in said.values()
        ]

    def _findings(self, numbers: tuple[int, ...]) -> list[str]:
        of = [finding for fits, finding in self.shared if fits == numbers]
        return [line for level in LEVELS for one in of if one.level == level for line in self._told(one)]

    def _told(self, finding: Finding) -> list[str]:
        where = f" ({self._lines(finding.lines)})" if finding.lines else ""
        likely = "" if finding.certain else "likely: "
        text = f"{likely}{finding.text}{where}. {finding.mend}"
        label = f"  {finding.level.upper():<9}"
        return textwrap.wrap(text, WIDTH, initial_indent=label, subsequent_indent=" " * len(label))

    def _lines(self, lines: list[int]) -> str:
        places = [self.places.get(line, str(line)) for line in lines]
        if any(line in self.places for line in lines):
            return ", ".join(places)
        return f"line{'s' if len(lines) > 1 else ''} {', '.join(places)}"

    def to_dict(self) -> dict[str, Any]:
        """What `--json` prints."""
        return {
            "script": self.script,
            "fits": [
                self._fit(fit, found, one)
                for fit, found, one in zip(
                    self.fits, self.comparisons, self.speeds or [Speed()] * len(self.fits), strict=True
                )
            ],
            "findings": [
                {
                    "level": finding.level,
                    "name": finding.name,
                    "text": finding.text,
                    "certain": finding.certain,
                    "lines": [self.places.get(line, line) for line in finding.lines],
                    "code": [self._code(line) for line in finding.lines],
                    "evidence": jsonable(finding.evidence),
                    "mend": finding.mend,
                    "fit": finding.fit,
                }
                for finding in self.findings
            ],
            "remarks": self.remarks,
            "speed": told(self.times, self.speeds) or None,
            "seconds": None if self.times is None else self.times.ran,
            "seconds_otherwise": None if self.times is None else self.times.otherwise,
        }

    def _code(self, line: int) -> str:
        lines = self.source.splitlines()
        return lines[line - 1].strip() if 0 < line <= len(lines) else ""

    def _fit(self, fit: Fit, found: Comparison, speed: Speed) -> dict[str, Any]:
        return jsonable(
            {
                "model": fit.title,
                "lines": [self.places.get(line, line) for line in fit.lines],
                "rows": found.rows,
                "part": found.part,
                "metric": found.metric,
                "units": found.units or None,
                "network": found.network,
                "baselines": found.baselines,
                "labels": {name: label(found, name) for name in found.baselines},
                "improvements": {
                    name: {"percent": gain.percent, "interval": gain.interval}
                    for name, gain in found.against.items()
                },
                "unanswered": found.unanswered or None,
                "skipped": found.skipped,
                "declined": found.declined or None,
                "speedup": speed.ratio,
                "step_seconds": {"stock": speed.stock, "accelerated": speed.accelerated} if speed else None,
                "steps_timed": speed.steps,
                "not_timed": speed.declined or None,
            }
        )


def jsonable(value: Any) -> Any:
    """Plain lists, dicts and numbers; what is not finite is None."""
    if isinstance(value, dict):
        return {str(key): jsonable(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [jsonable(item) for item in value]
    if isinstance(value, np.ndarray):
        return jsonable(value.tolist())
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value


def compared(found: Comparison) -> list[str]:
    """A line for the network and each baseline."""
    if found.declined:
        return [f"no baselines: {found.declined}"]
    lines = []
    if found.network is not None:
        lines.append(f"{f'your network, {found.part}':<{LABEL}}{figure(found.network, found.metric)}")
    if found.unanswered:
        lines.append(f"your network: {found.unanswered}")
    for name, value in found.baselines.items():
        line = f"{label(found, name):<{LABEL - 1}} {figure(value, found.metric)}"
        lines.append(f"{line:<{LABEL + 15}} {beside(found, name)}".rstrip())
    lines += [f"{NAMES[name]}: left out, {why}" for name, why in found.skipped.items()]
    return [*lines, found.units] if found.units else lines


def label(found: Comparison, name: str) -> str:
    """A baseline's name, with what is worth saying of it."""
    return NAMES[name] + (f" ({found.details[name]})" if found.details.get(name) else "")


def figure(value: float, metric: str) -> str:
    """As `MAE 1.92`, or `accuracy 87.5 %`."""
    if metric == "accuracy":
        return f"accuracy {100 * value:.1f} %"
    return f"{metric.upper()} {value:.3g}"


def beside(found: Comparison, name: str) -> str:
    """Whether a baseline is better than the network, and how sure that is."""
    value, network, gain = found.baselines[name], found.network, found.against.get(name)
    if network is None or not np.isfinite(network):
        return ""
    better = value > network if found.metric == "accuracy" else value < network
    if not better:
        return ""
    what = "fewer errors" if found.metric == "accuracy" else "better"
    if gain is None or gain.interval is None:
        return "<- better than the network"
    interval = f"(95 % interval {gain.interval[0]:.0f} to {gain.interval[1]:.0f})"
    if not gain.sure:
        return f"<- {what}, but not for certain {interval}"
    return f"<- {gain.percent:.0f} % {what} {interval}"
