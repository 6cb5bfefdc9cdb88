"""`sunhwan study`: list, show and run."""

from __future__ import annotations

import json
import shlex
import sys
from dataclasses import replace
from pathlib import Path

import click

from sunhwan.errors import SunhwanError


@click.group(
    epilog="""\b
Examples:
  sunhwan study list
  sunhwan study show newyork_temperature > mine.toml
  sunhwan study run mine.toml --models gru,gru_linear_skip --seeds 3"""
)
def command() -> None:
    """List, show and run studies: models beside baselines on real data."""


@command.command("list")
def list_studies() -> None:
    """The shipped studies and the question that each answers."""
    from sunhwan.experiments.study import shipped

    studies = shipped()
    width = max(len(name) for name in studies)
    for name, study in studies.items():
        click.echo(f"{name:<{width}}  {study.question}")
        click.echo(f"{'':<{width}}  models: {', '.join(study.models)}")


@command.command("show", epilog="\b\nExample:\n  sunhwan study show imdb_sentiment")
@click.argument("name")
def show(name: str) -> None:
    """Print a study as TOML: a start for one of your own."""
    import tomli_w

    from sunhwan.experiments.study import load

    click.echo(tomli_w.dumps(load(name).as_dict()), nl=False)


def names(ctx: click.Context, parameter: click.Parameter, value: str | None) -> list[str]:
    """A comma-separated option as a list."""
    return [part.strip() for part in value.split(",") if part.strip()] if value else []


def split(ctx: click.Context, parameter: click.Parameter, value: str | None) -> list[float] | None:
    """`60/20/20` as three numbers."""
    if value is None:
        return None
    try:
        return [float(part) for part in value.split("/")]
    except ValueError:
        raise click.BadParameter(f"{value!r} was given; expected three shares such as 60/20/20") from None


@command.command(
    "run",
    epilog="""\b
Examples:
  sunhwan study run newyork_temperature --epochs 3
  sunhwan study run imdb_sentiment --data aclImdb_v1.tar.gz --models simple_rnn --seeds 3
  sunhwan study run table_temperature --data beijing.csv --time year,month,day,hour --target TEMP \\
      --unit degC --lookback 240h --split 50/25/25
  sunhwan study run newyork_temperature --resume""",
)
@click.argument("study")
@click.option("--data", type=click.Path(path_type=Path), help="A file you already have.  [default: the study's]")
@click.option("--models", callback=names, help="Some of the study's models, comma-separated.  [default: all]")
@click.option("--seeds", type=click.IntRange(1), help="Train each model with seeds 0 .. N - 1.  [default: the study's]")
@click.option("--epochs", type=click.IntRange(1), help="Epochs for every model.  [default: the study's]")
@click.option("--out", type=click.Path(path_type=Path), help="The run's directory.  [default: runs/STUDY-TIME]")
@click.option("--resume", is_flag=True, help="Go on with an unfinished run (--out, or the study's latest).")
@click.option("--time", callback=names, help="Table: the column, or columns, that hold the time.")
@click.option("--target", help="Table: the column to forecast.")
@click.option("--series", help="Table: the column that tells several series apart.")
@click.option("--features", callback=names, help="Table: the columns to forecast from.  [default: all that can serve]")
@click.option("--unit", help="Table: the target's unit.  [default: read out of its name]")
@click.option("--lookback", help="Rows, or a duration such as 10d.")
@click.option("--horizon", help="Rows, or a duration such as 24h, counted from the last observed row.")
@click.option("--split", callback=split, help="Shares of train, validation and test by time, such as 60/20/20.")
@click.option("--no-plots", is_flag=True, help="Leave out the plots.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object as the last line.")
def run_study(study: str, data: Path | None, out: Path | None, resume: bool, no_plots: bool, as_json: bool, **given) -> None:
    """Train a study's models beside its baselines and keep all evidence in a directory.

    STUDY is the name of a shipped study or the path of a TOML file.
    """
    from sunhwan.experiments import run
    from sunhwan.experiments.study import load

    declared = load(study)
    if resume:
        folder, kept = run.resumable(declared.name, out)
        chosen = overridden(kept, data, given)
        if chosen != kept:
            raise SunhwanError(
                f"the run in {str(folder)!r} was begun with other options; leave them out after --resume, or begin a new run"
            )
    else:
        chosen = overridden(declared, data, given)
        folder = run.start(chosen, out, ["sunhwan", *sys.argv[1:]], declared.epochs)

    from sunhwan.cli.progress import Bars, results, stderr

    click.echo(chosen.question)
    if chosen.epochs < declared.epochs:
        few = "1 epoch" if chosen.epochs == 1 else f"{chosen.epochs} epochs"
        click.echo(f"{few} instead of the study's {declared.epochs}: a demonstration, not a result")
    try:
        with Bars() as bars:
            metrics = run.carry_out(chosen, folder, bars)
    except SunhwanError:
        run.discard_if_unbegun(folder)
        raise
    except KeyboardInterrupt:
        click.echo(f"to go on: sunhwan study run {shlex.quote(study)} --resume --out {shlex.quote(str(folder))}", err=True)
        raise
    from rich.console import Console

    click.echo(metrics["headline"])
    # A pipe has no width of its own; the table's lines must not be cut there.
    Console(width=None if sys.stdout.isatty() else 100).print(results(metrics))
    if not no_plots:
        from sunhwan.report import plots

        with stderr.status("drawing the plots"):
            drawn = plots.draw(folder)
        click.echo(f"{len(drawn)} plots in {folder / 'plots'}")
    click.echo(f"everything is in {folder}")
    if as_json:
        click.echo(json.dumps(metrics, ensure_ascii=False, allow_nan=False))


def overridden(study, data: Path | None, given: dict):
    """The study with what the command line says in place of what the file says."""
    if given["models"]:
        study = study.with_models(given["models"])
    if given["epochs"]:
        study = study.with_epochs(given["epochs"])
    if given["seeds"]:
        study = replace(study, seeds=given["seeds"])
    if given["unit"]:
        study = replace(study, unit=given["unit"])
    table = {"time": given["time"], "series": given["series"]}
    table = {key: value for key, value in table.items() if value}
    if table and study.data.get("name") != "table":
        raise SunhwanError(
            f"--{next(iter(table))} is for tables of yours, but study {study.name!r} has its own data; "
            "use `sunhwan study run table_temperature --data FILE`"
        )
    if data:
        # Absolute, so that the run can be resumed from anywhere.
        table["path"] = str(data.expanduser().absolute())
    study = study.with_data(**table) if table else study
    how = {key: given[key] for key in ("target", "features", "lookback", "horizon", "split") if given[key]}
    if how and study.kind != "forecast":
        raise SunhwanError(f"--{next(iter(how))} is for forecasts; study {study.name!r} is about {study.kind}")
    return study.with_prepare(**how) if how else study
