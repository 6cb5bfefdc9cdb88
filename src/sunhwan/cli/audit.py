"""`sunhwan audit`: runs a script or notebook as it is, then audits its Keras models."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
from functools import partial
from pathlib import Path
from tempfile import mkdtemp

import click

from sunhwan.cli.accelerate import (
    allow_shell,
    ended,
    multiprocessing_too,
    must_exist,
    read_source,
    run_source,
)
from sunhwan.cli.report import show
from sunhwan.errors import SunhwanError
from sunhwan.recurrence.keras.accelerate import accelerated
from sunhwan.recurrence.keras.dispatch_log import read, recorded

LEAKS = 3
"""The exit status with `--strict` when a leak is proved."""


def seconds(ctx: click.Context, parameter: click.Parameter, value: str) -> float:
    """`60s`, `2m` or `90` as seconds."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?) *(s|m|h)?", value.strip())
    if not match:
        raise click.BadParameter(f"{value!r} was given; expected a time, as 60s or 2m")
    return float(match[1]) * {"s": 1, "m": 60, "h": 3600, None: 1}[match[2]]


@click.command(
    context_settings={"allow_interspersed_args": False},
    epilog="""\b
Examples:
  sunhwan audit my_lstm.py
  sunhwan audit --report audit.html --open my_lstm.py
  sunhwan audit --strict --json my_lstm.ipynb
  KERAS_BACKEND=torch sunhwan audit --budget 2m train.py --epochs 3""",
)
@click.option(
    "--budget",
    default="60s",
    show_default=True,
    callback=seconds,
    help="Time for findings, baselines and timing once the script has ended.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object as the last line of stdout.")
@click.option(
    "--report", type=click.Path(path_type=Path), help="Also write the audit as a page, to this .html file."
)
@click.option("--open", "opened", is_flag=True, help="Show that page in the browser.")
@click.option("--strict", is_flag=True, help=f"Exit with status {LEAKS} if a leak is proved.")
@allow_shell
@click.argument("script")
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED, metavar="[ARGS]...")
def command(
    script: str,
    budget: float,
    as_json: bool,
    report: Path | None,
    opened: bool,
    strict: bool,
    allow_shell: bool,
    arguments: tuple[str, ...],
) -> None:
    """Run SCRIPT with ARGS as `python` does, accelerated, and check its Keras models.

    The script needs no change, and its results, output and files stay its own. At the end stderr shows, for
    each call of fit, how the network compares with baselines on the same rows, and which leaks its arrays
    prove, with the lines of the script. The exit status is that of the script.
    """
    must_exist(script)
    if report is not None:
        if report.suffix not in (".html", ".htm"):
            raise SunhwanError(f"--report is {str(report)!r}; expected a name that ends with .html")
        report = report.resolve()  # the script may change the working directory
    elif opened:
        raise SunhwanError("--open needs a page to show; give --report, as --report audit.html")
    source, places = read_source(Path(script), allow_shell)
    where = os.path.join(os.getcwd(), script)
    sys.path[0] = str(Path(script).resolve().parent)
    sys.argv = [script, *arguments]
    folder, own, streams = Path(mkdtemp(prefix="sunhwan-")), os.getpid(), (sys.stdout, sys.stderr)
    others = folder / "ran"
    # Only here, since it loads NumPy.
    from sunhwan.audit.baselines import Budget, quiet
    from sunhwan.audit.observe.watch import watching
    from sunhwan.audit.session import complete
    from sunhwan.audit.text import Audit

    try:
        with accelerated(), recorded(others), multiprocessing_too(others):
            with watching(where) as observed:
                status = ended(partial(run_source, source, where, run_name="__main__"))
            if os.getpid() != own:  # a process that the script forked, and that ended like it
                sys.exit(status)
            if not getattr(sys.stdout, "closed", True):
                sys.stdout.flush()
            sys.stdout, sys.stderr = streams  # the script may have redirected its own
            result = Audit(script, places=places)
            with quiet():  # the script may have made errors of warnings
                complete(result, observed, source, Budget(budget), len(read(others)))
    finally:
        if os.getpid() == own:
            shutil.rmtree(folder, ignore_errors=True)
    click.echo(str(result), err=True)
    if report is not None:
        write_page(result.to_dict(), report, opened)
    if as_json:
        click.echo(json.dumps(result.to_dict()))
    sys.exit(LEAKS if strict and status == 0 and result.leaks else status)


def write_page(audit: dict, path: Path, opened: bool) -> None:
    """Writes an audit as a page; stdout is the script's, so its path goes to stderr."""
    from sunhwan.files import write_text
    from sunhwan.report.pages.audit import page

    write_text(path, page(audit).html())
    click.echo(f"the page is {path}", err=True)
    if opened:
        show(path)
