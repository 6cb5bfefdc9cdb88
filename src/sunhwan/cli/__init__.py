"""The command `sunhwan`: one thin file a command, loaded when it is called.

`--help` must answer at once, so nothing here imports Keras, polars or matplotlib.
"""

from __future__ import annotations

import errno
import importlib
import os
import sys

import click

from sunhwan import __version__
from sunhwan.errors import SunhwanError

COMMANDS = {
    "study": "List, show and run studies: models beside baselines on real data.",
    "runs": "List the runs under a folder.",
    "data": "List the datasets and fetch them into the cache.",
    "summary": "Print the layers of a study's model.",
    "doctor": "Say what is installed, what runs where, and what is missing.",
}
"""Each command and its one-line help; the module of the same name in this folder holds `command`."""


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
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="""\b
Examples:
  sunhwan study list
  sunhwan study run newyork_temperature --epochs 3
  sunhwan study run table_temperature --data station.csv --time "Date Time" --target "T (degC)"
  sunhwan summary imdb_sentiment simple_rnn""",
)
@click.version_option(__version__, prog_name="sunhwan")
def group() -> None:
    """Recurrent networks on the CPU you have, judged beside honest baselines."""


def main() -> None:
    """Run the command; problems become one sentence on stderr and exit status 2, Ctrl-C 130."""
    # Our own command runs on JAX (small to install, fast to step) unless the user says otherwise; `import
    # sunhwan` never does this.
    os.environ.setdefault("KERAS_BACKEND", "jax")
    try:
        status = group.main(standalone_mode=False)
    except click.exceptions.Abort:
        click.echo("stopped", err=True)
        sys.exit(130)
    except click.ClickException as error:
        error.show()
        sys.exit(2)
    except SunhwanError as error:
        fail(str(error))
    except BrokenPipeError:
        # The reader (head, a pager) has seen enough. Python would complain again when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except OSError as error:
        if error.errno not in PLAIN:
            raise
        where = f" {error.filename!r}" if error.filename else ""
        fail(f"{PLAIN[error.errno]}{where}; nothing half-written is left. Make room or choose another folder with --out")
    sys.exit(status if isinstance(status, int) else 0)


PLAIN = {
    errno.ENOSPC: "the disk is full while writing",
    errno.EDQUOT: "the disk quota is used up while writing",
    errno.EFBIG: "the file grew larger than the system allows while writing",
    errno.EACCES: "there is no permission for",
    errno.EROFS: "the disk is read-only at",
    errno.ENOTDIR: "a folder was expected at",
}
"""Troubles of the system that the user can mend, as people would say them."""


def fail(message: str) -> None:
    """End with one plain sentence on stderr and exit status 2."""
    click.echo(f"sunhwan: {message}", err=True)
    sys.exit(2)
