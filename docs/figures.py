"""The documentation's figures, drawn from the package itself at each build, in the style of its plots.

python docs/figures.py site/figures     # to look at them
python docs/figures.py docs/assets      # those of README, after the figures that they show have changed
python docs/figures.py keep RUN         # the forecasts of README, out of a run of `sunhwan forecast`
"""

from __future__ import annotations

import csv
import io
import re
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
from matplotlib.patches import FancyArrowPatch, Rectangle

from sunhwan.evaluation.significance import improvement
from sunhwan.reference import CELLS, backward, forward
from sunhwan.report import style
from sunhwan.report.style import (
    ACTUAL,
    BASELINE,
    BLUE,
    CHANCE,
    FAINT,
    GREEN,
    INK,
    NETWORK,
    ORANGE,
    QUIET,
    SEQUENCE,
    SKY,
)

DOCS = Path(__file__).parent


def unrolled() -> style.Picture:
    """The loop, and the same loop laid out over time."""
    figure, (axes,) = style.page(2.1)
    canvas(axes, 15, 4)
    box(axes, 0.6, 1.4, "cell", BLUE)
    arrow(axes, (1.3, 0.3), (1.3, 1.4))
    arrow(axes, (1.3, 2.6), (1.3, 3.5))
    arrow(axes, (2.0, 2.3), (2.0, 1.7), bend=-1.6)
    axes.text(1.3, 0, "x", ha="center", va="center", color=INK)
    axes.text(1.3, 3.8, "h", ha="center", va="center", color=INK)
    axes.text(3.9, 2.0, "=", ha="center", va="center", size=style.TITLE, color=INK)
    for step, x in enumerate((5.6, 8.6, 11.6)):
        box(axes, x, 1.4, "cell", BLUE)
        arrow(axes, (x - 1.6 if step else x - 1.0, 2.0), (x, 2.0))
        arrow(axes, (x + 0.7, 0.3), (x + 0.7, 1.4))
        arrow(axes, (x + 0.7, 2.6), (x + 0.7, 3.5))
        axes.text(x + 0.7, 0, f"x{step + 1}", ha="center", va="center", color=INK)
        axes.text(x + 0.7, 3.8, f"h{step + 1}", ha="center", va="center", color=INK)
    arrow(axes, (13.0, 2.0), (14.4, 2.0))
    axes.text(4.4, 2.45, "h0", ha="center", va="center", color=INK)
    return style.finish(
        figure,
        "A recurrent layer is a loop, and one set of weights serves every step",
        "Left: the loop. Right: the same loop laid out over three timesteps.",
        "A cell that feeds its output back, and the same cell three times in a row",
    )


def saturation() -> style.Picture:
    """What the first loop puts out, with its own weights and with Keras's."""
    rng = np.random.default_rng(0)
    inputs = rng.random((1, 100, 32))
    positive = [rng.random((32, 64)), rng.random((64, 64)), rng.random(64)]
    figure, panels = style.page(1.9, 2, 2, sharey=True)
    drawn = (("weights between 0 and 1", positive), ("weights around 0, as Keras draws them", initial(32)))
    for axes, (name, weights) in zip(panels, drawn, strict=True):
        output = forward("simple_rnn", inputs, weights, return_sequences=True).output[0]
        for unit in range(12):
            axes.plot(output[:30, unit], color=BLUE, alpha=0.6, linewidth=1)
        axes.set_title(name)
        axes.set_ylim(-1.08, 1.08)
    return style.finish(
        figure,
        "With only positive weights, every unit is stuck at 1",
        "Output of 12 of 64 units of a SimpleRNN over its first 30 timesteps; inputs between 0 and 1.",
        "Left, all lines are at 1 from the first step; right, they move between -1 and 1",
        x_label="timestep",
        y_label="output",
    )


