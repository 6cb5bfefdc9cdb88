"""Run an action as soon as a program imports a module, without importing it first."""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from typing import Any


class WhenImported:
    """A finder that finds no modules itself, but runs an action once a certain module is imported.

    Args:
        name: of the module, in full.
        action: called without arguments after the module is executed.
    """

    def __init__(self, name: str, action: Callable[[], None]):
        self.name, self.action = name, action

    @property
    def waiting(self) -> bool:
        return self in sys.meta_path

    def wait(self) -> None:
        """Runs the action at once if the module is loaded, else when it is imported."""
        if self.name in sys.modules:
            self.action()
        else:
            sys.meta_path.insert(0, self)

    def stop(self) -> None:
        """Stops waiting."""
        if self.waiting:
            sys.meta_path.remove(self)

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        if name != self.name:
            return None
        sys.meta_path.remove(self)
        try:
            spec = find_spec(name)
        finally:
            sys.meta_path.insert(0, self)
        if spec is None or spec.loader is None:
            return spec
        loader = spec.loader
        execute = loader.exec_module  # the class's, or that of another finder that waits

        def execute_and_act(module):
            vars(loader).pop("exec_module", None)  # the class's own is visible again
            execute(module)
            if self.waiting:  # else it was stopped meanwhile
                self.stop()
                self.action()

        loader.exec_module = execute_and_act
        return spec
