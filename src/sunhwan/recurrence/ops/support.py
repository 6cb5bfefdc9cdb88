"""Which calls are not fused, and why: the conditions that do not depend on the framework.

>>> reason(Call(activation="swish", dtype="float32", timesteps=240, features=14, units=32))
"the activation is 'swish'; the kernels have linear, relu, tanh, sigmoid and hard_sigmoid"
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sunhwan import native
from sunhwan.recurrence.ops.options import ACTIVATIONS

COMPUTED = ("float32", "float16", "bfloat16")
"""Array types that the kernels accept; the smaller two are computed in float32."""


ONLY_GRADIENTS = (
    "A fused recurrence has gradients only; call sunhwan.restore() to use Keras's own layers instead."
)
"""What to do if a derivative is not available."""


@dataclass(frozen=True)
class Call:
    """What is known of a call before it runs.

    Attributes:
        activation, recurrent_activation: names; None is linear.
        dtype: the layer's dtype for arithmetic.
        device: where the framework would compute: "cpu", "gpu", "cuda:0", "tpu"..
        batch, timesteps: None if not known yet.
        framework: of the arrays: "jax", "tensorflow", "torch" or "numpy".
        gates: the number of the cell's gates.
    """

    activation: str | None = "tanh"
    recurrent_activation: str | None = "sigmoid"
    dtype: str = "float32"
    device: str = "cpu"
    batch: int | None = None
    timesteps: int | None = None
    features: int = 1
    units: int = 1
    framework: str = ""
    gates: int = 1

    @property
    def library(self) -> str | None:
        """Why the native library cannot be used; None if it can."""
        return native.reason()


FEWEST_ROW_STEPS = 4
MOST_WEIGHTS_OF_FEW = 2**18


def weights_are_reused(call: Call) -> bool:
    """Whether the weights, which every call packs, are used often enough to pay for the packing.

    A call uses each weight batch * timesteps times. Below `FEWEST_ROW_STEPS` packing is most of the work,
    which matters if the weights do not fit the processor's cache: above `MOST_WEIGHTS_OF_FEW`.
    """
    if call.batch is None or call.timesteps is None:
        return True
    few = call.batch * call.timesteps < FEWEST_ROW_STEPS
    return not few or (call.features + call.units) * call.units <= MOST_WEIGHTS_OF_FEW


MOST_SUMS_IN_ONE_PIECE = 4


def xla_keeps_it_in_registers(call: Call) -> bool:
    """Whether XLA compiles Keras's own loop into one piece that is faster than the kernels.

    It does so for a state of a few numbers, where the kernels compute whole vectors. With one unit and one
    sequence over 2,000 steps, XLA takes half the time.
    """
    if call.framework != "jax" or call.batch is None:
        return False
    return call.batch * call.units * call.gates <= MOST_SUMS_IN_ONE_PIECE


_NAMES = f"{', '.join(ACTIVATIONS[:-1])} and {ACTIVATIONS[-1]}"

Conditions = tuple[tuple[Callable[[Any], bool], str], ...]
"""Pairs of a condition under which a call is not fused, and the reason, formatted with the call."""

CONDITIONS: Conditions = (
    (lambda call: call.library is not None, "{0.library}"),
    (
        lambda call: not call.device.lower().startswith("cpu"),
        "it runs on the device {0.device!r}; the kernels run on the CPU",
    ),
    (
        lambda call: call.dtype not in COMPUTED,
        "it computes in {0.dtype}; the kernels compute in float32",
    ),
    (
        lambda call: call.activation not in (None, *ACTIVATIONS),
        f"the activation is {{0.activation!r}}; the kernels have {_NAMES}",
    ),
    (
        lambda call: call.recurrent_activation not in (None, *ACTIVATIONS),
        f"the recurrent activation is {{0.recurrent_activation!r}}; the kernels have {_NAMES}",
    ),
    (lambda call: call.timesteps == 0, "it has no timesteps"),
    (lambda call: call.features == 0, "its inputs have no features"),
    (
        lambda call: not weights_are_reused(call),
        "a batch of {0.batch} with {0.timesteps} timesteps is too small for {0.units} units to gain anything",
    ),
    (
        xla_keeps_it_in_registers,
        "XLA compiles Keras's loop over a state of {0.batch} x {0.units} into one piece, which is faster",
    ),
)
"""The conditions of a `Call`, in order."""


def reason(call: Any, conditions: Conditions = CONDITIONS) -> str | None:
    """Why a call is not fused, as half a sentence; None if it can be."""
    return next((why.format(call) for condition, why in conditions if condition(call)), None)
