"""What users read keeps to the glossary of CONTRIBUTING.md: no phrase of `BANNED` occurs in it."""

import ast
import importlib
import re
from pathlib import Path

import click
import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "src" / "sunhwan"
FILES = sorted(
    path
    for pattern in ("README.md", "docs/**/*.md", "src/sunhwan/**/*.py", "src/sunhwan/report/**/*.html")
    for path in ROOT.glob(pattern)
    if "docs/ko" not in path.as_posix()
)

BANNED = re.compile(
    r"\b(?:told|(?-i:is none)|of which|stands twice|anew|mend(?:s|ed|ing)?|held to the light|is drawn from"
    r"|what is said|tells?(?: \w+){0,3} apart|so manieth|had it|who would|whoever|whose word)\b"
    r"|[\d…] %(?!\w)",  # a share is written 92%, without a space
    re.IGNORECASE,
)


def texts(path):
    """The texts of a file that users read: of a module its strings, first lines of docstrings and help."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".py":
        return [*strings(ast.parse(text)), *helps(path)]
    return [re.sub(r"```python\n.*?```|\{%.*?%\}", "", text, flags=re.DOTALL)]


def strings(tree):
    """The strings of a module, with … for each value that is put in; of docstrings only the first line."""
    docstrings = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    within = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            yield "".join(part.value if isinstance(part, ast.Constant) else "…" for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in within:
            yield node.value.strip().partition("\n")[0] if id(node) in docstrings else node.value


def helps(path):
    """The help of the commands that a module defines."""
    if path.parent == PACKAGE / "cli":
        name = "sunhwan.cli" if path.stem == "__init__" else f"sunhwan.cli.{path.stem}"
        for command in vars(importlib.import_module(name)).values():
            if isinstance(command, click.Command) and command.callback.__module__ == name:
                yield " ".join((command.help or "").split())


def banned(path):
    """The banned phrases in what users read of a file, each with what surrounds it."""
    return [
        text[max(0, match.start() - 40) : match.end() + 40]
        for text in texts(path)
        for match in BANNED.finditer(text)
    ]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_no_banned_phrase(path):
    assert banned(path) == []


def test_a_banned_phrase_is_noticed(tmp_path):
    module, page = tmp_path / "module.py", tmp_path / "page.md"
    module.write_text('"""Who would know.\n\nNot told here."""\n\nx = f"{1} % of which", "fine 9%", None\n')
    assert banned(module) == ["Who would know.", "… % of which", "… % of which"]
    page.write_text("It tells new texts apart.\n```python\ntold = 1\n```\n")
    assert banned(page) == ["It tells new texts apart.\n\n"]


def test_the_help_of_commands_is_read():
    assert any("SCRIPT may be a notebook" in text for text in texts(PACKAGE / "cli" / "accelerate.py"))
