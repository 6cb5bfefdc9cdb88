"""`sunhwan predict`: predictions of a run for new rows."""

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
"""The format of times in CSV."""

GROUP = 20_000
"""Rows in a row group of a Parquet file."""


@click.command(
    epilog="""\b
Examples:
  sunhwan predict runs/forecast-20260101-120000 station.csv
  sunhwan predict RUN station.csv --every 24h --out forecasts.csv
  sunhwan predict RUN reviews.jsonl --explain --out predictions.csv"""
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
@click.option("--explain", is_flag=True, help="Texts: list the words behind each prediction; slower.")
def command(run: Path, file: Path, out: Path | None, every: str | None, explain: bool) -> None:
    """Predict for the rows of FILE with the model in the run directory RUN: future values, or classes.

    For a forecast, FILE has the columns that the run was trained on, and at least as many rows as its
    lookback. Columns that are known in advance continue after the last observed row, with the target empty.

    For texts, FILE is CSV, Parquet, JSON lines or a folder of .txt files, and may be larger than memory. Each
    row is returned with all its columns, the predicted class and the probability of each class. For sensor
    readings there is a row for each recording.

    Notes on the file go to stderr.
    """
    if out is not None and out.suffix not in (".csv", ".parquet"):
        raise SunhwanError(f"--out is {str(out)!r}; expected a name that ends with .csv or .parquet")
    from sunhwan import rundir

    kind = rundir.kind_of(run)
    if kind == "forecast" and explain:
        raise SunhwanError(f"--explain is for runs of `classify`; {str(run)!r} is one of `forecast`")
    if kind == "classify" and every is not None:
        raise SunhwanError(f"--every is for runs of `forecast`; {str(run)!r} is one of `classify`")
    import polars as pl

    if kind == "forecast":
        from sunhwan.forecast.predict import predict

        forecast = predict(run, file, every)
        say((*forecast.notes, *forecast.warnings))
        write([pl.DataFrame(forecast.columns)], out)
        return
    from sunhwan.classify.predict import predict
    from sunhwan.cli.progress import Bars

    # Not among the predictions, where these are printed on the same terminal.
    with Bars(shown=out is not None or not sys.stdout.isatty()) as bars:
        bars.show(f"reading {file.name}", None)
        predictions = predict(run, file, explain)
        write(predictions.frames(bars), out)
    say(predictions.notes())


def say(notes: Iterable[str]) -> None:
    for note in notes:
        click.echo(f"note: {note}", err=True)


def write(frames: Iterable[pl.DataFrame], out: Path | None) -> None:
    """Write frames with the same columns one after the other, to a file, or as CSV to stdout."""
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
    """Write frames as one Parquet file, with few of them in memory at a time."""
    from polars.io.plugins import register_io_source

    first = next(frames)

    def rest(*wanted: object) -> Iterator[pl.DataFrame]:
        yield first
        yield from frames

    register_io_source(rest, schema=first.schema).sink_parquet(path, row_group_size=GROUP)
