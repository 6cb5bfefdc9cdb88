"""The seam: one call of a Keras layer, into the fused recurrence or, with a reason, into Keras's own loop.

`inner_loop` is what SimpleRNN, GRU and LSTM run over the timesteps once Keras has cast the inputs, made the
initial states and drawn the dropout masks; what it returns Keras casts, keeps and hands on. So
weights, configs, states, masks and files stay Keras's whichever loop runs. `sunhwan.recurrence.accelerate`
puts `fused` there.

Everything that Keras's backends do differently at this place stands in `options`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from importlib import import_module
from typing import Any

import keras

from sunhwan.recurrence import explain
from sunhwan.recurrence.ops import library
from sunhwan.recurrence.ops.options import ACTIVATIONS, Options
from sunhwan.recurrence.ops.support import Call
from sunhwan.recurrence.ops.support import reason as reason_of_call

LAYERS = {
    keras.layers.SimpleRNN: ("simple_rnn", keras.layers.SimpleRNNCell),
    keras.layers.GRU: ("gru", keras.layers.GRUCell),
    keras.layers.LSTM: ("lstm", keras.layers.LSTMCell),
}
"""Keras's layers that are switched: the name of each one's cell, and the cell's class."""

ADAPTERS = {name: f"sunhwan.recurrence.ops.{name}" for name in ("jax", "tensorflow", "torch")}
"""The backends of Keras on which calls are fused, and the module of each one's adapter."""


def refusal() -> str | None:
    """Why nothing can be fused, as far as that can be told before a model runs; None if nothing speaks
    against it.

    It must not start the backend, which the program may still want to configure.
    """
    backend = keras.backend.backend()
    if backend not in ADAPTERS:
        return f"Keras runs on its backend {backend!r}; there are kernels for {', '.join(ADAPTERS)}"
    return library.problem()


# ---- The call ----


def fused(stock: Callable, layer: Any, sequences: Any, initial_state: Any, mask: Any, training: Any) -> tuple:
    """What stands in for `stock`, the `inner_loop` of the layer's class.

    Args:
        sequences: (batch, time, features).
        initial_state: one (batch, units) for each state, in a list or, if there is one only, by itself.
        mask: (batch, time), true where there is data; in a list where Keras hands it over so; or None.

    Returns:
        The last output (batch, units); all outputs (batch, time, units), of which there is the last one only
        where `return_sequences` is off; the final states, a list of (batch, units).
    """
    if keras.src.backend.in_symbolic_scope():  # only shapes are asked for, and nothing will run
        return stock(layer, sequences, initial_state, mask, training)
    states = list(initial_state) if isinstance(initial_state, (list, tuple)) else [initial_state]
    step_mask = mask[0] if isinstance(mask, (list, tuple)) else mask
    why = reason(layer, sequences, states, step_mask)
    explain.record(layer, why)
    if why:
        return stock(layer, sequences, initial_state, mask, training)

    cell, ops = layer.cell, keras.ops

    def array(value):
        # The cell's own cast, by which the weights of mixed precision are rounded before they are used.
        return None if value is None else ops.cast(value, cell.compute_dtype)

    adapter = import_module(ADAPTERS[keras.backend.backend()])
    output, new_states = adapter.recurrence(
        options(layer),
        array(sequences),
        array(cell.kernel),
        array(cell.recurrent_kernel),
        array(cell.bias),
        initial_state=ops.stack([array(state) for state in states]),
        mask=None if step_mask is None else ops.cast(step_mask, "bool"),
        **dropout_masks(cell, sequences, states, training, array),
    )
    new_states = [new_states[index] for index in range(len(states))]
    if layer.return_sequences:
        return output[:, -1], output, new_states
    return output, ops.expand_dims(output, 1), new_states


def dropout_masks(cell: Any, sequences: Any, states: list, training: Any, array: Callable) -> dict[str, Any]:
    """The masks that Keras has drawn for this call, of shape (1 or gates, batch, features or units)."""
    masks = {}
    if training and cell.dropout:
        masks["dropout_mask"] = cell.get_dropout_mask(sequences[:, 0, :])
    if training and cell.recurrent_dropout:
        masks["recurrent_dropout_mask"] = cell.get_recurrent_dropout_mask(states[0])
    # A list has one for each gate (`implementation=1`).
    return {
        name: keras.ops.stack([array(mask) for mask in (drawn if isinstance(drawn, list) else [drawn])])
        for name, drawn in masks.items()
    }


def options(layer: Any) -> Options:
    """What the layer computes, including how the running backend treats masked steps."""
    cell = layer.cell
    # At masked steps ahead of all data, a scan of JAX puts out the initial state; every other loop puts out
    # zeros.
    scan = keras.backend.backend() == "jax" and not layer.unroll
    # Unrolled, Keras on JAX pays no heed to `zero_output_for_mask`.
    heeded = keras.backend.backend() != "jax" or not layer.unroll
    return _options(
        LAYERS[_switched(layer)][0],
        activation=activation_name(cell.activation),
        recurrent_activation=activation_name(getattr(cell, "recurrent_activation", None)),
        reset_after=getattr(cell, "reset_after", True),
        go_backwards=layer.go_backwards,
        return_sequences=layer.return_sequences,
        zero_output_for_mask=layer.zero_output_for_mask and heeded,
        zero_before_data=not scan,
    )


_options = cache(Options)
"""One object for equal options, which then finds but once what it derives from them."""


def activation_name(activation: Callable | None) -> str:
    """The name by which the kernels know an activation; of any other, a name that they do not know."""
    for name in ACTIVATIONS:
        if activation in (getattr(keras.activations, name), getattr(keras.ops, name, None)):
            return name
    if activation is None:
        return "linear"
    name, module = getattr(activation, "__name__", type(activation).__name__), activation.__module__
    return name if module.startswith("keras.") and name not in ACTIVATIONS else f"{module}.{name}"


