"""The seam: a call of a Keras layer goes to the fused recurrence or, for a reason, to Keras's own loop.

SimpleRNN, GRU and LSTM run `inner_loop` over the timesteps after Keras has cast the inputs, made the initial
states and drawn the dropout masks; Keras casts, stores and returns the results. So weights, configs, states,
masks and files stay Keras's whichever loop runs. `accelerate` puts `fused` in the place of `inner_loop`.

Differences between Keras's backends are in `options` if they affect numbers, and else at the end.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache, lru_cache, partial
from importlib import import_module
from typing import Any, NamedTuple

import keras
import numpy as np

from sunhwan import native
from sunhwan.recurrence.cells import CELLS
from sunhwan.recurrence.keras import dispatch_log
from sunhwan.recurrence.ops.options import ACTIVATIONS, Options
from sunhwan.recurrence.ops.support import Call, Conditions
from sunhwan.recurrence.ops.support import reason as _reason_of_call

LAYERS = {
    keras.layers.SimpleRNN: ("simple_rnn", keras.layers.SimpleRNNCell),
    keras.layers.GRU: ("gru", keras.layers.GRUCell),
    keras.layers.LSTM: ("lstm", keras.layers.LSTMCell),
}
"""The Keras layers that are switched: the name of the cell, and the cell's class."""

ADAPTERS = {name: f"sunhwan.recurrence.ops.{name}" for name in ("jax", "tensorflow", "torch")}
"""The backends of Keras on which calls are fused, and the modules of their adapters."""


DEVIATIONS = {
    "small types": "float16 and bfloat16 are computed in float32 and rounded at the end: more exact.",
    "masked NaN": "Values at masked steps that are not finite have no effect; Keras's gradients become NaN.",
    "implementation=1": "It trains with dropout alone, where Keras fails unless use_cudnn=False.",
    "unroll": "On PyTorch, unroll with go_backwards takes a mask; Keras fails.",
    "jit_compile": "On TensorFlow, models with a fused layer are not compiled by XLA, even if asked to.",
    "conversion": "On TensorFlow, a concrete function contains a call into this process, which no converter "
    "can convert: restore() before TFLiteConverter, convert_variables_to_constants_v2 or tf2onnx.",
    "Dropout": "On PyTorch, a Dropout layer without a seed draws other masks of the same rate for fused "
    "sequences: PyTorch draws in the order of memory, and Keras stores sequences timestep by timestep.",
    "fullgraph": "On PyTorch, torch.compile breaks its graph at a fused layer, so fullgraph=True fails.",
}
"""Where a fused layer differs from Keras, by the name of the test. Any other difference is a bug."""


def reason_of_backend() -> str | None:
    """Why nothing can be fused, as far as that is known before a model runs; None if something may be.

    It must not start the backend, which the program may still want to configure.
    """
    backend = keras.backend.backend()
    if backend not in ADAPTERS:
        return f"Keras runs on its backend {backend!r}; there are kernels for {', '.join(ADAPTERS)}"
    return native.reason()


# ---- The call ----


def fused(stock: Callable, layer: Any, sequences: Any, initial_state: Any, mask: Any, training: Any) -> tuple:
    """The replacement for `stock`, the `inner_loop` of the layer's class.

    Args:
        sequences: (batch, time, features).
        initial_state: (batch, units) for each state, in a list or, if there is only one, by itself.
        mask: (batch, time), true where there is data; in a list if Keras passes it so; or None.

    Returns:
        The last output (batch, units); all outputs (batch, time, units), or only the last (batch, 1, units)
        without `return_sequences`; the final states, a list of (batch, units).
    """
    if keras.src.backend.in_symbolic_scope():  # only shapes are computed
        return stock(layer, sequences, initial_state, mask, training)
    if isinstance(sequences, np.ndarray):  # from a layer's `call`, which converts nothing
        sequences = keras.ops.convert_to_tensor(sequences)
    states = list(initial_state) if isinstance(initial_state, (list, tuple)) else [initial_state]
    step_mask = mask[0] if isinstance(mask, (list, tuple)) else mask
    why = reason(layer, sequences, states, step_mask)
    dispatch_log.add(layer, why)
    if why:
        return stock(layer, sequences, initial_state, mask, training)

    backend, cell, dtype = keras.backend.backend(), layer.cell, layer.cell.compute_dtype
    # keras.ops would do the same, but looking for symbolic tensors takes longer than the work itself.
    cast, stack = keras.src.backend.cast, keras.src.backend.numpy.stack

    def array(value):
        # As the cell does: in mixed precision, weights are rounded before they are used.
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
    """The masks that Keras drew for this call, of shape (1 or gates, batch, features or units)."""
    masks = {}
    if training and cell.dropout:
        masks["dropout_mask"] = cell.get_dropout_mask(sequences[:, 0, :])
    if training and cell.recurrent_dropout:
        masks["recurrent_dropout_mask"] = cell.get_recurrent_dropout_mask(states[0])
    # A list has one mask per gate (`implementation=1`).
    return {
        name: keras.ops.stack([array(mask) for mask in (drawn if isinstance(drawn, list) else [drawn])])
        for name, drawn in masks.items()
    }


