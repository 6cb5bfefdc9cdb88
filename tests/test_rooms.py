"""The rooms of the house import each other in one direction; who wants one loads no more than it."""

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent / "docs"))
import house

PACKAGE = Path(__file__).parent.parent / "src" / "sunhwan"

ROOT = {"errors", "files", "native", "provenance", "rundir", "units"}
"""Modules that every room may use."""

BY_THEMSELVES = {"recurrence", "data", "report"}
"""Rooms that import no other: kernels without a study, windows without a model, pages from files alone."""

FORBIDDEN = {
    "recurrence": {"polars", "pandas", "matplotlib", "sklearn"},
    "recurrence/reference": {"keras", "jax", "torch", "tensorflow"},
    "data": {"keras", "jax", "matplotlib", "sklearn"},
    "evaluation": {"keras", "jax", "matplotlib"},
    "audit": {"jax", "matplotlib"},
    "report": {"keras", "jax", "polars", "sklearn"},
}
"""What a room must not import at all, though it is installed."""


@pytest.fixture(scope="module")
def architecture():
    return house.DOCUMENT.read_text(encoding="utf-8")


def test_the_house_is_as_it_is_drawn(architecture):
    drawn = house.picture(house.concepts(architecture))
    assert house.drawn(architecture) == drawn, "python docs/house.py draws it anew; look at what changed"


def test_every_room_is_drawn(architecture):
    drawn = set(re.findall(r"\w+", re.sub(r"│ \S+", "", house.drawn(architecture))))
    assert drawn == house.rooms()
    assert {room for room in BY_THEMSELVES for _, taker in house.imports() if taker == room} == set()


def functions(path):
    """The functions of a module and what each says that it returns."""
    return {
        node.name: ast.unparse(node.returns) if node.returns else ""
        for node in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(node, ast.FunctionDef)
    }


def test_the_data_takes_the_way_that_is_drawn(architecture):
    """Each `module.function --> Type` is a function that says that it returns this type."""
    ways = architecture.split("## The data's way")[1].split("\n## ")[0]
    arrows = re.findall(r"--\s*(\w+)\.(\w+)\s*--> (\w+\.\w+|[A-Z]\w*[a-z]\w*)", ways)
    assert len(arrows) >= 7
    for module, function, kind in arrows:
        places = [functions(path) for path in PACKAGE.rglob(f"{module}.py")]
        returned = [names[function] for names in places if function in names]
        assert any(kind in text for text in returned), f"{module}.{function} returns {returned}, not {kind}"


@pytest.mark.parametrize("room", sorted(house.rooms()))
def test_rooms_take_only_rooms_and_root_modules(room):
    allowed = house.rooms() | ROOT | ({"__version__"} if room in ("cli",) else set())
    for path in (PACKAGE / room).rglob("*.py"):
        strays = set(house.rooms_of(path)) - allowed
        assert not strays, f"{path.relative_to(PACKAGE)} imports {', '.join(strays)}"


def a_house(folder, **rooms):
    """A package whose rooms have one module each, of the code given."""
    for room, code in rooms.items():
        (folder / room).mkdir()
        (folder / room / "__init__.py").touch()
        (folder / room / "a.py").write_text(code)
    return folder


def test_the_picture_shows_imports_concepts_and_runs(tmp_path):
    package = a_house(
        tmp_path,
        low="class Grain: ...\nclass Husk: ...\n",
        high="from sunhwan.low import a\nfrom ..low.a import Husk\na.Grain\n"
        "from sunhwan import rundir\nrundir.write()\n",
        page="from sunhwan import rundir\nrundir.load()\n",
    )
    assert house.picture({("low", "Grain"), ("high", "Husk")}, package) == (
        "low ─●\n"
        "     │ Grain\n"
        "     ▼\n"
        "     high ────○\n"
        "              │ run.json\n"
        "              ▼\n"
        "              page\n"
    )


def test_a_circle_cannot_be_drawn(tmp_path):
    package = a_house(tmp_path, a="import sunhwan.b\n", b="import sunhwan.a\n")
    with pytest.raises(ValueError, match="a, b import each other in a circle"):
        house.picture(set(), package)


def test_no_circle_runs_between_files():
    assert house.circle(house.file_imports()) == []


def test_a_circle_of_files_is_seen(tmp_path):
    package = a_house(tmp_path, a="from sunhwan.b.a import x\n", b="import sunhwan.c\n", c="")
    (package / "c" / "__init__.py").write_text("def f():\n    from sunhwan.a import a\n")
    assert house.circle(house.file_imports(package)) == [
        "sunhwan.a.a",
        "sunhwan.b.a",
        "sunhwan.c",
        "sunhwan.a.a",
    ]


@pytest.mark.parametrize("room", FORBIDDEN)
def test_rooms_do_without_what_their_users_may_not_have(room):
    for path in (PACKAGE / room).rglob("*.py"):
        strays = {module.split(".")[0] for module in house.imported(path)} & FORBIDDEN[room]
        assert not strays, f"{path.relative_to(PACKAGE)} imports {', '.join(strays)}"


@pytest.mark.parametrize("module", sorted(ROOT | {"__init__"}))
def test_root_modules_import_no_room(module):
    assert set(house.rooms_of(PACKAGE / f"{module}.py")) <= ROOT | {"__version__"}


def test_the_eye_for_imports_sees_all_kinds(tmp_path):
    """Were it blind, every test above would pass."""
    path = tmp_path / "data" / "a.py"
    path.parent.mkdir()
    path.write_text(
        "import a.b\nfrom c import d\ndef f():\n"
        "    from . import e\n    from ..report import g\n    from .h import i\n"
    )
    assert list(house.imported(path, tmp_path)) == [
        "a.b",
        "c.d",
        "sunhwan.data.e",
        "sunhwan.report.g",
        "sunhwan.data.h.i",
    ]
    assert list(house.rooms_of(path, tmp_path)) == ["data", "report", "data"]


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
        ("import sunhwan.data.grid", HEAVY - {"polars"}),
        ("import sunhwan.data.preparation", HEAVY - {"polars"}),
        ("import sunhwan.baselines.predictors", {"keras", "jax", "matplotlib"}),
        ("import sunhwan.report.pictures.plots", {"keras", "jax", "polars", "sklearn"}),
        ("import sunhwan.studies.study", HEAVY | {"numpy"}),
        ("import sunhwan.studies.run", {"keras", "jax", "matplotlib"}),
        ("import sunhwan.cli", HEAVY | {"numpy", "rich", "requests"}),
    ],
)
def test_nothing_is_loaded_that_is_not_wanted(statement, without):
    strays = loaded_by(statement) & without
    assert not strays, f"{statement} loads {', '.join(sorted(strays))}"


def test_importing_changes_no_backend():
    code = "import os, sunhwan, sunhwan.studies.run, sunhwan.cli; print(os.environ.get('KERAS_BACKEND'))"
    clean = {key: value for key, value in os.environ.items() if key != "KERAS_BACKEND"}
    for given, kept in ((clean, "None"), (clean | {"KERAS_BACKEND": "torch"}, "torch")):
        said = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=given
        )
        assert said.stdout.strip() == kept
