"""`sunhwan study`: list studies, show one, run one."""

from __future__ import annotations

import json
import shlex
import sys
from dataclasses import replace
from pathlib import Path

import click

from sunhwan.cli import need_backend
from sunhwan.cli.asking import names, shares, text
from sunhwan.errors import SunhwanError


@click.group(
    epilog="""\b
Examples:
  sunhwan study list
  sunhwan study show newyork_temperature > mine.toml
  sunhwan study run mine.toml --models gru,gru_linear_skip --seeds 3"""
)
def command() -> None:
    """List, show and run studies, which compare models with baselines on real data."""


@command.command("list")
def list_studies() -> None:
    """List the shipped studies and the question that each answers."""
    from sunhwan.studies.study import shipped

    studies = shipped()
    width = max(len(name) for name in studies)
    for name, study in studies.items():
        click.echo(f"{name:<{width}}  {study.question}")
        click.echo(f"{'':<{width}}  models: {', '.join(study.models)}")


@command.command("show", epilog="\b\nExample:\n  sunhwan study show imdb_sentiment")
@click.argument("name")
def show(name: str) -> None:
    """Print a study as TOML, as a template for your own."""
    import tomli_w

    from sunhwan.studies.study import load

    click.echo(tomli_w.dumps(load(name).to_dict()), nl=False)


READING = (
    click.option(
        "--data", type=click.Path(path_type=Path), help="A file that you have.  [default: the study's data]"
    ),
    names("--time", help="Table: the column or columns with the time."),
    click.option("--target", callback=text, help="Table: the column to forecast."),
    click.option("--series", callback=text, help="Table: the column that names the series of each row."),
    names("--features", help="Table: the input columns.  [default: all usable columns]"),
    click.option("--lookback", callback=text, help="Rows, or a duration such as 10d."),
    click.option(
        "--horizon",
        callback=text,
        help="Rows, or a duration such as 24h, counted from the last observed row.",
    ),
    click.option(
        "--split",
        callback=shares((3,), "three shares such as 60/20/20"),
        help="Shares of train, validation and test by time, such as 60/20/20.",
    ),
)
"""The options on how a study's data is read and prepared."""


def reading(command):
    """Add the options of `READING` to a command."""
    for option in reversed(READING):
        command = option(command)
    return command


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
@names("--models", help="Names of the study's models, comma-separated.  [default: all]")
@click.option(
    "--seeds", type=click.IntRange(1), help="Train each model with seeds 0 .. N - 1.  [default: the study's]"
)
@click.option("--epochs", type=click.IntRange(1), help="Epochs for every model.  [default: the study's]")
@click.option(
    "--out", type=click.Path(path_type=Path), help="The run's directory.  [default: runs/STUDY-TIME]"
)
@click.option("--resume", is_flag=True, help="Continue an unfinished run (--out, or the study's latest).")
@reading
@click.option("--unit", callback=text, help="Table: the target's unit.  [default: from its name: T (degC)]")
@click.option("--no-plots", is_flag=True, help="Draw no plots.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object as the last line.")
def run_study(
    study: str,
    models: list[str],
    seeds: int | None,
    epochs: int | None,
    unit: str | None,
    out: Path | None,
    resume: bool,
    no_plots: bool,
    as_json: bool,
    **options,
) -> None:
    """Train the models of a study, compare them with its baselines, and write a run directory.

    STUDY is the name of a shipped study, or the path of a TOML file.
    """
    from sunhwan import rundir
    from sunhwan.studies import run
    from sunhwan.studies.study import load

    def with_options(chosen):
        chosen = chosen.with_models(models) if models else chosen
        chosen = chosen.with_epochs(epochs) if epochs else chosen
        return with_reading(replace(chosen, seeds=seeds or chosen.seeds, unit=unit or chosen.unit), **options)

    declared = load(study)
    if resume:
        folder, saved = run.resumable(declared.name, out)
        chosen = with_options(saved)
        if chosen != saved:
            raise SunhwanError(
                f"the run in {str(folder)!r} began with other options; "
                "leave them out after --resume, or start a new run"
            )
    else:
        chosen = with_options(declared)
        folder = run.fresh(chosen, out)
    need_backend()

    from rich.console import Console

    from sunhwan.cli.progress import Bars, stderr
    from sunhwan.cli.tables import results
    from sunhwan.report.pictures import plots

    click.echo(chosen.question)
    if chosen.epochs < declared.epochs:
        few = "1 epoch" if chosen.epochs == 1 else f"{chosen.epochs} epochs"
        click.echo(f"{few} instead of the study's {declared.epochs}: a demonstration, not a result")
    try:
        with Bars() as bars:
            metrics = run.carry_out(
                chosen,
                folder,
                bars,
                command=["sunhwan", *sys.argv[1:]],
                declared_epochs=declared.epochs,
            )
        click.echo(metrics["verdict"])
        # Wider than any table: rich would cut off figures in a narrow terminal.
        Console(width=200).print(results(metrics))
        if not no_plots:
            with stderr.status("drawing the plots"):
                drawn = plots.draw(folder)
            click.echo(f"{len(drawn)} plots in {folder / 'plots'}")
    except (KeyboardInterrupt, OSError) as error:
        if rundir.is_run(folder):
            again = f"sunhwan study run {shlex.quote(study)} --resume --out {shlex.quote(str(folder))}"
            error.add_note(f"to continue: {again}")
        raise
    click.echo(f"the run is in {folder}")
    if as_json:
        click.echo(json.dumps(metrics, ensure_ascii=False, allow_nan=False))


def with_reading(study, *, data: Path | None, time: list[str], series: str | None, **how):
    """The study with the options of `READING` in place of the values in its file."""
    path = data or study.data.get("path")
    # Absolute, so that the run can be resumed from anywhere.
    path = str(Path(path).expanduser().absolute()) if path else None
    values = {key: value for key, value in (("path", path), ("time", time), ("series", series)) if value}
    study = study.with_data(**values) if values else study
    how = {key: value for key, value in how.items() if value}
    if how and study.kind != "forecast":
        raise SunhwanError(
            f"--{next(iter(how))} is for forecasts; study {study.name!r} is of kind {study.kind}"
        )
    return study.with_prepare(**how) if how else study
