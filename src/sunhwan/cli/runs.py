"""`sunhwan runs`: every run under a folder, and its verdict."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sunhwan.errors import SunhwanError

if TYPE_CHECKING:
    from sunhwan.rundir import Run


@click.command(epilog="\b\nExample:\n  sunhwan runs --under runs")
@click.option(
    "--under",
    type=click.Path(path_type=Path),
    default=Path("runs"),
    show_default=True,
    help="The folder that contains the run directories.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object as the last line.")
def command(under: Path, as_json: bool) -> None:
    """List the runs under a folder: forecasts, classifiers and studies, oldest first."""
    from sunhwan import rundir

    if under.exists() and not under.is_dir():
        raise SunhwanError(f"{str(under)!r} is a file; expected the folder that contains the run directories")
    runs, errors = rundir.runs(under)
    rows = [row(run) for run in runs]
    if rows:
        keys = ("run", "kind", "of", "started", "state")
        cells = [keys, *(tuple(entry[key] for key in keys) for entry in rows)]
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
        for number, texts in enumerate(cells):
            line = "  ".join(text.ljust(width) for text, width in zip(texts, widths, strict=True))
            click.echo(line.rstrip())
            if number:
                click.echo(f"    {rows[number - 1]['verdict']}")
    elif not errors:
        click.echo(f"no runs under {under}; `sunhwan forecast FILE --target COLUMN` makes one")
    if as_json:
        click.echo(json.dumps({"runs": rows}, ensure_ascii=False))
    if errors:
        raise SunhwanError("; ".join(map(str, errors)))


def row(run: Run) -> dict[str, str]:
    """What the list shows of a run."""
    name = run.record.get("study", "")
    if run.finished:
        # `save` of an estimator writes a model without scores.
        verdict = run.metrics["verdict"] if run.has("metrics") else "not scored"
    else:
        verdict = f"not finished; to continue: {run.resume}"
    return {
        "run": str(run.folder),
        "kind": run.kind,
        "of": name or " and ".join(run.record["data"]) or "data from Python",
        "started": run.record["started"],
        "state": run.record["state"],
        "verdict": verdict,
    }
