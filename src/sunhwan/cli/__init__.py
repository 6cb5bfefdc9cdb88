"""The command `sunhwan`: one thin file a command, loaded when it is called.

`--help` must answer at once, so nothing here imports Keras, polars or matplotlib.
"""

from __future__ import annotations

import errno
import importlib
import importlib.util
import os
import sys

import click

from sunhwan import __version__
from sunhwan.errors import SunhwanError

COMMANDS = {
    "forecast": "Forecast a column of your file, by a network if it is worth it.",
    "classify": "Tell labelled texts apart, by a network if it is worth it.",
    "predict": "Forecast what comes next, or tell new texts apart, by a run.",
    "report": "Show a run, or several, on one page in the browser.",
    "stream": "Answer each reading on stdin by a forecast, by a run.",
    "study": "List, show and run studies: models and baselines on real data.",
    "runs": "List the runs under a folder.",
    "data": "List the datasets, fetch them, and export texts as CSV.",
    "summary": "Print the layers of a study's model.",
    "accelerate": "Run a Python script with recurrent layers accelerated.",
    "audit": "Run a Keras script, and say what its results are worth.",
    "bench": "Measure what acceleration gains on this machine.",
    "doctor": "Say what is installed, what runs where, and what is missing.",
}
"""Each command and its one-line help; the module of the same name in this folder holds `command`."""

BACKENDS = ("jax", "tensorflow", "torch")
"""The backends on which Keras can train."""


class LazyGroup(click.Group):
    """A group whose commands are imported when they are called, not when they are listed."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        return importlib.import_module(f"sunhwan.cli.{name}").command if name in COMMANDS else None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(
    cls=LazyGroup,
    commands=dict.fromkeys(COMMANDS),  # their names alone, among which Click looks for the one that was meant
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="""\b
Examples:
  sunhwan forecast station.csv --target "T (degC)" --horizon 24h
  sunhwan study list
  sunhwan study run newyork_temperature --epochs 3
  sunhwan study run table_temperature --data station.csv --time "Date Time" --target "T (degC)"
  sunhwan summary imdb_sentiment simple_rnn
  sunhwan accelerate train.py --epochs 3
  sunhwan audit my_lstm.py""",
)
@click.version_option(__version__, prog_name="sunhwan")
@click.pass_context
def group(context: click.Context) -> None:
    """Recurrent networks on the CPU you have, judged beside honest baselines."""
    # Our own commands run on JAX (small to install, fast to step) unless the user says otherwise; `import
    # sunhwan` never does this, and a script of the user's has Keras's own default.
    if context.invoked_subcommand not in ("accelerate", "audit") and not os.environ.get("KERAS_BACKEND"):
        os.environ["KERAS_BACKEND"] = "jax"
    # The threads of boosting (OpenMP's) spin while they wait for each other: beside two other programs on two
    # processors that took 20 times as long as waiting asleep.
    if context.invoked_subcommand in ("forecast", "study"):
        os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def main() -> None:
    """Run the command; problems become one sentence on stderr and exit status 2, Ctrl-C 130."""
    # Where the output knows no such sign (a degree's, one of a file's name) it gets its escape, not an end.
    sys.stdout.reconfigure(errors="backslashreplace")
    try:
        status = group.main(prog_name="sunhwan", standalone_mode=False)
    except click.exceptions.Abort as error:
        end(130, "stopped", error.__cause__)
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        sys.exit(2)
    except click.ClickException as error:
        context = getattr(error, "ctx", None)
        path = context.command_path if context else "sunhwan"
        end(2, f"{error.format_message().rstrip('.?')}; `{path} --help` tells what is expected")
    except SunhwanError as error:
        end(2, str(error))
    except OSError as error:
        if error.errno not in PLAIN:
            raise
        what, remedy = PLAIN[error.errno]
        where = f" {str(error.filename)!r}" if error.filename else ""
        end(2, f"{what}{where}; nothing half-written is left: {remedy}", error)
    sys.exit(status if isinstance(status, int) else 0)


PLAIN = {
    errno.ENOSPC: ("the disk is full while writing", "make room"),
    errno.EDQUOT: ("the disk quota is used up while writing", "make room"),
    errno.EFBIG: ("a file grew larger than the system allows", "raise the limit (ulimit -f)"),
    errno.EACCES: ("there is no permission for", "change its rights, or name another"),
    errno.EPERM: ("there is no permission for", "change its rights, or name another"),
    errno.EROFS: ("the disk is read-only at", "name a folder on another"),
    errno.ENOTDIR: ("a folder was expected, but there is a file, on the way to", "name another"),
    errno.ENAMETOOLONG: ("the system takes no names as long as", "name another"),
}
"""Troubles of the system that the user can mend, as people would say them: what happened, and what to do."""


def end(status: int, message: str, error: BaseException | None = None) -> None:
    """End with one plain sentence on stderr, and what an error's notes add to it (how to go on)."""
    click.echo("; ".join([f"sunhwan: {message}", *getattr(error, "__notes__", ())]), err=True)
    sys.exit(status)


def need_backend() -> None:
    """Refuse a Keras backend that cannot train or is not installed, before Keras fails on it."""
    name = os.environ.get("KERAS_BACKEND", "jax")
    if name not in BACKENDS:
        raise SunhwanError(
            f"KERAS_BACKEND is {name!r}; expected one that trains: {', '.join(BACKENDS)}; unset means jax"
        )
    if importlib.util.find_spec(name) is None:
        raise SunhwanError(
            f"KERAS_BACKEND is {name!r}, which is not installed; install it, or unset KERAS_BACKEND"
        )
    if name != "tensorflow":
        # Keras imports TensorFlow where it is installed all the same, and with oneDNN that writes to stderr.
        os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
