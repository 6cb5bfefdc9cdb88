"""Plots of what `sunhwan bench` measured: how many times faster models are, and how kernels' time grows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sunhwan.report import style
from sunhwan.report.style import BASELINE, CHANCE, NETWORK, SEQUENCE, Picture

__all__ = ["draw", "faster", "growth", "share"]

COMPARED = ("workloads", "random", "breadth")
GROWS = {
    "growth_timesteps": "timesteps",
    "growth_batch": "batch",
    "growth_units": "units",
    "growth_threads": "threads",
}


def draw(result: dict[str, Any], folder: Path) -> list[Path]:
    """Draw every picture that a bench's figures allow into a folder, as PNG and SVG.

    Args:
        result: what `sunhwan bench --json` printed.

    Returns:
        The PNGs' paths.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with style.applied():
        pictures = {
            name: plot(result) for name, plot in (("faster", faster), ("share", share), ("growth", growth))
        }
        return [style.save(picture.figure, folder, name) for name, picture in pictures.items() if picture]


def faster(result: dict[str, Any]) -> Picture | None:
    """How many times faster each model's training step and prediction are, accelerated."""
    rows = [row for section in COMPARED for row in result.get(section, [])]
    if not rows:
        return None
    names = list(dict.fromkeys(row["case"] for row in rows))
    figure, (axes,) = style.page(0.8 + 0.3 * len(names))
    marks = {"fit step": NETWORK, "predict batch": BASELINE}
    for row in rows:
        mark, place = marks[row["what"]], names.index(row["case"])
        shift = -0.12 if row["what"] == "fit step" else 0.12
        face = mark.color if row["what"] == "fit step" else "white"
        axes.plot([row["ratio_low"], row["ratio"]], [place + shift] * 2, color=mark.color, linewidth=2)
        axes.plot(
            [row["ratio"]], [place + shift], marker=mark.marker, color=mark.color, mfc=face, markersize=7
        )
    style.logarithmic(axes.xaxis)
    axes.axvline(1, color=CHANCE.color, linestyle=CHANCE.line)
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.set_xticks(
        [n for n in (0.5, 1, 2, 5, 10, 20, 50, 100) if n <= 2 * max(row["ratio"] for row in rows)]
    )
    fits = sorted(row["ratio"] for row in rows if row["what"] == "fit step")
    return style.finish(
        figure,
        f"Accelerated, a training step is {fits[0]:.1f} to {fits[-1]:.1f} times faster",
        f"How many times faster than stock Keras on {result['backend']}: median over {result['pairs']} pairs "
        "of samples; the line reaches down to the 95% confidence bound.",
        "Times faster than stock Keras: "
        + ", ".join(f"{row['case']} {row['what']} {row['ratio']:.1f}" for row in rows)
        + ".",
        handles=[
            NETWORK.legend("training step (fit)", marker=True, linestyle="none", markersize=7),
            BASELINE.legend("prediction", marker=True, linestyle="none", mfc="white", markersize=7),
        ],
        x_label="times faster",
        note=f"{result['threads']} threads, {result['isa']}.",
    )


def share(result: dict[str, Any]) -> Picture | None:
    """What share of the processor's peak the kernels reach, forward and backward."""
    rows = result.get("kernels", [])
    if not rows:
        return None
    names = list(dict.fromkeys(row["case"] for row in rows))
    lines = list(dict.fromkeys((row["isa"], row["threads"], row["masks"]) for row in rows))
    lines = [line for line in lines if line[0] == result["isa"] or not line[2]]
    figure, (axes,) = style.page(0.8 + 0.34 * len(names))
    handles = []
    for (isa, threads, masks), mark in zip(lines, SEQUENCE, strict=False):
        chosen = {
            r["case"]: r["share"]
            for r in rows
            if (r["isa"], r["threads"], r["masks"]) == (isa, threads, masks)
        }
        axes.plot(
            [chosen.get(name) for name in names],
            range(len(names)),
            color=mark.color,
            marker=mark.marker,
            linestyle="none",
        )
        label = f"{isa}, {threads} thread{'s' * (threads > 1)}{', dropout masks' * masks}"
        handles.append(mark.legend(label, marker=True, linestyle="none"))
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.set_xlim(0, 1)
    best = max(rows, key=lambda row: row["share"])
    return style.finish(
        figure,
        f"The kernels reach up to {best['share']:.0%} of the processor's arithmetic",
        "Forward + backward with the gradient of the inputs, as a share of the peak of fused multiply-adds, "
        "which was measured between the runs.",
        "Share of the peak: "
        + ", ".join(f"{r['case']} {r['share']:.0%}" for r in rows if not r["masks"])
        + ".",
        handles=handles,
        x_label="share of the peak",
    )


def growth(result: dict[str, Any]) -> Picture | None:
    """How the kernels' time grows with each size by itself, and falls with threads."""
    sections = [section for section in GROWS if result.get(section)]
    if not sections:
        return None
    figure, panels = style.page(2.3, len(sections), columns=2)
    for axes, section in zip(panels, sections, strict=True):
        size = GROWS[section]
        rows = result[section]
        sizes = [row["threads"] if size == "threads" else _size(row["case"], size) for row in rows]
        axes.plot(sizes, [row["forward_backward"]["median"] * 1e3 for row in rows], **NETWORK.look)
        if size == "threads":
            axes.set_xticks(sizes)
            axes.set_ylim(bottom=0)
        else:
            style.logarithmic(axes.yaxis)
            style.logarithmic(axes.xaxis)
        axes.set_title(f"{size} {sizes[0]} to {sizes[-1]}")
    return style.finish(
        figure,
        "How the time of a recurrence grows",
        "Milliseconds of forward + backward: a GRU(32) on 32 sequences of 120 steps in which one size grows; "
        "over threads, on 128 sequences of 240.",
        "Time of forward and backward over " + ", ".join(GROWS[section] for section in sections) + ".",
        y_label="milliseconds",
    )


def _size(case: str, size: str) -> int:
    """A size out of a case's name, as 32 out of gru_h32_b1_t5."""
    letter = {"timesteps": "t", "batch": "b", "units": "h"}[size]
    return next(int(part[1:]) for part in case.split("_") if part[0] == letter and part[1:].isdigit())
