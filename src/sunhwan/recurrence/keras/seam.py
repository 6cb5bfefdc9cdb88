"""The seam: one call of a Keras layer, into the fused recurrence or, with a reason, into Keras's own loop.

`inner_loop` is what SimpleRNN, GRU and LSTM run over the timesteps once Keras has cast the inputs, made the
initial states and drawn the dropout masks; what it returns Keras casts, keeps and hands on. So
weights, configs, states, masks and files stay Keras's whichever loop runs. `accelerate` puts `fused` there.

What Keras's backends do differently stands in `options`, as far as it is a matter of numbers, and at the end.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache, lru_cache, partial
from importlib import import_module
from typing import Any

import keras
import numpy as np

from sunhwan import native
from sunhwan.recurrence.cells import CELLS
from sunhwan.recurrence.keras import dispatch_log
from sunhwan.recurrence.ops.options import ACTIVATIONS, Options
from sunhwan.recurrence.ops.support import Call
from sunhwan.recurrence.ops.support import reason as _reason_of_call

LAYERS = {
    keras.layers.SimpleRNN: ("simple_rnn", keras.layers.SimpleRNNCell),
    keras.layers.GRU: ("gru", keras.layers.GRUCell),
    keras.layers.LSTM: ("lstm", keras.layers.LSTMCell),
}
"""Keras's layers that are switched: the name of each one's cell, and the cell's class."""

ADAPTERS = {name: f"sunhwan.recurrence.ops.{name}" for name in ("jax", "tensorflow", "torch")}
"""The backends of Keras on which calls are fused, and the module of each one's adapter."""


DEVIATIONS = {
    "small types": "float16 and bfloat16 are computed in float32 and rounded at the end: nearer the truth.",
    "masked NaN": "What is not finite at a masked step leaves no trace; of Keras's gradients it leaves NaN.",
    "implementation=1": "It trains with dropout alone, where Keras fails unless use_cudnn=False.",
    "unroll": "On PyTorch, unroll with go_backwards takes a mask; Keras fails.",
    "jit_compile": "On TensorFlow, models with a fused layer are not compiled by XLA, even if asked to.",
    "conversion": "On TensorFlow, a concrete function has a call into this process in it, which no converter "
    "takes along: restore() before TFLiteConverter, convert_variables_to_constants_v2 or tf2onnx.",
    "Dropout": "On PyTorch, a Dropout layer without a seed draws other masks of the same chance for fused "
    "sequences: PyTorch draws in the order of memory, in which Keras's lie timestep by timestep.",
    "fullgraph": "On PyTorch, torch.compile breaks its graph at a fused layer, so fullgraph=True fails.",
}
"""Where a fused layer does not do what Keras does, by the name of the test of it. All else is a fault."""


def refusal() -> str | None:
    """Why nothing can be fused, as far as that can be told before a model runs; None if nothing speaks
    against it.

    It must not start the backend, which the program may still want to configure.
    """
    backend = keras.backend.backend()
    if backend not in ADAPTERS:
        return f"Keras runs on its backend {backend!r}; there are kernels for {', '.join(ADAPTERS)}"
    return native.reason()


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
    if isinstance(sequences, np.ndarray):  # of a layer's `call`, which converts nothing
        sequences = keras.ops.convert_to_tensor(sequences)
    states = list(initial_state) if isinstance(initial_state, (list, tuple)) else [initial_state]
    step_mask = mask[0] if isinstance(mask, (list, tuple)) else mask
    why = reason(layer, sequences, states, step_mask)
    dispatch_log.add(layer, why)
    if why:
        return stock(layer, sequences, initial_state, mask, training)

    backend, cell, dtype = keras.backend.backend(), layer.cell, layer.cell.compute_dtype
    # Those of keras.ops do the same, after they have looked for symbolic tensors for longer than that takes.
    cast, stack = keras.src.backend.cast, keras.src.backend.numpy.stack

    def array(value):
        # By the cell's own cast the weights of mixed precision are rounded before they are used.
        return None if value is None else cast(value, dtype)

    output, new_states = import_module(ADAPTERS[backend]).recurrence(
        options(layer),
        array(sequences),
        array(cell.kernel),
        array(cell.recurrent_kernel),
        array(cell.bias),
        initial_state=stack([array(state) for state in states]),
        mask=None if step_mask is None else cast(step_mask, "bool"),
        **dropout_masks(cell, sequences, states, training, array),
        # JAX's adapter composes the recurrence itself.
        **({} if backend == "jax" else {"composed": partial(composed, layer, training)}),
    )
    new_states = [new_states[index] for index in range(len(states))]
    if layer.return_sequences:
        return output[:, -1], output, new_states
    return output, output[:, None], new_states


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


