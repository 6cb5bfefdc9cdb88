"""`sunhwan accelerate`: a Python script run as `python` runs it, with its recurrent layers accelerated."""

from __future__ import annotations

import builtins
import os
import runpy
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from importlib.machinery import SourceFileLoader
from importlib.util import find_spec
from itertools import chain
from pathlib import Path
from tempfile import mkdtemp
from types import ModuleType
from zipfile import is_zipfile

import click

from sunhwan.errors import SunhwanError
from sunhwan.recurrence.accelerate import accelerate, accelerated
from sunhwan.recurrence.explain import Explanation
from sunhwan.recurrence.record import KERAS, Row, read, record_to, recorded


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
    stderr says how many recurrent layers ran fused, those in processes that multiprocessing began among them.
    """
    if not module:
        must_exist(script)
    # As for `python`: in place of this command's own folder, first on the path is that of the script; for a
    # module, the folder where we are.
    sys.path[0] = os.getcwd() if module else str(Path(script).resolve().parent)
    sys.argv = [script, *arguments]
    folder, mine = Path(mkdtemp(prefix="sunhwan-")), os.getpid()
    others = folder / "ran"
    try:
        with accelerated(), recorded(others) as ran, multiprocessing_too(others):
            status = ended(partial(run_module if module else run_script, script, run_name="__main__"))
            if os.getpid() == mine:  # and not a process that the script forked, and that ended like it
                account(ran, read(others), explain)
    finally:
        if os.getpid() == mine:
            shutil.rmtree(folder, ignore_errors=True)
    sys.exit(status)


def must_exist(script: str) -> None:
    if not Path(script).exists():
        raise SunhwanError(f"there is no script {script!r}; give the path of a Python file")


@contextmanager
def multiprocessing_too(others: Path) -> Iterator[None]:
    """Accelerates processes that multiprocessing spawns, which begin anew; forked ones are already.

    What is sent ahead to such a process, and read there first, gets one more entry, which does its work by
    being read.
    """
    from multiprocessing import spawn

    stock = spawn.get_preparation_data

    def with_acceleration(name):
        return stock(name) | {"sunhwan": _Accelerates(others)}

    spawn.get_preparation_data = with_acceleration
    try:
        yield
    finally:
        spawn.get_preparation_data = stock


class _Accelerates:
    def __init__(self, others: Path):
        self.others = others

    def __reduce__(self):
        return _accelerate_here, (self.others,)


def _accelerate_here(others):
    accelerate()
    record_to(others)


def run_script(path: str, run_name: str) -> None:
    """Runs a file of Python's source as `python` does; anything else that `python` takes, by `runpy`.

    `runpy` does not do for scripts: since 3.9 `__file__` is absolute, while `sys.argv[0]` is as it was given.
    """
    where = os.path.join(os.getcwd(), path)
    if not os.path.isfile(where) or where.endswith(".pyc") or is_zipfile(where):
        runpy.run_path(path, run_name=run_name)
    else:
        run_source(Path(where).read_bytes(), where, run_name)


def run_source(source: bytes | str, where: str, run_name: str) -> None:
    """Runs Python's source as the module `run_name`, as if it stood in the file `where`."""
    module = ModuleType(run_name)
    module.__dict__.update(
        __file__=where, __cached__=None, __builtins__=builtins, __loader__=SourceFileLoader(run_name, where)
    )
    before = sys.modules[run_name]
    sys.modules[run_name] = module
    try:
        exec(compile(source, where, "exec"), module.__dict__)
    finally:
        sys.modules[run_name] = before


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


def account(ran: list[list[Row]], others: dict[int, list[list[Row]]], explain: bool) -> None:
    """Says on stderr how many layers ran fused, of rows for each; in a table if that is wanted.

    Args:
        others: likewise of other processes, by process.
    """
    sys.stdout.flush()
    # What many processes have in common needs no more than one row.
    rows = [*chain.from_iterable(ran), *dict.fromkeys(chain.from_iterable(chain(*others.values())))]
    processes = len(others) + bool(ran)
    ran = [*ran, *chain.from_iterable(others.values())]
    fused = sum(all(row.path != KERAS for row in rows) for rows in ran)
    seam = sys.modules.get("sunhwan.recurrence.seam")  # there where Keras is
    if seam and not ran and (why := seam.refusal()):
        text = f"0 ran fused: {why}"
    elif not ran:
        text = "no recurrent layer of Keras ran"
    else:
        text = f"{fused} of {len(ran)} recurrent layers ran fused"
        if others:
            text += f", in {processes} process{'es' if processes > 1 else ''}"
        if fused < len(ran) and not explain:
            text += "; --explain says why not all"
    click.echo(f"sunhwan: {text}", err=True)
    if explain and ran:
        click.echo(str(Explanation(tuple(rows))), err=True)
