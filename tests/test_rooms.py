"""The rooms of the house import each other in one direction; who wants one loads no more than it."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "src" / "sunhwan"

ROOT = {"errors", "files", "units"}
"""Modules that every room may use."""

MAY_IMPORT = {
    "recurrence": set(),
    "data": set(),
    "evaluation": {"data"},
    "experiments": {"data", "evaluation", "recurrence"},
    "tasks": {"data", "evaluation", "experiments", "recurrence"},
    "audit": {"data", "evaluation", "recurrence"},
    "report": set(),
    "cli": {"audit", "data", "evaluation", "experiments", "recurrence", "report", "tasks"},
}

FORBIDDEN = {
    "recurrence": {"polars", "pandas", "matplotlib", "sklearn"},
    "recurrence/reference": {"keras", "jax", "torch", "tensorflow"},
    "data": {"keras", "jax", "matplotlib", "sklearn"},
    "evaluation": {"keras", "jax", "matplotlib"},
    "audit": {"jax", "matplotlib"},
    "report": {"keras", "jax", "polars", "sklearn"},
}
"""What a room must not import at all, though it is installed."""


def imported(path):
    """The modules that a file imports, anywhere in it, in full."""
    package = ["sunhwan", *path.relative_to(PACKAGE).parent.parts]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) + 1 - node.level] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            yield from (f"{module}.{alias.name}" for alias in node.names)


def rooms_of(path):
    """The rooms and root modules of Sunhwan that a file imports."""
    for module in imported(path):
        parts = module.split(".")
        if parts[0] == "sunhwan":
            yield parts[1] if len(parts) > 1 else ""


def test_the_picture_names_every_room():
    assert set(MAY_IMPORT) == {entry.parent.name for entry in PACKAGE.glob("*/__init__.py")}


@pytest.mark.parametrize("room", MAY_IMPORT)
def test_rooms_import_in_one_direction(room):
    allowed = (
        MAY_IMPORT[room] | ROOT | {room} | ({"__version__"} if room in ("cli", "experiments") else set())
    )
    for path in (PACKAGE / room).rglob("*.py"):
        strays = set(rooms_of(path)) - allowed
        assert not strays, f"{path.relative_to(PACKAGE)} imports {', '.join(strays)}"


@pytest.mark.parametrize("room", FORBIDDEN)
def test_rooms_do_without_what_their_users_may_not_have(room):
    for path in (PACKAGE / room).rglob("*.py"):
        strays = {module.split(".")[0] for module in imported(path)} & FORBIDDEN[room]
        assert not strays, f"{path.relative_to(PACKAGE)} imports {', '.join(strays)}"


@pytest.mark.parametrize("module", sorted(ROOT | {"__init__"}))
def test_root_modules_import_no_room(module):
    assert set(rooms_of(PACKAGE / f"{module}.py")) <= ROOT


def test_the_eye_for_imports_sees_all_kinds(tmp_path, monkeypatch):
    """Were `imported` blind, every test above would pass."""
    monkeypatch.setattr(sys.modules[__name__], "PACKAGE", tmp_path)
    path = tmp_path / "data" / "a.py"
    path.parent.mkdir()
    path.write_text(
        "import a.b\nfrom c import d\ndef f():\n"
        "    from . import e\n    from ..report import g\n    from .h import i\n"
    )
    assert list(imported(path)) == ["a.b", "c.d", "sunhwan.data.e", "sunhwan.report.g", "sunhwan.data.h.i"]
    assert list(rooms_of(path)) == ["data", "report", "data"]


def loaded_by(statement):
    """The top-level modules that a fresh Python has loaded after a statement."""
    code = f"import sys\n{statement}\nprint(*sorted({{name.partition('.')[0] for name in sys.modules}}))"
    return set(
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        ).stdout.split()
    )


HEAVY = {"keras", "jax", "tensorflow", "torch", "polars", "pandas", "matplotlib", "sklearn", "scipy"}


@pytest.mark.parametrize(
    ("statement", "without"),
    [
        ("import sunhwan", HEAVY | {"numpy", "click", "rich", "requests"}),
        ("import sunhwan.reference", HEAVY),
        ("import sunhwan.recurrence.reference", HEAVY),
        ("import sunhwan.recurrence.ops.numpy", HEAVY),
        ("import sunhwan.recurrence.ops.support", HEAVY),
        ("import sunhwan.data.windows", HEAVY - {"polars"}),
        ("import sunhwan.data.series", HEAVY - {"polars"}),
        ("import sunhwan.evaluation.baselines", {"keras", "jax", "matplotlib"}),
        ("import sunhwan.report.plots", {"keras", "jax", "polars", "sklearn"}),
        ("import sunhwan.experiments.study", HEAVY | {"numpy"}),
        ("import sunhwan.experiments.run", {"keras", "jax", "matplotlib"}),
        ("import sunhwan.cli", HEAVY | {"numpy", "rich", "requests"}),
    ],
)
def test_nothing_is_loaded_that_is_not_wanted(statement, without):
    strays = loaded_by(statement) & without
    assert not strays, f"{statement} loads {', '.join(sorted(strays))}"


def test_importing_changes_no_backend():
    code = "import os, sunhwan, sunhwan.experiments.run, sunhwan.cli; print(os.environ.get('KERAS_BACKEND'))"
    clean = {key: value for key, value in os.environ.items() if key != "KERAS_BACKEND"}
    for given, kept in ((clean, "None"), (clean | {"KERAS_BACKEND": "torch"}, "torch")):
        said = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=given
        )
        assert said.stdout.strip() == kept
