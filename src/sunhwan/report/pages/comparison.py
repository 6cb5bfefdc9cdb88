"""Several runs of one kind beside each other: their verdicts, their scores, and how their options differ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from sunhwan.report.page.charts import DASHES, bars, line, view
from sunhwan.report.page.page import SERIES, Chart, Facts, Page, Section, Table, Text
from sunhwan.report.pages import targets
from sunhwan.report.pages.targets import Target
from sunhwan.report.words import FORECAST_SCORES, count, elide, label, lasting, printer, quantity
from sunhwan.rundir import Run

MOST_LINES = len(SERIES)
"""Of so many runs a chart has room for the lines."""


def page(runs: Sequence[Run]) -> Page:
    """The page of several runs of one kind."""
    names = named(runs)
    compared = forecasts if runs[0].kind == "forecast" else classifiers
    answer, blocks = compared(runs, names)
    verdicts = [f"{name}: {run.metrics['verdict']}" for name, run in zip(names, runs, strict=True)]
    return Page(
        f"{count(len(runs), 'run')} of {runs[0].kind}",
        answer,
        [" and ".join(dict.fromkeys(name for run in runs for name in run.record["data"]))],
        [
            Section("Scores", [*warnings(runs), *blocks]),
            Section("Verdicts", [Facts(verdicts)]),
            Section("Differences", [differences(runs, names)]),
        ],
    )


def named(runs: Sequence[Run]) -> list[str]:
    """The runs by their folders' names, or by their whole paths where two share one."""
    names = [run.folder.name for run in runs]
    return names if len(set(names)) == len(names) else [str(run.folder) for run in runs]


def warnings(runs: Sequence[Run]) -> list[Text]:
    """A warning where the runs were tested on different rows."""

    def tested_on(run: Run) -> tuple:
        keys = ("windows", "texts", "recordings", "horizon", "interval_seconds")
        return (*sorted(run.record["data"].values()), *(run.metrics.get(key) for key in keys))

    if all(tested_on(run) == tested_on(runs[0]) for run in runs):
        return []
    return [
        Text(
            "These runs were not tested on the same rows (their files, test parts or horizons differ), so "
            "their scores cannot be compared directly."
        )
    ]


def forecasts(runs: Sequence[Run], names: Sequence[str]) -> tuple[str, list[Table | Chart]]:
    """The best run in a sentence; and, target by target, scores and errors by how far ahead."""
    read = [targets.read(run) for run in runs]
    seconds = {name: run.record["seconds"] for name, run in zip(names, runs, strict=True)}
    blocks: list[Table | Chart] = []
    answers = []
    for target in dict.fromkeys(each.figures["target"] for run in read for each in run):
        of_runs = {
            name: each
            for name, run in zip(names, read, strict=True)
            for each in run
            if each.figures["target"] == target
        }
        errors = {name: each.figures["test"]["model"]["mae"] for name, each in of_runs.items()}
        best = min(errors, key=errors.get)
        leading, several = leaders({name: each.amount(errors[name]) for name, each in of_runs.items()}, best)
        answers.append(
            f"{elide(target, 40)}: {leading} {'have' if several else 'has'} the lowest mean absolute error, "
            f"{of_runs[best].amount(errors[best])}."
        )
        blocks.append(table_of_forecasts(target, of_runs, seconds, best))
        blocks.append(errors_by_lead(target, dict(list(of_runs.items())[:MOST_LINES])))
    return " ".join(answers), blocks


def leaders(shown: Mapping[str, str], best: str) -> tuple[str, bool]:
    """The best run and those with the same printed score, as a text; and whether there are several."""
    names = [name for name, text in shown.items() if text == shown[best]]
    return " and ".join(names), len(names) > 1


