"""`sunhwan runs`: what was run, and what came of it."""

from __future__ import annotations

from pathlib import Path

import click

from sunhwan.errors import SunhwanError


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
    from sunhwan.files import read_json
    from sunhwan.studies import run

    if under.exists() and not under.is_dir():
        raise SunhwanError(f"{str(under)!r} is a file; expected the folder that holds the run directories")
    runs = run.found(under)
    if not runs:
        click.echo(f"no runs under {under}; `sunhwan study run newyork_temperature` makes one")
    for folder, record in runs.items():
        click.echo(f"{record['started']}  {record['state']:<8}  {record['study']}  {folder}")
        if record["state"] == "finished":
            click.echo(f"    {read_json(folder / 'metrics.json')['headline']}")
        else:
            click.echo("    not finished; --resume goes on with it")
