"""The run directory of a task as the report reads it, and what the pages of all tasks say of a run."""

from __future__ import annotations

import contextlib
import csv
import hashlib
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sunhwan.errors import SunhwanError
from sunhwan.files import read_json
from sunhwan.report.page.charts import DASHES, line, view
from sunhwan.report.page.page import SERIES, Chart, Code, Table, Text
from sunhwan.report.words import count, printer
from sunhwan.units import duration

TASKS = ("forecast", "classify")

FORMAT = 1
"""Of run directories, as `rundir.py` writes them."""


@dataclass(frozen=True)
class Evidence:
    """What a run of a task wrote.

    Attributes:
        folder: the run directory.
        run: run.json.
        metrics: metrics.json.
        history: history.csv, a dictionary for each row.
    """

    folder: Path
    run: dict
    metrics: dict
    history: Sequence[dict[str, str]]


def read(folder: Path) -> Evidence:
    """The run directory of a task.

    Raises:
        SunhwanError: it is none, or a file is missing or cannot be read.
    """
    if not (folder / "run.json").is_file():
        raise SunhwanError(
            f"{str(folder)!r} holds no run.json, so it is no run directory; give one that "
            "`sunhwan forecast` or `sunhwan classify` made"
        )
    run = read_json(folder / "run.json")
    if run.get("task") not in TASKS:
        raise SunhwanError(
            f"{str(folder)!r} is no run of `sunhwan forecast` or `sunhwan classify`; "
            "the pictures of a study's run lie in its folder"
        )
    made = run.get("format")
    if not isinstance(made, int) or made > FORMAT:
        raise SunhwanError(
            f"{str(folder)!r} was made in format {made!r}; this version reads formats up to {FORMAT}: update "
            "sunhwan (pip install -U sunhwan), or make the run anew"
        )
    lacking = [name for name in ("metrics.json", "history.csv") if not (folder / name).is_file()]
    if lacking:
        raise SunhwanError(
            f"{str(folder)!r} lacks {' and '.join(lacking)}; copy the whole run directory, or make it anew"
        )
    with readable(folder):
        altered = [
            name
            for name, digest in run.get("sha256", {}).items()
            if (folder / name).is_file()
            and hashlib.sha256((folder / name).read_bytes()).hexdigest() != digest
        ]
    if altered:
        raise SunhwanError(
            f"{str(folder / altered[0])!r} is not the file that the run wrote (its SHA-256 differs from that "
            "in run.json); copy the run directory anew from where it was made, or make the run again"
        )
    with readable(folder), open(folder / "history.csv", encoding="utf-8", newline="") as file:
        history = list(csv.DictReader(file))
    return Evidence(folder, run, read_json(folder / "metrics.json"), history)


@contextlib.contextmanager
def readable(*folders: Path) -> Iterator[None]:
    """Within it, what the files of a run lack, or hold in another shape, is a `SunhwanError`."""
    try:
        yield
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError, csv.Error) as error:
        named = " or ".join(repr(str(folder)) for folder in folders)
        raise SunhwanError(
            f"what {named} holds does not fit together ({type(error).__name__}: {error}); copy the whole run "
            "directory anew, or make the run again"
        ) from error


def about(evidence: Evidence) -> list[str]:
    """When, of which file, how long."""
    run = evidence.run
    return [
        " and ".join(run["data"]),
        f"learnt in {lasting(run['seconds'])}, {run['started'][:10]}",
    ]


def lasting(seconds: float) -> str:
    """How long something took, rounded.

    Example:
        >>> lasting(0.3), lasting(82.1), lasting(430)
        ('1 s', '82 s', '7 min')
    """
    return duration(60 * round(seconds / 60) if seconds >= 120 else max(round(seconds), 1))


def curves(evidence: Evidence, label: str) -> Chart | Text:
    """The loss of each network on the validation part, and dotted that in training, epoch by epoch.

    Args:
        label: what the loss is, as an axis label.
    """
    networks: dict[str, list[dict[str, str]]] = {}
    for row in evidence.history:
        networks.setdefault(row["network"], []).append(row)
    if not networks:
        return Text("No network was trained.")
    data, rows, told = [], [], []
    for number, (name, epochs) in enumerate(networks.items()):
        # The networks of forecasts read windows in two ways; the first of each way are compared.
        way = {"True": ", relative", "False": ", absolute"}.get(epochs[0].get("relative"), "")
        named = f"network {int(name) + 1}{way}"
        color = SERIES[number % len(SERIES)]
        epoch = np.array([float(row["epoch"]) for row in epochs])
        # A network that was trained on all examples has no validation loss.
        loss, held = (
            np.array([float(row.get(key) or "nan") for row in epochs]) for key in ("loss", "val_loss")
        )
        data.append(line(f"{named}, training", color, epoch, loss, "dot"))
        if np.isfinite(held).any():
            data.append(line(f"{named}, validation", color, epoch, held, DASHES[number % 2]))
            best = int(np.nanargmin(held))
            said = f"least validation loss {held[best]:.4g} after {count(int(epoch[best]), 'epoch')}"
            told.append(f"{named}: {said}")
        else:
            told.append(f"{named}: training loss {loss[-1]:.4g} after {count(len(epoch), 'epoch')}")
        show = printer([*loss, *held])
        rows += [
            [f"{at:g}", named, show(a), show(b) if np.isfinite(b) else ""]
            for at, a, b in zip(epoch, loss, held, strict=True)
        ]
    longest = max(len(epochs) for epochs in networks.values())
    return Chart(
        f"{label}, by epoch",
        "; ".join(told) + ".",
        {"all": view(data, "epoch", label, xaxis={"dtick": max(1, round(longest / 10))})},
        Table(label, ["epoch", "network", "training", "validation"], rows, texts=(0, 1)),
    )


def reproduce(evidence: Evidence) -> list[Text | Code | Table]:
    """How to make the run again, and what it was made with."""
    run = evidence.run
    blocks: list[Text | Code | Table] = []
    if run["command"]:
        blocks += [Text("The run was made by"), Code(shlex.join(run["command"]))]
    blocks += [
        Text("What it says of new rows:"),
        Code(f"sunhwan predict {shlex.quote(str(evidence.folder))} FILE"),
        Table(
            "What it was made of",
            ["", ""],
            [
                *([f"SHA-256 of {name}", fingerprint] for name, fingerprint in run["data"].items()),
                *([name, version] for name, version in run["versions"].items()),
                *([name, str(value)] for name, value in run["machine"].items()),
                [
                    "options",
                    ", ".join(f"{k} {v}" for k, v in run["options"].items() if v not in (None, [], "")),
                ],
            ],
            texts=(0, 1),
        ),
    ]
    return blocks
