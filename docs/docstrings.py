"""Our docstrings say "Example:"; what renders them knows a section "Examples:" and takes ours for a box."""

import griffe


class Examples(griffe.Extension):
    """Names the section as griffe knows it."""

    def on_instance(self, *, obj: griffe.Object, **others: object) -> None:
        if obj.docstring:
            obj.docstring.value = obj.docstring.value.replace("\nExample:", "\nExamples:")