def composed(layer: Any, training: Any, inputs: Any, **given: Any) -> tuple:
    """Keras's own loop as a function of the arrays that an adapter takes, for second derivatives.

    Args:
        inputs, given: float32 arrays by the names of `recurrence`, as are the output and states returned.
    """
    ops, cell = keras.ops, layer.cell
    inputs = WHEN_RUN[keras.backend.backend()](inputs, lambda: dispatch_log.add(layer, SECOND))
    # The loop is in the cell's own type, from which no state may differ.
    inputs, given = (
        keras.tree.map_structure(
            lambda array: ops.cast(array, cell.compute_dtype) if _is_float(array) else array, arrays
        )
        for arrays in (inputs, given)
    )
    attributes = {
        f"_{name}": None if drawn is None else list(ops.unstack(drawn)) if _a_mask_each(cell) else drawn[0]
        for name, drawn in ((name, given.get(name)) for name in ("dropout_mask", "recurrent_dropout_mask"))
    }
    variables = []
    for name in ("kernel", "recurrent_kernel", "bias"):
        weight = getattr(cell, name)
        if isinstance(weight, keras.Variable):
            variables.append((weight, given[name]))
        elif weight is not None:  # a tensor that somebody put in the place of a variable
            attributes[name] = given[name]
    # SimpleRNN's cell draws masks even where it has no use for them, and would leave them behind.
    before = {name: getattr(cell, name, None) for name in attributes}
    with keras.StatelessScope(state_mapping=variables):
        _set_attributes(cell, attributes)
        try:
            last_output, outputs, states = keras.layers.RNN.inner_loop(
                layer, inputs, list(ops.unstack(given["initial_state"])), given.get("mask"), training
            )
        finally:
            _set_attributes(cell, before)
    output = outputs if layer.return_sequences else last_output
    return ops.cast(output, "float32"), ops.cast(ops.stack(list(states)), "float32")


def _set_attributes(cell, attributes):
    for name, value in attributes.items():
        setattr(cell, name, value)


def _is_float(array):
    return keras.backend.is_float_dtype(keras.backend.standardize_dtype(array.dtype))


def _a_mask_each(cell):
    return getattr(cell, "dropout_mask_count", None) is not None


