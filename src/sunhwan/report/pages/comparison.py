"""Several runs of one task beside each other: what each answered, and in what they differ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from sunhwan.report.page.charts import DASHES, bars, line, view
from sunhwan.report.page.page import SERIES, Chart, Facts, Page, Section, Table, Text
from sunhwan.report.pages import forecast_evidence
from sunhwan.report.pages.evidence import Evidence, lasting
from sunhwan.report.words import count, elide, printer, quantity

TOLD_APART = len(SERIES)
"""Lines of so many runs stand in one chart."""


def page(runs: Sequence[Evidence]) -> Page:
    """The page of several runs of one task."""
    names = named(runs)
    compared = forecasts if runs[0].run["task"] == "forecast" else classifiers
    answer, blocks = compared(runs, names)
    return Page(
        f"{count(len(runs), 'run')} of {runs[0].run['task']}",
        answer,
        [" and ".join(dict.fromkeys(name for run in runs for name in run.run["data"]))],
        [
            Section("Scores", [*alike(runs), *blocks]),
            Section(
                "Answers", [Facts([f"{n}: {r.metrics['verdict']}" for n, r in zip(names, runs, strict=True)])]
            ),
            Section("Differences", [differences(runs, names)]),
        ],
    )


def named(runs: Sequence[Evidence]) -> list[str]:
    """The runs by their folders' names, or by their whole paths where two share one."""
    names = [run.folder.name for run in runs]
    return names if len(set(names)) == len(names) else [str(run.folder) for run in runs]


def alike(runs: Sequence[Evidence]) -> list[Text]:
    """A warning where the runs were judged on different rows."""
    first = runs[0]

    def judged_on(run: Evidence) -> tuple:
        metrics = run.metrics
        size = [metrics.get(key) for key in ("windows", "texts", "recordings", "horizon", "interval_seconds")]
        return (*sorted(run.run["data"].values()), *size)

    if all(judged_on(run) == judged_on(first) for run in runs):
        return []
    return [
        Text(
            "These runs were not judged on the same rows (their files, test parts or horizons differ), so "
            "their errors cannot be set against each other as they stand."
        )
    ]


def forecasts(runs: Sequence[Evidence], names: Sequence[str]) -> tuple[str, list[Table | Chart]]:
    """The best run in a sentence; and, target by target, scores and errors by how far ahead."""
    targets = list(dict.fromkeys(one["target"] for run in runs for one in run.metrics["targets"]))
    blocks: list[Table | Chart] = []
    answers = []
    for target in targets:
        told = {
            name: one
            for name, run in zip(names, runs, strict=True)
            for one in forecast_evidence.read(run.folder, run.metrics)
            if one.figures["target"] == target
        }
        seconds = {name: run.run["seconds"] for name, run in zip(names, runs, strict=True)}
        errors = {name: one.figures["test"]["model"]["mae"] for name, one in told.items()}
        best = min(errors, key=errors.get)
        leading, several = leaders({name: one.amount(errors[name]) for name, one in told.items()}, best)
        answers.append(
            f"{elide(target, 40)}: {leading} {'have' if several else 'has'} the least mean absolute error, "
            f"{told[best].amount(errors[best])}."
        )
        blocks.append(table_of_forecasts(target, told, seconds, best))
        blocks.append(errors_ahead(target, dict(list(told.items())[:TOLD_APART])))
    return " ".join(answers), blocks


def leaders(shown: Mapping[str, str], best: str) -> tuple[str, bool]:
    """The best run, with those that nothing shown tells from it; and whether there are any."""
    names = [name for name, text in shown.items() if text == shown[best]]
    return " and ".join(names), len(names) > 1


def table_of_forecasts(
    target: str, told: dict[str, forecast_evidence.Told], seconds: dict[str, float], best: str
) -> Table:
    """Each run's errors, beside those of its best baseline, and its intervals."""
    show = printer([one.figures["test"]["model"]["mae"] for one in told.values()])
    rows = []
    for name, one in told.items():
        ours, rival = one.figures["test"]["model"], one.figures["test"][one.best]
        interval = one.figures["interval"]
        rows.append(
            [
                name,
                show(ours["mae"]),
                show(ours["mae_last_step"]),
                show(ours["rmse"]),
                f"{show(rival['mae'])} ({one.best.replace('_', ' ')})",
                f"{interval['coverage']:.1%} of {interval['level']:.0%}",
                show(interval["winkler"]),
                lasting(seconds[name]),
            ]
        )
    head = ["run", "mean absolute error", "of the last step", "root mean squared error", "best baseline"]
    head += ["intervals held", "interval score", "learnt in"]
    label = quantity(target, next(iter(told.values())).figures["unit"])
    return Table(f"{label}, on the test part", head, rows, strong=list(told).index(best))


def errors_ahead(target: str, told: dict[str, forecast_evidence.Told]) -> Chart:
    """The error of each run by how far ahead."""
    lines, said = [], []
    for (name, one), color, dash in zip(told.items(), SERIES, DASHES, strict=False):
        error = forecast_evidence.mean_of_rows(one.error.T)
        unit, ahead = one.ahead
        lines.append(
            line(name, color, ahead, error, dash, mode="lines+markers" if one.steps == 1 else "lines")
        )
        said.append(f"{name} {one.amount(error[0])} to {one.amount(error[-1])}")
    first = next(iter(told.values()))
    return Chart(
        f"{target}: {first.error_label} by how far ahead",
        f"From the first step to the last: {', '.join(said)}.",
        {"all": view(lines, f"{unit} ahead", first.error_label, yaxis={"rangemode": "tozero"})},
    )


def classifiers(runs: Sequence[Evidence], names: Sequence[str]) -> tuple[str, list[Table | Chart]]:
    """The best run in a sentence, and the scores of all."""
    scores = [run.metrics["test"]["model"] for run in runs]
    best = int(np.argmax([one["accuracy"] for one in scores]))
    rows = [
        [
            name,
            *(f"{one[key]:.4f}" for key in ("accuracy", "macro_f1", "ece")),
            f"{run.metrics['test'][run.metrics['best_baseline']]['accuracy']:.4f} "
            f"({run.metrics['best_baseline'].replace('_', ' ')})",
            lasting(run.run["seconds"]),
        ]
        for name, run, one in zip(names, runs, scores, strict=True)
    ]
    head = ["run", "accuracy", "macro-F1", "calibration error", "best baseline", "learnt in"]
    accuracy = np.array([one["accuracy"] for one in scores])
    shown = {name: f"{one:.1%}" for name, one in zip(names, accuracy, strict=True)}
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
        f"{leading} {'tell' if several else 'tells'} most of the test part: {shown[names[best]]}.",
        [Table("On the test part", head, rows, strong=best), chart],
    )


def differences(runs: Sequence[Evidence], names: Sequence[str]) -> Table | Text:
    """The options in which runs differ, an option a row."""
    options = [
        {**run.run["options"], **{f"file {k}": v[:12] for k, v in run.run["data"].items()}} for run in runs
    ]
    rows = []
    for key in dict.fromkeys(key for one in options for key in one):
        values = [one.get(key) for one in options]
        if any(value != values[0] for value in values):
            rows.append([key, *("" if value is None else str(value) for value in values)])
    if not rows:
        return Text("They were made with the same options.")
    return Table("Options in which the runs differ", ["", *names], rows, texts=range(len(names) + 1))
