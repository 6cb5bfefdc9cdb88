"""`recurrence` for TensorFlow: `tf.custom_gradient` around the native library, eagerly or in a `tf.function`.

In a graph it is a `tf.numpy_function`, whose arrays are read and returned without a copy. What a gradient
needs is saved if a tape is recording, as in Keras's `fit`. If none is, as in `predict`, nothing is saved, and
a gradient that is needed after all (of a `tf.function` that was traced before) computes the forward pass
again. Only gradients that are needed are computed.

Not available, with an error: compilation by XLA (`jit_compile=True`), forward mode and, unless the caller
provides the recurrence composed of TensorFlow's own operations, second derivatives. `tf.vectorized_map`
computes one element after the other. A SavedModel contains only the name of a `tf.numpy_function`, so export
unfused layers.

Example:
    >>> import tensorflow as tf
    >>> from sunhwan.recurrence.ops import recurrence
    >>> inputs = tf.ones((2, 5, 3))
    >>> weights = [tf.Variable(tf.fill(shape, 0.1)) for shape in [(3, 16), (4, 16)]]
    >>> with tf.GradientTape() as tape:
    ...     output, states = recurrence("lstm", inputs, weights)
    >>> output.shape, states.shape
    (TensorShape([2, 4]), TensorShape([2, 2, 4]))
    >>> tape.gradient(output, weights)[0].shape
    TensorShape([3, 16])
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import tensorflow as tf

# TensorFlow has no public API for these: what is differentiated, and whether XLA will compile.
from tensorflow.python.eager.forwardprop_util import pack_tangents
from tensorflow.python.eager.record import could_possibly_record, should_record_backprop
from tensorflow.python.ops.control_flow_util import GraphOrParentsInXlaContext

from sunhwan.recurrence.ops import numpy
from sunhwan.recurrence.ops.options import ARRAYS, Options
from sunhwan.recurrence.ops.support import ONLY_GRADIENTS

DTYPES = (tf.float32, tf.float16, tf.bfloat16)


@tf.autograph.experimental.do_not_convert
def recurrence(
    options: Options,
    inputs: tf.Tensor,
    kernel: tf.Tensor,
    recurrent_kernel: tf.Tensor,
    bias: tf.Tensor | None = None,
    *,
    initial_state: tf.Tensor | None = None,
    mask: tf.Tensor | None = None,
    dropout_mask: tf.Tensor | None = None,
    recurrent_dropout_mask: tf.Tensor | None = None,
    composed: Callable[..., tuple[tf.Tensor, tf.Tensor]] | None = None,
) -> tuple[tf.Tensor, tf.Tensor]:
    """Run a cell over sequences; `sunhwan.reference.forward` documents the arguments and their shapes.

    It can be differentiated with respect to the first four and `initial_state`; masks are constants.

    Args:
        options: what to compute.
        inputs: (batch, time, features) float32, float16 or bfloat16. Sizes may be unknown in a graph.
        kernel, recurrent_kernel, bias, initial_state, mask, dropout_mask, recurrent_dropout_mask: see there.
            Variables and NumPy arrays are accepted.
        composed: the same function of the same tensors, by name and in float32, composed of TensorFlow's own
            operations; called only when a gradient is differentiated.

    Returns:
        output (batch, time, units) with `return_sequences`, else (batch, units); and states (states, batch,
        units) after the last step. Computed in float32 and returned in the dtype of `inputs`.

    Raises:
        TypeError: an array has another dtype.
        ValueError: a shape does not fit. If shapes are unknown in a graph, it raises a
            `tf.errors.InvalidArgumentError` with the same message when it runs.
        NotImplementedError: XLA would compile the graph, or the derivative is not available; for second
            derivatives in a graph, a `tf.errors.UnimplementedError` when they run.
    """
    if compiled_by_xla():
        raise NotImplementedError(
            "XLA would compile this graph but cannot call the fused kernels; leave out jit_compile=True, or "
            "call sunhwan.restore() to use Keras's own layers."
        )
    inputs = tf.convert_to_tensor(inputs)
    given = (
        inputs, kernel, recurrent_kernel, bias, initial_state, mask, dropout_mask, recurrent_dropout_mask
    )  # fmt: skip
    tensors = {
        name: _checked(name, value) for name, value in zip(ARRAYS, given, strict=True) if value is not None
    }
    if pack_tangents(list(tensors.values())).tangents:
        raise NotImplementedError(f"A derivative in forward mode is not available. {ONLY_GRADIENTS}")
    if all(tensor.shape.is_fully_defined() for tensor in tensors.values()):
        options.sizes(**{name: tuple(tensor.shape) for name, tensor in tensors.items()})
    output, states = _differentiable(options, tensors, composed)
    return tf.cast(output, inputs.dtype), tf.cast(states, inputs.dtype)


def compiled_by_xla() -> bool:
    """Whether XLA will compile what is being traced, as with `jit_compile=True`."""
    return not tf.executing_eagerly() and GraphOrParentsInXlaContext(tf.compat.v1.get_default_graph())


def _differentiable(options, tensors, composed):
    names = tuple(tensors)
    differentiable = [name for name in numpy.Gradients._fields if name in tensors]
    watched = [name for name in differentiable if should_record_backprop([tensors[name]])]
    if tf.executing_eagerly():
        # Tapes tell exactly which gradients there can ever be.
        save, groups = bool(watched), [watched]
    else:
        # Whether the whole graph will be differentiated is unknown. What no tape in it needs is a separate
        # operation, which TensorFlow prunes if it is unused.
        save = could_possibly_record()
        groups = [watched, [name for name in differentiable if name not in watched]]

    @tf.custom_gradient
    def forward(*tensors):
        output, states, *saved = _call(partial(_forward, options, names, save), tensors, 2 + save)
        batch, time, _ = tensors[names.index("inputs")].shape.with_rank(3)
        units, _ = tensors[names.index("recurrent_kernel")].shape.with_rank(2)
        output.set_shape([batch, time, units] if options.return_sequences else [batch, units])
        states.set_shape([len(options.row.states), batch, units])

        def backward(*d_results):
            # d_output may come in slices. In a graph of gradients the rest comes from another graph,
            # where a gradient of this gradient would not find it; eagerly, identity would be a copy.
            arguments = map(tf.convert_to_tensor, (*tensors, *d_results, *saved))
            arguments = list(arguments if tf.executing_eagerly() else map(tf.identity, arguments))
            gradients = {}
            for group in filter(None, groups):
                second = composed and partial(_composed_second, composed, names, group)
                gradients_of = _once(partial(_backward, options, names, group), len(group), second)
                gradients.update(zip(group, gradients_of(*arguments), strict=True))
            for name, gradient in gradients.items():
                gradient.set_shape(tensors[names.index(name)].shape)
            return [gradients.get(name) for name in names]

        return (output, states), backward

    return forward(*tensors.values())


def _forward(options, names, save, *arrays):
    there = numpy.forward(options, **dict(zip(names, arrays, strict=True)), save=save)
    return there.output, there.states, *([there.saved] if save else [])


def _backward(options, names, wanted, *arrays):
    given = dict(zip(names, arrays[: len(names)], strict=True))
    d_output, d_states, *saved = arrays[len(names) :]
    if saved:
        arrays = {name: given.get(name) for name in ARRAYS}
        sizes = options.sizes(**{name: array.shape for name, array in given.items()})
        # Of output and states it asks the shapes only, which are those of their gradients.
        there = numpy.ForwardPass(d_output, d_states, options, sizes, arrays, *saved)
    else:
        there = numpy.forward(options, **given)
    gradients = numpy.backward(there, d_output, d_states, wanted)
    return [getattr(gradients, name) for name in wanted]


def _once(function, results, second):
    """A function of tensors that calls `function` on arrays. `second` computes its gradient from the tensors
    and the gradients of the results; without `second` it cannot be differentiated.

    In a graph the error is raised when the derivative runs, not when it is traced: TensorFlow traces unused
    second derivatives of a `tf.function` that was called under two tapes.
    """

    @tf.custom_gradient
    def call(*tensors):
        def gradient(*d_results):
            return second(tensors, d_results) if second else _call(_refuse, d_results, len(tensors))

        return _call(function, tensors, results), gradient

    return call


def _composed_second(composed, names, wanted, tensors, d_results):
    """The gradients with respect to what `_backward` takes, from those with respect to what it returns."""
    given, (d_output, d_states) = dict(zip(names, tensors, strict=False)), tensors[len(names) :][:2]
    with tf.GradientTape() as second:
        second.watch([tensor for tensor in tensors if tensor.dtype.is_floating])
        with tf.GradientTape() as first:
            moved = [given[name] for name in wanted]
            first.watch(moved)
            results = composed(**given)
        gradients = first.gradient(results, moved, [d_output, d_states], unconnected_gradients="zero")
    return second.gradient(gradients, tensors, d_results, unconnected_gradients="zero")


def _refuse(*_):
    raise NotImplementedError(f"A second derivative is not available. {ONLY_GRADIENTS}")


def _call(function, tensors, results):
    """The results of a function of arrays for these tensors: `results` float32 tensors."""
    if tf.executing_eagerly():
        return [tf.convert_to_tensor(array) for array in function(*map(np.asarray, tensors))]
    return tf.numpy_function(function, tensors, [tf.float32] * results, stateful=False)


def _checked(name, value):
    tensor = tf.convert_to_tensor(value)
    if name == "mask":
        return tf.cast(tensor, tf.bool)
    if tensor.dtype not in DTYPES:
        raise TypeError(
            f"{name} has dtype {tensor.dtype.name}, expected float32, or float16 or bfloat16, which are "
            "computed in float32."
        )
    return tf.cast(tensor, tf.float32)
