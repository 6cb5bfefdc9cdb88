"""`sunhwan forecast`: a file of readings to a forecaster, its errors and whether the network is worth it."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import click

from sunhwan.cli import need_backend
from sunhwan.cli.asking import asked, learning, names, split_of, text
from sunhwan.errors import SunhwanError


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
@click.option("--series", callback=text, help="The column that tells several series apart.")
@click.option("--horizon", callback=text, help="How far ahead: rows, or a duration such as 24h.")
@click.option("--lookback", callback=text, help="How far back a forecast reads: rows, or a duration.")
@names("--known", help="Columns known in advance, such as holidays or a plan.")
@names("--features", help="The columns to forecast from.  [default: all that serve]")
@click.option(
    "--level",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    default=0.8,
    show_default=True,
    help="The share of values that intervals are to hold.",
)
@click.option(
    "--folds",
    type=click.IntRange(2, 50),
    help="Cut the test share into so many parts, each forecast by a model trained on the rows before it.",
)
@click.option(
    "--search",
    type=click.IntRange(3),
    help="Try so many settings of the network within the training part. Needs sunhwan[search].",
)
@learning("forecast", "Shares by time.", ("gru", "lstm", "simple_rnn"), epochs=20)
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
    model: str,
    epochs: int,
    out: Path | None,
    as_json: bool,
) -> None:
    """Forecast a column of FILE (CSV or Parquet), and say whether a network is worth it.

    A recurrent network corrects a straight line (ridge); validation decides how much of it is used, and the
    test part is looked at once, at the end. What is not said is drawn from the data: a day ahead of rows
    within a day, from two days; all columns that can serve. --search begins with --model, and holds a
    --lookback that is given.
    """
    from sunhwan import rundir
    from sunhwan.data.preparation import ForecastSpec
    from sunhwan.files import new_run
    from sunhwan.forecast import backtest
    from sunhwan.forecast import run as forecast
    from sunhwan.forecast import search as searching
    from sunhwan.forecast.model import Options
    from sunhwan.forecast.network import Settings
    from sunhwan.provenance import now

    if folds and test:
        raise SunhwanError(
            "--folds cuts the test share of FILE into parts, and --test names another file to test on; leave "
            "one of them out"
        )
    shares = split_of(split, test)
    need_backend()
    began = now()
    run = new_run("forecast", out)
    source = forecast.Source(file, tuple(time), series)
    readings, source = source.read()
    later = replace(source, path=test).read()[0] if test else None
    wanted = ForecastSpec(
        tuple(target),
        horizon,
        lookback,
        tuple(known),
        tuple(features),
        shares,
    )
    options = Options(Settings(cell=model, epochs=epochs), seeds, level)

    from rich.console import Console

    from sunhwan.cli.progress import Bars
    from sunhwan.cli.tables import fold_scores, forecast_scores

    data = {each.name: each.fingerprint for each in (readings, later) if each is not None}
    found = None
    with Bars() as bars:
        if search:
            found = searching.search(readings, wanted, options, bars, search)
            wanted, options = found.wanted, found.options
        if folds:
            result = backtest.backtest(readings, wanted, options, bars, folds)
        else:
            result = forecast.learn(readings, wanted, options, bars, later)
    known_of = rundir.record("forecast", ["sunhwan", *sys.argv[1:]], asked(), data, began)
    if found:
        result = replace(
            result,
            notes=(*result.notes, found.note),
            metrics={**result.metrics, "search": found.summary},
        )
        known_of["search"] = found.summary
    metrics = forecast.keep(result, known_of, run, source, found.trials if found else ())
    click.echo(metrics["verdict"])
    for note in result.notes:
        click.echo(f"  {note}")
    console = Console(width=200)
    console.print(forecast_scores(metrics))
    if folds:
        console.print(fold_scores(metrics))
    for one in metrics["targets"]:
        interval = one["interval"]
        click.echo(
            f"{interval['level']:.0%} intervals of {one['target']} held {interval['coverage']:.1%} of the "
            f"test part, {interval['mean_width']:.3g} wide on average"
        )
    click.echo(f"everything is in {run}; `sunhwan report {run} --open` shows it")
    click.echo(f"`sunhwan predict {run} {file}` says what comes next")
    if as_json:
        click.echo(json.dumps(metrics, ensure_ascii=False, allow_nan=False))
