"""The documents say what the code does: the tree, the examples."""

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


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


def test_the_readme_s_python_runs_and_prints_what_it_says(capsys):
    for block in blocks("README.md", "python"):
        exec(compile(block, "README.md", "exec"), {})
        said = [line.split("# ", 1)[1] for line in block.splitlines() if line.startswith("print(")]
        assert capsys.readouterr().out.splitlines() == said


def test_the_example_study_follows_the_schema():
    from sunhwan.experiments.study import parse

    for block in blocks("docs/studies.md", "toml"):
        study = parse(block, "example")
        assert study.epochs_of("wide") == tomllib.loads(block)["model"]["wide"]["epochs"]


@pytest.mark.parametrize("document", ["README.md", "ARCHITECTURE.md", "docs/studies.md"])
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
    public = {*sunhwan._HOMES, "SunhwanError"} | {f"reference.{name}" for name in sunhwan.reference.__all__}
    # Of the cells' modules the functions above run the steps; their text is in the tutorial.
    assert public - {"reference.gru", "reference.lstm", "reference.simple_rnn"} == shown
