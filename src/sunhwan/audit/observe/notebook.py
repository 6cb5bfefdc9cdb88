"""A notebook as a script: its code cells in order, IPython's lines made Python, and the cell of each line."""

from __future__ import annotations

import json
import re

from sunhwan.errors import SunhwanError

IGNORED = {"matplotlib", "config", "load_ext", "reload_ext", "autoreload", "pylab", "precision", "capture"}
"""Magics that change how results are shown, but not what they are."""

TIMED = {"time", "timeit", "prun"}
"""Magics that run what follows them."""

SHELL = {"pip", "conda", "sh", "system", "sx"}


def as_script(text: str, name: str, allow_shell: bool) -> tuple[str, dict[int, str]]:
    """The Python of a notebook, and for each of its lines the cell and the line in it.

    Args:
        text: the notebook's JSON.
        name: of the file, for messages.
        allow_shell: whether lines that begin with `!` may run.

    Raises:
        SunhwanError: it is not a notebook, or has lines that cannot run here.

    Example:
        >>> cells = [{"cell_type": "code", "source": ["%matplotlib inline\\n", "x = 1"]}]
        >>> as_script(json.dumps({"cells": cells}), "a.ipynb", allow_shell=False)
        ('pass\\nx = 1\\n', {1: 'cell 1 line 1', 2: 'cell 1 line 2'})
    """
    try:
        cells = json.loads(text)["cells"]
        code = [_text(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    except (ValueError, KeyError, TypeError):
        raise SunhwanError(
            f"{name!r} is not a notebook of format 4; open it in Jupyter and save it again"
        ) from None
    lines, places = [], {}
    for number, cell in enumerate(code, 1):
        for at, line in enumerate(_cell(cell, name, number, allow_shell), 1):
            lines.append(line)
            places[len(lines)] = f"cell {number} line {at}"
    return "\n".join(lines) + "\n", places


def _text(source):
    return source if isinstance(source, str) else "".join(source)


def _cell(cell, name, number, allow_shell):
    lines = cell.split("\n")
    first = next((at for at, line in enumerate(lines) if line.strip()), None)
    if first is not None and (magic := re.match(r"%%(\w+)", lines[first])):
        if magic[1] not in TIMED | IGNORED:
            raise SunhwanError(
                f"{name!r}, cell {number}, begins with %%{magic[1]}, which is not Python; remove the cell "
                "to run the rest"
            )
        lines[first] = "pass"
    inside = _within_strings(lines)
    return [
        line if at in inside else _line(line, f"{name!r}, cell {number} line {at + 1},", allow_shell)
        for at, line in enumerate(lines)
    ]


def _within_strings(lines):
    """The numbers of lines that begin within a string of three quotes."""
    inside, quote = set(), ""
    for at, line in enumerate(lines):
        if quote:
            inside.add(at)
        for mark in re.findall(r"'''|\"\"\"", line):
            quote = "" if quote == mark else quote or mark
    return inside


def _line(line, where, allow_shell):
    indent, rest = re.match(r"(\s*)(.*)", line).groups()
    if rest.startswith("!") or ((shell := re.match(r"%(\w+)", rest)) and shell[1] in SHELL):
        if not allow_shell:
            raise SunhwanError(f"{where} is a shell command ({rest[:40]!r}); --allow-shell runs it")
        command = rest.lstrip("!") if rest.startswith("!") else re.sub(r"^%(sh|system|sx)?\s*", "", rest)
        return f"{indent}__import__('subprocess').run({command!r}, shell=True)"
    magic = re.match(r"%(\w+)\s*(.*)", rest)
    if magic and magic[1] in IGNORED:
        return f"{indent}pass"
    if magic and magic[1] in TIMED:
        return indent + (re.sub(r"^(-\w+ *\d* *)+", "", magic[2]) or "pass")
    if magic and magic[1] in ("env", "set_env") and "=" in magic[2]:
        key, _, value = magic[2].partition("=")
        return f"{indent}__import__('os').environ[{key.strip()!r}] = {value.strip()!r}"
    if magic and magic[1] == "cd":
        return f"{indent}__import__('os').chdir({magic[2].strip()!r})"
    if magic:
        raise SunhwanError(
            f"{where} is the magic %{magic[1]}, which is not supported; remove it to run the rest"
        )
    if re.match(r"\?|[\w.]+\?+$", rest):
        return f"{indent}pass"
    if rest.startswith("display("):
        return indent + rest.replace("display(", "print(", 1)
    if shell := re.match(r"(\w+)\s*=\s*!", rest):
        raise SunhwanError(f"{where} captures the output of a shell ({shell[1]} = !...); write it in Python")
    return line
