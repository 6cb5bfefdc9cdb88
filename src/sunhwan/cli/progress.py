"""Progress bars on a terminal; elsewhere stderr stays silent."""

from __future__ import annotations

import signal
import sys

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

# Not rich's own test for a terminal: FORCE_COLOR would make bars appear in a pipe.
stderr = Console(stderr=True, force_terminal=sys.stderr.isatty())


class Bars:
    """A `training.progress.Watcher` that draws a bar for the current work, if stderr is a terminal.

    Use it as a context manager. Within it a Ctrl-C is never lost: Keras swallows KeyboardInterrupt while it
    waits for a loss (a bare `except:` in its `pythonify_logs`), and Python prints and drops it in JAX's
    callback of the garbage collector. Both happen often, so it is raised again when training next reports.

    Args:
        shown: whether to draw on a terminal.
    """

    def __init__(self, shown: bool = True):
        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("{task.fields[figure]}"),
            TimeRemainingColumn(),
        )
        self.bars = Progress(
            *columns, console=stderr, disable=not (shown and stderr.is_terminal), transient=True
        )
        self.task, self.batches = None, 1
        self.interrupted = False

    def __enter__(self) -> Bars:
        # Not where the shell ignores SIGINT, as it does for jobs in the background.
        self.heeds = signal.getsignal(signal.SIGINT) is signal.default_int_handler
        if self.heeds:
            signal.signal(signal.SIGINT, self.interrupt)
            self.hook, sys.unraisablehook = sys.unraisablehook, self.dropped
        self.bars.start()
        self.show("reading the data, fitting the baselines", None)
        return self

    def __exit__(self, *error: object) -> None:
        self.bars.stop()
        if self.heeds:
            signal.signal(signal.SIGINT, signal.default_int_handler)
            sys.unraisablehook = self.hook

    def interrupt(self, *signalled: object) -> None:
        """Note a Ctrl-C, and raise it as Python does."""
        self.interrupted = True
        raise KeyboardInterrupt

    def dropped(self, dropped) -> None:
        """Print what Python cannot raise, except a Ctrl-C, which `heed` raises."""
        if not isinstance(dropped.exc_value, KeyboardInterrupt):
            self.hook(dropped)

    def heed(self) -> None:
        """Raise a swallowed Ctrl-C again."""
        if self.interrupted:
            raise KeyboardInterrupt

    def show(self, description: str, total: int | None) -> None:
        """Replace the current bar."""
        if self.task is not None:
            self.bars.remove_task(self.task)
        self.task = self.bars.add_task(description, total=total, figure="")

    def prepared(self, notes: list[str]) -> None:
        self.heed()
        for note in notes:
            click.echo(f"- {note}")

    def begin(self, member: str, epochs: int, batches: int) -> None:
        self.heed()
        self.batches = batches
        self.show(member, epochs * batches)

    def batch(self, epoch: int, batch: int) -> None:
        self.heed()
        self.bars.update(self.task, completed=(epoch - 1) * self.batches + batch)

    def epoch(self, row: dict) -> None:
        self.heed()
        figure = f"epoch {row['epoch']}: loss {row['loss']:.4f}, validation {row['val_loss']:.4f}"
        self.bars.update(self.task, completed=row["epoch"] * self.batches, figure=figure)
