"""The page of the run of a study: the verdict, then models beside baselines, and how they got there."""

from __future__ import annotations

import math

import numpy as np

from sunhwan.report import study as studies
from sunhwan.report.groups import group_means
from sunhwan.report.page.charts import DASHES, MOST_POINTS, gapped, line, numbers, view
from sunhwan.report.page.page import SERIES, Chart, Facts, Page, Section, Table, Text
from sunhwan.report.pages.parts import curves_view, reproduce
from sunhwan.report.study import CHANCE_ERROR, Predictor, Score, StudyRun, best_epochs, cell_and_length
from sunhwan.report.words import capital, count, lasting, printer, quantity
from sunhwan.rundir import Run

MOST_DOTS = 2_000
"""Of a scatter: more would lie on each other."""

MOST_SERIES = 12
"""A reader chooses among so many."""


def page(run: Run) -> Page:
    """The page of a run, as far as the run went."""
    study = studies.of(run)
    sections = [Section("Scores", scores(study))] if study.scores else []
    for title, charts in (
        ("Forecasts", forecasts(study)),
        ("Probabilities", probabilities(study)),
        ("Training", training(study)),
    ):
        if charts:
            sections.append(Section(title, charts))
    sections += [
        Section("Data", [Facts(study.record["notes"])]),
        Section("Reproduce", reproduce(run)),
    ]
    answer = (
        study.metrics["verdict"]
        if run.finished
        else f"This study is not finished; to continue it, run `{run.resume}`."
    )
    return Page(f"Study {study.name}: {study.record['question']}", answer, facts(study), sections)


def facts(study: StudyRun) -> list[str]:
    """What was trained, on what, when and how long."""
    seconds = sum(float(row["seconds"]) for row in study.run.history) if study.curves else 0
    return [
        ", ".join(study.record["data"]),
        f"{count(len(study.curves), 'model')}, {count(study.record['seeds'], 'seed')}, "
        f"{count(study.record['epochs'], 'epoch')}",
        f"trained in {lasting(seconds)}, {study.record['started'][:10]}",
        *([study.note] if study.note else []),
    ]


def scores(study: StudyRun) -> list[Table | Chart]:
    """Models and baselines, the best first, as a table and as a chart."""
    rows = study.ranked
    return [table_of_scores(study, rows), errors_by_length(study) if study.kind == "adding" else chart(study)]


def table_of_scores(study: StudyRun, rows: list[Score]) -> Table:
    """Scores on test and validation, of each seed, and what each network cost."""
    alike = printer(row.test for row in rows)
    models = study.metrics["models"]

    def shown(value: float, spread: float = math.nan) -> str:
        if not math.isfinite(value):
            return "diverged"
        # From length to length errors of the adding problem differ by orders of magnitude.
        show = printer([value]) if study.kind == "adding" else alike
        return show(value) + (f" ± {show(spread)}" if math.isfinite(spread) else "")

    def costs(model: dict) -> list[str]:
        seeds = [shown(math.nan if value is None else value) for value in model["test"]["values"]]
        epochs = [str(epoch or "–") for epoch in model["best_epochs"]]
        seconds, parameters = f"{model['seconds_per_epoch']:.1f}", f"{model['parameters']:,}"
        return [", ".join(seeds), ", ".join(epochs), seconds, parameters]

    head = ["", "kind", "test", "validation", "test, each seed", "best epoch", "s/epoch", "parameters"]
    return Table(
        f"{capital(study.measure)}, mean ± standard deviation over seeds",
        head,
        [
            [
                row.label,
                "network" if row.network else "baseline",
                shown(row.test, row.spread),
                shown(row.validation),
                *(costs(models[row.name]) if row.network else [""] * 4),
            ]
            for row in rows
        ],
        strong=None if study.kind == "adding" else 0,
        texts=(0, 1),
    )


