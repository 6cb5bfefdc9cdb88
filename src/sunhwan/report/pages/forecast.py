"""The page of a run of `forecast`: the answer, then what it rests on."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sunhwan.files import read_json
from sunhwan.report.page.charts import DASHES, band, bars, heat, line, numbers, view
from sunhwan.report.page.page import SERIES, Chart, Facts, Page, Section, Table, Text
from sunhwan.report.pages.evidence import Evidence, about, curves, reproduce
from sunhwan.report.pages.forecast_evidence import Told, groupings, mean_of_rows, means, read
from sunhwan.report.words import count, elide, printer, symbol
from sunhwan.units import digits, duration, human

MOST_POINTS = 6_000
"""Of a line: a browser draws as many at once without a pause."""

MOST_SERIES = 12
"""A reader chooses among so many."""

WORST = 10

DRIFTED, MOST_DRIFTED = 0.5, 5
"""A mean that moved by so many standard deviations is said to have drifted; of more columns, the first."""

PALE = 0.2
"""The share of missing values that has the full colour, at least: a few missing are pale."""


def page(evidence: Evidence) -> Page:
    """The page of a run."""
    metrics = evidence.metrics
    told = read(evidence.folder, metrics)
    sections = [Section("Scores", [table for one in told for table in scores(one)])]
    for one in told:
        of = f" of {elide(one.figures['target'], 40)}" if len(told) > 1 else ""
        sections += [
            Section(f"Forecasts{of}", [over_time(one), examples(one)]),
            Section(f"Errors{of}", [*errors(one), worst(one)]),
            Section(f"Intervals{of}", intervals(one)),
        ]
    sections += [
        Section("Training", [curves(evidence, "pinball loss, scaled")]),
        Section("Data", data(evidence)),
        Section("Reproduce", reproduce(evidence)),
    ]
    ahead = count(metrics["horizon"], "step")
    facts = [
        *about(evidence),
        f"{ahead} ahead, {metrics['windows']:,} forecasts of the test part",
        *(
            f"{one.figures['interval']['level']:.0%} intervals of {one.figures['target']} held "
            f"{one.figures['interval']['coverage']:.1%}"
            for one in told
        ),
    ]
    return Page(f"Forecast of {metrics_target(metrics)}", metrics["verdict"], facts, sections)


def metrics_target(metrics: dict) -> str:
    return ", ".join(elide(one["target"], 40) for one in metrics["targets"])


def scores(told: Told) -> list[Table | Text]:
    """Errors of the model, its networks and the baselines, and by how much the model beats each."""
    figures = told.figures
    test = {"model": figures["test"]["model"], **{name: figures["test"][name] for name in told.rivals}}
    show = printer([one["mae"] for one in test.values()])
    rows = []
    for name, one in test.items():
        gain = figures.get("against", {}).get(name)
        rows.append(
            [
                "the model" if name == "model" else name.replace("_", " "),
                *(show(one[key]) for key in ("mae", "mae_last_step", "rmse")),
                lower(gain) if gain else "",
            ]
        )
    unit = symbol(figures["unit"])
    head = ["", "mean absolute error", "of the last step", "root mean squared error", "the model's error is"]
    caption = (
        f"{figures['target']}{f', in {unit}' if unit else ''}, on the test part; in brackets 95 % intervals"
    )
    blocks: list[Table | Text] = [Table(caption, head, rows, strong=0, texts=(0, 4))]
    alone = [one["mae"] for one in figures.get("networks", [])]
    if len(alone) > 1:
        each = ", ".join(show(mae) for mae in alone)
        blocks.append(
            Text(
                f"The networks alone, one for each seed: {each}; mean {show(np.mean(alone))}, "
                f"standard deviation {show(np.std(alone, ddof=1))}."
            )
        )
    interval = figures["interval"]
    if interval.get("ridge_winkler"):
        blocks.append(
            Text(
                f"{interval['level']:.0%} intervals held {interval['coverage']:.1%} of the test part and are "
                f"{told.amount(interval['mean_width'])} wide on average. Their interval score (Winkler; "
                f"less is better) is {show(interval['winkler'])}; ridge's, with the same calibration, "
                f"{show(interval['ridge_winkler'])}."
            )
        )
    return blocks


def lower(gain: dict) -> str:
    """By how much an error is lower than another, in words, with its interval."""
    percent, interval = gain["percent"], gain.get("interval")
    said = f"{abs(percent):.1f} % {'lower' if percent >= 0 else 'higher'}"
    if not interval or None in interval:
        return said
    low, high = interval if percent >= 0 else (-interval[1], -interval[0])
    return f"{said} ({low:.1f} to {high:.1f} %)".replace("-", "−")


def over_time(told: Told) -> Chart:
    """What came, and what had been forecast for then, over the test part; a view for each series and step."""
    steps = sorted({1, (told.steps + 1) // 2, told.steps}, reverse=True)
    views, said = {}, {}
    sizes = np.bincount(told.series, minlength=len(told.names))
    shown = np.argsort(-sizes, kind="stable")[:MOST_SERIES]
    for code in sorted(shown[sizes[shown] > 0]):
        rows = np.flatnonzero(told.series == code)
        rows = rows[np.argsort(told.origin[rows], kind="stable")]
        rows = rows[:: -(-len(rows) // MOST_POINTS)]
        for step in steps:
            name = f"{span(step * told.interval)} ahead"
            name = f"{told.names[code]}, {name}" if len(told.names) > 1 else name
            time = told.origin[rows] + step * told.interval
            columns = [told.truth[rows, step - 1], *told.model[rows, step - 1].T]
            time, (truth, median, low, high) = gapped(time, columns)
            views[name] = view(
                [
                    band("interval", "model", time, low, high),
                    line("what came", "truth", time, truth),
                    forecast_line(time, median, low, high),
                ],
                "",
                told.label,
                xaxis={"type": "date"},
                height=380,
            )
            said[name] = float(np.nanmean(told.error[rows, step - 1]))
    worst = max(said, key=said.get)
    return Chart(
        f"{told.label}: what came, and what had been forecast for then",
        f"Forecasts of {told.figures['target']} and what came, {human(told.times.min())} to "
        f"{human(told.times.max())}. The mean absolute error lies between {told.amount(min(said.values()))} "
        f"({min(said, key=said.get)}) and {told.amount(said[worst])} ({worst}).",
        views,
    )


def forecast_line(time: np.ndarray, median: np.ndarray, low: np.ndarray, high: np.ndarray) -> dict:
    """The forecast, which tells its interval, too, to who points at it."""
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


def gapped(time: np.ndarray, columns: Sequence[np.ndarray]) -> tuple[np.ndarray, list[np.ndarray]]:
    """The same with a missing value where times lie further apart than usual, so that lines break there."""
    apart = np.diff(time).astype(np.int64)
    after = np.flatnonzero(apart > 1.5 * np.median(apart)) + 1 if len(apart) else np.zeros(0, np.int64)
    return np.insert(time, after, time[after]), [np.insert(one, after, np.nan) for one in columns]


def examples(told: Told) -> Chart:
    """Whole paths: a typical one, a hard one, the worst and the latest."""
    path = mean_of_rows(told.error)
    known = np.flatnonzero(np.isfinite(path))
    order = known[np.argsort(path[known], kind="stable")]
    chosen = {
        "a typical one": order[len(order) // 2],
        "a hard one (one in ten is worse)": order[len(order) * 9 // 10],
        "the worst": order[-1],
        "the latest": known[np.argmax(told.origin[known])],
    }
    views = {}
    for name, window in chosen.items():
        time = told.times[window]
        before = np.flatnonzero(
            (told.series == told.series[window])
            & (told.origin + told.interval <= told.origin[window])
            & (told.origin + told.interval > told.origin[window] - 2 * told.steps * told.interval)
        )
        before = before[np.argsort(told.origin[before], kind="stable")]
        seen = np.concatenate([told.origin[before] + told.interval, time])
        came = np.concatenate([told.truth[before, 0], told.truth[window]])
        views[f"{name}: {told.where(window)}"] = view(
            [
                band("interval", "model", time, *told.model[window, :, 1:].T),
                line("what came", "truth", *first_of(gapped(seen, [came]))),
                line(
                    told.best.replace("_", " "), "baseline", time, told.rivals[told.best][window], "dashdot"
                ),
                forecast_line(time, *told.model[window].T),
            ],
            "",
            told.label,
            xaxis={"type": "date"},
            shapes=[made_at(told.origin[window])],
        )
    return Chart(
        "Whole forecasts, from the moment when they were made",
        f"Half of all forecasts have a mean absolute error below {told.amount(np.median(path[known]))}, nine "
        f"in ten below {told.amount(path[order[len(order) * 9 // 10]])}; the worst has "
        f"{told.amount(path[order[-1]])}.",
        views,
        choose="Forecast",
    )


def first_of(found: tuple[np.ndarray, list[np.ndarray]]) -> tuple[np.ndarray, np.ndarray]:
    return found[0], found[1][0]


def errors(told: Told) -> list[Chart]:
    """The error by how far ahead, hour of day, day of the week, month and series."""
    unit, x = told.ahead
    charts = []
    if told.steps > 1:
        lines = {"the model": mean_of_rows(told.error.T)} | {
            name.replace("_", " "): mean_of_rows(np.abs(said - told.truth).T)
            for name, said in told.rivals.items()
        }
        marks = list(zip(lines.items(), SERIES, DASHES, strict=False))
        ours = lines["the model"]
        show = printer(ours)
        charts.append(
            Chart(
                f"{told.error_label} by {unit} ahead",
                f"The model's error is {told.amount(ours[0])} one step ahead and {told.amount(ours[-1])} at "
                f"the last, {span(told.steps * told.interval)} ahead; {told.best.replace('_', ' ')}'s "
                f"{told.amount(lines[told.best.replace('_', ' ')][-1])} there.",
                {
                    "all": view(
                        [line(name, color, x, y, dash) for (name, y), color, dash in marks],
                        f"{unit} ahead",
                        told.error_label,
                        yaxis={"rangemode": "tozero"},
                    )
                },
                Table(
                    told.error_label,
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
    return [*charts, *(grouped_errors(told, *grouping) for grouping in groupings(told))]


def grouped_errors(told: Told, by: str, group: np.ndarray, names: Sequence[str]) -> Chart:
    """The error of the model and the best baseline in each group."""
    rival = told.best.replace("_", " ")
    ours = means(told.error, group, len(names))
    theirs = means(np.abs(told.rivals[told.best] - told.truth), group, len(names))
    names, ours, theirs = largest(names, ours, theirs)
    high, low = int(np.nanargmax(ours)), int(np.nanargmin(ours))
    show = printer(ours)
    return Chart(
        f"{told.error_label} by {by}",
        f"By {by}, the error is largest at {names[high]} ({told.amount(ours[high])}) and least at "
        f"{names[low]} ({told.amount(ours[low])}).",
        {
            "all": view(
                [bars("the model", "model", names, ours), bars(rival, "baseline", names, theirs)],
                by,
                told.error_label,
                barmode="group",
                xaxis={"type": "category"},
            )
        },
        Table(
            told.error_label,
            [by, "the model", rival],
            [[name, show(a), show(b)] for name, a, b in zip(names, ours, theirs, strict=True)],
        ),
        half=True,
    )


def largest(names: Sequence[str], *values: np.ndarray, most: int = 40) -> tuple:
    """The groups that have values, at most so many of them: those with the largest."""
    known = np.flatnonzero(np.isfinite(values[0]))
    known = np.sort(known[np.argsort(-values[0][known], kind="stable")][:most])
    return ([elide(names[i], 24) for i in known], *(one[known] for one in values))


def worst(told: Told) -> Table:
    """The forecasts that went most wrong, no two of one time."""
    path = mean_of_rows(told.error)
    rows, taken = [], []
    for window in np.argsort(-np.nan_to_num(path, nan=-1), kind="stable"):
        if len(rows) == WORST or np.isnan(path[window]):
            break
        if any(abs(told.origin[window] - other) < told.steps * told.interval for other in taken):
            continue
        taken.append(told.origin[window])
        step = int(np.nanargmax(told.error[window]))
        rows.append(
            [
                told.where(window),
                told.amount(path[window]),
                human(told.times[window, step]),
                digits(told.model[window, step, 0]),
                " to ".join(map(digits, told.model[window, step, 1:])),
                digits(told.truth[window, step]),
            ]
        )
    return Table(
        "The forecasts that went most wrong, and their worst step",
        ["made at", told.error_label, "worst step", "forecast", "interval", "what came"],
        rows,
        texts=(0, 2),
    )


def intervals(told: Told) -> list[Chart]:
    """How often intervals held, by month and by how far ahead."""
    level = told.figures["interval"]["level"]
    charts = [
        held_by(told, by, means(told.held, group, len(names)), names, level)
        for by, group, names in groupings(told)
        if by in ("month", "hour of the day", "series")
    ]
    if told.steps > 1:
        unit, ahead = told.ahead
        names = [f"{one:.3g}" for one in ahead]
        share = mean_of_rows(told.held.T)
        charts.insert(0, held_by(told, f"{unit} ahead", share, names, level, ahead))
    return charts


def held_by(
    told: Told,
    by: str,
    share: np.ndarray,
    names: Sequence[str],
    level: float,
    x: np.ndarray | None = None,
) -> Chart:
    """The share of values that intervals held, by group, beside the level.

    Args:
        by: what the groups are of.
        share: (groups,); NaN for a group without values.
        names: of the groups.
        level: that was asked.
        x: (groups,) where each lies on an axis of numbers; None for one of names.
    """
    known = np.flatnonzero(np.isfinite(share))
    names, share = [elide(names[i], 24) for i in known], share[known]
    if x is None:
        at, axis, held = names, {"type": "category"}, bars("held", "model", names, share)
    else:
        at, axis, held = x[known], {}, line("held", "model", x[known], share)
    low, high = int(np.argmin(share)), int(np.argmax(share))
    of = "" if x is None else f" {by}"
    return Chart(
        f"Share of values inside the {level:.0%} intervals, by {by}",
        f"Of the {level:.0%} that were asked, intervals held least at {names[low]}{of} ({share[low]:.0%}) "
        f"and most at {names[high]}{of} ({share[high]:.0%}).",
        {
            "all": view(
                [
                    held,
                    line("asked", "truth", at, np.full(len(names), level), "dash"),
                ],
                by,
                "share held",
                xaxis=axis,
                yaxis={"tickformat": ".0%", "range": [0, 1]},
            )
        },
        Table(
            f"Share held, by {by}", [by, "held"], [[n, f"{s:.1%}"] for n, s in zip(names, share, strict=True)]
        ),
        half=True,
    )


def data(evidence: Evidence) -> list[Facts | Table | Chart]:
    """What was met in the file, and how sound its columns are."""
    notes = Facts(evidence.run["notes"])
    path = evidence.folder / "health.json"
    if not path.is_file():
        return [notes]
    health = read_json(path)
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
    head += ["longest stuck (rows)", "drift (sd)", "test values unseen in training"]
    blocks: list[Facts | Table | Chart] = [
        notes,
        Table("The columns, from training to test", head, rows),
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
                "Share of missing values, by month",
                f"Most are missing of {names[most]}: {100 * gaps[most].max():.2g} % in "
                f"{health['months'][int(gaps[most].argmax())]}. Columns that miss nothing are left out.",
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
    """A column's drift, and the share of its test values that training never saw, as texts."""
    drift, strange = column.get("drift"), column.get("outside", column.get("unseen"))
    return (
        "" if drift is None else f"{drift:+.2f}".replace("-", "−"),
        "" if not strange else f"{strange:.1%}",
    )


def drifted(health: dict) -> Text | None:
    """A sentence on columns whose mean moved from training to test, the furthest first."""
    far = {
        column["name"]: column["drift"]
        for column in health["columns"]
        if abs(column.get("drift") or 0) >= DRIFTED
    }
    if not far:
        return None
    order = sorted(far, key=lambda name: -abs(far[name]))
    listed = ", ".join(f"{name} {far[name]:+.1f}".replace("-", "−") for name in order[:MOST_DRIFTED])
    more = f", and less in {len(far) - MOST_DRIFTED} others" if len(far) > MOST_DRIFTED else ""
    return Text(f"The mean moved from the training to the test part, in standard deviations: {listed}{more}.")


def share(part: int, whole: int) -> str:
    return f"{part:,} ({part / whole:.1%})" if part else ""


def span(time: np.timedelta64) -> str:
    return duration(int(time / np.timedelta64(1, "s")))
