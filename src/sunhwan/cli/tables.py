"""The scores of a run in tables, on a terminal or in a pipe."""

from __future__ import annotations

import math

from rich import box
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from sunhwan import units


def results(metrics: dict) -> Table:
    """Models and baselines of a run in one table, the best on test first."""
    unit = units.shown(metrics["unit"])
    error = f"mean absolute error, {unit}" if unit else "mean absolute error"
    heading = {"mae": error, "accuracy": "accuracy", "mse": "mean squared error"}
    # As Text, since a unit may hold brackets, which are rich's markup.
    title = Text(f"{heading[metrics['metric']]} (= baseline)")
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD)
    for column in ("", "test", "validation", "best epoch", "s/epoch", "parameters"):
        table.add_column(column, justify="right" if column else "left", no_wrap=True)
    rows = []
    for entry, figures in metrics["models"].items():
        kept = ", ".join(str(epoch or "-") for epoch in figures["best_epochs"])
        cells = [cell(figures[part]["mean"], figures[part]["std"]) for part in ("test", "val")]
        speed = f"{figures['seconds_per_epoch']:.1f}"
        rows.append(
            (figures["test"]["mean"], (escape(entry), *cells, kept, speed, f"{figures['parameters']:,}"))
        )
    for entry, figures in metrics["baselines"].items():
        cells = [cell(figures[part], None) for part in ("test", "val")]
        rows.append((figures["test"], (f"= {entry}", *cells, "", "", "")))
    sign = -1 if metrics["higher_is_better"] else 1
    rows.sort(key=lambda row: math.inf if row[0] is None else sign * row[0])
    if metrics["metric"] == "mse":
        # Errors of the adding problem compare within a length, which ends the names.
        rows.sort(key=lambda row: int(row[1][0].rpartition("_")[2]))
    for position, (_, cells) in enumerate(rows):
        table.add_row(*cells, style="bold" if position == 0 else None)
    return table


def forecast_scores(metrics: dict) -> Table:
    """Errors of the model and of each baseline on the test part, target by target, the best first."""
    table = Table(title=Text("on the test part (= baseline)"), title_justify="left", box=box.SIMPLE_HEAD)
    for column in ("", "mean absolute error", "of the last step", "root mean squared error"):
        table.add_column(column, justify="right" if column else "left", no_wrap=True)
    for one in metrics["targets"]:
        unit = units.shown(one["unit"])
        rows = sorted(one["test"].items(), key=lambda item: item[1]["mae"])
        for position, (name, found) in enumerate(rows):
            named = "model" if name == "model" else f"= {metrics['names'][name]}"
            named = f"{one['target']}: {named}" if len(metrics["targets"]) > 1 else named
            figures = (f"{found[key]:.4g} {unit}".strip() for key in ("mae", "mae_last_step", "rmse"))
            table.add_row(Text(named), *map(Text, figures), style="bold" if position == 0 else None)
    return table


def fold_scores(metrics: dict) -> Table:
    """The model beside the baseline that is best over all folds, fold by fold and target by target."""
    table = Table(title=Text("mean absolute error by fold"), title_justify="left", box=box.SIMPLE_HEAD)
    for column in ("", "from", "to", "model", "best baseline", "", "lower by"):
        right = column in ("model", "best baseline", "lower by")
        table.add_column(column, justify="right" if right else "left", no_wrap=True)
    for i, one in enumerate(metrics["targets"]):
        unit, rival = units.shown(one["unit"]), one["best_baseline"]
        named = f"{one['target']}: " if len(metrics["targets"]) > 1 else ""
        for fold in metrics["folds"]:
            found = fold["targets"][i]["test"]
            model, theirs = found["model"]["mae"], found[rival]["mae"]
            cells = (
                f"{named}{fold['fold']}",
                fold["from"],
                fold["to"],
                f"{model:.4g} {unit}".strip(),
                f"{theirs:.4g} {unit}".strip(),
                metrics["names"][rival],
                f"{100 * (1 - model / theirs):.1f}%" if theirs else "",
            )
            table.add_row(*map(Text, cells))
        over = one["over_folds"]
        mine, other = ("{mean:.4g} ± {std:.2g}".format(**over[name]["mae"]) for name in ("model", rival))
        table.add_row(*map(Text, (f"{named}mean", "", "", mine, other, "", "")), style="bold")
    return table


def cell(mean: float | None, std: float | None) -> str:
    """A figure with its spread over seeds."""
    if mean is None:
        return "diverged"
    return f"{mean:.4f}" if std is None else f"{mean:.4f} ± {std:.4f}"