def chart(study: StudyRun) -> Chart:
    """The test scores of networks and baselines, with their spread over seeds."""
    rows = [row for row in study.ranked if math.isfinite(row.test)]
    show = printer(row.test for row in rows)
    data = []
    for name, color, symbol, network in (
        ("network", "model", "circle", True),
        ("baseline", "baseline", "square", False),
    ):
        of_sort = [row for row in rows if row.network == network]
        spread = np.nan_to_num([row.spread for row in of_sort])
        data.append(
            line(
                name,
                color,
                [row.label for row in of_sort],
                np.array([row.test for row in of_sort]),
                mode="markers",
                marker={"size": 11, "symbol": symbol},
                error_y={"type": "data", "array": numbers(spread), "visible": bool(spread.any())},
            )
        )
    axis = {"type": "category", "categoryorder": "array", "categoryarray": [row.label for row in rows]}
    return Chart(
        f"{capital(study.measure)} on the test part",
        "The best first: " + ", ".join(f"{row.label} {study.amount(show(row.test))}" for row in rows) + ".",
        {"all": view(data, "", study.measure, xaxis=axis, hovermode="closest")},
    )


def errors_by_length(study: StudyRun) -> Chart:
    """The test error of each cell of the adding problem by the length of the sequences."""
    cells: dict[str, list[tuple[int, float]]] = {}
    for row in study.ranked:
        if row.network and math.isfinite(row.test):
            cell, length = cell_and_length(row.name)
            cells.setdefault(cell, []).append((length, row.test))
    lengths = sorted({length for points in cells.values() for length, _ in points})
    names = [str(length) for length in lengths]
    data = [line("always predicting 1", "truth", names, np.full(len(names), CHANCE_ERROR), "dot")]
    ends = []
    for (cell, points), color, dash in zip(cells.items(), SERIES, DASHES, strict=False):
        errors = np.array([error for _, error in points])
        at = [str(length) for length, _ in points]
        data.append(line(cell, color, at, errors, dash, mode="lines+markers"))
        ends.append(f"{cell} {', '.join(f'{error:.2g} at {x}' for x, error in zip(at, errors, strict=True))}")
    return Chart(
        "Test error by sequence length",
        f"Mean squared error; always predicting 1 has {CHANCE_ERROR:.3f}: {'; '.join(ends)}.",
        {
            "all": view(
                data,
                "sequence length (timesteps)",
                "mean squared error",
                xaxis={"type": "category"},
                yaxis={"type": "log", "dtick": 1},
            )
        },
    )


def forecasts(study: StudyRun) -> list[Chart]:
    """Forecasts of the test part beside the actual values: over time, as a scatter, and errors by hour."""
    if study.kind != "forecast" or not study.best():
        return []
    charts = [over_time(study), scatter(study)]
    hours = errors_by_hour(study)
    return [*charts, *([hours] if hours else [])]


