"""`sunhwan audit`: a script or notebook run as it is, and then what its results are worth."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
import time
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
"""The exit status of `--strict` where a leak is proved."""


def seconds(ctx: click.Context, parameter: click.Parameter, value: str) -> float:
    """`60s`, `2m` or `90` as seconds."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?) *(s|m|h)?", value.strip())
    if not found:
        raise click.BadParameter(f"{value!r} was given; expected a time, as 60s or 2m")
    return float(found[1]) * {"s": 1, "m": 60, "h": 3600, None: 1}[found[2]]


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
    help="Time that findings, baselines and timing may take.",
)
@click.option("--json", "as_json", is_flag=True, help="End with one JSON object, as the last line of stdout.")
@click.option(
    "--report", type=click.Path(path_type=Path), help="Write the account as a page, too; a name in .html."
)
@click.option("--open", "opened", is_flag=True, help="Show that page in the browser.")
@click.option("--strict", is_flag=True, help=f"Exit with status {LEAKS} where a leak is proved.")
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
    """Run SCRIPT with ARGS as `python` does, accelerated, and hold its Keras models to the light.

    The script itself needs no change, and its results, output and files stay its own. At the end stderr says,
    for each call of fit, how the network compares with simple models on exactly its rows, and what its arrays
    tell about leaks, each with the script's lines. The exit status is that of the script.
    """
    must_exist(script)
    if report is not None:
        if report.suffix not in (".html", ".htm"):
            raise SunhwanError(f"--report is {str(report)!r}; expected a name that ends with .html")
        report = report.resolve()  # wherever the script goes
    elif opened:
        raise SunhwanError("--open shows the page of --report; give that too, as --report audit.html")
    source, places = read_source(Path(script), allow_shell)
    where = os.path.join(os.getcwd(), script)
    sys.path[0] = str(Path(script).resolve().parent)
    sys.argv = [script, *arguments]
    folder, mine = Path(mkdtemp(prefix="sunhwan-")), os.getpid()
    others = folder / "ran"
    # Only here, since it loads NumPy.
    from sunhwan.audit.baselines import Budget, quiet
    from sunhwan.audit.observe.watch import Watch
    from sunhwan.audit.session import clock, fill
    from sunhwan.audit.text import Audit

    watch, found, streams = Watch(where), Audit(script, places=places), (sys.stdout, sys.stderr)
    try:
        with accelerated(), recorded(others), multiprocessing_too(others):
            watch.start()
            begun = time.monotonic()
            status = ended(partial(run_source, source, where, run_name="__main__"))
            ran = time.monotonic() - begun
            watch.stop()
            if os.getpid() == mine:  # and not a process that the script forked, and that ended like it
                if not getattr(sys.stdout, "closed", True):
                    sys.stdout.flush()
                sys.stdout, sys.stderr = streams  # wherever the script sent its own
                limit = Budget(budget)
                with quiet():  # whatever the script made errors of
                    fill(found, watch.record, source, limit)
                    clock(found, ran - watch.record.seconds, limit)
                if processes := len(read(others)):
                    found.remarks.append(
                        f"models ran in {processes} other process{'es' if processes > 1 else ''} too, which "
                        "is not audited"
                    )
                click.echo(str(found), err=True)
                if report is not None:
                    write_page(found.to_dict(), report, opened)
                if as_json:
                    click.echo(json.dumps(found.to_dict()))
    finally:
        if os.getpid() == mine:
            shutil.rmtree(folder, ignore_errors=True)
    if strict and status == 0 and found.leaks:
        sys.exit(LEAKS)
    sys.exit(status)


def write_page(said: dict, path: Path, opened: bool) -> None:
    """Writes what an audit said as a page; stdout is the script's, so where it is goes to stderr."""
    from sunhwan.files import write_text
    from sunhwan.report.pages import audit as audit_page

    write_text(path, audit_page.page(said).html())
    click.echo(f"the page is {path}", err=True)
    if opened:
        show(path)