def vanishing() -> style.Picture:
    """How much the last output depends on an input so many steps before it."""
    figure, panels = style.page(2.4, 2, 2, sharey=True)
    marks = dict(zip(CELLS, SEQUENCE, strict=False))
    for axes, name, keep in zip(
        panels, ("weights as Keras draws them", "gates that keep"), (0, 4), strict=True
    ):
        axes.set_title(name)
        for cell, mark in marks.items():
            axes.plot(reach(cell, keep), color=mark.color, linestyle=mark.line)
        style.logarithmic(axes.yaxis)
    return style.finish(
        figure,
        "Gates reach far back once they have learnt to remember",
        "Size of the gradient of the last output with respect to an input, against how many steps before it "
        "that input came; mean of 32 sequences, 64 units. Right: 4 added to the bias of the forget gate "
        "(LSTM) and of the update gate (GRU).",
        "Three falling lines on a logarithmic scale, one per cell",
        handles=[mark.legend(cell) for cell, mark in marks.items()],
        x_label="timesteps back",
        y_label="gradient",
    )


def reach(cell: str, keep: float, steps: int = 100, features: int = 8, units: int = 64) -> np.ndarray:
    """(steps,) the mean size of the gradient of an input, the latest input first."""
    rng = np.random.default_rng(0)
    weights = initial(features, units, cell)
    gate = {"gru": "z", "lstm": "f"}.get(cell)
    if gate:
        first = CELLS[cell].gates.index(gate) * units
        weights[2].reshape(-1, weights[2].shape[-1])[0, first : first + units] += keep
    run = forward(cell, rng.normal(size=(32, steps, features)), weights)
    gradients = backward(run, output_gradient=rng.normal(size=run.output.shape))
    return np.linalg.norm(gradients.inputs, axis=2).mean(axis=0)[::-1]


def initial(features: int, units: int = 64, cell: str = "simple_rnn") -> list[np.ndarray]:
    """Weights as Keras draws them: Glorot's uniform, orthogonal, zeros, and ones for the forget gate."""
    rng = np.random.default_rng(1)
    kernel, recurrent, bias = CELLS[cell].weight_shapes(features, units)
    bound = np.sqrt(6 / sum(kernel))
    orthogonal = np.linalg.qr(rng.normal(size=recurrent[::-1]))[0].T
    drawn = [rng.uniform(-bound, bound, kernel), orthogonal, np.zeros(bias)]
    if cell == "lstm":
        drawn[2][units : 2 * units] = 1
    return drawn


def windows() -> style.Picture:
    """Where a window may lie, and where its target."""
    figure, (axes,) = style.page(1.6)
    canvas(axes, 30, 4.1)
    parts = (("training", 0, 18, SKY), ("validation", 18, 24, ORANGE), ("test", 24, 30, GREEN))
    for name, start, end, color in parts:
        axes.add_patch(
            Rectangle((start, 3.1), end - start, 0.9, facecolor=color, alpha=0.35, edgecolor=QUIET)
        )
        axes.text((start + end) / 2, 3.55, name, ha="center", va="center", color=INK)
    for row, start in enumerate((1, 9.5, 18.2, 24.2)):
        y = 2.2 - 0.7 * (row % 2)
        axes.add_patch(Rectangle((start, y), 3.2, 0.35, facecolor=BLUE))
        axes.plot([start + 3.2, start + 4.9], [y + 0.17] * 2, color=QUIET, linestyle=":")
        axes.plot([start + 5], [y + 0.17], "D", color=BASELINE.color)
    axes.text(15, 0.35, "time", ha="center", va="center", color=INK)
    arrow(axes, (0, 0.8), (30, 0.8))
    return style.finish(
        figure,
        "A window and its target are within one part",
        "Bars: what a forecast reads (the lookback). Dotted: the horizon. Diamonds: what is to be forecast. "
        "A window that would cross an edge belongs to no part.",
        "A line of time cut into training, validation and test, with windows inside each",
    )


