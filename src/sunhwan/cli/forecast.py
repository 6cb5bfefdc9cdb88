"""`sunhwan forecast`: train a forecast on a file of readings, and report whether a network is worth it."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click

from sunhwan.cli import need_backend
from sunhwan.cli.asking import asked, learning, names, split_of, text
from sunhwan.errors import SunhwanError
from sunhwan.forecast.options import Options, Settings


@click.command(
    epilog="""\b
Examples:
  sunhwan forecast station.csv --target "T (degC)" --horizon 24h
  sunhwan forecast stations.csv --time time_hour --target temp --series origin
  sunhwan forecast beijing.csv --time year,month,day,hour --target TEMP,DEWP --split 50/25/25
  sunhwan forecast beijing.csv --target TEMP --split 40/10/50 --folds 5
  sunhwan forecast load.parquet --target load --known holiday,price --horizon 48h --json"""
)
@click.argument("file", type=click.Path(path_type=Path))
@names("--target", required=True, help="The column to forecast, or several.")
@names("--time", help="The column, or columns, of the time.  [default: by its name]")
@click.option("--series", callback=text, help="The column that names the series of each row.")
@click.option("--horizon", callback=text, help="How far ahead to forecast: rows, or a duration such as 24h.")
@click.option("--lookback", callback=text, help="The past that a forecast reads: rows, or a duration.")
@names("--known", help="Columns whose future values are known, such as holidays or a plan.")
@names("--features", help="The columns to forecast from.  [default: all usable ones]")
@click.option(
    "--level",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    default=Options.level,
    show_default=True,
    help="The share of actual values that intervals should cover.",
)
@click.option(
    "--folds",
    type=click.IntRange(2, 50),
    help="Cut the test share into this many parts, each forecast by a model trained on the rows before it.",
)
@click.option(
    "--search",
    type=click.IntRange(3),
    help="Try this many settings of the network, within the training part. Needs sunhwan[search].",
)
@learning("forecast", "Shares by time.", Settings.cell, Options.seeds, Settings.epochs)
def command(
    file: Path,
    target: list[str],
    time: list[str],
    series: str | None,
    horizon: str | None,
    lookback: str | None,
    known: list[str],
    features: list[str],
    split: list[float] | None,
    test: Path | None,
    seeds: int,
    level: float,
    folds: int | None,
    search: int | None,
    cell: str,
    epochs: int,
    out: Path | None,
    as_json: bool,
) -> None:
    """Forecast a column of FILE (CSV or Parquet), and report whether a network is worth it.

    A recurrent network corrects ridge regression. Validation decides how much of it is used, and the test
    part is used once, at the end. Defaults come from the data: for sub-daily data, forecast one day ahead
    from the last two days, using every usable column. --search starts from --cell, and keeps --lookback if
    given.
    """
    from sunhwan import rundir
    from sunhwan.data.preparation import ForecastSpec
    from sunhwan.files import new_run
    from sunhwan.forecast import run as forecast
    from sunhwan.forecast.source import Source
    from sunhwan.provenance import now

    if folds and test:
        raise SunhwanError(
            "--folds cuts the test share of FILE into parts, and --test names another file to test on; leave "
            "one of them out"
        )
    shares = split_of(split, test)
    need_backend()
    began = now()
    folder = new_run("forecast", out)
    readings, source = Source(file, tuple(time), series).read()
    later = Source(test, source.time, series, source.times).read()[0] if test else None
    wanted = ForecastSpec(tuple(target), horizon, lookback, tuple(known), tuple(features), shares)
    options = Options(Settings(cell=cell, epochs=epochs), seeds, level)

    from rich.console import Console

    from sunhwan.cli.progress import Bars
    from sunhwan.cli.tables import fold_scores, forecast_scores

    with Bars() as bars:
        result = forecast.run(readings, wanted, options, bars, test=later, search=search, folds=folds)
    data = {table.name: table.fingerprint for table in (readings, later) if table is not None}
    record = rundir.record("forecast", ["sunhwan", *sys.argv[1:]], asked(), data, began)
    metrics = forecast.save(result, record, folder, source)
    click.echo(metrics["verdict"])
    for note in result.notes:
        click.echo(f"  {note}")
    console = Console(width=200)
    console.print(forecast_scores(metrics))
    if folds:
        console.print(fold_scores(metrics))
    for figures in metrics["targets"]:
        interval = figures["interval"]
        click.echo(
            f"{interval['level']:.0%} intervals of {figures['target']} covered {interval['coverage']:.1%} of "
            f"the test part; their mean width is {interval['mean_width']:.3g}"
        )
    click.echo(f"the run is in {folder}; `sunhwan report {folder} --open` shows it")
    click.echo(f"`sunhwan predict {folder} {file}` forecasts what comes next")
    if as_json:
        click.echo(json.dumps(metrics, ensure_ascii=False, allow_nan=False))
