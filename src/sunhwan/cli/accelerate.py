"""`sunhwan accelerate`: a Python script run as `python` runs it, with its recurrent layers accelerated."""

from __future__ import annotations

import os
import runpy
import signal
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import click

from sunhwan.errors import SunhwanError
from sunhwan.recurrence.accelerate import accelerated
from sunhwan.recurrence.explain import FUSED, Explanation, Row, recorded


@click.command(
    context_settings={"allow_interspersed_args": False},
    epilog="""\b
Examples:
  sunhwan accelerate train.py --epochs 3
  sunhwan accelerate --explain train.py
  KERAS_BACKEND=jax sunhwan accelerate -m package.train""",
)
@click.option("-m", "module", is_flag=True, help="SCRIPT is the name of a module, as for `python -m`.")
@click.option(
    "--explain", is_flag=True, help="End with a table of which layers ran fused, and why others did not."
)
@click.argument("script")
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED, metavar="[ARGS]...")
def command(script: str, module: bool, explain: bool, arguments: tuple[str, ...]) -> None:
    """Run SCRIPT with ARGS as `python` does, on fused kernels; the script itself needs no change.

    What follows SCRIPT is the script's own. The exit status is that of the script. At the end, one line on
    stderr says how many recurrent layers ran fused.
    """
    if not module and not Path(script).exists():
        raise SunhwanError(f"there is no script {script!r}; give the path of a Python file")
    # As for `python`: the script's own folder comes first on the path, in place of the one of this command;
    # of
    # a module, the folder where we are.
    sys.path[0] = os.getcwd() if module else str(Path(script).resolve().parent)
    if module and find_spec(script) is None:
        raise SunhwanError(f"there is no module {script!r}; give a name that can be imported from here")
    sys.argv = [script, *arguments]
    with accelerated(), recorded() as rows:
        try:
            if module:
                status = ended(lambda: runpy.run_module(script, run_name="__main__", alter_sys=True))
            else:
                status = ended(lambda: runpy.run_path(script, run_name="__main__"))
        finally:
            account(rows, explain)
    sys.exit(status)


def ended(run: Callable) -> int | str | None:
    """Runs a program to its end and returns what it asks `sys.exit` for.

    Its errors are shown here, as Python shows them, lest they be taken for those of our own command.
    """
    try:
        run()
    except SystemExit as asked:
        return 0 if asked.code is None else asked.code
    except BaseException as error:
        trace = error.__traceback__
        while trace and trace.tb_frame.f_globals["__name__"] in (__name__, "runpy"):
            trace = trace.tb_next
        sys.excepthook(type(error), error.with_traceback(trace), trace)
        return 128 + signal.SIGINT if isinstance(error, KeyboardInterrupt) else 1
    return 0


def account(rows: list[Row], explain: bool) -> None:
    """Says on stderr what ran fused; in a table if that is wanted."""
    sys.stdout.flush()
    layers = {row.layer for row in rows}
    fused = {row.layer for row in rows if row.path == FUSED}
    if not layers:
        text = "no recurrent layer of Keras ran"
    else:
        text = f"{len(fused)} of {len(layers)} recurrent layers ran fused"
        if fused != layers and not explain:
            text += "; --explain says why not all"
    click.echo(f"sunhwan: {text}", err=True)
    if explain and rows:
        click.echo(str(Explanation(tuple(rows))), err=True)
