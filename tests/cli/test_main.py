"""The entry of the command: help, versions, exit statuses, what is loaded and what is said of troubles."""

import errno
import os
import subprocess
import sys
from importlib.metadata import version
from importlib.resources import files

import click
import pytest

from sunhwan import cli
from sunhwan.cli import COMMANDS, group
from sunhwan.errors import SunhwanError

HEAVY = {"keras", "jax", "matplotlib", "sklearn", "polars", "scipy", "numpy", "rich", "requests"}


def every_command(command=group, path=("sunhwan",)):
    """(path, command) of each command and subcommand."""
    yield path, command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            yield from every_command(command.get_command(context, name), (*path, name))


@pytest.mark.parametrize("path", [" ".join(path[1:]) for path, _ in every_command()])
def test_help_is_there_for_every_command(path, sunhwan):
    ended = sunhwan(*path.split(), "--help")
    assert (ended.status, ended.err) == (0, "")
    assert ended.out.startswith(f"Usage: sunhwan {path}".rstrip())
    assert sunhwan(*path.split(), "-h").out == ended.out


@pytest.mark.parametrize(
    "path", [path for path, command in every_command() if command.params or isinstance(command, click.Group)]
)
def test_what_takes_something_shows_an_example(path, sunhwan):
    examples = sunhwan(*path[1:], "--help").out.partition("Example")[2]
    assert f"\n    {' '.join(path)} " in examples


@pytest.mark.parametrize("command", [command for _, command in every_command()])
def test_every_option_is_explained(command):
    assert command.help
    for parameter in command.params:
        assert isinstance(parameter, click.Argument) or parameter.help, f"{command.name} {parameter.name}"


def test_the_short_help_of_the_commands_is_said_of_each(sunhwan):
    said = sunhwan("--help").out
    assert all(f"{name} " in said and text in said for name, text in COMMANDS.items())


@pytest.mark.parametrize(
    "arguments", [["--help"], ["study", "--help"], ["study", "run", "--help"], ["study", "list"]]
)
def test_what_must_answer_at_once_loads_nothing_heavy(arguments):
    code = (
        "import sys\nfrom sunhwan.cli import main\ntry:\n    main()\nexcept SystemExit as ended:\n"
        "    assert ended.code == 0\n"
        "print(*sorted({name.partition('.')[0] for name in sys.modules}), file=sys.stderr)"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True
    )
    assert "Usage: " in ended.stdout or "adding_problem" in ended.stdout
    assert not set(ended.stderr.split()) & HEAVY


def test_version(sunhwan):
    assert sunhwan("--version").out == f"sunhwan, version {version('sunhwan')}\n"


def test_without_a_command_help_is_shown_and_the_status_is_that_of_wrong_use(sunhwan):
    for path in ((), ("study",), ("data",)):
        ended = sunhwan(*path)
        assert ended.status == 2
        assert ended.err.startswith(f"Usage: {' '.join(('sunhwan', *path))} [OPTIONS] COMMAND")


def raising(error, monkeypatch):
    """Make `sunhwan doctor` raise an error."""

    @click.command()
    def command():
        raise error

    monkeypatch.setattr(cli.LazyGroup, "get_command", lambda self, context, name: command)


@pytest.mark.parametrize(
    ("error", "status", "said"),
    [
        (SunhwanError("fix it"), 2, "sunhwan: fix it\n"),
        (
            OSError(errno.ENOSPC, "No space left on device"),
            2,
            "sunhwan: the disk is full while writing; no partial file is left: free some space\n",
        ),
        (
            PermissionError(errno.EACCES, "Permission denied", "/a b"),
            2,
            "sunhwan: permission denied for '/a b'; no partial file is left: "
            "change its permissions, or use another path\n",
        ),
        (KeyboardInterrupt(), 130, "\nsunhwan: stopped\n"),
    ],
)
def test_troubles_end_in_one_sentence(error, status, said, sunhwan, monkeypatch):
    raising(error, monkeypatch)
    ended = sunhwan("doctor")
    assert (ended.status, ended.out, ended.err) == (status, "", said)


@pytest.mark.parametrize("error", [ValueError("a fault of ours"), OSError(errno.EBADF, "a fault of ours")])
def test_faults_of_ours_are_not_hidden(error, monkeypatch):
    raising(error, monkeypatch)
    monkeypatch.setattr(sys, "argv", ["sunhwan", "doctor"])
    with pytest.raises(type(error), match="a fault of ours"):
        cli.main()


def test_a_reader_that_has_seen_enough_gets_no_traceback():
    """As `sunhwan study show ... | head -1`, but so that the pipe is closed before anything is written."""
    reading, writing = os.pipe()
    os.close(reading)
    command = [
        sys.executable,
        "-c",
        "from sunhwan.cli import main; main()",
        "study",
        "show",
        "adding_problem",
    ]
    with os.fdopen(writing, "wb") as stdout:
        ended = subprocess.run(command, stdout=stdout, stderr=subprocess.PIPE, text=True)
    assert ended.stderr == ""


def test_an_output_that_lacks_a_sign_gets_its_escape(tmp_path):
    path = tmp_path / "study.toml"
    shipped = (files("sunhwan.studies") / "shipped" / "adding_problem.toml").read_text("utf-8")
    path.write_text(shipped.replace("each recurrent layer", "순환"), encoding="utf-8")
    command = [sys.executable, "-c", "from sunhwan.cli import main; main()", "study", "show", str(path)]
    environment = os.environ | {"PYTHONIOENCODING": "latin-1"}
    ended = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert "can \\uc21c\\ud658 carry" in ended.stdout


@pytest.mark.parametrize(
    ("variable", "given", "used"),
    [
        ("KERAS_BACKEND", None, "jax"),
        ("KERAS_BACKEND", "", "jax"),
        ("KERAS_BACKEND", "tensorflow", "tensorflow"),
        ("OMP_WAIT_POLICY", None, "PASSIVE"),
        ("OMP_WAIT_POLICY", "ACTIVE", "ACTIVE"),
    ],
)
def test_the_environment_has_our_defaults_unless_the_user_says_otherwise(
    variable, given, used, sunhwan, monkeypatch
):
    monkeypatch.setenv(variable, given or "")
    if given is None:
        monkeypatch.delenv(variable)
    sunhwan("study", "list")
    assert os.environ[variable] == used


@pytest.mark.parametrize(
    ("backend", "said"),
    [
        ("torch", "KERAS_BACKEND is 'torch', which is not installed; install it, or unset KERAS_BACKEND"),
        ("numpy", "KERAS_BACKEND is 'numpy'; expected one that can train: jax, tensorflow, torch"),
    ],
)
def test_a_backend_that_cannot_train_is_said_to_be_so(backend, said, refuses, monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", backend)
    found = cli.importlib.util.find_spec
    monkeypatch.setattr(
        cli.importlib.util, "find_spec", lambda name: None if name == "torch" else found(name)
    )
    for arguments in (["study", "run", "newyork_temperature"], ["summary", "imdb_sentiment", "lstm"]):
        assert said in refuses(*arguments)