def newyork() -> style.Picture:
    """The recorded run of the tutorial's networks, each seed a point."""
    rows = recorded("## The tutorial's networks on New York's weather")
    figure, (axes,) = style.page(0.33 * len(rows) + 0.4)
    for place, (name, cells) in enumerate(reversed(rows.items())):
        found = [float(number) for number in re.findall(r"\d+\.\d+", cells[1])]
        mark = BASELINE if "baseline" in name else NETWORK
        axes.plot(found, [place] * len(found), linestyle="none", marker=mark.marker, color=mark.color)
    axes.set_yticks(range(len(rows)), [name.replace(" (baseline)", "") for name in reversed(rows)])
    ridge = float(re.search(r"\d+\.\d+", rows["ridge (baseline)"][1])[0])
    axes.axvline(ridge, color=BASELINE.color, linestyle="--", linewidth=1)
    return style.finish(
        figure,
        "More layers and directions did not forecast better than a straight line",
        "Mean absolute error on the test part, °C; a point per seed. The line is ridge's.",
        "Points of test errors, one row per model",
        handles=[
            NETWORK.legend("network", marker=True, linestyle="none"),
            BASELINE.legend("baseline", marker=True, linestyle="none"),
        ],
        x_label="mean absolute error on the test part, °C",
    )


def recorded(heading: str) -> dict[str, list[str]]:
    """The table below a heading of results.md: by the first column, the other cells."""
    text = (DOCS / "results.md").read_text(encoding="utf-8").split(heading)[1].split("\n## ")[0]
    lines = [line.strip("|").split("|") for line in text.splitlines() if line.startswith("|")][2:]
    return {cells[0].strip().strip("`"): [cell.strip() for cell in cells[1:]] for cells in lines}