def composed(layer: Any, training: Any, inputs: Any, **arrays: Any) -> tuple:
    """Keras's own loop as a function of the arrays of an adapter, for second derivatives.

    Args:
        inputs, arrays: float32 arrays by the names of `recurrence`; output and states are float32 as well.
    """
    ops, cell = keras.ops, layer.cell
    inputs = WHEN_RUN[keras.backend.backend()](inputs, lambda: dispatch_log.add(layer, SECOND))
    # The loop runs in the cell's own type, and all states must have it.
    inputs, arrays = keras.tree.map_structure(
        lambda array: ops.cast(array, cell.compute_dtype) if _is_float(array) else array, (inputs, arrays)
    )
    attributes = {
        f"_{name}": None if drawn is None else list(ops.unstack(drawn)) if _a_mask_each(cell) else drawn[0]
        for name, drawn in ((name, arrays.get(name)) for name in ("dropout_mask", "recurrent_dropout_mask"))
    }
    variables = []
    for name in ("kernel", "recurrent_kernel", "bias"):
        weight = getattr(cell, name)
        if isinstance(weight, keras.Variable):
            variables.append((weight, arrays[name]))
        elif weight is not None:  # a tensor in the place of a variable
            attributes[name] = arrays[name]
    # SimpleRNN's cell draws masks even if it does not use them, and would leave them behind.
    before = {name: getattr(cell, name, None) for name in attributes}
    with keras.StatelessScope(state_mapping=variables):
        _set_attributes(cell, attributes)
        try:
            last_output, outputs, states = keras.layers.RNN.inner_loop(
                layer, inputs, list(ops.unstack(arrays["initial_state"])), arrays.get("mask"), training
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
    """The options of a layer, including how the running backend treats masked steps."""
    cell = layer.cell
    # At masked steps before all data, JAX's scan outputs the initial state; every other loop outputs zeros.
    scan = keras.backend.backend() == "jax" and not layer.unroll
    # Unrolled, Keras on JAX ignores `zero_output_for_mask`.
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
"""One object for equal options, so that its cached properties are computed once."""


def activation_name(activation: Callable | None) -> str:
    """The kernels' name of an activation; for any other function, a name that they do not have."""
    # By identity, since a callable may not be hashable.
    if known := KNOWN.get(id(activation)):
        return known
    name = full_name(activation)
    module, _, short = name.rpartition(".")
    return short if module.startswith("keras.") and short not in ACTIVATIONS else name


def full_name(function: Callable) -> str:
    """A function's name with its module; of any other callable, those of its class."""
    kind = type(function)
    module = getattr(function, "__module__", None) or kind.__module__  # PyTorch's methods have none
    return f"{module}.{getattr(function, '__name__', kind.__name__)}"


KNOWN = {id(None): "linear"} | {
    id(getattr(module, name)): name
    for module in (keras.activations, keras.ops)
    for name in ACTIVATIONS
    if hasattr(module, name)
}
"""Names of the functions that are activations of the kernels, by id; they live as long as Keras."""


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


class Facts(NamedTuple):
    """What decides whether a layer can be fused, whatever it is called with."""

    kind: type
    cell: type = object
    use_cudnn: Any = None
    dtype: str = ""
    cell_dtype: str = ""
    dropout: float = 0
    recurrent_dropout: float = 0
    implementation: int = 1
    activation: str = "linear"
    recurrent_activation: str = "linear"

    @property
    def stock_cell(self) -> type:
        return LAYERS[_switched(self.kind)][1]

    def overrides(self, method: str) -> bool:
        return getattr(self.kind, method) is not getattr(_switched(self.kind), method)


CONDITIONS: Conditions = (
    (lambda layer: _switched(layer.kind) is None, "only SimpleRNN, GRU and LSTM are fused"),
    (
        lambda layer: layer.cell is not layer.stock_cell,
        "its cell is a {0.cell.__name__}, not Keras's own {0.stock_cell.__name__}",
    ),
    (lambda layer: layer.overrides("inner_loop"), "its class {0.kind.__name__} overrides inner_loop"),
    (lambda layer: layer.overrides("call"), "its class {0.kind.__name__} overrides call"),
    (lambda layer: layer.use_cudnn is True, "use_cudnn=True requests Keras's own path on a GPU"),
    (
        lambda layer: 1 in (layer.dropout, layer.recurrent_dropout),
        "a dropout rate is 1, which Keras does not treat consistently",
    ),
    (
        lambda layer: layer.recurrent_dropout and layer.implementation != 1,
        "its recurrent_dropout was set after its construction, and Keras ignores it",
    ),
    (
        lambda layer: layer.dtype != layer.cell_dtype,
        "its dtype_policy was changed: it computes in {0.dtype}, its cell in {0.cell_dtype}",
    ),
)
"""Why a layer takes Keras's own path whatever it is called with, besides what `support` has of all calls."""


def reason_of_layer(layer: Any) -> str | None:
    """Why a layer takes Keras's own path whatever it is called with; None if that depends on the call."""
    return reason_of_backend() or _reason_of_facts(_facts(layer))


def _facts(layer):
    if _switched(type(layer)) is None:
        return Facts(type(layer))
    cell = layer.cell
    if type(cell) is not LAYERS[_switched(type(layer))][1]:
        return Facts(type(layer), type(cell))
    return Facts(
        type(layer),
        type(cell),
        getattr(layer, "use_cudnn", None),
        layer.compute_dtype,
        cell.compute_dtype,
        cell.dropout,
        cell.recurrent_dropout,
        getattr(cell, "implementation", 1),
        **_activations(cell),
    )


@lru_cache(maxsize=1024)
def _reason_of_facts(layer):
    return _reason_of_call(layer, CONDITIONS) or reason_of_call(
        Call(layer.activation, layer.recurrent_activation, layer.cell_dtype)
    )


reason_of_call = lru_cache(maxsize=1024)(_reason_of_call)


def is_never_fused(layer: Any) -> bool:
    """Whether a layer takes Keras's own path whatever it is called with; if so, the log notes it."""
    why = getattr(_thread, "suspended", None) or reason_of_layer(layer)
    if why:
        dispatch_log.add(layer, why)
    return why is not None


@lru_cache(maxsize=1024)
def _switched(kind):
    """The switched class of Keras that a layer's class is or is derived from; or None."""
    return next((cls for cls in LAYERS if issubclass(kind, cls)), None)


def _reason_of_shapes(layer, sequences, states, mask):
    batch, time, features = sequences.shape
    if features not in (None, layer.cell.kernel.shape[0]):  # so that the error is Keras's own
        return f"its inputs have {features} features, its weights {layer.cell.kernel.shape[0]}"
    expected = [("initial state", state, (batch, layer.cell.units)) for state in states]
    if mask is not None:
        expected.append(("mask", mask, (batch, time)))
        backwards = layer.unroll and layer.go_backwards and layer.zero_output_for_mask
        if backwards and keras.backend.backend() == "tensorflow":
            return "unrolled and backwards, Keras zeroes outputs by a mask that is not reversed"
    for name, array, shape in expected:
        received = tuple(array.shape)
        if received != shape and (
            len(received) != len(shape)
            or any(None not in (a, b) and a != b for a, b in zip(received, shape, strict=True))
        ):
            return f"its {name} has the shape {received}; the kernels take {shape}"
    return None


def _reason_of_machine(sequences):
    """Why the machine cannot fuse a call; a reason that holds for every call is also logged."""
    backend = keras.backend.backend()
    why = import_module(ADAPTERS[backend]).reason() if backend == "jax" else None
    device = DEVICES[backend](sequences)
    everywhere = why is not None or device == DEVICES[backend]()
    why = why or reason_of_call(Call(device=device))
    if why and everywhere:
        warn_once(f"no layer is accelerated: {why}")
    return why


@cache
def warn_once(text: str) -> None:
    """Log one line, which goes to stderr unless the program configures logging."""
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
    """Makes every call in this thread take Keras's own path, for that reason."""
    before, _thread.suspended = getattr(_thread, "suspended", None), why
    try:
        yield
    finally:
        _thread.suspended = before


def is_suspended() -> bool:
    """Whether this thread is within `suspended`."""
    return getattr(_thread, "suspended", None) is not None


# ---- What differs between the backends ----


def _jax_reason(sequences, *arrays):
    # `jax.export` may give symbolic sizes. JAX's adapter handles everything else itself.
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

    # In a graph, a tensor has a device only if the program sets one; the others use what is available.
    kinds = {device.device_type for device in tf.config.list_logical_devices()}
    device = "" if sequences is None else sequences.device.rpartition("device:")[2]
    return device or min(kinds - {"CPU"}, default="cpu")


def _tensorflow_when_run(tensor, note):
    """`tensor`, and `note()` once it is computed: TensorFlow traces unused second derivatives of a function
    that was called under two tapes."""
    import tensorflow as tf

    if tf.executing_eagerly():
        note()
        return tensor
    # Stateful, and with a result, so that TensorFlow does not prune it.
    with tf.control_dependencies([tf.numpy_function(lambda: [note(), np.int32(0)][1], [], tf.int32)]):
        return tf.identity(tensor)


def _torch_reason(*arrays):
    import torch
    from torch.utils._python_dispatch import _get_current_dispatch_mode

    if torch.compiler.is_exporting() or torch.jit.is_tracing():
        return EXPORTED
    # A tensor shows only the innermost of nested transformations, so its tangent may be hidden.
    if torch.autograd.forward_ad._current_level >= 0:
        return FORWARD_MODE
    if mode := _get_current_dispatch_mode():  # such as make_fx's, which records PyTorch's own operations
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
"""The device of an array; without an array, the backend's default device."""

WHEN_RUN = {"tensorflow": _tensorflow_when_run, "torch": lambda tensor, note: [tensor, note()][0]}
