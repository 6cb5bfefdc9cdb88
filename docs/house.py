"""The picture of the house in ARCHITECTURE.md, drawn from the code: imports, and what passes.

Rooms stand on the diagonal. What a room gives runs to the right, what it takes comes from above; so no
arrow can point backwards, and a circle of imports cannot be drawn at all.

Try: python docs/house.py    # draws it anew in ARCHITECTURE.md
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "src" / "sunhwan"
DOCUMENT = ROOT / "ARCHITECTURE.md"
HEADING = "## The house\n"

WRITING = {"write", "begin", "put", "finish"}
"""The functions of `rundir` by which a room writes run directories."""

Passes = dict[tuple[str, str], set[str]]
"""By giving and taking room: what passes, of which the keys alone say who imports whom."""


def imported(path: Path, package: Path = PACKAGE) -> Iterator[str]:
    """The modules and names that a file of the package imports, anywhere in it, in full."""
    above = ["sunhwan", *path.relative_to(package).parent.parts]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = above[: len(above) + 1 - node.level] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            yield from (f"{module}.{alias.name}" for alias in node.names)


def rooms_of(path: Path, package: Path = PACKAGE) -> Iterator[str]:
    """The rooms and root modules of Sunhwan that a file imports."""
    for module in imported(path, package):
        parts = module.split(".")
        if parts[0] == "sunhwan":
            yield parts[1] if len(parts) > 1 else ""


def rooms(package: Path = PACKAGE) -> set[str]:
    return {entry.parent.name for entry in package.glob("*/__init__.py")}


def imports(package: Path = PACKAGE) -> Passes:
    """Between rooms one of which imports the other: the names that it uses of it."""
    found: Passes = {}
    for room in rooms(package):
        for path in (package / room).rglob("*.py"):
            words = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
            used = {(node.value.id, node.attr) for node in words if _is_of_a_name(node)}
            for module in imported(path, package):
                top, *parts = module.split(".")
                if top == "sunhwan" and parts and parts[0] in rooms(package) - {room}:
                    names = {parts[-1]} | {attribute for name, attribute in used if name == parts[-1]}
                    found.setdefault((parts[0], room), set()).update(names)
    return found


def _is_of_a_name(node: ast.AST) -> bool:
    return isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)


def runs(package: Path = PACKAGE) -> Passes:
    """Between rooms that write run directories and rooms that read them without knowing the writers."""
    used: dict[str, set[str]] = {}
    for room in rooms(package):
        for path in (package / room).rglob("*.py"):
            if "rundir" in rooms_of(path, package):
                words = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
                names = {node.attr for node in words if _is_of_a_name(node) and node.value.id == "rundir"}
                used.setdefault(room, set()).update(names)
    writers = {room for room, names in used.items() if names & WRITING}
    known = set(imports(package))
    return {
        (writer, reader): {"run.json"}
        for writer in writers
        for reader in used.keys() - writers
        if (writer, reader) not in known
    }


def order(pairs: set[tuple[str, str]]) -> list[str]:
    """The rooms, each behind all that it takes from.

    Raises:
        ValueError: they go round in a circle.
    """
    waiting, placed = {room for pair in pairs for room in pair}, []
    while waiting:
        free = {room for room in waiting if not any((other, room) in pairs for other in waiting)}
        if not free:
            raise ValueError(f"{', '.join(sorted(waiting))} import each other in a circle; cut it.")
        placed += sorted(free)
        waiting -= free
    return placed


def file_imports(package: Path = PACKAGE) -> dict[str, set[str]]:
    """By module, in full, the modules of the package that its file imports, anywhere in it."""
    paths = {}
    for path in sorted(package.rglob("*.py")):
        parts = ("sunhwan", *path.relative_to(package).with_suffix("").parts)
        paths[".".join(parts).removesuffix(".__init__")] = path

    def module(name: str) -> str:
        while name and name not in paths:  # a name in a module
            name = name.rpartition(".")[0]
        return name

    return {
        importer: {module(name) for name in imported(path, package) if name.startswith("sunhwan")}
        - {importer, "sunhwan", ""}
        for importer, path in paths.items()
    }


def circle(graph: dict[str, set[str]]) -> list[str]:
    """The modules of a circle of imports, the first once more at the end; empty if there is none."""
    done: set[str] = set()

    def follow(way: list[str]) -> list[str]:
        for taken in sorted(graph.get(way[-1], ())):
            if taken in way:
                return [*way[way.index(taken) :], taken]
            if taken not in done and (found := follow([*way, taken])):
                return found
        done.add(way[-1])
        return []

    return next((found for start in graph if start not in done and (found := follow([start]))), [])


def concepts(document: str) -> set[tuple[str, str]]:
    """What the table "Concepts" explains, each with the room that it is of."""
    table = document.split("## Concepts")[1].split("\n## ")[0]
    return {
        (room, name)
        for names, room in re.findall(r"^\| ([^|]+) \| `(\w+)/", table, re.MULTILINE)
        for name in names.split(", ")
    }


def picture(explained: set[tuple[str, str]], package: Path = PACKAGE) -> str:
    """The whole house as text; of what passes, the concepts in `explained` and run directories."""
    by_import, by_run = imports(package), runs(package)
    placed = order({*by_import, *by_run})
    cells = {
        (giver, taker): sorted(name for name in names if (giver, name) in explained)
        for (giver, taker), names in by_import.items()
    } | {pair: sorted(names) for pair, names in by_run.items()}
    widths = [
        max([len(taker), *(len(name) + 2 for giver in placed for name in cells.get((giver, taker), []))])
        for taker in placed
    ]
    stops = [sum(widths[:column]) + 2 * column for column in range(len(placed))]

    lines, going_down = [], set()

    def draw(marks: dict[int, str]) -> None:
        marks = {stops[column]: "│" for column in going_down} | marks
        line = ""
        for stop in sorted(marks):
            # What runs to the right is as wide as the gap to what comes next.
            line += (line[-1:] if line.endswith("─") else " ") * (stop - len(line)) + marks[stop]
        lines.append(line)

    for row, giver in enumerate(placed):
        takers = {column for column, taker in enumerate(placed) if (giver, taker) in cells}
        going_down.discard(row)
        crossed = {
            stops[column]: ("●" if (giver, placed[column]) in by_import else "○") if column in takers else "│"
            for column in takers | going_down
        }
        last = max(takers, default=row)
        draw(
            {stops[row]: giver + " ─" * bool(takers)}
            | {stop: mark + "─" * (stop < stops[last]) for stop, mark in crossed.items()}
        )
        going_down |= takers
        for depth in range(max([len(cells[giver, placed[column]]) for column in takers], default=0)):
            draw(
                {
                    stops[column]: f"│ {name}"
                    for column in takers
                    for name in cells[giver, placed[column]][depth : depth + 1]
                }
            )
        if row + 1 in going_down:
            draw({stops[row + 1]: "▼"})
    return "\n".join(lines) + "\n"


FENCE = re.compile(rf"(?<={HEADING})(.*?```text\n)(.*?)(?=```)", re.DOTALL)


def drawn(document: str) -> str:
    """The picture that stands in a document."""
    return FENCE.search(document)[2]


def redrawn(document: str) -> str:
    """The document with the picture as it must be."""
    return FENCE.sub(lambda fence: fence[1] + picture(concepts(document)), document, count=1)


if __name__ == "__main__":
    DOCUMENT.write_text(redrawn(DOCUMENT.read_text(encoding="utf-8")), encoding="utf-8")
