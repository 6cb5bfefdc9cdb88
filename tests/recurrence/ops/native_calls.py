"""What reaches the native library, recorded: which calls, what is saved, which gradients are asked for.

with native_calls() as calls:
    ...
assert calls == ["forward, saving", "backward of kernel, bias"]
"""

from __future__ import annotations

from contextlib import contextmanager

import pytest

from sunhwan import native


class Calls(list):
    """One line for each call; `structs` and `gradients` have what each got."""

    def __init__(self):
        super().__init__()
        self.structs, self.gradients = [], []


@contextmanager
def native_calls():
    calls = Calls()
    forward, backward = native.forward, native.backward

    def recorded_forward(recurrence):
        calls.structs.append(recurrence)
        calls.append("forward, saving" if recurrence.saved else "forward")
        forward(recurrence)

    def recorded_backward(recurrence, gradients):
        names = [name.removeprefix("d_") for name, _ in gradients._fields_[2:] if getattr(gradients, name)]
        calls.structs.append(recurrence)
        calls.gradients.append(gradients)
        calls.append(f"backward of {', '.join(names)}")
        backward(recurrence, gradients)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(native, "forward", recorded_forward)
        patched.setattr(native, "backward", recorded_backward)
        yield calls