def table_of_forecasts(
    target: str, of_runs: dict[str, Target], seconds: dict[str, float], best: str
) -> Table:
    """Each run's errors, beside those of its best baseline, and its intervals."""
    scores = {name: each.figures["test"]["model"] for name, each in of_runs.items()}
    show = printer([errors["mae"] for errors in scores.values()])
    shown = {key: words for key, words in FORECAST_SCORES.items() if key in scores[best]}
    rows = []
    for name, each in of_runs.items():
        interval = each.figures["interval"]
        rows.append(
            [
                name,
                *(show(scores[name][key]) for key in shown),
                f"{show(each.figures['test'][each.best]['mae'])} ({each.best_label})",
                f"{interval['coverage']:.1%} of {interval['level']:.0%}",
                show(interval["winkler"]),
                lasting(seconds[name]),
            ]
        )
    head = ["run", *shown.values(), "best baseline", "coverage", "interval score", "training time"]
    unit = quantity(target, of_runs[best].figures["unit"])
    return Table(f"{unit}, test part", head, rows, strong=list(of_runs).index(best))


def errors_by_lead(target: str, of_runs: dict[str, Target]) -> Chart:
    """The error of each run by how far ahead."""
    lines, ends = [], []
    for (name, each), color, dash in zip(of_runs.items(), SERIES, DASHES, strict=False):
        error = each.error_by_step
        unit, lead = each.lead
        mode = "lines+markers" if each.steps == 1 else "lines"
        lines.append(line(name, color, lead, error, dash, mode=mode))
        ends.append(f"{name} {each.amount(error[0])} to {each.amount(error[-1])}")
    first = next(iter(of_runs.values()))
    return Chart(
        f"{target}: {first.error_label} by how far ahead",
        f"From the first step to the last: {', '.join(ends)}.",
        {"all": view(lines, f"{unit} ahead", first.error_label, yaxis={"rangemode": "tozero"})},
    )


def classifiers(runs: Sequence[Run], names: Sequence[str]) -> tuple[str, list[Table | Chart]]:
    """The best run in a sentence, and the scores of all."""
    scores = [run.metrics["test"]["model"] for run in runs]
    accuracy = np.array([score["accuracy"] for score in scores])
    best = int(np.argmax(accuracy))
    rows = [
        [
            name,
            *(f"{score[key]:.4f}" for key in ("accuracy", "macro_f1", "ece")),
            f"{run.metrics['test'][run.metrics['best_baseline']]['accuracy']:.4f} "
            f"({label(run.metrics, run.metrics['best_baseline'])})",
            lasting(run.record["seconds"]),
        ]
        for name, run, score in zip(names, runs, scores, strict=True)
    ]
    head = ["run", "accuracy", "macro-F1", "calibration error", "best baseline", "training time"]
    shown = {name: f"{part:.1%}" for name, part in zip(names, accuracy, strict=True)}
    chart = Chart(
        "Accuracy on the test part",
        ", ".join(f"{name} {text}" for name, text in shown.items()) + ".",
        {
            "all": view(
                [bars("the model", "model", names, accuracy)], "", "accuracy", xaxis={"type": "category"}
            )
        },
    )
    leading, several = leaders(shown, names[best])
    return (
        f"{leading} {'have' if several else 'has'} the highest test accuracy: {shown[names[best]]}.",
        [Table("Test part", head, rows, strong=best), chart],
    )


def differences(runs: Sequence[Run], names: Sequence[str]) -> Table | Text:
    """The options in which runs differ, an option a row."""
    options = [
        {**run.record["options"], **{f"file {k}": v[:12] for k, v in run.record["data"].items()}}
        for run in runs
    ]
    rows = []
    for key in dict.fromkeys(key for of_run in options for key in of_run):
        values = [of_run.get(key) for of_run in options]
        if any(value != values[0] for value in values):
            rows.append([key, *("" if value is None else str(value) for value in values)])
    if not rows:
        return Text("The runs have the same options.")
    return Table("Options in which the runs differ", ["", *names], rows, texts=range(len(names) + 1))
