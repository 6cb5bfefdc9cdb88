"""The recurrence on NumPy arrays: `forward` and `backward` as in `sunhwan.reference`, on the native kernels.

Arrays are float32; float16 and bfloat16 are computed in float32 and returned in the dtype of `inputs`.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from sunhwan import native
from sunhwan.recurrence.ops import memory
from sunhwan.recurrence.ops.options import Options, Sizes

DTYPES = ("float32", "float16", "bfloat16")


@dataclass(frozen=True)
class ForwardPass:
    """What `forward` returns.

    Attributes:
        output: (batch, time, units) with `return_sequences`, else (batch, units).
        states: (states, batch, units) the states after the last step: h, and c for an LSTM.
        options, sizes, arrays, saved: for `backward`; `saved` is None without `save`. The caller's arrays are
            not copied, so they must not change before `backward`.
    """

    output: np.ndarray
    states: np.ndarray
    options: Options
    sizes: Sizes
    arrays: dict[str, np.ndarray | None]
    saved: np.ndarray | None


class Gradients(NamedTuple):
    """What `backward` returns: gradients in the shapes of the arrays, and None for those not wanted.

    `initial_state` has one even if `forward` began from zeros; `bias` is None if there was no bias.
    """

    inputs: np.ndarray | None
    initial_state: np.ndarray | None
    kernel: np.ndarray | None
    recurrent_kernel: np.ndarray | None
    bias: np.ndarray | None


def forward(
    options: Options,
    inputs: np.ndarray,
    kernel: np.ndarray,
    recurrent_kernel: np.ndarray,
    bias: np.ndarray | None = None,
    *,
    initial_state: np.ndarray | None = None,
    mask: np.ndarray | None = None,
    dropout_mask: np.ndarray | None = None,
    recurrent_dropout_mask: np.ndarray | None = None,
    save: bool = True,
) -> ForwardPass:
    """Run a cell over sequences. The arrays are those of `sunhwan.reference.forward`.

    Args:
        save: save what `backward` needs: up to five floats per unit, timestep and sequence.

    Raises:
        ValueError: a shape does not fit.
        TypeError: an array is not float32, float16 or bfloat16.
        MemoryError: there is not enough memory for the result.
        sunhwan.SunhwanError: the native library cannot be used.

    Example:
        >>> import numpy as np
        >>> from sunhwan.recurrence.ops.numpy import Options, backward, forward
        >>> inputs = np.ones((2, 5, 3), "float32")
        >>> weights = [np.full((3, 16), 0.1, "float32"), np.full((4, 16), 0.1, "float32")]
        >>> lstm = forward(Options("lstm"), inputs, *weights)
        >>> gradients = backward(lstm, np.ones_like(lstm.output), wanted=["kernel"])
        >>> lstm.output.shape, gradients.kernel.shape, gradients.inputs
        ((2, 4), (3, 16), None)
    """
    dtype = np.asarray(inputs).dtype
    # In the order in which `native.call` takes them.
    arrays = {
        "inputs": _float32("inputs", inputs),
        "kernel": _float32("kernel", kernel),
        "recurrent_kernel": _float32("recurrent_kernel", recurrent_kernel),
        "bias": _float32("bias", bias),
        "initial_state": _float32("initial_state", initial_state),
        "mask": _bool("mask", mask),
        "dropout_mask": _float32("dropout_mask", dropout_mask),
        "recurrent_dropout_mask": _float32("recurrent_dropout_mask", recurrent_dropout_mask),
    }
    sizes = options.sizes(**{name: None if a is None else a.shape for name, a in arrays.items()})
    output = memory.empty(*options.output_shape(sizes))
    states = memory.empty(*options.states_shape(sizes))
    saved = memory.empty(*native.saved_shape(options, sizes)) if save else None
    native.forward(native.call(options, sizes, *map(_address, [*arrays.values(), output, states, saved])))
    return ForwardPass(
        output.astype(dtype, copy=False), states.astype(dtype, copy=False), options, sizes, arrays, saved
    )


def backward(
    forward_pass: ForwardPass,
    output_gradient: np.ndarray | None = None,
    states_gradient: np.ndarray | None = None,
    wanted: Collection[str] = Gradients._fields,
) -> Gradients:
    """Backpropagation through time: the gradients of `forward`'s arguments from those of its results.

    Args:
        forward_pass: what `forward` returned.
        output_gradient: of the loss with respect to `forward_pass.output`, in its shape.
        states_gradient: likewise for `forward_pass.states`. Zeros are the default of both.
        wanted: names of the gradients to compute, of `Gradients`.

    Raises:
        ValueError: a gradient has the wrong shape, `wanted` has an unknown name, or `forward` had
            `save=False`.
    """
    options, sizes, arrays, saved = (
        getattr(forward_pass, name) for name in ("options", "sizes", "arrays", "saved")
    )
    if saved is None:
        raise ValueError("forward was called with save=False, which leaves nothing for backward.")
    if unknown := set(wanted) - set(Gradients._fields):
        raise ValueError(f"wanted has {min(unknown)!r}, expected some of {', '.join(Gradients._fields)}.")
    d_output = _float32("output_gradient", output_gradient)
    d_states = _float32("states_gradient", states_gradient)
    for name, gradient, value in (
        ("output_gradient", d_output, forward_pass.output),
        ("states_gradient", d_states, forward_pass.states),
    ):
        if gradient is not None and gradient.shape != value.shape:
            raise ValueError(f"{name} has shape {gradient.shape}, expected {value.shape}.")
    shapes = {name: a.shape for name, a in arrays.items() if a is not None}
    shapes["initial_state"] = options.states_shape(sizes)
    gradients = Gradients(
        *(
            memory.empty(*shapes[name]) if name in wanted and name in shapes else None
            for name in Gradients._fields
        )
    )
    native.backward(
        native.call(options, sizes, *map(_address, arrays.values()), saved=_address(saved)),
        native.Gradients(*map(_address, [d_output, d_states, *gradients])),
    )
    dtype = forward_pass.output.dtype
    return Gradients(*(None if g is None else g.astype(dtype, copy=False) for g in gradients))


def recurrence(options: Options, inputs: np.ndarray, *weights: np.ndarray, **arrays: np.ndarray | None):
    """The output and states of `forward`, with nothing saved."""
    result = forward(options, inputs, *weights, **arrays, save=False)
    return result.output, result.states


def _float32(name, array):
    if array is None:
        return None
    array = np.asarray(array)
    if array.dtype.name not in DTYPES:
        raise TypeError(
            f"{name} is {array.dtype}, expected {', '.join(DTYPES[:-1])} or {DTYPES[-1]}; call "
            '.astype("float32").'
        )
    array = np.ascontiguousarray(array, np.float32)
    return array if array.flags.aligned else array.copy()


def _bool(name, array):
    if array is None:
        return None
    array = np.asarray(array)
    if array.dtype.kind not in "biuf":
        raise TypeError(f"{name} is {array.dtype}, expected bool, true where there is data.")
    return np.ascontiguousarray(array, bool)


def _address(array):
    return None if array is None else array.ctypes.data
