"""`sunhwan accelerate`: a Python script run as `python` runs it, with its recurrent layers accelerated."""

from __future__ import annotations

import os
import runpy
import signal
import sys
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from itertools import chain
from pathlib import Path

import click

from sunhwan.errors import SunhwanError
from sunhwan.recurrence.accelerate import accelerated
from sunhwan.recurrence.explain import KERAS, Explanation, Row, recorded


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
    # As for `python`: in place of this command's own folder, first on the path is that of the script; for a
    # module, the folder where we are.
    sys.path[0] = os.getcwd() if module else str(Path(script).resolve().parent)
    sys.argv = [script, *arguments]
    with accelerated(), recorded() as ran:
        status = ended(partial(run_module if module else runpy.run_path, script, run_name="__main__"))
        account(ran, explain)
    sys.exit(status)


class NoModule(SunhwanError):
    """There is none of that name."""


def run_module(name: str, run_name: str) -> None:
    """Runs a module, and before it the packages that it is in.

    Raises:
        NoModule: it is not there.
    """
    try:
        found = find_spec(name)  # which runs the packages
    except ModuleNotFoundError as error:
        if not f"{name}.".startswith(f"{error.name}."):  # a package misses something else
            raise
        found = None
    if found is None:
        raise NoModule(f"there is no module {name!r}; give a name that can be imported from here")
    runpy.run_module(name, run_name=run_name, alter_sys=True)


def ended(run: Callable) -> int | str | None:
    """Runs a program to its end and returns what it asks `sys.exit` for.

    Its errors are shown here, as Python shows them, lest they be taken for those of our own command, as
    `NoModule` is.
    """
    try:
        run()
    except NoModule:
        raise
    except SystemExit as asked:
        return 0 if asked.code is None else asked.code
    except BaseException as error:
        trace = error.__traceback__
        while trace and trace.tb_frame.f_globals["__name__"] in (__name__, "runpy"):
            trace = trace.tb_next
        sys.excepthook(type(error), error.with_traceback(trace), trace)
        return 128 + signal.SIGINT if isinstance(error, KeyboardInterrupt) else 1
    return 0


def account(ran: list[list[Row]], explain: bool) -> None:
    """Says on stderr how many layers ran fused, of rows for each; in a table if that is wanted."""
    sys.stdout.flush()
    fused = sum(all(row.path != KERAS for row in rows) for rows in ran)
    if not ran:
        text = "no recurrent layer of Keras ran"
    else:
        text = f"{fused} of {len(ran)} recurrent layers ran fused"
        if fused < len(ran) and not explain:
            text += "; --explain says why not all"
    click.echo(f"sunhwan: {text}", err=True)
    if explain and ran:
        click.echo(str(Explanation(tuple(chain.from_iterable(ran)))), err=True)
