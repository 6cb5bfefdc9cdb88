"""Bars and tables on a terminal; silence on stderr where there is none."""

from __future__ import annotations

import click
from rich import box
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from sunhwan import units

stderr = Console(stderr=True)


class Bars:
    """A `train.Watcher` that draws one bar for the model in training and keeps a line for each that is done.

    Use it as a context manager. On a pipe it draws nothing.
    """

    def __init__(self, metric: str = "loss"):
        columns = (
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("{task.fields[figure]}"),
            TimeRemainingColumn(),
        )
        self.bars = Progress(*columns, console=stderr, disable=not stderr.is_terminal, transient=True)
        self.task, self.batches = None, 1

    def __enter__(self) -> Bars:
        self.bars.start()
        self.task = self.bars.add_task("reading the data, fitting the baselines", total=None, figure="")
        return self

    def __exit__(self, *error: object) -> None:
        self.bars.stop()

    def prepared(self, notes: list[str]) -> None:
        self.bars.remove_task(self.task)
        self.task = None
        for note in notes:
            click.echo(f"- {note}")

    def begin(self, member: str, epochs: int, batches: int) -> None:
        if self.task is not None:
            self.bars.remove_task(self.task)
        self.batches = batches
        self.task = self.bars.add_task(member, total=epochs * batches, figure="compiling")

    def batch(self, epoch: int, batch: int) -> None:
        self.bars.update(self.task, completed=(epoch - 1) * self.batches + batch)

    def epoch(self, row: dict) -> None:
        figure = f"epoch {row['epoch']}: loss {row['loss']:.4f}, validation {row['val_loss']:.4f}"
        self.bars.update(self.task, completed=row["epoch"] * self.batches, figure=figure)


def results(metrics: dict) -> Table:
    """Models and baselines of a run in one table, the best on test first."""
    unit = units.shown(metrics["unit"])
    name = {"mae": "mean absolute error", "accuracy": "accuracy", "mse": "mean squared error"}[metrics["metric"]]
    heading = name if unit == metrics["metric"] or metrics["metric"] == "mse" else f"{name}, {unit}"
    table = Table(title=f"{heading} (= baseline)", title_justify="left", box=box.SIMPLE_HEAD)
    for column in ("", "test", "validation", "best epoch", "s/epoch", "parameters"):
        table.add_column(column, justify="right" if column else "left", no_wrap=True)
    rows = []
    for entry, figures in metrics["models"].items():
        kept = ", ".join(str(epoch) for epoch in figures["best_epochs"])
        cells = [cell(figures[part]["mean"], figures[part]["std"]) for part in ("test", "val")]
        speed = f"{figures['seconds_per_epoch']:.1f}"
        rows.append((figures["test"]["mean"], (entry, *cells, kept, speed, f"{figures['parameters']:,}")))
    for entry, figures in metrics["baselines"].items():
        cells = [cell(figures[part], None) for part in ("test", "val")]
        rows.append((figures["test"], (f"= {entry}", *cells, "", "", "")))
    rows.sort(key=lambda row: row[0], reverse=metrics["higher_is_better"])
    for position, (_, cells) in enumerate(rows):
        table.add_row(*cells, style="bold" if position == 0 else None)
    return table


def cell(mean: float, std: float | None) -> str:
    """A figure with its spread over seeds."""
    return f"{mean:.4f}" if std is None else f"{mean:.4f} ± {std:.4f}"
