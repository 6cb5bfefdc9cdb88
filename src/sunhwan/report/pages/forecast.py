"""The page of a run of `forecast`: the verdict, then the evidence for it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sunhwan.report.groups import group_means, row_means
from sunhwan.report.page.charts import DASHES, MOST_POINTS, band, bars, gapped, heat, line, numbers, view
from sunhwan.report.page.page import SERIES, Chart, Facts, Page, Section, Table, Text
from sunhwan.report.pages.parts import about, curves, histories, reproduce
from sunhwan.report.pages.targets import Target, read
from sunhwan.report.words import FORECAST_SCORES, capital, count, elide, label, printer, span, symbol
from sunhwan.rundir import Run
from sunhwan.units import digits, human

MOST_SERIES = 12
"""A reader chooses among so many."""

WORST = 10

DRIFTED, MOST_DRIFTED = 0.5, 5
"""A mean that moved by so many standard deviations has drifted; of more columns, the first are named."""

PALE = 0.2
"""The share of missing values that has the full colour, at least: a few missing are pale."""


def page(run: Run) -> Page:
    """The page of a run."""
    metrics = run.metrics
    targets = read(run)
    sections = [Section("Scores", [block for target in targets for block in scores(target)])]
    for target in targets:
        of = f" of {elide(target.figures['target'], 40)}" if len(targets) > 1 else ""
        sections += [
            Section(f"Forecasts{of}", [over_time(target), examples(target)]),
            Section(f"Errors{of}", [*errors(target), worst(target)]),
            Section(f"Intervals{of}", intervals(target)),
        ]
    sections += [
        Section("Training", [curves(histories(run), "scaled pinball loss")]),
        Section("Data", data(run)),
        Section("Reproduce", reproduce(run)),
    ]
    facts = [
        *about(run),
        f"{count(metrics['horizon'], 'step')} ahead, {metrics['windows']:,} forecasts of the test part",
        *(
            f"{target.figures['interval']['level']:.0%} intervals of {target.figures['target']} covered "
            f"{target.figures['interval']['coverage']:.1%}"
            for target in targets
        ),
    ]
    names = ", ".join(elide(figures["target"], 40) for figures in metrics["targets"])
    return Page(f"Forecast of {names}", metrics["verdict"], facts, sections)


def scores(target: Target) -> list[Table | Text]:
    """Errors of the model, its networks and the baselines, and by how much the model beats each."""
    figures = target.figures
    test = {name: figures["test"][name] for name in ("model", *target.baselines)}
    show = printer([errors["mae"] for errors in test.values()])
    shown = {key: words for key, words in FORECAST_SCORES.items() if key in test["model"]}
    rows = []
    for name, errors in test.items():
        gain = figures.get("against", {}).get(name)
        rows.append(
            [label(target.metrics, name), *(show(errors[key]) for key in shown), lower(gain) if gain else ""]
        )
    unit = symbol(figures["unit"])
    caption = f"{figures['target']}{f', in {unit}' if unit else ''}, test part; 95% intervals in brackets"
    head = ["", *shown.values(), "the model's error is"]
    blocks: list[Table | Text] = [Table(caption, head, rows, strong=0, texts=(0, len(head) - 1))]
    alone = [errors["mae"] for errors in figures.get("networks", [])]
    if len(alone) > 1:
        each = ", ".join(show(mae) for mae in alone)
        blocks.append(
            Text(
                f"Mean absolute error of the networks alone, one for each seed: {each}; mean "
                f"{show(np.mean(alone))}, standard deviation {show(np.std(alone, ddof=1))}."
            )
        )
    interval = figures["interval"]
    if interval.get("ridge_winkler"):
        blocks.append(
            Text(
                f"The {interval['level']:.0%} intervals covered {interval['coverage']:.1%} of the test part "
                f"and are {target.amount(interval['mean_width'])} wide on average. Their interval score "
                f"(Winkler; lower is better) is {show(interval['winkler'])}; that of ridge regression with "
                f"the same calibration is {show(interval['ridge_winkler'])}."
            )
        )
    return blocks


def lower(gain: dict) -> str:
    """By how much an error is lower than another, in words, with its interval."""
    percent, interval = gain["percent"], gain.get("interval")
    change = f"{abs(percent):.1f}% {'lower' if percent >= 0 else 'higher'}"
    if not interval or None in interval:
        return change
    low, high = interval if percent >= 0 else (-interval[1], -interval[0])
    return f"{change} ({low:.1f} to {high:.1f}%)".replace("-", "−")


def over_time(target: Target) -> Chart:
    """Actual values and their forecasts over the test part; a view for each series and step."""
    steps = sorted({1, (target.steps + 1) // 2, target.steps}, reverse=True)
    views, error = {}, {}
    sizes = np.bincount(target.series, minlength=len(target.names))
    shown = np.argsort(-sizes, kind="stable")[:MOST_SERIES]
    for code in sorted(shown[sizes[shown] > 0]):
        rows = np.flatnonzero(target.series == code)
        rows = rows[np.argsort(target.origin[rows], kind="stable")]
        rows = rows[:: -(-len(rows) // MOST_POINTS)]
        for step in steps:
            name = f"{span(step * target.interval)} ahead"
            name = f"{target.names[code]}, {name}" if len(target.names) > 1 else name
            time = target.origin[rows] + step * target.interval
            columns = [target.actual[rows, step - 1], *target.model[rows, step - 1].T]
            time, (actual, median, low, high) = gapped(time, columns)
            views[name] = view(
                [
                    band("interval", "model", time, low, high),
                    line("actual", "truth", time, actual),
                    forecast_line(time, median, low, high),
                ],
                "",
                target.label,
                xaxis={"type": "date"},
                height=380,
            )
            error[name] = float(np.nanmean(target.error[rows, step - 1]))
    least, most = min(error, key=error.get), max(error, key=error.get)
    return Chart(
        f"{target.label}: forecast and actual values over time",
        f"Forecasts and actual values of {target.figures['target']}, {human(target.times.min())} to "
        f"{human(target.times.max())}. The mean absolute error is between {target.amount(error[least])} "
        f"({least}) and {target.amount(error[most])} ({most}).",
        views,
    )


def forecast_line(time: np.ndarray, median: np.ndarray, low: np.ndarray, high: np.ndarray) -> dict:
    """The forecast, with its interval where a reader points at it."""
    return line(
        "forecast",
        "model",
        time,
        median,
        "dash",
        customdata=numbers(np.stack([low, high], axis=-1)),
        hovertemplate="%{y:.4~g} (%{customdata[0]:.4~g} to %{customdata[1]:.4~g})",
    )


def made_at(time: np.datetime64) -> dict:
    """A line from top to bottom at a time; its grey is seen on light and on dark."""
    at = str(time)
    look = {"color": "#888888", "dash": "dot", "width": 1}
    return {"type": "line", "x0": at, "x1": at, "y0": 0, "y1": 1, "yref": "paper", "line": look}


def examples(target: Target) -> Chart:
    """Whole forecasts: a typical one, a hard one, the worst and the latest."""
    error = row_means(target.error)
    known = np.flatnonzero(np.isfinite(error))
    order = known[np.argsort(error[known], kind="stable")]
    median, hard, most = order[len(order) // 2], order[len(order) * 9 // 10], order[-1]
    chosen = {
        "a typical forecast": median,
        "a hard forecast (1 in 10 is worse)": hard,
        "the worst forecast": most,
        "the latest forecast": known[np.argmax(target.origin[known])],
    }
    views = {}
    for name, window in chosen.items():
        time = target.times[window]
        before = np.flatnonzero(
            (target.series == target.series[window])
            & (target.origin + target.interval <= target.origin[window])
            & (target.origin + target.interval > target.origin[window] - 2 * target.steps * target.interval)
        )
        before = before[np.argsort(target.origin[before], kind="stable")]
        seen = np.concatenate([target.origin[before] + target.interval, time])
        actual = np.concatenate([target.actual[before, 0], target.actual[window]])
        seen, (actual,) = gapped(seen, [actual])
        baseline = target.baselines[target.best][window]
        views[f"{name}: {target.where(window)}"] = view(
            [
                band("interval", "model", time, *target.model[window, :, 1:].T),
                line("actual", "truth", seen, actual),
                line(target.best_label, "baseline", time, baseline, "dashdot"),
                forecast_line(time, *target.model[window].T),
            ],
            "",
            target.label,
            xaxis={"type": "date"},
            shapes=[made_at(target.origin[window])],
        )
    return Chart(
        "Whole forecasts, from the time when they were made",
        f"Half of the forecasts have a mean absolute error below {target.amount(np.median(error[known]))}, 9 "
        f"in 10 below {target.amount(error[hard])}; the worst has {target.amount(error[most])}.",
        views,
        choose="Show",
    )


def errors(target: Target) -> list[Chart]:
    """The error by how far ahead, hour of day, day of the week, month and series."""
    unit, x = target.lead
    charts = []
    if target.steps > 1:
        lines = {"the model": target.error_by_step} | {
            label(target.metrics, name): row_means(np.abs(values - target.actual).T)
            for name, values in target.baselines.items()
        }
        marks = list(zip(lines.items(), SERIES, DASHES, strict=False))
        ours = lines["the model"]
        show = printer(ours)
        charts.append(
            Chart(
                f"{capital(target.error_label)} by {unit} ahead",
                f"The model's error is {target.amount(ours[0])} one step ahead and {target.amount(ours[-1])} "
                f"at the last step, {span(target.steps * target.interval)} ahead, where that of "
                f"{target.best_label} is {target.amount(lines[target.best_label][-1])}.",
                {
                    "all": view(
                        [line(name, color, x, y, dash) for (name, y), color, dash in marks],
                        f"{unit} ahead",
                        target.error_label,
                        yaxis={"rangemode": "tozero"},
                    )
                },
                Table(
                    target.error_label,
                    [f"{unit} ahead", *lines],
                    [
                        [f"{at:.3g}", *(show(y[i]) for y in lines.values())]
                        for i, at in enumerate(x)
                        if i < 48 or i == len(x) - 1
                    ],
                ),
                half=True,
            )
        )
    return [*charts, *(grouped_errors(target, *grouping) for grouping in target.groupings())]


def grouped_errors(target: Target, by: str, group: np.ndarray, names: Sequence[str]) -> Chart:
    """The error of the model and the best baseline in each group."""
    ours = group_means(group, target.error, len(names))
    theirs = group_means(group, np.abs(target.baselines[target.best] - target.actual), len(names))
    names, ours, theirs = largest(names, ours, theirs)
    high, low = int(np.nanargmax(ours)), int(np.nanargmin(ours))
    show = printer(ours)
    return Chart(
        f"{capital(target.error_label)} by {by}",
        f"By {by}, the error is largest at {names[high]} ({target.amount(ours[high])}) and smallest at "
        f"{names[low]} ({target.amount(ours[low])}).",
        {
            "all": view(
                [
                    bars("the model", "model", names, ours),
                    bars(target.best_label, "baseline", names, theirs),
                ],
                by,
                target.error_label,
                barmode="group",
                xaxis={"type": "category"},
            )
        },
        Table(
            target.error_label,
            [by, "the model", target.best_label],
            [[name, show(a), show(b)] for name, a, b in zip(names, ours, theirs, strict=True)],
        ),
        half=True,
    )


def largest(names: Sequence[str], *values: np.ndarray, most: int = 40) -> tuple:
    """The groups that have values; of more than `most`, those with the largest."""
    known = np.flatnonzero(np.isfinite(values[0]))
    known = np.sort(known[np.argsort(-values[0][known], kind="stable")][:most])
    return ([elide(names[i], 24) for i in known], *(column[known] for column in values))


def worst(target: Target) -> Table:
    """The forecasts with the largest errors, no two of one time."""
    error = row_means(target.error)
    rows, listed = [], []
    for window in np.argsort(-np.nan_to_num(error, nan=-1), kind="stable"):
        if len(rows) == WORST or np.isnan(error[window]):
            break
        if any(abs(target.origin[window] - other) < target.steps * target.interval for other in listed):
            continue
        listed.append(target.origin[window])
        step = int(np.nanargmax(target.error[window]))
        rows.append(
            [
                target.where(window),
                target.amount(error[window]),
                human(target.times[window, step]),
                digits(target.model[window, step, 0]),
                " to ".join(map(digits, target.model[window, step, 1:])),
                digits(target.actual[window, step]),
            ]
        )
    return Table(
        "The forecasts with the largest errors, and the worst step of each",
        ["made at", target.error_label, "worst step", "forecast", "interval", "actual"],
        rows,
        texts=(0, 2),
    )


def intervals(target: Target) -> list[Chart]:
    """The coverage of intervals, by month and by how far ahead."""
    level = target.figures["interval"]["level"]
    charts = [
        coverage_by(by, group_means(group, target.covered, len(names)), names, level)
        for by, group, names in target.groupings()
        if by in ("month", "hour of the day", "series")
    ]
    if target.steps > 1:
        unit, lead = target.lead
        names = [f"{at:.3g}" for at in lead]
        charts.insert(0, coverage_by(f"{unit} ahead", row_means(target.covered.T), names, level, lead))
    return charts


def coverage_by(
    by: str, share: np.ndarray, names: Sequence[str], level: float, x: np.ndarray | None = None
) -> Chart:
    """The share of actual values that intervals cover, by group, beside the level.

    Args:
        by: what the groups are of.
        share: (groups,); NaN for a group without values.
        names: of the groups.
        level: the share that intervals should cover.
        x: (groups,) where each is on an axis of numbers; None for an axis of names.
    """
    known = np.flatnonzero(np.isfinite(share))
    names, share = [elide(names[i], 24) for i in known], share[known]
    if x is None:
        at, axis, covered = names, {"type": "category"}, bars("coverage", "model", names, share)
    else:
        at, axis, covered = x[known], {}, line("coverage", "model", x[known], share)
    low, high = int(np.argmin(share)), int(np.argmax(share))
    of = "" if x is None else f" {by}"
    return Chart(
        f"Coverage of the {level:.0%} intervals by {by}",
        f"The {level:.0%} intervals cover least at {names[low]}{of} ({share[low]:.0%}) and most at "
        f"{names[high]}{of} ({share[high]:.0%}).",
        {
            "all": view(
                [covered, line("target", "truth", at, np.full(len(names), level), "dash")],
                by,
                "coverage",
                xaxis=axis,
                yaxis={"tickformat": ".0%", "range": [0, 1]},
            )
        },
        Table(
            f"Coverage by {by}",
            [by, "coverage"],
            [[name, f"{part:.1%}"] for name, part in zip(names, share, strict=True)],
        ),
        half=True,
    )


def data(run: Run) -> list[Facts | Table | Chart]:
    """Notes on the file, and the health of its columns."""
    notes = Facts(run.record["notes"])
    if not run.has("health"):
        return [notes]
    health = run.read("health")
    rows = [
        [
            elide(column["name"], 40),
            *(share(n, of) for n, of in zip(column["missing"], health["rows"].values(), strict=True)),
            f"{column['longest_gap']:,}" if column["longest_gap"] else "",
            f"{column['stuck']:,}" if column.get("stuck") else "",
            *moved(column),
        ]
        for column in health["columns"]
    ]
    head = ["column", *(f"missing in {part}" for part in health["rows"]), "longest gap (rows)"]
    head += ["longest stuck (rows)", "drift (sd)", "test values outside training"]
    blocks: list[Facts | Table | Chart] = [
        notes,
        Table("Columns of the file, part by part", head, rows),
        *([drift] if (drift := drifted(health)) else []),
    ]
    gaps = np.array([column["missing_by_month"] for column in health["columns"]], float)
    if gaps.any() and len(health["months"]) > 1:
        gappy = np.flatnonzero(gaps.any(axis=1))
        gaps, names = gaps[gappy], [elide(health["columns"][i]["name"], 30) for i in gappy]
        most = int(gaps.max(axis=1).argmax())
        texts = [[f"{part:.2g}%" if part else "" for part in row] for row in 100 * gaps]
        blocks.append(
            Chart(
                "Share of missing values by month",
                f"{names[most]} has the most missing values: {100 * gaps[most].max():.2g}% in "
                f"{health['months'][int(gaps[most].argmax())]}. Columns without missing values are left out.",
                {
                    "all": view(
                        [
                            heat(
                                health["months"],
                                names,
                                gaps,
                                texts if len(health["months"]) <= 12 else None,
                                hovertemplate="%{y}, %{x}: %{z:.2%}",
                                zmin=0,
                                zmax=max(PALE, gaps.max()),
                            )
                        ],
                        "",
                        "",
                        xaxis={"type": "category"},
                        yaxis={"type": "category", "autorange": "reversed"},
                        hovermode="closest",
                        height=120 + 22 * len(names),
                    )
                },
            )
        )
    return blocks


def moved(column: dict) -> tuple[str, str]:
    """A column's drift, and the share of its test values that are not among those of training, as texts."""
    drift, strange = column.get("drift"), column.get("outside", column.get("unseen"))
    return (
        "" if drift is None else f"{drift:+.2f}".replace("-", "−"),
        "" if not strange else f"{strange:.1%}",
    )


def drifted(health: dict) -> Text | None:
    """A sentence on columns whose mean moved from training to test, the largest drift first."""
    far = {
        column["name"]: column["drift"]
        for column in health["columns"]
        if abs(column.get("drift") or 0) >= DRIFTED
    }
    if not far:
        return None
    order = sorted(far, key=lambda name: -abs(far[name]))
    listed = ", ".join(f"{name} {far[name]:+.1f}".replace("-", "−") for name in order[:MOST_DRIFTED])
    more = f", and less in {len(far) - MOST_DRIFTED} other columns" if len(far) > MOST_DRIFTED else ""
    return Text(f"Means that moved from training to test, in standard deviations: {listed}{more}.")


def share(part: int, whole: int) -> str:
    return f"{part:,} ({part / whole:.1%})" if part else ""
