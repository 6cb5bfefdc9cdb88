"""The command `sunhwan`: one thin file per command, loaded when the command is called.

`--help` must appear at once, so nothing here imports Keras, polars or matplotlib.
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
    "forecast": "Forecast a CSV column, with a network if it beats the baselines.",
    "classify": "Classify texts or sensor windows, in the same way.",
    "predict": "Predict new rows with a trained run: future values or classes.",
    "stream": "Read measurements from stdin and print a forecast after each.",
    "report": "Show one or more runs on a page in the browser.",
    "runs": "List the runs under a folder.",
    "accelerate": "Run a Keras script several times faster, unchanged.",
    "audit": "Run a Keras script, find data leaks, compare it with baselines.",
    "study": "List, show and run studies: models and baselines on real data.",
    "summary": "Print the layers of a study's model.",
    "data": "List, download and export datasets.",
    "bench": "Measure the speed-up on this machine.",
    "doctor": "Check the installation: versions, kernels, backend, cache.",
}
"""Each command and its one-line help; the module of the same name in this folder defines `command`."""

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
    commands=dict.fromkeys(COMMANDS),  # only their names, from which Click suggests the nearest one
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="""\b
Examples:
  sunhwan forecast station.csv --target "T (degC)" --horizon 24h
  sunhwan predict runs/station new.csv
  sunhwan accelerate train.py --epochs 3
  sunhwan audit my_lstm.py
  sunhwan study run newyork_temperature --epochs 3""",
)
@click.version_option(__version__, prog_name="sunhwan")
@click.pass_context
def group(context: click.Context) -> None:
    """Fast recurrent networks on the CPU, compared with honest baselines."""
    # Our own commands run on JAX (small to install, fast per step) unless the user chooses another backend.
    # `import sunhwan` never chooses one, and a user's script gets Keras's own default.
    if context.invoked_subcommand not in ("accelerate", "audit") and not os.environ.get("KERAS_BACKEND"):
        os.environ["KERAS_BACKEND"] = "jax"
    # Boosting's OpenMP threads spin while they wait for each other. With two other programs on two processors
    # that took 20 times as long as sleeping.
    if context.invoked_subcommand in ("forecast", "study"):
        os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def main() -> None:
    """Run the command; a problem becomes one sentence on stderr and exit status 2, Ctrl-C becomes 130."""
    # A character that the output cannot encode (a degree sign, one in a file name) is escaped.
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
        end(2, f"{error.format_message().rstrip('.?')}; see `{path} --help`")
    except SunhwanError as error:
        end(2, str(error))
    except OSError as error:
        if error.errno not in PLAIN:
            raise
        what, remedy = PLAIN[error.errno]
        where = f" {str(error.filename)!r}" if error.filename else ""
        end(2, f"{what}{where}; no partial file is left: {remedy}", error)
    sys.exit(status if isinstance(status, int) else 0)


PLAIN = {
    errno.ENOSPC: ("the disk is full while writing", "free some space"),
    errno.EDQUOT: ("the disk quota is exceeded while writing", "free some space"),
    errno.EFBIG: ("the file grew larger than the system allows", "raise the limit (ulimit -f)"),
    errno.EACCES: ("permission denied for", "change its permissions, or use another path"),
    errno.EPERM: ("permission denied for", "change its permissions, or use another path"),
    errno.EROFS: ("the disk is read-only at", "use a path on another disk"),
    errno.ENOTDIR: ("a file is where a folder is needed, in the path", "use another path"),
    errno.ENAMETOOLONG: ("the name is too long for the system:", "use a shorter name"),
}
"""System errors that a user can fix: what happened, and what to do."""


def end(status: int, message: str, error: BaseException | None = None) -> None:
    """Exit with one plain sentence on stderr, followed by the notes of an error (how to resume)."""
    click.echo("; ".join([f"sunhwan: {message}", *getattr(error, "__notes__", ())]), err=True)
    sys.exit(status)


def need_backend() -> None:
    """Reject a Keras backend that cannot train or is not installed, before Keras fails on it."""
    name = os.environ.get("KERAS_BACKEND", "jax")
    if name not in BACKENDS:
        raise SunhwanError(
            f"KERAS_BACKEND is {name!r}; expected one that can train: {', '.join(BACKENDS)} (default: jax)"
        )
    if importlib.util.find_spec(name) is None:
        raise SunhwanError(
            f"KERAS_BACKEND is {name!r}, which is not installed; install it, or unset KERAS_BACKEND"
        )
    if name != "tensorflow":
        # Keras imports TensorFlow anyway if it is installed, and its oneDNN then writes to stderr.
        os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
