"""The page of an audit of somebody's script: what its result is worth, beside baselines, and what was found.

It is made of what `sunhwan audit --json` prints, and of nothing else.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from sunhwan.report.page.charts import bars, view
from sunhwan.report.page.page import Chart, Code, Facts, Heading, Page, Section, Table, Text
from sunhwan.report.words import count
from sunhwan.units import numbered

LEVELS = ("leak", "warning", "note")

Said = Mapping[str, Any]
"""One object of an audit's JSON."""


def page(said: Said) -> Page:
    """The page of an audit.

    Args:
        said: what `--json` prints.
    """
    fits, findings = said["fits"], said["findings"]
    facts = [count(len(fits), "fit"), found(findings)]
    if said.get("speed"):
        facts.append(said["speed"])
    sections = []
    if fits:
        sections.append(Section("Scores", scores(fits)))
    if findings:
        blocks = [block for same in shared(findings) for block in finding(same, fits)]
        sections.append(Section("Findings", blocks))
    if fits:
        sections.append(Section("Speed", [speed(fits)]))
    if said["remarks"]:
        sections.append(Section("Not seen", [Facts(said["remarks"])]))
    return Page(f"Audit of {said['script']}", answer(said), facts, sections)


def found(findings: Sequence[Said]) -> str:
    """How many findings there are of each level."""
    levels = Counter(one["level"] for one in findings)
    return ", ".join(count(levels[level], level) for level in LEVELS if levels[level]) or "no finding"


def answer(said: Said) -> str:
    """What the result is worth, in a sentence or two."""
    fits, findings = said["fits"], said["findings"]
    if not fits:
        return "Keras's fit was never called, so there is nothing to audit."
    leaks = [one for one in findings if one["level"] == "leak"]
    proved = sum(one["certain"] for one in leaks)
    if proved:
        text = f"{count(proved, 'leak')} {'is' if proved == 1 else 'are'} proved: the result is flattered."
    elif leaks:
        text = f"{count(len(leaks), 'leak')} {'is' if len(leaks) == 1 else 'are'} likely, and none proved."
    else:
        text = "No leak was found."
    judged = [(fit, best(fit)) for fit in fits if fit["network"] is not None and fit["baselines"]]
    beaten = [(fit, name) for fit, name in judged if name and better(fit, name)]
    if not judged:
        return f"{text} No network could be set beside baselines."
    if not beaten:
        return f"{text} No simple model is better than the network{'s' if len(judged) > 1 else ''}."
    fit, name = beaten[0]
    of = f" in {len(beaten)} of {len(judged)} fits" if len(judged) > 1 else ""
    gain = fit["improvements"].get(name)
    sure = gain and gain["interval"] and gain["interval"][0] > 0
    how = "better" if sure else "better, though not for certain,"
    if len(judged) > 1:
        return f"{text} A simple model is {how} than the network{of}."
    return f"{text} {fit['labels'][name].capitalize()} is {how} than the network."


def best(fit: Said) -> str | None:
    choose = max if fit["metric"] == "accuracy" else min
    known = {name: value for name, value in fit["baselines"].items() if value is not None}
    return choose(known, key=known.get) if known else None


def better(fit: Said, name: str) -> bool:
    value, network = fit["baselines"][name], fit["network"]
    return value > network if fit["metric"] == "accuracy" else value < network


def scores(fits: Sequence[Said]) -> list[Text | Table | Chart]:
    """The chart of a fit at a time, and a table for each."""
    views = {
        f"fit #{number}, {fit['model']}": chart_of(fit)
        for number, fit in enumerate(fits, 1)
        if fit["baselines"] and fit["network"] is not None
    }
    blocks: list[Text | Table | Chart] = []
    if views:
        blocks.append(
            Chart(
                "The network beside simple models on the same rows",
                f"{figures(fits)} The line at a bar's end is the 95 % interval of its difference from the "
                "network, where there are rows enough to tell.",
                views,
                choose="Fit",
            )
        )
    for number, fit in enumerate(fits, 1):
        blocks.append(table_of(number, fit))
    return blocks


