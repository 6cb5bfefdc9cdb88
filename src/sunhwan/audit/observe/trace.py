"""Lines of a script where something is called, by its syntax."""

from __future__ import annotations

import ast
from dataclasses import dataclass


@dataclass(frozen=True, eq=False)
class Trace:
    """A script's text, parsed; a text that does not parse has no calls.

    Example:
        >>> Trace("import sklearn\\na = b.train_test_split(c)").calls("train_test_split")
        [2]
    """

    source: str

    def calls(self, *names: str) -> list[int]:
        """The lines on which a function or method of one of these names is called."""
        return sorted({node.lineno for node in self._nodes(ast.Call) if _name(node.func) in names})

    def best_of_history(self) -> list[tuple[int, str]]:
        """Lines that take the best value of a history: `min(history.history["val_loss"])` and the like.

        Returns:
            (line, metric) of each.
        """
        lines = []
        for node in self._nodes(ast.Call):
            if _name(node.func) in {"min", "max", "argmin", "argmax", "nanmin", "nanmax"}:
                for inner in ast.walk(node):
                    if (
                        isinstance(inner, ast.Constant)
                        and isinstance(inner.value, str)
                        and inner.value.startswith("val_")
                    ):
                        lines.append((node.lineno, inner.value))
        return lines

    def _nodes(self, kind):
        try:
            tree = ast.parse(self.source)
        except (SyntaxError, ValueError):
            return []
        return [node for node in ast.walk(tree) if isinstance(node, kind)]


def _name(node):
    return getattr(node, "attr", getattr(node, "id", ""))
