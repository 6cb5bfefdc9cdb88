"""What pytest collects besides the tests: the documents' code blocks, and which doctests can run here.

A document's blocks run in order, in one namespace and an empty folder. What a ```text block after one shows
must be what it prints. `<!-- skip: next "reason" -->` before a block says why it is not run.
"""

import contextlib
import doctest
import io
import os
import re
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

from sybil import Sybil
from sybil.parsers.markdown import CodeBlockParser, SkipParser

# Where OpenMP's threads spin while they wait, boosting in two processes at once takes many times as long.
# OpenMP reads this once, when scikit-learn is first imported.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

# Many tests and commands train networks of the same shapes, which XLA compiles once for this process and
# those that it starts; each run of the tests begins with none.
_COMPILED = tempfile.TemporaryDirectory(prefix="sunhwan-compiled-")
os.environ["JAX_COMPILATION_CACHE_DIR"] = _COMPILED.name
os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0.1"


def pytest_unconfigure():
    _COMPILED.cleanup()


# The doctests of an adapter are collected where its framework is installed.
collect_ignore = [
    f"src/sunhwan/recurrence/ops/{framework}.py"
    for framework in ("torch", "tensorflow")
    if find_spec(framework) is None
]


def check(example, printed):
    """What was printed against the ```text block that follows; "..." there stands for anything."""
    after = example.document.text[example.region.end :]
    shown = re.match(r"\s*```text\n(.*?)```", after, flags=re.DOTALL)
    if shown:
        checker, flags = doctest.OutputChecker(), doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
        if not checker.check_output(shown[1], printed, flags):
            return f"shown:\n{shown[1]}\nprinted:\n{printed}"


def python(example):
    """Run a block of Python."""
    line = example.line + example.parsed.line_offset
    code = compile("\n" * line + example.parsed, example.path, "exec", dont_inherit=True)
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        exec(code, example.namespace)
    return check(example, printed.getvalue())


def shell(example):
    """Run a block of commands, in the environment of the tests.

    Several pages begin with the same commands, some of which train: where a block was run before over the
    same files, what it printed and left is given again.
    """
    asked = (example.parsed, tuple(files_here().items()))
    if asked not in _RAN:
        path = os.pathsep.join([os.path.dirname(sys.executable), os.environ["PATH"]])
        ended = subprocess.run(
            ["bash", "-eu", "-c", example.parsed],
            capture_output=True,
            text=True,
            env=os.environ | {"PATH": path},
        )
        if ended.returncode:
            return f"status {ended.returncode}:\n{ended.stdout}{ended.stderr}"
        _RAN[asked] = ended.stdout, files_here()
    printed, left = _RAN[asked]
    for name, content in left.items():
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_bytes(content)
    return check(example, printed)


_RAN = {}
"""Of each block of commands and the files it began with: what it printed, and the files it left."""


def files_here():
    """The content of each file in this folder and below it, by its path."""
    found = sorted(path for path in Path().rglob("*") if path.is_file())
    return {str(path): path.read_bytes() for path in found}


def begin(namespace):
    """As in a program of its own: in an empty folder, with layers that Keras numbers from the first."""
    namespace["back"] = os.getcwd()
    namespace["folder"] = tempfile.TemporaryDirectory()
    os.chdir(namespace["folder"].name)
    if "keras" in sys.modules:
        sys.modules["keras"].utils.clear_session(free_memory=False)


def end(namespace):
    os.chdir(namespace["back"])
    namespace["folder"].cleanup()
    if "sunhwan.recurrence.keras.accelerate" in sys.modules:
        sys.modules["sunhwan.recurrence.keras.accelerate"].restore()


pytest_collect_file = Sybil(
    parsers=[CodeBlockParser("python", python), CodeBlockParser("sh", shell), SkipParser()],
    patterns=["*.md"],
    excludes=[
        "ko/*.md",
        "ko/*/*.md",
        "*.ko.md",
    ],  # the same blocks as in English: tests/test_documents.py holds them to it
    setup=begin,
    teardown=end,
).pytest()
