"""`sunhwan predict`: what a run says of new rows."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sunhwan.cli.asking import text
from sunhwan.errors import SunhwanError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import polars as pl

TIMES = "%Y-%m-%d %H:%M:%S"
"""How times are written as CSV."""

GROUP = 20_000
"""Rows that a Parquet file holds together."""


@click.command(
    epilog="""\b
Examples:
  sunhwan predict runs/forecast-20260101-120000 station.csv
  sunhwan predict RUN station.csv --every 24h --out forecasts.csv
  sunhwan predict RUN reviews.jsonl --explain --out told.csv"""
)
@click.argument("run", type=click.Path(path_type=Path))
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--out", type=click.Path(path_type=Path), help="Write a .csv or .parquet file.  [default: print CSV]"
)
@click.option(
    "--every",
    callback=text,
    help="Forecast from every so many rows (1, 24h).  [default: from the last row of each series]",
)
@click.option("--explain", is_flag=True, help="Of texts: say which words moved each answer; slower.")
def command(run: Path, file: Path, out: Path | None, every: str | None, explain: bool) -> None:
    """Say what comes after the rows of FILE, or of which class they are, by the model in the directory RUN.

    Of a forecast, FILE has the columns that the run was trained on, and at least as many rows as a forecast
    reads. Columns that are known in advance go on beyond the last observed row, with the target left empty.

    Of texts, FILE is CSV, Parquet, JSON lines or a folder of .txt files, and may be larger than memory. Each
    row is given back with all its columns, the likeliest class and the probability of each. Of sensor
    readings there is a row for each recording.

    What was met is said on stderr.
    """
    if out is not None and out.suffix not in (".csv", ".parquet"):
        raise SunhwanError(f"--out is {str(out)!r}; expected a name that ends with .csv or .parquet")
    from sunhwan import rundir

    task = rundir.task_of(run)
    if task == "forecast" and explain:
        raise SunhwanError(f"--explain is for runs of `classify`; {str(run)!r} is one of `forecast`")
    if task == "classify" and every is not None:
        raise SunhwanError(f"--every is for runs of `forecast`; {str(run)!r} is one of `classify`")
    import polars as pl

    if task == "forecast":
        from sunhwan.forecast.predict import predict

        found = predict(run, file, every)
        say((*found.notes, *found.warnings))
        write([pl.DataFrame(found.columns)], out)
        return
    from sunhwan.classify.predict import predict
    from sunhwan.cli.progress import Bars

    # A bar between the lines of an answer on the same terminal would be no help.
    with Bars(shown=out is not None or not sys.stdout.isatty()) as bars:
        bars.show(f"looking at {file.name}", None)
        predictions = predict(run, file, explain)
        write(predictions.frames(bars), out)
    say(predictions.notes())


def say(notes: Iterable[str]) -> None:
    for note in notes:
        click.echo(f"note: {note}", err=True)


def write(frames: Iterable[pl.DataFrame], out: Path | None) -> None:
    """Write frames of the same columns, one after the other, to a file, or as CSV to stdout."""
    from sunhwan.files import atomic

    if out is None:
        for number, frame in enumerate(frames):
            click.echo(frame.write_csv(include_header=not number, datetime_format=TIMES), nl=False)
        return
    rows = 0

    def counted():
        nonlocal rows
        for frame in frames:
            rows += len(frame)
            yield frame

    with atomic(out) as temporary:
        if out.suffix == ".csv":
            with temporary.open("wb") as file:
                for number, frame in enumerate(counted()):
                    frame.write_csv(file, include_header=not number, datetime_format=TIMES)
        else:
            parquet(counted(), temporary)
    click.echo(f"{rows:,} rows in {out}")


def parquet(frames: Iterator[pl.DataFrame], path: Path) -> None:
    """Write frames as one Parquet file, without holding more than a few."""
    from polars.io.plugins import register_io_source

    first = next(frames)

    def rest(*wanted: object) -> Iterator[pl.DataFrame]:
        yield first
        yield from frames

    register_io_source(rest, schema=first.schema).sink_parquet(path, row_group_size=GROUP)