# ---- Which path, and why ----


def reason(layer: Any, sequences: Any, states: list, mask: Any) -> str | None:
    """Why a call takes Keras's own path, as half a sentence; None if it is fused."""
    return (
        getattr(_thread, "suspended", None)
        or reason_of_layer(layer)
        or _reason_of_shapes(layer, sequences, states, mask)
        or REASONS[keras.backend.backend()](sequences, states)
        or _reason_of_machine(sequences)
        or reason_of_call(_call(layer, sequences))
    )


def reason_of_layer(layer: Any) -> str | None:
    """Why a layer takes Keras's own path whatever it is called with; None if that depends on the call."""
    if why := refusal():
        return why
    switched = _switched(layer)
    if switched is None:
        return "only SimpleRNN, GRU and LSTM are fused"
    for method in ("inner_loop", "call"):
        if getattr(type(layer), method) is not getattr(switched, method):
            return f"its class {type(layer).__name__} has a method {method} of its own"
    cell, stock_cell = layer.cell, LAYERS[switched][1]
    if type(cell) is not stock_cell:
        return f"its cell is a {type(cell).__name__}, not Keras's own {stock_cell.__name__}"
    if getattr(layer, "use_cudnn", None) is True:
        return "use_cudnn=True asks for Keras's own path on a GPU"
    if 1 in (cell.dropout, cell.recurrent_dropout):
        return "a dropout rate is 1, which Keras treats in several ways"
    return None


def _switched(layer):
    """The class of Keras that a layer is of, among those that are switched; None if it is another."""
    return next((cls for cls in LAYERS if isinstance(layer, cls)), None)


def _reason_of_shapes(layer, sequences, states, mask):
    batch, time = sequences.shape[:2]
    expected = [("initial state", state, (batch, layer.cell.units)) for state in states]
    if mask is not None:
        expected.append(("mask", mask, (batch, time)))
        backwards = layer.unroll and layer.go_backwards and layer.zero_output_for_mask
        if backwards and keras.backend.backend() == "tensorflow":
            return "unrolled and backwards, Keras zeroes outputs by a mask that is not turned round"
    for name, array, shape in expected:
        if len(array.shape) != len(shape) or any(
            None not in (size, wanted) and size != wanted
            for size, wanted in zip(array.shape, shape, strict=True)
        ):
            return f"its {name} has the shape {tuple(array.shape)}; the kernels take {shape}"
    return None


def _reason_of_machine(sequences):
    """What is no matter of the layer: then nothing can be fused, and it is said for all to see."""
    backend = keras.backend.backend()
    why = import_module(ADAPTERS[backend]).refusal() if backend == "jax" else None
    why = why or reason_of_call(Call(device=DEVICES[backend](sequences)))
    if why:
        say_once(f"sunhwan fuses nothing: {why}")
    return why


@cache
def say_once(text: str) -> None:
    """One line on stderr, unless the program has its own way with logs."""
    explain.log.warning(text)


def _call(layer, sequences):
    cell = layer.cell
    batch, timesteps, features = sequences.shape
    wide = "float64" if keras.backend.standardize_dtype(sequences.dtype) == "float64" else cell.compute_dtype
    return Call(
        activation=activation_name(cell.activation),
        recurrent_activation=activation_name(getattr(cell, "recurrent_activation", None)),
        dtype=wide,
        batch=batch,
        timesteps=timesteps,
        features=cell.kernel.shape[0] if features is None else features,
        units=cell.units,
    )


_thread = threading.local()


@contextmanager
def suspended(why: str) -> Iterator[None]:
    """Has every call in this thread take Keras's own path, for that reason."""
    before, _thread.suspended = getattr(_thread, "suspended", None), why
    try:
        yield
    finally:
        _thread.suspended = before


def is_suspended() -> bool:
    """Whether this thread is within `suspended`."""
    return getattr(_thread, "suspended", None) is not None


# ---- What each backend has to say ----


def _jax_reason(sequences, states):
    # `jax.export` may give sizes as names.
    return None if all(isinstance(size, int) for size in sequences.shape) else EXPORTED


def _jax_device(sequences):
    import jax

    chosen = jax.config.jax_default_device
    return jax.default_backend() if chosen is None else getattr(chosen, "platform", chosen)


def _tensorflow_reason(sequences, states):
    import tensorflow as tf
    from tensorflow.python.saved_model import save_context

    from sunhwan.recurrence.ops.tensorflow import compiled_by_xla

    if not tf.executing_eagerly() and save_context.in_save_context():
        return EXPORTED
    if compiled_by_xla():
        return "it is compiled by XLA (jit_compile=True), where TensorFlow cannot call the kernels"
    return None


def _tensorflow_device(sequences):
    import tensorflow as tf

    # In a graph a tensor has a device only where the program gives it one; the others go to what there is.
    kinds = {device.device_type for device in tf.config.list_logical_devices()}
    return sequences.device.rpartition("device:")[2] or min(kinds - {"CPU"}, default="cpu")


def _torch_reason(sequences, states):
    import torch

    if torch.compiler.is_exporting() or torch.jit.is_tracing():
        return EXPORTED
    if any(
        torch.autograd.forward_ad.unpack_dual(array).tangent is not None for array in (sequences, *states)
    ):
        return "it is differentiated in forward mode"
    return None


EXPORTED = "it was exported to a program that runs without sunhwan"

REASONS = {"jax": _jax_reason, "tensorflow": _tensorflow_reason, "torch": _torch_reason}
DEVICES = {"jax": _jax_device, "tensorflow": _tensorflow_device, "torch": lambda tensor: tensor.device.type}