def options(layer: Any) -> Options:
    """What the layer computes, including how the running backend treats masked steps."""
    cell = layer.cell
    # At masked steps ahead of all data, a scan of JAX puts out the initial state; every other loop puts out
    # zeros.
    scan = keras.backend.backend() == "jax" and not layer.unroll
    # Unrolled, Keras on JAX pays no heed to `zero_output_for_mask`.
    heeded = keras.backend.backend() != "jax" or not layer.unroll
    return _options(
        LAYERS[_switched(type(layer))][0],
        **_activations(cell),
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
    # By identity, for not everything that can be called can be hashed.
    if known := KNOWN.get(id(activation)):
        return known
    name = full_name(activation)
    module, _, short = name.rpartition(".")
    return short if module.startswith("keras.") and short not in ACTIVATIONS else name


def full_name(function: Callable) -> str:
    """A function's name with its module; of another object that can be called, those of its class."""
    kind = type(function)
    module = getattr(function, "__module__", None) or kind.__module__  # methods of PyTorch's have none
    return f"{module}.{getattr(function, '__name__', kind.__name__)}"


KNOWN = {id(None): "linear"} | {
    id(getattr(module, name)): name
    for module in (keras.activations, keras.ops)
    for name in ACTIVATIONS
    if hasattr(module, name)
}
"""Names of the functions that stand for an activation of the kernels, by id; they live as long as Keras."""


def _activations(cell):
    return {
        "activation": activation_name(cell.activation),
        "recurrent_activation": activation_name(getattr(cell, "recurrent_activation", None)),
    }


# ---- Which path, and why ----


def reason(layer: Any, sequences: Any, states: list, mask: Any) -> str | None:
    """Why a call takes Keras's own path, as half a sentence; None if it is fused."""
    backend, cell = keras.backend.backend(), layer.cell
    return (
        getattr(_thread, "suspended", None)
        or reason_of_layer(layer)
        or _reason_of_shapes(layer, sequences, states, mask)
        or REASONS[backend](sequences, *states, cell.kernel, cell.recurrent_kernel, cell.bias)
        or _reason_of_machine(sequences)
        or reason_of_call(_call(layer, sequences))
    )


def reason_of_layer(layer: Any) -> str | None:
    """Why a layer takes Keras's own path whatever it is called with; None if that depends on the call."""
    if why := refusal():
        return why
    kind = type(layer)
    switched = _switched(kind)
    if switched is None:
        return "only SimpleRNN, GRU and LSTM are fused"
    cell, stock_cell = layer.cell, LAYERS[switched][1]
    if type(cell) is not stock_cell:
        return f"its cell is a {type(cell).__name__}, not Keras's own {stock_cell.__name__}"
    return _reason_of_options(
        kind,
        getattr(layer, "use_cudnn", None),
        layer.compute_dtype,
        cell.compute_dtype,
        cell.dropout,
        cell.recurrent_dropout,
        getattr(cell, "implementation", 1),
        **_activations(cell),
    )


@lru_cache(maxsize=1024)
def _reason_of_options(
    kind, use_cudnn, dtype, cell_dtype, dropout, recurrent_dropout, implementation, **activations
):
    for method in ("inner_loop", "call"):
        if getattr(kind, method) is not getattr(_switched(kind), method):
            return f"its class {kind.__name__} has a method {method} of its own"
    if use_cudnn is True:
        return "use_cudnn=True asks for Keras's own path on a GPU"
    if 1 in (dropout, recurrent_dropout):
        return "a dropout rate is 1, which Keras treats in several ways"
    if recurrent_dropout and implementation != 1:
        return "its recurrent_dropout was set after its construction, and Keras pays no heed to it"
    if dtype != cell_dtype:
        return f"its dtype_policy was changed: it computes in {dtype}, its cell in {cell_dtype}"
    return reason_of_call(Call(**activations, dtype=cell_dtype))


reason_of_call = lru_cache(maxsize=1024)(_reason_of_call)
"""Models ask the same again and again."""


def is_never_fused(layer: Any) -> bool:
    """Whether a layer takes Keras's own path whatever it is called with; if so, that is on record then."""
    why = getattr(_thread, "suspended", None) or reason_of_layer(layer)
    if why:
        dispatch_log.add(layer, why)
    return why is not None


@lru_cache(maxsize=1024)
def _switched(kind):
    """The class of Keras, among those that are switched, that a layer's class is or stems from; or None."""
    return next((cls for cls in LAYERS if issubclass(kind, cls)), None)


def _reason_of_shapes(layer, sequences, states, mask):
    batch, time, features = sequences.shape
    if features not in (None, layer.cell.kernel.shape[0]):  # so that the error is Keras's own
        return f"its inputs have {features} features, its weights are of {layer.cell.kernel.shape[0]}"
    expected = [("initial state", state, (batch, layer.cell.units)) for state in states]
    if mask is not None:
        expected.append(("mask", mask, (batch, time)))
        backwards = layer.unroll and layer.go_backwards and layer.zero_output_for_mask
        if backwards and keras.backend.backend() == "tensorflow":
            return "unrolled and backwards, Keras zeroes outputs by a mask that is not turned round"
    for name, array, shape in expected:
        given = tuple(array.shape)
        if given != shape and (
            len(given) != len(shape)
            or any(None not in (a, b) and a != b for a, b in zip(given, shape, strict=True))
        ):
            return f"its {name} has the shape {given}; the kernels take {shape}"
    return None


def _reason_of_machine(sequences):
    """What is no matter of the layer. If it is none of the call either, it is said for all to see."""
    backend = keras.backend.backend()
    why = import_module(ADAPTERS[backend]).refusal() if backend == "jax" else None
    device = DEVICES[backend](sequences)
    everywhere = why is not None or device == DEVICES[backend]()
    why = why or reason_of_call(Call(device=device))
    if why and everywhere:
        say_once(f"sunhwan fuses nothing: {why}")
    return why


@cache
def say_once(text: str) -> None:
    """One line on stderr, unless the program has its own way with logs."""
    dispatch_log.log.warning(text)


def _call(layer, sequences):
    cell = layer.cell
    batch, timesteps, features = sequences.shape
    wide = "float64" if keras.backend.standardize_dtype(sequences.dtype) == "float64" else cell.compute_dtype
    return Call(
        dtype=wide,
        batch=batch,
        timesteps=timesteps,
        features=cell.kernel.shape[0] if features is None else features,
        units=cell.units,
        framework=keras.backend.backend(),
        gates=len(CELLS[LAYERS[_switched(type(layer))][0]].gates),
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


def _jax_reason(sequences, *arrays):
    # `jax.export` may give sizes as names. All else JAX's adapter knows itself.
    return None if all(isinstance(size, int) for size in sequences.shape) else EXPORTED


def _jax_device(sequences=None):
    import jax

    chosen = jax.config.jax_default_device
    return jax.default_backend() if chosen is None else getattr(chosen, "platform", chosen)


def _tensorflow_reason(*arrays):
    import tensorflow as tf
    from tensorflow.python.eager.forwardprop_util import pack_tangents
    from tensorflow.python.saved_model import save_context

    from sunhwan.recurrence.ops.tensorflow import compiled_by_xla

    if not tf.executing_eagerly() and save_context.in_save_context():
        return EXPORTED
    if compiled_by_xla():
        return "it is compiled by XLA (jit_compile=True), where TensorFlow cannot call the kernels"
    tensors = [tf.convert_to_tensor(array) for array in arrays if array is not None]
    return FORWARD_MODE if pack_tangents(tensors).tangents else None


def _tensorflow_device(sequences=None):
    import tensorflow as tf

    # In a graph a tensor has a device only where the program gives it one; the others go to what there is.
    kinds = {device.device_type for device in tf.config.list_logical_devices()}
    given = "" if sequences is None else sequences.device.rpartition("device:")[2]
    return given or min(kinds - {"CPU"}, default="cpu")


def _tensorflow_when_run(tensor, note):
    """`tensor`, and `note()` once it is computed: of a function that was called under two tapes, TensorFlow
    traces second derivatives that nobody asked for."""
    import tensorflow as tf

    if tf.executing_eagerly():
        note()
        return tensor
    # Stateful, and with a result, lest TensorFlow leave it out as without effect.
    with tf.control_dependencies([tf.numpy_function(lambda: [note(), np.int32(0)][1], [], tf.int32)]):
        return tf.identity(tensor)


def _torch_reason(*arrays):
    import torch
    from torch.utils._python_dispatch import _get_current_dispatch_mode

    if torch.compiler.is_exporting() or torch.jit.is_tracing():
        return EXPORTED
    # Of nested transformations a tensor shows the innermost only, so that its tangent may be out of sight.
    if torch.autograd.forward_ad._current_level >= 0:
        return FORWARD_MODE
    if mode := _get_current_dispatch_mode():  # as of make_fx, which records PyTorch's own operations
        return f"it runs within a {type(mode).__name__}, which the kernels would escape"
    for array in (array for array in arrays if array is not None):
        kind = type(array.value if isinstance(array, keras.Variable) else array)
        if kind.__torch_dispatch__ is not torch.Tensor.__torch_dispatch__:
            return f"it computes with a {kind.__name__}, which has no memory for a kernel to read"
    return None


def _torch_device(sequences=None):
    if sequences is not None:
        return sequences.device.type
    return keras.src.backend.torch.core.get_device().partition(":")[0]


EXPORTED = "it was exported to a program that runs without sunhwan"
FORWARD_MODE = "it is differentiated in forward mode"
SECOND = "its gradient was differentiated"

REASONS = {"jax": _jax_reason, "tensorflow": _tensorflow_reason, "torch": _torch_reason}
DEVICES = {"jax": _jax_device, "tensorflow": _tensorflow_device, "torch": _torch_device}
"""Where an array of the backend is; called without one, where the backend computes unless it is told."""

WHEN_RUN = {"tensorflow": _tensorflow_when_run, "torch": lambda tensor, note: [tensor, note()][0]}
