"""Options that several commands share: lists of names, texts, shares of a split, and those of training."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import click

from sunhwan.errors import SunhwanError
from sunhwan.recurrence.cells import CELLS


def _names(ctx: click.Context, parameter: click.Parameter, value: tuple[str, ...]) -> list[str]:
    """Names as a list: with commas between them, or the option given once for each."""
    joined = ",".join(value)
    parts = [part.strip() for part in joined.split(",")] if value else []
    if not all(parts) or len(set(parts)) < len(parts):
        raise click.BadParameter(f"{joined!r} was given; expected names with commas between them, each once")
    return parts


names = partial(click.option, multiple=True, callback=_names)
"""An option whose value is a list of names."""


def text(ctx: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    """An option that must not be empty."""
    if value is not None and not value.strip():
        raise click.BadParameter("an empty text was given; expected a value, or leave the option out")
    return value


def shares(counts: Sequence[int], expected: str) -> Callable:
    """A callback that reads `60/20/20` as numbers.

    Args:
        counts: how many there may be.
        expected: the shares that an error message asks for.
    """

    def read(ctx: click.Context, parameter: click.Parameter, value: str | None) -> list[float] | None:
        if value is None:
            return None
        try:
            parts = [float(part) for part in value.split("/")]
        except ValueError:
            parts = []
        if len(parts) not in counts or not all(0 < part < math.inf for part in parts):
            raise click.BadParameter(f"{value!r} was given; expected {expected}")
        return parts

    return read


def learning(task: str, split: str, cell: str, seeds: int, epochs: int | str) -> Callable:
    """Give a command the options of training on a user's file.

    Args:
        task: as the run directory is named.
        split: how the file is split, for the help.
        cell: of the recurrent layers, by default.
        seeds: by default.
        epochs: by default; a text where they depend on the data, which the task then knows.
    """
    either = "three shares such as 60/20/20, or with --test two such as 80/20"
    directory = click.Path(path_type=Path)
    options = (
        click.option(
            "--split",
            callback=shares((2, 3), either),
            help=f"{split}  [default: 60/20/20, with --test 80/20]",
        ),
        click.option("--test", type=directory, help="A file to test on, instead of a share."),
        click.option(
            "--seeds",
            type=click.IntRange(1, 20),
            default=seeds,
            show_default=True,
            help="Networks to train and average.",
        ),
        click.option(
            "--cell",
            type=click.Choice(sorted(CELLS)),
            default=cell,
            show_default=True,
            help="The kind of recurrent layers.",
        ),
        click.option(
            "--epochs",
            type=click.IntRange(1),
            default=epochs if isinstance(epochs, int) else None,
            show_default=epochs if isinstance(epochs, str) else True,
            help="The most epochs of a network.",
        ),
        click.option("--out", type=directory, help=f"The run directory.  [default: runs/{task}-TIME]"),
        click.option("--json", "as_json", is_flag=True, help="Print one JSON object as the last line."),
    )

    def decorated(command):
        for option in reversed(options):
            command = option(command)
        return command

    return decorated


def split_of(split: Sequence[float] | None, test: Path | None) -> tuple[float, ...]:
    """The shares, as given or by default; two where the test part is a file of its own."""
    if test and split and len(split) == 3:
        raise SunhwanError("--test names the test part, so --split has two shares, such as 80/20")
    if not test and split and len(split) == 2:
        raise SunhwanError("--split has two shares and there is no --test; give three, such as 60/20/20")
    return tuple(split or ((80, 20) if test else (60, 20, 20)))


def asked() -> dict[str, object]:
    """The options of the command line, for the run's record; not where the run goes, or how it is printed."""
    return {
        key: str(value) if isinstance(value, Path) else value
        for key, value in click.get_current_context().params.items()
        if key not in ("out", "as_json")
    }