def tiles() -> style.Picture:
    """The order in which a batch is computed."""
    figure, panels = style.page(2.0, 2, 2)
    for axes, name, by_tile in zip(panels, ("step by step", "tile by tile"), (False, True), strict=True):
        canvas(axes, 12, 8)
        axes.set_title(name)
        for row in range(8):
            for step in range(12):
                place = (row // 2 * 12 + step) if by_tile else step * 4 + row // 2
                axes.add_patch(
                    Rectangle(
                        (step + 0.06, 7 - row), 0.88, 0.8, facecolor=BLUE, alpha=0.12 + 0.8 * place / 47
                    )
                )
    return style.finish(
        figure,
        "A tile of rows runs through the whole sequence before the next begins",
        "Rows of the batch from top to bottom, timesteps from left to right; the darker, the later computed.",
        "Two grids; left, shading runs from left to right; right, from top to bottom by pairs of rows",
        x_label="timestep",
    )


def lanes() -> style.Picture:
    """What lies in the lanes of a vector."""
    figure, panels = style.page(1.5, 2, 2)
    held = (
        ("GRU(20): units across the lanes", (16, 4)),
        ("GRU(20): rows across the lanes", (16, 16)),
    )
    for axes, (name, used) in zip(panels, held, strict=True):
        canvas(axes, 16, 3)
        axes.set_title(name)
        for vector, full in enumerate(used):
            for lane in range(16):
                color, alpha = (BLUE, 0.85) if lane < full else (FAINT, 1)
                axes.add_patch(
                    Rectangle((lane + 0.05, 1.7 - 1.3 * vector), 0.9, 1, facecolor=color, alpha=alpha)
                )
    return style.finish(
        figure,
        "Vectors of 16 lanes: empty lanes are wasted",
        "20 units fill one vector and a quarter of the next. With a row of the batch in each lane none is "
        "empty, however many units there are.",
        "Two vectors of 16 boxes each; left, 12 boxes of the second are empty; right, none",
    )


def speed() -> style.Picture:
    """The recorded times of a training step, stock and accelerated."""
    rows = {name: cells for name, cells in recorded("## Acceleration").items() if len(cells) == 6}
    told = {name: [float(n) for n in re.findall(r"[\d.]+(?=x)", cells[5])] for name, cells in rows.items()}
    figure, (axes,) = style.page(0.3 * len(told) + 0.3)
    for place, (ratio, bound) in enumerate(reversed(told.values())):
        axes.plot([bound, ratio], [place] * 2, color=NETWORK.color)
        axes.plot([ratio], [place], NETWORK.marker, color=NETWORK.color)
        axes.text(ratio + 0.15, place, f"{ratio:g}x", va="center", color=INK)
    axes.set_yticks(range(len(told)), reversed(told))
    axes.set_xlim(0, max(ratio for ratio, _ in told.values()) + 0.8)
    axes.axvline(1, color=CHANCE.color, linestyle=CHANCE.line)
    ratios = [ratio for ratio, _ in told.values()]
    return style.finish(
        figure,
        f"Accelerated, a training step is {min(ratios):g} to {max(ratios):g} times faster",
        "How many times faster than stock Keras on JAX, two cores of Zen 4, November 2026; the line reaches "
        "down to the 95% bound. Dotted: as fast as before.",
        "Times faster than stock Keras: "
        + "; ".join(f"{name}: {ratio:g}" for name, (ratio, _) in told.items()),
        x_label="times faster",
    )


def audited() -> style.Picture:
    """What the audit in README says, as it stands there."""
    readme = (DOCS.parent / "README.md").read_text(encoding="utf-8")
    found = re.findall(
        r"^ +(\w[\w ,]*?) +MSE ([\d.e-]+)(?: +<-.*interval (\d+) to (\d+))?", readme, re.MULTILINE
    )
    figure, (axes,) = style.page(0.3 * len(found) + 0.2)
    for place, (name, error, *_) in enumerate(reversed(found)):
        mark = NETWORK if name.startswith("your network") else BASELINE
        axes.plot([float(error)], [place], mark.marker, color=mark.color)
        axes.text(float(error) * 1.08, place, error, va="center", color=INK)
    axes.set_yticks(range(len(found)), [name for name, *_ in reversed(found)])
    axes.set_ylim(-0.5, len(found) - 0.5)
    style.logarithmic(axes.xaxis)
    errors = [float(error) for _, error, *_ in found]
    axes.set_xlim(min(errors) / 1.5, max(errors) * 2)
    return style.finish(
        figure,
        f"Repeating the last price is {errors[0] / errors[1]:.0f} times better than the network",
        "Mean squared error on the same test windows, logarithmic; made-up prices, a script in the manner of "
        "many tutorials. Left is better.",
        "Mean squared error: " + "; ".join(f"{name}: {error}" for name, error, *_ in found),
        handles=[
            NETWORK.legend("network", marker=True, linestyle="none"),
            BASELINE.legend("baseline", marker=True, linestyle="none"),
        ],
        x_label="mean squared error",
    )


def forecast() -> style.Picture:
    """Ten days of a run of `sunhwan forecast`, which `keep` wrote down."""
    with open(DOCS / "assets" / "laguardia.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    time = np.array([row["time"] for row in rows], "datetime64[s]")
    truth, model, lower, upper, ridge = (
        np.array([float(row[name] or "nan") for row in rows])
        for name in ("truth", "model", "lower", "upper", "ridge")
    )
    figure, (axes,) = style.page(2.4)
    for start in range(0, len(rows), 24):
        day = slice(start, start + 24)
        axes.fill_between(time[day], lower[day], upper[day], color=SKY, alpha=0.4, linewidth=0)
        axes.plot(time[day], ridge[day], color=BASELINE.color, linestyle=BASELINE.line, linewidth=1.2)
        axes.plot(time[day], model[day], color=NETWORK.color)
    axes.plot(time, truth, color=ACTUAL.color)
    axes.set_xlim(time[0], time[-1])
    style.dates(axes.xaxis)
    covered = np.nanmean(np.where(np.isnan(truth), np.nan, (truth >= lower) & (truth <= upper)))
    error, line = (np.nanmean(np.abs(said - truth)) for said in (model, ridge))
    return style.finish(
        figure,
        "Ten days at La Guardia, forecast a day at a time",
        "Hourly temperature in °C, from the weather included in Sunhwan; the band should cover 80%, and "
        f"covers {covered:.0%} here. The most typical ten days of the test part.",
        f"Actual and forecast temperature over ten days: mean absolute error of the model {error:.2f} °C, of "
        f"ridge {line:.2f} °C; {covered:.0%} of the hours are in the band",
        handles=[
            ACTUAL.legend("actual"),
            NETWORK.legend("model"),
            Rectangle((0, 0), 1, 1, facecolor=SKY, alpha=0.4, label="80% interval"),
            BASELINE.legend("ridge"),
        ],
        y_label="temperature, °C",
    )


def keep(run: Path) -> None:
    """Write down, of a run of `sunhwan forecast`, what `forecast` draws: the most typical ten days."""
    found = np.load(run / "predictions.npz")
    days = [slice(start, start + 240, 24) for start in range(0, len(found["origin"]) - 239, 24)]
    error = np.abs(found["model"][:, :, 0, 0] - found["truth"][:, :, 0])
    whole = [day for day in days if np.ptp(found["origin"][day]) == np.timedelta64(9, "D")]
    chosen = min(whole, key=lambda day: abs(np.nanmean(error[day]) - np.nanmean(error)))
    steps = np.arange(1, error.shape[1] + 1) * np.timedelta64(3600, "s")
    told = [
        found["truth"][..., 0],
        *np.moveaxis(found["model"][:, :, 0], 2, 0),
        found["baseline:ridge"][..., 0],
    ]
    lines = ["time,truth,model,lower,upper,ridge"]
    for time, *numbers in zip(
        (found["origin"][chosen].astype("datetime64[s]")[:, None] + steps).ravel(),
        *(each[chosen].ravel() for each in told),
        strict=True,
    ):
        lines.append(
            ",".join([str(time), *("" if np.isnan(number) else f"{number:.2f}" for number in numbers)])
        )
    (DOCS / "assets" / "laguardia.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")


def reviews() -> style.Picture:
    """The recorded run of `sunhwan classify` on film reviews."""
    rows = recorded("## Classify: film reviews by the defaults")
    # The table of what was tried, below it, has three digits.
    rows = {name: cells[0].strip("*") for name, cells in rows.items()}
    rows = {name: float(told) for name, told in rows.items() if re.fullmatch(r"0\.\d{4}", told)}
    names = [name.split(":")[0].split(",")[0] for name in rows]
    figure, (axes,) = style.page(0.3 * len(rows) + 0.2)
    for place, (name, accuracy) in enumerate(zip(reversed(names), reversed(rows.values()), strict=True)):
        mark = NETWORK if name in ("the model", "networks alone") else BASELINE
        axes.plot([accuracy * 100], [place], mark.marker, color=mark.color)
        axes.text(accuracy * 100 + 0.06, place, f"{accuracy:.1%}", va="center", color=INK)
    axes.set_yticks(range(len(rows)), reversed(names))
    axes.set_ylim(-0.5, len(rows) - 0.5)
    axes.set_xlim(min(rows.values()) * 100 - 0.3, max(rows.values()) * 100 + 0.5)
    return style.finish(
        figure,
        "Networks alone lose to word counts; together they are best",
        "Accuracy on IMDB's 25,000 test reviews in %; defaults, November 2026.",
        "Accuracy: " + "; ".join(f"{name}: {rows[full]:.1%}" for name, full in zip(names, rows, strict=True)),
        handles=[
            NETWORK.legend("with networks", marker=True, linestyle="none"),
            BASELINE.legend("counted words alone", marker=True, linestyle="none"),
        ],
        x_label="accuracy on the test part, %",
    )


def peak() -> style.Picture:
    """The recorded shares of the processor's peak that the kernels reach."""
    found = {name: cells for name, cells in recorded("## Acceleration").items() if "thread" in name}
    layers = ("GRU(32)", "LSTM(32)", "GRU(128)", "LSTM(128)")
    shares = {name: [int(cell.partition("%")[0]) for cell in cells] for name, cells in found.items()}
    figure, (axes,) = style.page(1.7)
    for mark, told in zip(SEQUENCE, shares.values(), strict=False):
        axes.plot(told, range(len(layers)), mark.marker, color=mark.color)
    axes.set_yticks(range(len(layers)), layers)
    axes.set_ylim(len(layers) - 0.5, -0.5)
    axes.set_xlim(0, 100)
    return style.finish(
        figure,
        "More units come closer to the peak of the processor",
        "Forward + backward with the gradient of the inputs, as a share of the peak of fused multiply-adds, "
        "in %; November 2026.",
        "Shares of the peak in %, in the order of "
        + ", ".join(layers)
        + ": "
        + "; ".join(f"{name}: {', '.join(map(str, told))}" for name, told in shares.items()),
        handles=[
            mark.legend(name, marker=True, linestyle="none")
            for mark, name in zip(SEQUENCE, shares, strict=False)
        ],
        x_label="share of the peak, %",
    )


def blocks() -> style.Picture:
    """One difference of two forecasts, and how sure it is: hours drawn one by one, and in blocks."""
    rng = np.random.default_rng(0)
    ours, rival = np.empty(4000), np.empty(4000)
    # Errors that last for a day or so, and a forecast that is hardly better.
    last, both = 0.0, 0.0
    for hour in range(len(ours)):
        last = 0.97 * last + rng.normal(0, 0.24)
        both = 0.97 * both + rng.normal(0, 0.24)
        ours[hour], rival[hour] = abs(both), abs(both + 0.25 * last)
    # In a shuffled order no hour is like the one before it, and blocks are of one.
    order = rng.permutation(len(ours))
    found = {
        "hours, one by one": improvement(ours[order], rival[order]),
        "blocks of hours": improvement(ours, rival),
    }
    ends = {name: gain.interval for name, gain in found.items()}
    figure, (axes,) = style.page(1.0)
    for place, (name, gain) in enumerate(reversed(found.items())):
        mark = NETWORK if name.startswith("blocks") else BASELINE
        axes.plot(gain.interval, [place] * 2, color=mark.color, linewidth=2)
        axes.plot([gain.percent], [place], mark.marker, color=mark.color)
    axes.axvline(0, color=CHANCE.color, linestyle=CHANCE.line)
    axes.set_yticks(range(2), reversed(found))
    axes.set_ylim(-0.6, 1.6)
    return style.finish(
        figure,
        "Hours in a row are not independent evidence",
        "How much lower the error of one of two forecasts is, in %, with its 95% interval; made-up errors "
        "over 4,000 hours that last for about a day.",
        "Intervals: " + "; ".join(f"{name} {low:.1f} to {high:.1f}%" for name, (low, high) in ends.items()),
        x_label="lower error, %",
    )


def canvas(axes, width: float, height: float) -> None:
    """No axis: a sheet to draw boxes on."""
    axes.set_axis_off()
    axes.set_xlim(-0.2, width + 0.2)
    axes.set_ylim(-0.2, height)


def box(axes, x: float, y: float, name: str, color: str) -> None:
    axes.add_patch(Rectangle((x, y), 1.4, 1.2, facecolor=color, edgecolor=INK, alpha=0.85))
    axes.text(x + 0.7, y + 0.6, name, ha="center", va="center", color="white", weight="bold")


def arrow(axes, start, end, bend: float = 0) -> None:
    curve = f"arc3,rad={bend}"
    axes.add_patch(
        FancyArrowPatch(start, end, arrowstyle="-|>", mutation_scale=10, color=INK, connectionstyle=curve)
    )


FIGURES = (unrolled, saturation, vanishing, windows, newyork, tiles, lanes, peak, blocks)
README = (speed, audited, forecast, reviews)
"""The pictures of README, which are kept in docs/assets: a repository's page draws none."""


def draw(figures: Iterable[Callable[[], style.Picture]] = FIGURES) -> dict[str, bytes]:
    """Each figure by its name, as SVG; what it shows in words is its description."""
    drawn = {}
    with style.applied():
        for figure in figures:
            file, picture = io.BytesIO(), figure()
            facts = {"Date": None, "Title": figure.__name__, "Description": picture.alt}
            picture.figure.savefig(file, format="svg", metadata=facts)
            drawn[figure.__name__] = file.getvalue()
    return drawn


if __name__ == "__main__":
    if sys.argv[1] == "keep":
        keep(Path(sys.argv[2]))
    else:
        folder = Path(sys.argv[1])
        folder.mkdir(parents=True, exist_ok=True)
        for name, picture in draw(README if folder.resolve() == DOCS / "assets" else FIGURES).items():
            (folder / f"{name}.svg").write_bytes(picture)
