"""The documents say what the code does: the tree, commands, formulas, figures.

Their blocks of code are run by the `conftest.py` of the root.
"""

import dataclasses
import importlib
import inspect
import re
import shlex
import sys
import tomllib
from pathlib import Path
from xml.sax.saxutils import escape

import click
import nbclient
import nbformat
import pytest

from sunhwan.cli import group
from sunhwan.recurrence.reference import gru, lstm, simple_rnn

ROOT = Path(__file__).parent.parent
PAGES = sorted(path for path in (ROOT / "docs" / "tutorial").glob("*.md") if path.stem != "index")


def blocks(document, language):
    text = (ROOT / document).read_text(encoding="utf-8")
    found = re.findall(rf"```{language}\n(.*?)```", text, flags=re.DOTALL)
    assert found, f"{document} has no {language} example"
    return found


def tree():
    """The tree of ARCHITECTURE.md, as text."""
    return (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8").split("## The tree")[1].split("##")[0]


def modules():
    """The paths under src/sunhwan that the tree names."""
    folders, named = {4: ""}, set()
    for line in tree().split("src/sunhwan/\n")[1].splitlines():
        entry = re.match(r"( {6,})((?:[a-z_]+(?:\.py|/) *)+)", line)
        if not entry:
            break
        indent, names = len(entry[1]), entry[2].split()
        parent = folders[max(depth for depth in folders if depth < indent)]
        folders = {depth: folder for depth, folder in folders.items() if depth < indent}
        if names[0].endswith("/"):
            folders[indent] = parent + names[0]
        named |= {parent + name for name in names}
    return named


def test_every_module_stands_in_the_tree_and_nothing_else_does():
    named = modules()
    package = ROOT / "src" / "sunhwan"
    for name in named:
        assert (package / name).exists(), f"ARCHITECTURE.md names {name}, which is not there"
    folders = {name for name in named if name.endswith("/")}
    # A folder of which the tree names files must have them all named; of the others the name is enough.
    closed = {folder for folder in folders if not any(n != folder and n.startswith(folder) for n in named)}
    for module in package.rglob("*.py"):
        path = module.relative_to(package).as_posix()
        if path.endswith("__init__.py"):
            continue
        assert path in named or any(path.startswith(folder) for folder in closed), (
            f"{path} is missing in the tree of ARCHITECTURE.md"
        )


def test_every_native_file_stands_in_the_tree():
    native = tree().split("\n    native/ ")[1].split("src/sunhwan/")[0]
    named = set(re.findall(r"\w+\.(?:cpp|h)\b", native))
    assert named == {path.name for path in (ROOT / "native").rglob("*.*")}


def test_every_dependency_has_its_reason():
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    lists = [declared["build-system"]["requires"], declared["project"]["dependencies"]]
    lists += declared["project"]["optional-dependencies"].values()
    told = (ROOT / "docs" / "explanation" / "dependencies.md").read_text(encoding="utf-8").lower()
    for name in (
        re.match(r"[\w-]+", requirement)[0] for requirements in lists for requirement in requirements
    ):
        assert re.search(rf"\b{name.removeprefix('mkdocs-')}\b", told), f"{name} has no reason there"


def test_the_example_study_follows_the_schema():
    from sunhwan.studies.study import parse

    for block in blocks("docs/reference/studies.md", "toml"):
        study = parse(block, "example")
        assert study.epochs_of("wide") == tomllib.loads(block)["model"]["wide"]["epochs"]


@pytest.mark.parametrize(
    "document", ["README.md", "README.ko.md", "ARCHITECTURE.md", "docs/reference/studies.md"]
)
def test_links_lead_somewhere(document):
    text = (ROOT / document).read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#]+)\)", text):
        there = target.startswith("http") or ((ROOT / document).parent / target).exists()
        assert there, f"{document} links to {target}"


def test_the_reference_has_every_public_name():
    """Its examples are doctests; here, that nothing public is left out of the page."""
    import sunhwan

    text = (ROOT / "docs" / "reference" / "python.md").read_text(encoding="utf-8")
    shown = set(re.findall(r"heading: sunhwan\.(\S+)", text))
    public = {*sunhwan._HOMES, "SunhwanError", "audit", "audit.Callback"} | {
        f"reference.{name}" for name in sunhwan.reference.__all__
    }
    # Of the cells' modules the functions above run the steps; their text is in the tutorial.
    assert public - {"reference.gru", "reference.lstm", "reference.simple_rnn"} == shown


REFERENCE = (ROOT / "docs" / "reference" / "python.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", re.findall(r"^::: (\S+)$", REFERENCE, flags=re.MULTILINE))
def test_every_public_name_says_what_it_takes_and_shows_an_example(name):
    """Examples are doctests, so they run. A record's is that of the function which returns it."""
    home, _, last = name.rpartition(".")
    thing = getattr(importlib.import_module(home), last)
    if not callable(thing):  # a table, whose text stands in the source
        return
    told = inspect.getdoc(thing)
    if inspect.isclass(thing):
        for method, found in vars(thing).items():
            if not method.startswith("_") and (callable(found) or isinstance(found, property | classmethod)):
                assert inspect.getdoc(getattr(thing, method)), f"{name}.{method} has no docstring"
                told += inspect.getdoc(getattr(thing, method))
    if dataclasses.is_dataclass(thing):
        named = [field.name for field in dataclasses.fields(thing)]
    else:
        assert ">>> " in told, f"{name} has no example"
        named = [] if inspect.isclass(thing) else list(inspect.signature(thing).parameters)
    if "Arguments are those of `" not in told:
        assert not [word for word in named if not re.search(rf"\b{word}\b", told)]


def commands():
    """Each line of the documents that begins with `sunhwan`, continued lines joined."""
    for path in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]:
        text = path.read_text(encoding="utf-8").replace("\\\n", " ")
        for line in re.findall(r"^(?: {4})?(?:.*\| )?(sunhwan [a-z].*)", text, flags=re.MULTILINE):
            if line.split()[1] in group.list_commands(None):
                yield pytest.param(line, id=f"{path.name}: {line[:40]}")