def figures(fits: Sequence[Said]) -> str:
    """The chart in a sentence for each fit."""
    sentences = []
    for number, fit in enumerate(fits, 1):
        if name := best(fit):
            network, model = shown(fit, fit["network"]), shown(fit, fit["baselines"][name])
            sentences.append(
                f"Fit #{number}: {unit_of(fit)} {network} of the network, {model} of the best simple model "
                f"({fit['labels'][name]})."
            )
    return " ".join(sentences)


def unit_of(fit: Said) -> str:
    return fit["metric"] if fit["metric"] == "accuracy" else fit["metric"].upper()


def chart_of(fit: Said) -> dict:
    """Bars of the network and its baselines."""
    names = [name for name, value in fit["baselines"].items() if value is not None]
    values = np.array([fit["baselines"][name] for name in names], float)
    low, high = np.array([interval(fit, name) for name in names], float).reshape(-1, 2).T
    return view(
        [
            bars("the network", "model", ["the network"], np.array([fit["network"]], float)),
            bars(
                "simple models",
                "baseline",
                [name.replace("_", " ") for name in names],
                values,
                error_y={
                    "type": "data",
                    "symmetric": False,
                    "array": [max(float(one), 0.0) for one in np.nan_to_num(high - values)],
                    "arrayminus": [max(float(one), 0.0) for one in np.nan_to_num(values - low)],
                },
            ),
        ],
        "",
        f"{unit_of(fit)}, {fit['part']}",
        xaxis={"type": "category"},
        yaxis={"rangemode": "tozero"},
        hovermode="closest",
    )


def interval(fit: Said, name: str) -> tuple[float, float]:
    """A baseline's score at both ends of the interval of its difference from the network; NaN if not known.

    Example:
        >>> one = {"metric": "mae", "network": 2.0, "improvements": {"ridge": {"interval": [10, 20]}}}
        >>> interval(one, "ridge")
        (1.6, 1.8)
    """
    gain = fit["improvements"].get(name)
    if not gain or not gain["interval"]:
        return float("nan"), float("nan")
    left = [1 - percent / 100 for percent in gain["interval"]]
    network = fit["network"]
    if fit["metric"] == "accuracy":
        ends = [1 - (1 - network) * one for one in left]
    elif fit["metric"] == "rmse":  # percent is of squares
        ends = [network * max(one, 0.0) ** 0.5 for one in left]
    else:
        ends = [network * one for one in left]
    return min(ends), max(ends)


def table_of(number: int, fit: Said) -> Text | Table:
    """A fit's network and baselines; or why it has none."""
    at = f", {places(fit['lines'])}" if fit["lines"] else ""
    title = f"fit #{number}: {fit['model']}{at}"
    if fit["declined"]:
        return Text(f"{title}. No baselines: {fit['declined']}.")
    rows, names = [["your network", shown(fit, fit["network"]), ""]], [None]
    for name, value in fit["baselines"].items():
        rows.append([fit["labels"][name], shown(fit, value), beside(fit, name)])
        names.append(name)
    for name, why in fit["skipped"].items():
        rows.append([name.replace("_", " "), "left out", why])
    strong = names.index(best(fit)) if best(fit) and fit["network"] is not None else None
    if strong and not better(fit, names[strong]):
        strong = 0
    return Table(
        f"{title}; on {fit['rows']:,} {fit['part']} rows{'; ' + fit['units'] if fit.get('units') else ''}",
        ["", unit_of(fit), "error against the network's"],
        rows,
        strong=strong,
        texts=(0, 2),
    )


def shown(fit: Said, value: float | None) -> str:
    if value is None:
        return "not known"
    return f"{100 * value:.1f} %" if fit["metric"] == "accuracy" else f"{value:.3g}"


