"""An audit as text for people and as one JSON object for programs."""

from __future__ import annotations

import math
import textwrap
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from sunhwan.audit.baselines import Comparison
from sunhwan.audit.findings.case import LEVELS, Finding
from sunhwan.audit.fits import Fit
from sunhwan.audit.speed import Speed, Times, sentence
from sunhwan.baselines.names import NETWORK, words
from sunhwan.evaluation.significance import Improvement
from sunhwan.units import numbered

WIDTH = 110

LABEL = 32
"""Columns for the name of a model."""

NO_FIT = "Keras's fit was never called, so there is nothing to audit"


@dataclass(eq=False)
class Audit:
    """The result of an audit; empty until the audited program has ended. `print` it to read it.

    Attributes:
        script: the file.
        fits, comparisons: each fit, and how it compares with baselines.
        findings: sorted by fit.
        remarks: what could not be audited, in a sentence each.
        places: names for lines of the script other than their numbers (in notebooks).
        source: the program's text, "" where it is unknown.
        speeds: of each fit; empty where they were not measured.
        times: of the whole program, as it ran and as it would have run otherwise; or None.
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
        for fit, comparison in zip(self.fits, self.comparisons, strict=True):
            where = f", {self.where(fit.lines)}" if fit.lines else ""
            lines.append(f"fit #{fit.number} ({fit.title}){where}")
            lines += [f"  {line}" for line in compared(comparison)]
            lines += self._findings((fit.number,))
        for fits in dict.fromkeys(fits_of(group) for group in self.groups):
            if len(fits) > 1:
                lines += [numbered("fit", fits), *self._findings(fits)]
        speed = sentence(self.times, self.speeds)
        return "\n".join([*lines, *self.remarks, *([speed] if speed else [])])

    __repr__ = __str__

    @property
    def groups(self) -> list[list[Finding]]:
        """The findings, with those together that are the same for several fits."""
        groups: dict[tuple, list[Finding]] = {}
        for finding in self.findings:
            key = finding.level, finding.name, finding.text, finding.certain, finding.fix
            groups.setdefault(key, []).append(finding)
        return sorted(groups.values(), key=lambda group: LEVELS.index(group[0].level))

    def _findings(self, fits: tuple[int, ...]) -> list[str]:
        return [line for group in self.groups if fits_of(group) == fits for line in self._wrapped(group)]

    def _wrapped(self, group: list[Finding]) -> list[str]:
        finding, lines = group[0], lines_of(group)
        where = f" ({self.where(lines)})" if lines else ""
        likely = "" if finding.certain else "likely: "
        label = f"  {finding.level.upper():<9}"
        text = f"{likely}{finding.text}{where}. {finding.fix}"
        return textwrap.wrap(text, WIDTH, initial_indent=label, subsequent_indent=" " * len(label))

    def where(self, lines: list[int]) -> str:
        """Lines of the script, as `lines 13, 34` or `cell 2 line 1`."""
        places = ", ".join(str(self.places.get(line, line)) for line in lines)
        if any(line in self.places for line in lines):
            return places
        return f"line{'s' if len(lines) > 1 else ''} {places}"

    @property
    def verdict(self) -> str:
        """What the result is worth, in a sentence or two."""
        if not self.fits:
            return f"{NO_FIT}."
        leaks = [group[0] for group in self.groups if group[0].level == "leak"]
        proved = sum(leak.certain for leak in leaks)
        text = "No leak was found."
        if leaks:
            number = proved or len(leaks)
            text = f"{number} leak{' is' if number == 1 else 's are'} "
            text += "proved: the result looks better than it is." if proved else "likely, but none is proved."
        scored = [each for each in self.comparisons if each.best and each.network is not None]
        beaten = [comparison for comparison in scored if comparison.beats(comparison.best)]
        if not scored:
            return f"{text} No network could be compared with baselines."
        if not beaten:
            return f"{text} No baseline beats the network{'s' if len(scored) > 1 else ''}."
        if len(scored) > 1:
            return f"{text} A baseline beats the network in {len(beaten)} of {len(scored)} fits."
        name = label(beaten[0], beaten[0].best)
        gain = beaten[0].improvements.get(beaten[0].best)
        sure = "" if gain and gain.sure else ", but not significantly"
        return f"{text} {name[0].upper()}{name[1:]} beats the network{sure}."

    def to_dict(self) -> dict[str, Any]:
        """What `--json` prints."""
        speeds = self.speeds or [Speed()] * len(self.fits)
        levels = Counter(group[0].level for group in self.groups)
        return {
            "script": self.script,
            "verdict": self.verdict,
            "counts": {level: levels[level] for level in LEVELS},
            "fits": list(map(self._fit, self.fits, self.comparisons, speeds)),
            "findings": list(map(self._group, self.groups)),
            "remarks": self.remarks,
            "speed": sentence(self.times, self.speeds) or None,
            "seconds": None if self.times is None else self.times.ran,
            "seconds_otherwise": None if self.times is None else self.times.otherwise,
        }

    def _group(self, group: list[Finding]) -> dict[str, Any]:
        finding, lines, source = group[0], lines_of(group), self.source.splitlines()
        return {
            "level": finding.level,
            "name": finding.name,
            "text": finding.text,
            "certain": finding.certain,
            "fix": finding.fix,
            "fits": fits_of(group),
            "lines": [self.places.get(line, line) for line in lines],
            "code": [source[line - 1].strip() if 0 < line <= len(source) else "" for line in lines],
            "evidence": [jsonable({"fit": each.fit, **each.evidence}) for each in group],
        }

    def _fit(self, fit: Fit, comparison: Comparison, speed: Speed) -> dict[str, Any]:
        scores = {NETWORK: comparison.network, **comparison.baselines}
        return jsonable(
            {
                "model": fit.title,
                "lines": [self.places.get(line, line) for line in fit.lines],
                "where": self.where(fit.lines) if fit.lines else "",
                "rows": comparison.rows,
                "part": comparison.part,
                "metric": comparison.metric,
                "metric_label": metric_label(comparison.metric),
                "units": comparison.units or None,
                "network": comparison.network,
                "baselines": comparison.baselines,
                "names": {name: words(name) for name in [*comparison.baselines, *comparison.skipped]},
                "labels": {name: label(comparison, name) for name in comparison.baselines},
                "figures": {
                    name: "unknown" if score is None else figure(score, comparison.metric)
                    for name, score in scores.items()
                },
                "best_baseline": comparison.best,
                "better_baselines": [name for name in comparison.baselines if comparison.beats(name)],
                "improvements": {
                    name: {"percent": gain.percent, "interval": gain.interval, "text": against(gain)}
                    for name, gain in comparison.improvements.items()
                },
                "unpredicted": comparison.unpredicted or None,
                "skipped": comparison.skipped,
                "declined": comparison.declined or None,
                "speedup": speed.ratio,
                "step_seconds": {"stock": speed.stock, "accelerated": speed.accelerated} if speed else None,
                "steps_timed": speed.steps,
                "not_timed": speed.declined or None,
            }
        )


def fits_of(group: list[Finding]) -> tuple[int, ...]:
    return tuple(dict.fromkeys(finding.fit for finding in group))


def lines_of(group: list[Finding]) -> list[int]:
    return list(dict.fromkeys(line for finding in group for line in finding.lines))


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


def compared(comparison: Comparison) -> list[str]:
    """A line for the network and each baseline."""
    if comparison.declined:
        return [f"no baselines: {comparison.declined}"]
    lines, metric = [], comparison.metric
    if comparison.network is not None:
        name = f"your network, {'training' if comparison.part == 'train' else comparison.part}"
        lines.append(f"{name:<{LABEL}}{metric_label(metric)} {figure(comparison.network, metric)}")
    if comparison.unpredicted:
        lines.append(f"your network: {comparison.unpredicted}")
    for name, score in comparison.baselines.items():
        line = f"{label(comparison, name):<{LABEL - 1}} {metric_label(metric)} {figure(score, metric)}"
        if comparison.beats(name):
            gain = comparison.improvements.get(name)
            line = f"{line:<{LABEL + 15}} <- {(gain and against(gain)) or 'beats the network'}"
        lines.append(line)
    lines += [f"{words(name)}: left out, {why}" for name, why in comparison.skipped.items()]
    return [*lines, comparison.units] if comparison.units else lines


def label(comparison: Comparison, name: str) -> str:
    """A baseline's name, with what to know about it."""
    detail = comparison.details.get(name)
    return f"{words(name)} ({detail})" if detail else words(name)


def metric_label(metric: str) -> str:
    return metric if metric == "accuracy" else metric.upper()


def figure(score: float, metric: str) -> str:
    """As `1.92`, or `87.5%` of an accuracy."""
    return f"{100 * score:.1f}%" if metric == "accuracy" else f"{score:.3g}"


def against(gain: Improvement) -> str:
    """By how much a baseline's error is lower or higher than the network's, and how certain that is.

    Example:
        >>> against(Improvement(12.3, (10.0, 15.1), 0.95, 1.0, 200, 5.0))
        '12% lower error (95% interval 10 to 15)'
        >>> against(Improvement(-4.0, (-9.0, 2.0), 0.95, 0.1, 200, 5.0))
        '4% higher error, not significant (95% interval -2 to 9)'
    """
    if not math.isfinite(gain.percent):
        return ""
    sign, side = (1, "lower") if gain.percent >= 0 else (-1, "higher")
    text = f"{abs(gain.percent):.0f}% {side} error"
    if gain.interval is None:
        return text
    low, high = sorted(sign * end for end in gain.interval)
    sure = "" if gain.sure else ", not significant"
    return f"{text}{sure} ({100 * gain.level:g}% interval {low:z.0f} to {high:z.0f})"
