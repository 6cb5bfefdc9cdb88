"""`sunhwan predict`: what a run says of new rows."""

from __future__ import annotations

from pathlib import Path

import click

from sunhwan.cli.asking import text
from sunhwan.errors import SunhwanError


@click.command(
    epilog="""\b
Examples:
  sunhwan predict runs/forecast-20260101-120000 station.csv
  sunhwan predict RUN station.csv --every 24h --out forecasts.csv"""
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
def command(run: Path, file: Path, out: Path | None, every: str | None) -> None:
    """Forecast what comes after the rows of FILE, by the model in the directory RUN.

    FILE has the columns that the run was trained on, and at least as many rows as a forecast reads. Columns
    that are known in advance go on beyond the last observed row, with the target left empty. Warnings go to
    stderr.
    """
    if out is not None and out.suffix not in (".csv", ".parquet"):
        raise SunhwanError(f"--out is {str(out)!r}; expected a name that ends with .csv or .parquet")
    from sunhwan.tasks import folder

    folder.task_of(run)
    import polars as pl

    from sunhwan.files import atomic
    from sunhwan.tasks.predict import predict

    found = predict(run, file, every)
    for note in (*found.notes, *found.warnings):
        click.echo(f"note: {note}", err=True)
    frame = pl.DataFrame(found.columns)
    if out is None:
        click.echo(frame.write_csv(datetime_format="%Y-%m-%d %H:%M:%S"), nl=False)
        return
    with atomic(out) as temporary:
        if out.suffix == ".csv":
            frame.write_csv(temporary, datetime_format="%Y-%m-%d %H:%M:%S")
        else:
            frame.write_parquet(temporary)
    click.echo(f"{len(frame):,} rows in {out}")
