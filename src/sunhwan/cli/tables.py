"""The scores of a run in tables, on a terminal or in a pipe."""

from __future__ import annotations

import math

from rich import box
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from sunhwan import units
from sunhwan.report.words import FORECAST_SCORES, label


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
        epochs = ", ".join(str(epoch or "-") for epoch in figures["best_epochs"])
        cells = [cell(figures[part]["mean"], figures[part]["std"]) for part in ("test", "validation")]
        speed, parameters = f"{figures['seconds_per_epoch']:.1f}", f"{figures['parameters']:,}"
        rows.append((figures["test"]["mean"], entry, (escape(entry), *cells, epochs, speed, parameters)))
    for entry, figures in metrics["baselines"].items():
        cells = [cell(figures[part], None) for part in ("test", "validation")]
        rows.append((figures["test"], entry, (f"= {label(metrics, entry)}", *cells, "", "", "")))
    sign = -1 if metrics["higher_is_better"] else 1
    rows.sort(key=lambda row: math.inf if row[0] is None else sign * row[0])
    if metrics["metric"] == "mse":
        # Errors of the adding problem compare within a length, which ends the names.
        rows.sort(key=lambda row: int(row[1].rpartition("_")[2]))
    for position, (_, _, cells) in enumerate(rows):
        table.add_row(*cells, style="bold" if position == 0 else None)
    return table


def forecast_scores(metrics: dict) -> Table:
    """Errors of the model and of each baseline on the test part, target by target, the best first."""
    table = Table(title=Text("test part (= baseline)"), title_justify="left", box=box.SIMPLE_HEAD)
    scores = {key: words for key, words in FORECAST_SCORES.items() if key in metrics["test"]["model"]}
    for column in ("", *scores.values()):
        table.add_column(column, justify="right" if column else "left", no_wrap=True)
    for target in metrics["targets"]:
        unit = units.shown(target["unit"])
        rows = sorted(target["test"].items(), key=lambda item: item[1]["mae"])
        for position, (name, errors) in enumerate(rows):
            named = "the model" if name == "model" else f"= {label(metrics, name)}"
            named = f"{target['target']}: {named}" if len(metrics["targets"]) > 1 else named
            figures = (f"{errors[key]:.4g} {unit}".strip() for key in scores)
            table.add_row(Text(named), *map(Text, figures), style="bold" if position == 0 else None)
    return table


def fold_scores(metrics: dict) -> Table:
    """The model beside the baseline that is best over all folds, fold by fold and target by target."""
    table = Table(title=Text("mean absolute error by fold"), title_justify="left", box=box.SIMPLE_HEAD)
    for column in ("", "from", "to", "the model", "best baseline", "", "lower by"):
        right = column in ("the model", "best baseline", "lower by")
        table.add_column(column, justify="right" if right else "left", no_wrap=True)
    for i, target in enumerate(metrics["targets"]):
        unit, baseline = units.shown(target["unit"]), target["best_baseline"]
        named = f"{target['target']}: " if len(metrics["targets"]) > 1 else ""
        for fold in metrics["folds"]:
            errors = fold["targets"][i]["test"]
            model, theirs = errors["model"]["mae"], errors[baseline]["mae"]
            cells = (
                f"{named}{fold['fold']}",
                fold["from"],
                fold["to"],
                f"{model:.4g} {unit}".strip(),
                f"{theirs:.4g} {unit}".strip(),
                label(metrics, baseline),
                f"{100 * (1 - model / theirs):.1f}%" if theirs else "",
            )
            table.add_row(*map(Text, cells))
        over = target["over_folds"]
        mine, other = ("{mean:.4g} ± {std:.2g}".format(**over[name]["mae"]) for name in ("model", baseline))
        table.add_row(*map(Text, (f"{named}mean", "", "", mine, other, "", "")), style="bold")
    return table


def cell(mean: float | None, std: float | None) -> str:
    """A score with its spread over seeds."""
    if mean is None:
        return "diverged"
    return f"{mean:.4f}" if std is None else f"{mean:.4f} ± {std:.4f}"