def over_time(study: StudyRun) -> Chart:
    """Actual values of the test part, and forecasts of the best network and the best baseline."""
    arrays = study.predictions
    best, views = study.best(), {}
    for name, rows in studies.rows_of_each_series(arrays)[:MOST_SERIES]:
        rows = rows[:: -(-len(rows) // MOST_POINTS)]
        columns = [arrays["truth"][rows], *(each.values[rows] for each in best)]
        time, (actual, *values) = gapped(arrays["time"][rows], columns)
        views[name or "all"] = view(
            [
                line("actual", "truth", time, actual),
                *(
                    line(each.label, color, time, column, dash)
                    for each, column, color, dash in zip(
                        study.best(), values, SERIES, DASHES[1:], strict=False
                    )
                ),
            ],
            "",
            study.target,
            xaxis={"type": "date"},
            height=380,
        )
    time = arrays["time"]
    return Chart(
        f"{study.target}: forecast and actual values over time",
        f"The test part, {str(time.min())[:10]} to {str(time.max())[:10]}. Mean absolute error: "
        f"{', '.join(error_of(study, each) for each in best)}.",
        views,
    )


def error_of(study: StudyRun, predictor: Predictor) -> str:
    """A predictor's mean absolute error on the test part, in words."""
    error = float(np.nanmean(np.abs(predictor.values - study.predictions["truth"])))
    return f"{predictor.name} {study.amount(printer([error])(error))}"


def scatter(study: StudyRun) -> Chart:
    """Each forecast of the test part against the actual value."""
    actual = study.predictions["truth"]
    ends = np.array([actual.min(), actual.max()])
    views, biases = {}, []
    for each, color in zip(study.best(), SERIES, strict=False):
        known = np.flatnonzero(np.isfinite(each.values))
        bias = float(np.mean(each.values[known] - actual[known]))
        biases.append(f"{each.name} {study.amount(f'{bias:+.2g}'.replace('-', '−'))}")
        known = known[:: -(-len(known) // MOST_DOTS)]
        dots = {"mode": "markers", "marker": {"size": 5, "opacity": 0.5}}
        views[each.label] = view(
            [
                line("equal", "truth", ends, ends),
                line(each.name, color, actual[known], each.values[known], **dots),
            ],
            f"actual, {study.target}",
            f"forecast, {study.target}",
            hovermode="closest",
            height=420,
        )
    return Chart(
        "Forecast against actual value",
        f"On the line, both are equal. Mean of forecast minus actual value: {', '.join(biases)}.",
        views,
        half=True,
    )


def errors_by_hour(study: StudyRun) -> Chart | None:
    """The error by hour of day of the best network and the baselines; None where readings have one hour."""
    hour = study.predictions["time"].astype("datetime64[h]").astype(np.int64) % 24
    actual = study.predictions["truth"]
    means = {each.label: group_means(hour, np.abs(each.values - actual), 24) for each in study.predictors()}
    first = next(iter(means.values()))
    hours = np.flatnonzero(np.isfinite(first))
    if len(hours) < 2:
        return None
    show = printer(first[hours])
    high, low = (hours[place(first[hours])] for place in (np.argmax, np.argmin))
    label = quantity("mean absolute error", study.record["unit"])
    return Chart(
        f"{capital(label)} by hour of day",
        f"The error of {study.predictors()[0].name} is largest at {high}:00 "
        f"({study.amount(show(first[high]))}) and smallest at {low}:00 ({study.amount(show(first[low]))}).",
        {
            "all": view(
                [
                    line(name, color, hours.astype(float), values[hours], dash)
                    for (name, values), color, dash in zip(means.items(), SERIES, DASHES, strict=False)
                ],
                "hour of day",
                label,
                xaxis={"dtick": 3},
                yaxis={"rangemode": "tozero"},
                height=420,
            )
        },
        Table(
            label,
            ["hour", *means],
            [[f"{at}:00", *(show(values[at]) for values in means.values())] for at in hours],
        ),
        half=True,
    )


def probabilities(study: StudyRun) -> list[Chart]:
    """How reliable the predicted probabilities of texts are."""
    tables = study.reliabilities()
    if not tables:
        return []
    ends = np.array([0.0, 1.0])
    percent = {"tickformat": ".0%"}
    rows = [
        [each.name, f"{predicted:.1%}", f"{positive:.1%}", f"{texts:,}"]
        for each, table in tables
        for predicted, positive, texts in zip(table.predicted, table.positive, table.texts, strict=True)
    ]
    gaps = [
        f"{each.name} {np.average(np.abs(table.predicted - table.positive), weights=table.texts):.1%}"
        for each, table in tables
    ]
    return [
        Chart(
            "Share of positive texts by predicted probability",
            f"On the line, probabilities are right. Mean distance from it: {', '.join(gaps)}.",
            {
                "all": view(
                    [
                        line("perfectly calibrated", "truth", ends, ends, "dot"),
                        *(
                            line(
                                each.label, color, table.predicted, table.positive, dash, mode="lines+markers"
                            )
                            for (each, table), color, dash in zip(tables, SERIES, DASHES, strict=False)
                        ),
                    ],
                    "predicted probability",
                    "share of positive texts",
                    xaxis=percent,
                    yaxis=percent,
                    hovermode="closest",
                )
            },
            Table(
                "Test part, bins of more than ten texts",
                ["", "predicted probability", "positive", "texts"],
                rows,
            ),
        )
    ]


def training(study: StudyRun) -> list[Chart | Text]:
    """The loss, and of texts the accuracy, of every model and seed by epoch."""
    if not study.curves:
        return []
    meaning, unit = study.loss
    measures = {"loss": f"{meaning} ({unit})" if unit else meaning}
    if study.kind == "text":
        measures["accuracy"] = "accuracy"
    charts = []
    for measure, label in measures.items():
        ends = []
        for name, curves in study.curves.items():
            values = [value for _, value in best_epochs(curves, f"val_{measure}")]
            ends.append(f"{name} {np.mean(values):.3g}" if values else f"{name} diverged")
        charts.append(
            Chart(
                f"{capital(label)} by epoch",
                f"On validation at the best epoch, mean over seeds: {', '.join(ends)}.",
                {
                    name: curves_view(
                        {f"seed {seed}": curve for seed, curve in enumerate(curves)}, measure, measure
                    )
                    for name, curves in study.curves.items()
                },
                half=len(measures) > 1,
                choose="Model",
            )
        )
    return charts