@pytest.mark.parametrize("line", list(commands()))
def test_commands_in_documents_are_ones_that_there_are(line):
    words = shlex.split(re.split(r" [|>] ", line)[0], comments=True)[1:]
    # Click keeps what `-h` is called from the first context that a command has: it must be the real one.
    command, context = group, click.Context(group, **group.context_settings)
    while isinstance(command, click.Group):
        command = command.get_command(context, words.pop(0))
        assert command, line
    if command.name != "accelerate":  # what stands behind its script is the script's
        command.make_parser(click.Context(command, parent=context)).parse_args(words)


RECIPES = {path.name: path.read_text(encoding="utf-8") for path in (ROOT / "docs/how-to").glob("add-*.md")}
RECIPES["ARCHITECTURE.md"] = re.search(
    r"## How to add\n.*?(?=\n## )", (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8"), flags=re.DOTALL
)[0]
TREE = [
    *ROOT.glob("*.*"),
    *(path for folder in ("src", "native", "tests", "docs") for path in (ROOT / folder).rglob("*")),
]


@pytest.mark.parametrize("document", RECIPES)
def test_recipes_name_what_exists(document):
    """Each path in backticks exists, and each name is defined; `name` of `path` is defined there."""
    prose = re.sub(r"```.*?```", "", RECIPES[document], flags=re.DOTALL)
    missing = []
    for code in re.findall(r"`([^`]+)`", prose):
        if re.fullmatch(r"[\w/.-]+(\.(py|h|cpp|toml|md|txt)|/)", code):
            paths = [path.as_posix() + "/" * path.is_dir() for path in TREE]
            if not any(path.endswith(f"/{code}") for path in paths):
                missing.append(code)
        elif re.fullmatch(r"[A-Za-z_][\w.]*", code) and not any(defines(path, code) for path in TREE):
            missing.append(code)
    for name, file in re.findall(r"`([\w.]+)` (?:of|in) `([\w/]+\.\w+)`", prose):
        if not any(defines(path, name) for path in TREE if path.as_posix().endswith(f"/{file}")):
            missing.append(f"{name} in {file}")
    assert not missing, f"{document} names what does not exist"


def defines(path, name):
    """Whether a file has this name, or defines a function, class or variable of it."""
    last = name.split(".")[-1]
    if path.stem == last:
        return True
    if path.suffix in (".h", ".cpp", ".txt"):
        pattern = rf"\b{last}\b"
    elif path.suffix == ".py":
        pattern = rf"(?:def|class) {last}\b|^(?: {{4}})?(?:self\.)?{last}(?::.*)? = |\bimport {name}\b"
    else:
        return False
    return bool(re.search(pattern, path.read_text(encoding="utf-8"), flags=re.MULTILINE))


@pytest.mark.parametrize("cell", [simple_rnn, lstm, gru], ids=lambda module: module.__name__.split(".")[-1])
def test_the_derivations_stand_beside_the_reference_as_it_is(cell):
    code = re.sub(r'\n    """.*?"""\n', "\n", inspect.getsource(cell.step_gradient), count=1, flags=re.DOTALL)
    page = ROOT / "docs" / "tutorial" / "backpropagation.md"
    assert f"```python\n{code}```" in page.read_text(encoding="utf-8")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_korean_tutorial_has_the_same_code_formulas_and_numbers(page):
    there = ROOT / "docs" / "ko" / "tutorial" / page.name
    parts = (r"(?:<!-- skip.*?-->\n)?```\w+\n.*?```", r"^\$\$.*?\$\$$", r"^#+ ", r"!\[", r"\d+\.\d{2,}")
    for part in parts:
        english, korean = (
            # Words stand in another order, and with them numbers.
            sorted(re.findall(part, path.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE))
            for path in (page, there)
        )
        assert english == korean


def test_the_korean_readme_has_the_same_code_outputs_numbers_and_pictures():
    english, korean = ((ROOT / name).read_text(encoding="utf-8") for name in ("README.md", "README.ko.md"))
    # Comments in blocks that are not run are in the reader's language.
    for part in (
        r"(?:<!-- skip.*?-->\n\n)?```\w+\n.*?```",
        r"^    [^#\n]{60,}$",
        r"!\[[^\]]*\](\S+)",
        r"\d+\.\d+",
    ):
        found = [set(re.findall(part, text, re.DOTALL | re.MULTILINE)) for text in (english, korean)]
        assert found[0] == found[1] != set()


def test_the_readme_s_speeds_are_recorded():
    recorded = (ROOT / "docs" / "results.md").read_text(encoding="utf-8").splitlines()
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (.+) \| ([\d.]+) \| ([\d.]+) \| (\S+x) \((\S+x)\) \|$", readme, re.MULTILINE)
    assert len(rows) == 6
    for name, stock, ours, *faster in rows:
        line = next(line for line in recorded if line.startswith(f"| {name} |"))
        cells = [cell.split()[0] for cell in line.strip("| ").split(" | ")[4:6]]
        assert [stock, ours] == cells
        assert line.endswith(f"| {faster[0]} ({faster[1]}) |")


def test_the_readme_s_pictures_show_what_is_recorded(hooks):
    """After a change: `python docs/figures.py docs/assets`."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert len(hooks.figures.README) == 4
    with hooks.figures.style.applied():
        for figure in hooks.figures.README:
            assert f"](docs/assets/{figure.__name__}.svg)" in readme
            kept = (ROOT / "docs" / "assets" / f"{figure.__name__}.svg").read_text(encoding="utf-8")
            assert escape(figure().alt) in kept


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_numbers_in_the_tutorial_s_tables_are_recorded(page):
    recorded = set(re.findall(r"\d+\.\d+", (ROOT / "docs" / "results.md").read_text(encoding="utf-8")))
    rows = [line for line in page.read_text(encoding="utf-8").splitlines() if line.startswith("|")]
    assert set(re.findall(r"\d+\.\d+", "\n".join(rows))) <= recorded


@pytest.fixture(scope="module")
def hooks():
    """The site's hooks."""
    sys.path.insert(0, str(ROOT / "docs"))
    try:
        yield __import__("hooks")
    finally:
        sys.path.remove(str(ROOT / "docs"))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_notebooks_have_the_code_of_their_pages(page, hooks):
    """Which the root's conftest.py runs, from top to bottom."""
    notebook = hooks.notebook(page.read_text(encoding="utf-8"))
    nbformat.validate(notebook)
    code = [cell.source for cell in notebook.cells if cell.cell_type == "code"]
    assert code == [block.strip() for block in blocks(page, "python")]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize(
    "page", [page for page in PAGES if page.stem in ("backpropagation", "gates")], ids=str
)
def test_notebooks_run_from_top_to_bottom(page, hooks, tmp_path):
    """One page that trains nothing, and the only one that runs commands, which its notebook does without."""
    notebook = hooks.notebook(page.read_text(encoding="utf-8"))
    nbclient.NotebookClient(notebook, timeout=300, resources={"metadata": {"path": tmp_path}}).execute()


def test_formulas_become_mathml(hooks):
    html = 'so <span class="arithmatex">\\(a &lt; b\\)</span>'
    shown = hooks.on_page_content(html, None, None, None)
    assert "<math" in shown and "<mi>a</mi>" in shown and "arithmatex" not in shown


def test_tables_can_be_scrolled_by_the_keyboard(hooks):
    html = "<p>a</p><table>\n<tr></tr></table><table class='x'></table>"
    shown = hooks.on_page_content(html, None, None, None)
    assert re.findall(r'<div class="wide" tabindex="0"[^>]*><table>\n<tr></tr></table></div>', shown)
    assert "<table class='x'></table>" in shown
