"""The page of an audit of a script: its verdict, each network beside baselines, findings and speed.

It is made from what `sunhwan audit --json` prints, and from nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from sunhwan.report.page.charts import bars, view
from sunhwan.report.page.page import Chart, Code, Facts, Heading, Page, Section, Table, Text
from sunhwan.report.words import count
from sunhwan.units import numbered

Json = Mapping[str, Any]
"""One object of an audit's JSON."""


def page(audit: Json) -> Page:
    """The page of an audit.

    Args:
        audit: what `--json` prints.
    """
    fits, findings = audit["fits"], audit["findings"]
    counts = ", ".join(count(number, level) for level, number in audit["counts"].items() if number)
    facts = [count(len(fits), "fit"), counts or "no findings"]
    if audit["speed"]:
        facts.append(audit["speed"])
    sections = []
    if fits:
        sections.append(Section("Scores", scores(fits)))
    if findings:
        blocks = [block for found in findings for block in finding(found, several=len(fits) > 1)]
        sections.append(Section("Findings", blocks))
    if fits:
        sections.append(Section("Speed", [speed(fits)]))
    if audit["remarks"]:
        sections.append(Section("Not audited", [Facts(audit["remarks"])]))
    return Page(f"Audit of {audit['script']}", audit["verdict"], facts, sections)


def scores(fits: Sequence[Json]) -> list[Text | Table | Chart]:
    """A chart with a view for each fit, and a table for each."""
    views = {
        f"fit #{number}, {fit['model']}": chart_of(fit)
        for number, fit in enumerate(fits, 1)
        if fit["baselines"] and fit["network"] is not None
    }
    blocks: list[Text | Table | Chart] = []
    if views:
        blocks.append(
            Chart(
                "The network beside baselines on the same rows",
                f"{summary(fits)} The line at a bar's end is the 95% interval of its difference from the "
                "network, where there are enough rows for one.",
                views,
                choose="Fit",
            )
        )
    return blocks + [table_of(number, fit) for number, fit in enumerate(fits, 1)]


def summary(fits: Sequence[Json]) -> str:
    """The chart in a sentence for each fit."""
    return " ".join(
        f"Fit #{number}: {fit['metric_label']} {fit['figures']['network']} for the network, "
        f"{fit['figures'][name]} for the best baseline ({fit['labels'][name]})."
        for number, fit in enumerate(fits, 1)
        if (name := fit["best_baseline"])
    )


def chart_of(fit: Json) -> dict:
    """Bars of the network and its baselines."""
    names = [name for name, value in fit["baselines"].items() if value is not None]
    values = np.array([fit["baselines"][name] for name in names], float)
    low, high = np.array([interval(fit, name) for name in names], float).reshape(-1, 2).T
    return view(
        [
            bars("network", "model", ["network"], np.array([fit["network"]], float)),
            bars(
                "baselines",
                "baseline",
                [fit["names"][name] for name in names],
                values,
                error_y={
                    "type": "data",
                    "symmetric": False,
                    "array": np.maximum(np.nan_to_num(high - values), 0.0).tolist(),
                    "arrayminus": np.maximum(np.nan_to_num(values - low), 0.0).tolist(),
                },
            ),
        ],
        "",
        f"{fit['metric_label']}, {fit['part']}",
        xaxis={"type": "category"},
        yaxis={"rangemode": "tozero"},
        hovermode="closest",
    )


def interval(fit: Json, name: str) -> tuple[float, float]:
    """A baseline's score at both ends of the interval of its difference from the network; NaN if unknown.

    Example:
        >>> fit = {"metric": "mae", "network": 2.0, "improvements": {"ridge": {"interval": [10, 20]}}}
        >>> interval(fit, "ridge")
        (1.6, 1.8)
    """
    gain = fit["improvements"].get(name)
    if not gain or not gain["interval"]:
        return float("nan"), float("nan")
    left = [1 - percent / 100 for percent in gain["interval"]]
    network = fit["network"]
    if fit["metric"] == "accuracy":
        ends = [1 - (1 - network) * share for share in left]
    elif fit["metric"] == "rmse":  # percent is of squares
        ends = [network * max(share, 0.0) ** 0.5 for share in left]
    else:
        ends = [network * share for share in left]
    return min(ends), max(ends)


def table_of(number: int, fit: Json) -> Text | Table:
    """A fit's network and baselines; or why it has none."""
    title = f"fit #{number}: {fit['model']}" + (f", {fit['where']}" if fit["where"] else "")
    if fit["declined"]:
        return Text(f"{title}. No baselines: {fit['declined']}.")
    labels, figures, gains = fit["labels"], fit["figures"], fit["improvements"]
    rows = [["your network", figures["network"], ""]]
    rows += [[labels[name], figures[name], gains.get(name, {}).get("text", "")] for name in fit["baselines"]]
    rows += [[fit["names"][name], "left out", why] for name, why in fit["skipped"].items()]
    best, strong = fit["best_baseline"], None
    if best and fit["network"] is not None:
        strong = 1 + list(fit["baselines"]).index(best) if best in fit["better_baselines"] else 0
    return Table(
        f"{title}; on {fit['rows']:,} {fit['part']} rows" + (f"; {fit['units']}" if fit["units"] else ""),
        ["", fit["metric_label"], "compared with the network"],
        rows,
        strong=strong,
        texts=(0, 2),
    )


def finding(found: Json, several: bool) -> list[Heading | Text | Code | Facts]:
    """A finding with the lines of the script, the evidence and what to do; its fits if there are several."""
    fits = f", {numbered('fit', found['fits'])}" if several else ""
    likely = "" if found["certain"] else " (likely)"
    blocks: list[Heading | Text | Code | Facts] = [
        Heading(f"{found['name'].replace('_', ' ')}{likely}{fits}", found["level"]),
        Text(f"{found['text'][:1].upper()}{found['text'][1:]}."),
    ]
    quoted = [f"{line}  {code}" for line, code in zip(found["lines"], found["code"], strict=True) if code]
    if quoted:
        blocks.append(Code("\n".join(dict.fromkeys(quoted))))
    numbers = [evidence["fit"] for evidence in found["evidence"]]
    values = [{key: value for key, value in each.items() if key != "fit"} for each in found["evidence"]]
    if all(value == values[0] for value in values):
        facts = [f"{key.replace('_', ' ')}: {in_words(value)}" for key, value in values[0].items()]
    else:
        facts = [f"fit #{fit}: {in_words(value)}" for fit, value in zip(numbers, values, strict=True)]
    if facts:
        blocks.append(Facts(facts))
    blocks.append(Text(f"Fix: {found['fix']}"))
    return blocks


def in_words(value: Any) -> str:
    """Evidence in words.

    Example:
        >>> in_words([{"test": 3, "train": 17}, {"test": 4, "train": 18}]), in_words(0.123456), in_words([])
        ('test 3, train 17; test 4, train 18', '0.123', 'none')
    """
    if isinstance(value, Mapping):
        items = (f"{str(key).replace('_', ' ')} {in_words(item)}" for key, item in value.items())
        return ", ".join(items) or "none"
    if isinstance(value, list):
        between = "; " if any(isinstance(item, Mapping) for item in value) else ", "
        return between.join(map(in_words, value)) or "none"
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: "unknown"}[value]
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def speed(fits: Sequence[Json]) -> Table:
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
        "A training step on Keras's own path and on fused kernels, measured after the script had ended",
        ["", "Keras", "accelerated", "faster", "measured by"],
        rows,
        texts=(0, 4),
    )