def beside(fit: Said, name: str) -> str:
    """By how much a baseline's error is lower or higher.

    Example:
        >>> beside({"improvements": {"ridge": {"percent": 12.3, "interval": [10.0, 15.1]}}}, "ridge")
        '12 % lower (95 % interval 10 to 15)'
    """
    gain = fit["improvements"].get(name)
    if not gain or gain["percent"] is None:
        return ""
    sign, word = (1, "lower") if gain["percent"] >= 0 else (-1, "higher")
    text = f"{sign * gain['percent']:.0f} % {word}"
    if gain["interval"]:
        low, high = sorted(sign * end for end in gain["interval"])
        text += f" (95 % interval {low:.0f} to {high:.0f})"
    return text


def shared(findings: Sequence[Said]) -> list[list[Said]]:
    """Findings that say the same of several fits, together."""
    said: dict[tuple, list[Said]] = {}
    for one in findings:
        said.setdefault(tuple(one[key] for key in ("level", "name", "text", "certain", "mend")), []).append(
            one
        )
    return list(said.values())


def finding(same: Sequence[Said], fits: Sequence[Said]) -> list[Heading | Text | Code | Facts]:
    """What was found, of one fit or of several; the lines of the script, the evidence, and how to mend it."""
    one = same[0]
    of = f", {numbered('fit', {each['fit'] for each in same})}" if len(fits) > 1 else ""
    likely = "" if one["certain"] else " (likely)"
    blocks: list[Heading | Text | Code | Facts] = [
        Heading(f"{one['name'].replace('_', ' ')}{likely}{of}", one["level"]),
        Text(f"{one['text'][:1].upper()}{one['text'][1:]}."),
    ]
    quoted = {
        f"{line}  {code}": None
        for each in same
        for line, code in zip(each["lines"], each["code"], strict=True)
        if code
    }
    if quoted:
        blocks.append(Code("\n".join(quoted)))
    if all(each["evidence"] == one["evidence"] for each in same):
        facts = [f"{key.replace('_', ' ')}: {told(v)}" for key, v in one["evidence"].items()]
    else:
        facts = [f"fit #{each['fit']}: {told(each['evidence'])}" for each in same]
    if facts:
        blocks.append(Facts(facts))
    blocks.append(Text(f"To mend it: {one['mend']}"))
    return blocks


def told(value: Any) -> str:
    """Evidence in words.

    Example:
        >>> told([{"test": 3, "training": 17}, {"test": 4, "training": 18}]), told(0.123456), told([])
        ('test 3, training 17; test 4, training 18', '0.123', 'none')
    """
    if isinstance(value, Mapping):
        return (
            ", ".join(f"{str(key).replace('_', ' ')} {told(item)}" for key, item in value.items()) or "none"
        )
    if isinstance(value, list):
        between = "; " if any(isinstance(item, Mapping) for item in value) else ", "
        return between.join(told(item) for item in value) or "none"
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: "not known"}[value]
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def places(lines: Sequence[int | str]) -> str:
    if any(isinstance(line, str) for line in lines):
        return ", ".join(map(str, lines))
    return f"line{'s' if len(lines) > 1 else ''} {', '.join(map(str, lines))}"


def speed(fits: Sequence[Said]) -> Table:
    """A training step of each fit on Keras's own path and on fused kernels."""
    rows = []
    for number, fit in enumerate(fits, 1):
        step = fit["step_seconds"]
        if fit["speedup"] is None:
            rows.append([f"fit #{number}", "", "", "", fit["not_timed"] or "not measured"])
            continue
        rows.append(
            [
                f"fit #{number}",
                *(f"{1000 * step[kind]:.3g} ms" for kind in ("stock", "accelerated")),
                f"{fit['speedup']:.1f}x",
                f"{fit['steps_timed']} steps of each kind, in turns",
            ]
        )
    return Table(
        "A training step on Keras's own path and on fused kernels, measured once the script had ended",
        ["", "Keras", "accelerated", "faster", "measured by"],
        rows,
        texts=(0, 4),
    )
