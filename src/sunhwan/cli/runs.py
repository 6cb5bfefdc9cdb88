"""`sunhwan runs`: what was run, and what came of it."""

from __future__ import annotations

from pathlib import Path

import click


@click.command(epilog="\b\nExample:\n  sunhwan runs --under runs")
@click.option(
    "--under",
    type=click.Path(path_type=Path),
    default=Path("runs"),
    show_default=True,
    help="The folder that holds the run directories.",
)
def command(under: Path) -> None:
    """List the runs under a folder: when, which study, what came of it."""
    from sunhwan.experiments import run
    from sunhwan.files import read_json

    folders = run.found(under)
    if not folders:
        click.echo(f"no runs under {under}; `sunhwan study run newyork_temperature` makes one")
    for folder in folders:
        record = read_json(folder / "run.json")
        click.echo(f"{record['started']}  {record['state']:<8}  {folder}")
        metrics = folder / "metrics.json"
        if metrics.exists():
            click.echo(f"    {read_json(metrics)['headline']}")
        elif record["state"] == "running":
            click.echo("    not finished; --resume goes on with it")
