"""Which path a call takes and why: conditions that do not depend on the framework, each with its reason.

>>> reason(Call(activation="swish", dtype="float32", timesteps=240, features=14, units=32))
"the activation is 'swish'; the kernels have linear, relu, tanh, sigmoid and hard_sigmoid"
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sunhwan import native
from sunhwan.recurrence.ops.options import ACTIVATIONS

COMPUTED = ("float32", "float16", "bfloat16")
"""Types of arrays that the kernels take; the smaller two are computed in float32."""


ONLY_GRADIENTS = (
    "A fused recurrence has gradients only; use an unfused layer: sunhwan.restore() brings back Keras's own."
)
"""What to do about a derivative that an adapter has not."""


@dataclass(frozen=True)
class Call:
    """What is known of a call before it is made.

    Attributes:
        activation, recurrent_activation: names; None is linear.
        dtype: of the arithmetic that the layer asks for.
        device: where the framework would compute: "cpu", or "gpu", "cuda:0", "tpu"..
        batch, timesteps: None where they are not known yet.
        framework: of the arrays: "jax", "tensorflow", "torch" or "numpy".
        gates: of the cell.
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


FEWEST_ROW_STEPS = 4
MOST_WEIGHTS_OF_FEW = 2**18


def weights_are_reused(call: Call) -> bool:
    """Whether the weights, which are laid out anew at each call, serve enough timesteps to pay for that.

    A call multiplies each weight batch * timesteps times. Below `FEWEST_ROW_STEPS` the laying out is most of
    the work, which is felt where the weights do not fit the processor's cache: above `MOST_WEIGHTS_OF_FEW`.
    """
    if call.batch is None or call.timesteps is None:
        return True
    few = call.batch * call.timesteps < FEWEST_ROW_STEPS
    return not few or (call.features + call.units) * call.units <= MOST_WEIGHTS_OF_FEW


MOST_SUMS_IN_ONE_PIECE = 4


def xla_keeps_it_in_registers(call: Call) -> bool:
    """Whether XLA compiles Keras's own loop into one piece that is quicker than the kernels.

    So it does with a state of a few numbers, where the kernels compute whole vectors. Measured with one unit
    and one sequence, over 2,000 steps: half the time.
    """
    if call.framework != "jax" or call.batch is None:
        return False
    return call.batch * call.units * call.gates <= MOST_SUMS_IN_ONE_PIECE


_NAMES = f"{', '.join(ACTIVATIONS[:-1])} and {ACTIVATIONS[-1]}"

CONDITIONS: tuple[tuple[Callable[[Call], bool], str], ...] = (
    (lambda call: native.reason() is not None, "{problem}"),
    (
        lambda call: not call.device.lower().startswith("cpu"),
        "it runs on the device {device!r}; the kernels run on the CPU",
    ),
    (
        lambda call: call.dtype not in COMPUTED,
        "it computes in {dtype}; the kernels compute in float32",
    ),
    (
        lambda call: call.activation not in (None, *ACTIVATIONS),
        f"the activation is {{activation!r}}; the kernels have {_NAMES}",
    ),
    (
        lambda call: call.recurrent_activation not in (None, *ACTIVATIONS),
        f"the recurrent activation is {{recurrent_activation!r}}; the kernels have {_NAMES}",
    ),
    (lambda call: call.timesteps == 0, "it has no timesteps"),
    (lambda call: call.features == 0, "its inputs have no features"),
    (
        lambda call: not weights_are_reused(call),
        "a batch of {batch} with {timesteps} timesteps is too small for {units} units to gain anything",
    ),
    (
        xla_keeps_it_in_registers,
        "XLA compiles Keras's loop over a state of {batch} x {units} into one piece, which is quicker",
    ),
)
"""(whether a call is one for Keras's own path, and the reason why), in the order in which they are asked."""


def reason(call: Call) -> str | None:
    """Why a call takes Keras's own path, as half a sentence; None if it can be fused."""
    for condition, why in CONDITIONS:
        if condition(call):
            return why.format(**vars(call), problem=native.reason())
    return None
