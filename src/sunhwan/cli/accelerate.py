"""`sunhwan accelerate`: run a script as `python` does, or a notebook, with its layers accelerated."""

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
from sunhwan.recurrence.keras.accelerate import accelerate, accelerated
from sunhwan.recurrence.keras.dispatch_log import KERAS, Row, read, record_to, recorded
from sunhwan.recurrence.keras.explain import Explanation

allow_shell = click.option("--allow-shell", is_flag=True, help="Run the notebook lines that begin with `!`.")


@click.command(
    context_settings={"allow_interspersed_args": False},
    epilog="""\b
Examples:
  sunhwan accelerate train.py --epochs 3
  sunhwan accelerate --explain train.py
  sunhwan accelerate notebook.ipynb
  KERAS_BACKEND=jax sunhwan accelerate -m package.train""",
)
@click.option("-m", "module", is_flag=True, help="SCRIPT is a module name, as with `python -m`.")
@click.option("--explain", is_flag=True, help="Finish with a table of the layers: fused, or why not.")
@allow_shell
@click.argument("script")
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED, metavar="[ARGS]...")
def command(script: str, module: bool, explain: bool, allow_shell: bool, arguments: tuple[str, ...]) -> None:
    """Run SCRIPT with ARGS as `python` does, with its recurrent layers on fused kernels.

    SCRIPT may be a notebook (.ipynb): its cells run in order and their output is shown; the file is not
    changed.

    Everything after SCRIPT is passed to the script, and the exit status is the script's. At the end, one line
    on stderr reports how many SimpleRNN, GRU and LSTM layers ran fused, including those in processes started
    by multiprocessing.
    """
    run = partial(run_module if module else run_script, script)
    if not module:
        must_exist(script)
        if Path(script).suffix == ".ipynb":
            source, _ = read_source(Path(script), allow_shell)
            run = partial(run_source, source, os.path.join(os.getcwd(), script))
    # As `python` does: first on the path is the script's folder, or the current folder for a module.
    sys.path[0] = os.getcwd() if module else str(Path(script).resolve().parent)
    sys.argv = [script, *arguments]
    folder, mine = Path(mkdtemp(prefix="sunhwan-")), os.getpid()
    others = folder / "ran"
    try:
        with accelerated(), recorded(others) as ran, multiprocessing_too(others):
            status = ended(partial(run, run_name="__main__"))
            if os.getpid() == mine:  # not in a process that the script forked
                account(ran, read(others), explain)
    finally:
        if os.getpid() == mine:
            shutil.rmtree(folder, ignore_errors=True)
    sys.exit(status)


def must_exist(script: str) -> None:
    if not Path(script).exists():
        raise SunhwanError(f"no script {script!r}; give the path of a Python file")


def read_source(path: Path, allow_shell: bool) -> tuple[str, dict[int, str]]:
    """The Python source of a script or notebook, and where each of its lines is in the notebook.

    Raises:
        SunhwanError: the file is neither.
    """
    if path.is_dir():
        raise SunhwanError(f"{str(path)!r} is a folder; give the path of a Python file or a notebook")
    try:
        # As Python reads its files: by their declared encoding, without a byte order mark.
        from tokenize import open as open_source

        with open_source(path) as file:
            text = file.read()
        if "\0" in text:
            raise SyntaxError
        if path.suffix != ".ipynb":
            if path.suffix != ".py":
                compile(text, str(path), "exec")
            return text, {}
    except (SyntaxError, UnicodeDecodeError):
        raise SunhwanError(
            f"{str(path)!r} is not Python; give the path of a Python file or a notebook (.ipynb)"
        ) from None
    from sunhwan.audit.observe.notebook import as_script

    return as_script(text, str(path), allow_shell)


@contextmanager
def multiprocessing_too(others: Path) -> Iterator[None]:
    """Accelerates the processes that multiprocessing spawns; forked processes are accelerated already.

    The preparation data that such a process unpickles first gets one more entry, and unpickling that entry
    accelerates the process.
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
    """Runs a file of Python source as `python` does; anything else that `python` accepts, through `runpy`.

    `runpy` is not enough for scripts: since 3.9 `__file__` is absolute, while `sys.argv[0]` is not.
    """
    where = os.path.join(os.getcwd(), path)
    if not os.path.isfile(where) or where.endswith(".pyc") or is_zipfile(where):
        runpy.run_path(path, run_name=run_name)
    else:
        run_source(Path(where).read_bytes(), where, run_name)


def run_source(source: bytes | str, where: str, run_name: str) -> None:
    """Runs Python source as the module `run_name`, as if it were in the file `where`."""
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
    """No module has that name."""


def run_module(name: str, run_name: str) -> None:
    """Runs a module, and before it the packages that contain it.

    Raises:
        NoModule: there is no such module.
    """
    try:
        spec = find_spec(name)  # which runs the packages
    except ModuleNotFoundError as error:
        if not f"{name}.".startswith(f"{error.name}."):  # a package lacks something else
            raise
        spec = None
    if spec is None:
        raise NoModule(f"no module {name!r}; give a name that can be imported from this folder")
    runpy.run_module(name, run_name=run_name, alter_sys=True)


def ended(run: Callable) -> int | str | None:
    """Runs a program to its end and returns its exit status.

    Its errors are shown here, as Python shows them, so that they are not taken for errors of this command.
    """
    try:
        run()
    except NoModule:
        raise
    except SystemExit as end:
        return 0 if end.code is None else end.code
    except BaseException as error:
        trace = error.__traceback__
        while trace and trace.tb_frame.f_globals["__name__"] in (__name__, "runpy"):
            trace = trace.tb_next
        sys.excepthook(type(error), error.with_traceback(trace), trace)
        return 128 + signal.SIGINT if isinstance(error, KeyboardInterrupt) else 1
    return 0


def account(ran: list[list[Row]], others: dict[int, list[list[Row]]], explain: bool) -> None:
    """Reports on stderr how many layers ran fused; with `explain`, in a table.

    Args:
        ran: the rows of each layer.
        others: the same of other processes, by process.
    """
    sys.stdout.flush()
    # Rows that several processes share are shown once.
    rows = [*chain.from_iterable(ran), *dict.fromkeys(chain.from_iterable(chain(*others.values())))]
    processes = len(others) + bool(ran)
    ran = [*ran, *chain.from_iterable(others.values())]
    fused = sum(all(row.path != KERAS for row in rows) for rows in ran)
    seam = sys.modules.get("sunhwan.recurrence.keras.seam")  # loaded if Keras is
    if seam and not ran and (why := seam.reason_of_backend()):
        text = f"0 ran fused: {why}"
    elif not ran:
        text = "no SimpleRNN, GRU or LSTM layer of Keras ran"
    else:
        text = f"{fused} of {len(ran)} SimpleRNN, GRU and LSTM layers ran fused"
        if others:
            text += f", in {processes} process{'es' if processes > 1 else ''}"
        if fused < len(ran) and not explain:
            text += "; --explain shows why not all"
    click.echo(f"sunhwan: {text}", err=True)
    if explain and ran:
        click.echo(str(Explanation(tuple(rows))), err=True)
