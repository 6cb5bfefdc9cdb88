"""Parts that the pages of several kinds of runs share."""

from __future__ import annotations

import shlex
from collections.abc import Mapping

import numpy as np

from sunhwan.report.page.charts import DASHES, line, view
from sunhwan.report.page.page import SERIES, Chart, Code, Table, Text
from sunhwan.report.words import capital, count, lasting, printer
from sunhwan.rundir import Run


def about(run: Run) -> list[str]:
    """Which file, how long, when."""
    return [
        " and ".join(run.record["data"]),
        f"trained in {lasting(run.record['seconds'])}, {run.record['started'][:10]}",
    ]


def histories(run: Run) -> dict[str, Mapping[str, np.ndarray]]:
    """`epoch`, `loss` and `val_loss` of each network of a forecast or classifier, (epochs,), by its name."""
    networks: dict[str, list[dict[str, str]]] = {}
    for row in run.history:
        # The networks of forecasts read windows in two ways; the first of each way are compared.
        way = {"True": ", relative", "False": ", absolute"}.get(row.get("relative"), "")
        networks.setdefault(f"network {int(row['network']) + 1}{way}", []).append(row)
    # A network that was trained on all examples has no validation loss.
    return {
        name: {
            key: np.array([float(row.get(key) or "nan") for row in rows])
            for key in ("epoch", "loss", "val_loss")
        }
        for name, rows in networks.items()
    }


def curves_view(
    networks: Mapping[str, Mapping[str, np.ndarray]], label: str, measure: str = "loss", **layout
) -> dict:
    """Lines of each network on the validation part, and dotted in training, epoch by epoch.

    Args:
        networks: (epochs,) of `epoch`, and of the measure on both parts, by name.
        label: what is measured, as an axis label.
        measure: `loss` or `accuracy`.
        layout: for `charts.view`.
    """
    data = []
    for number, (name, columns) in enumerate(networks.items()):
        # A single epoch makes no line.
        look = {"mode": "lines" if len(columns["epoch"]) > 1 else "markers"}
        color = SERIES[number % len(SERIES)]
        data.append(line(f"{name}, training", color, columns["epoch"], columns[measure], "dot", **look))
        validation = columns[f"val_{measure}"]
        if np.isfinite(validation).any():
            dash = DASHES[number % 2]
            data.append(line(f"{name}, validation", color, columns["epoch"], validation, dash, **look))
    longest = max(len(columns["epoch"]) for columns in networks.values())
    return view(data, "epoch", label, xaxis={"dtick": max(1, round(longest / 10))}, **layout)


def curves(networks: Mapping[str, Mapping[str, np.ndarray]], label: str) -> Chart | Text:
    """The loss of each network, epoch by epoch.

    Args:
        networks: see `curves_view`.
        label: what the loss is, as an axis label.
    """
    if not networks:
        return Text("No network was trained.")
    rows, sentences = [], []
    for name, columns in networks.items():
        epoch, training, validation = columns["epoch"], columns["loss"], columns["val_loss"]
        if np.isfinite(validation).any():
            best = int(np.nanargmin(validation))
            after = count(int(epoch[best]), "epoch")
            sentences.append(f"{name}: lowest validation loss {validation[best]:.4g} after {after}")
        else:
            after = count(len(epoch), "epoch")
            sentences.append(f"{name}: training loss {training[-1]:.4g} after {after}")
        show = printer([*training, *validation])
        rows += [
            [f"{at:g}", name, show(a), show(b) if np.isfinite(b) else ""]
            for at, a, b in zip(epoch, training, validation, strict=True)
        ]
    return Chart(
        f"{capital(label)} by epoch",
        "; ".join(sentences) + ".",
        {"all": curves_view(networks, label)},
        Table(label, ["epoch", "network", "training", "validation"], rows, texts=(0, 1)),
    )


def reproduce(run: Run) -> list[Text | Code | Table]:
    """How to make the run again, and which versions, data and options it was made with."""
    known = run.record
    blocks: list[Text | Code | Table] = []
    if known["command"]:
        blocks += [Text("This command made the run:"), Code(shlex.join(known["command"]))]
    folder = shlex.quote(str(run.folder))
    if run.kind == "study":
        blocks += [
            Text("To run the same study again, on its data:"),
            Code(f"sunhwan study run {shlex.quote(str(run.path('study')))}"),
        ]
    else:
        blocks += [Text("To predict for new rows:"), Code(f"sunhwan predict {folder} FILE")]
    options = ", ".join(f"{k} {v}" for k, v in known["options"].items() if v not in (None, [], ""))
    blocks.append(
        Table(
            "Data, versions and machine",
            ["", ""],
            [
                *([f"SHA-256 of {name}", digest] for name, digest in known["data"].items()),
                *([name, version] for name, version in known["versions"].items()),
                *([name, str(value)] for name, value in known["machine"].items()),
                *([["options", options]] if options else []),
            ],
            texts=(0, 1),
        )
    )
    return blocks
