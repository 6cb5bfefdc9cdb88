"""Derivatives that the kernels have not, second ones and those in forward mode, are Keras's own."""

import keras
import numpy as np
import pytest
from fused_and_stock import BACKEND, TOLERANCE, agree, paths, series

import sunhwan
from sunhwan.recurrence.keras import seam


@pytest.mark.parametrize("dtype", ["float32", "mixed_bfloat16", "float16"])
@pytest.mark.parametrize("rates", [{}, {"dropout": 0.3, "recurrent_dropout": 0.4}])
@pytest.mark.parametrize("layer", ["SimpleRNN", "GRU", "LSTM"])
def test_second_derivatives_are_those_of_keras(layer, rates, dtype):
    keras.utils.set_random_seed(1)
    layer = getattr(keras.layers, layer)(
        3, return_sequences=not rates, seed=1, dtype=dtype, recurrent_initializer="glorot_uniform", **rates
    )
    inputs, _ = series(batch=2, timesteps=3)
    layer.build(inputs.shape)
    arguments = dict(mask=np.array([[True, True, True], [False, True, False]]), training=True)
    stock, fused = _stock_and_fused_second(layer, inputs, arguments)
    # Small types are rounded at each timestep and in each product, stock and fused in different places.
    agree(
        dict(enumerate(fused)),
        dict(enumerate(stock)),
        {"float32": TOLERANCE, "mixed_bfloat16": 0.1, "float16": 0.02}[dtype],
    )


def _stock_and_fused_second(layer, inputs, arguments):
    seed = keras.ops.convert_to_numpy(layer.cell.seed_generator.state)
    stock = SECOND[BACKEND](layer, inputs, arguments)
    layer.cell.seed_generator.state.assign(seed)
    with sunhwan.accelerated():
        fused = SECOND[BACKEND](layer, inputs, arguments)
        reasons = [row.reason for row in sunhwan.explain(layer).rows]
        # On JAX this is no matter of the layer: the program falls back by itself.
        assert reasons == ([""] if BACKEND == "jax" else ["", seam.SECOND])
    return [[keras.ops.convert_to_numpy(keras.ops.cast(x, "float32")) for x in y] for y in (stock, fused)]


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("layer", ["SimpleRNN", "GRU", "LSTM"])
def test_second_derivatives_leave_no_dropout_masks_behind(layer, training):
    layer = getattr(keras.layers, layer)(3, dropout=0.3, recurrent_dropout=0.4, seed=1)
    layer.build((None, 3, 3))
    for batch in (2, 5):
        inputs, _ = series(batch=batch, timesteps=3)
        stock, fused = _stock_and_fused_second(layer, inputs, dict(training=training))
        agree(dict(enumerate(fused)), dict(enumerate(stock)))
        assert layer.cell._dropout_mask is None
        assert layer.cell._recurrent_dropout_mask is None


@pytest.mark.skipif(BACKEND == "jax", reason="there the adapter composes by itself")
def test_second_derivatives_with_a_tensor_in_the_place_of_a_weight():
    layer = keras.layers.GRU(3)
    inputs, _ = series(batch=2, timesteps=3)
    layer.build(inputs.shape)
    tensor = keras.ops.stop_gradient(layer.cell.recurrent_kernel.value * 1)
    layer.cell.recurrent_kernel = tensor
    stock, fused = _stock_and_fused_second(layer, inputs, {})
    agree(dict(enumerate(fused)), dict(enumerate(stock)))
    assert layer.cell.recurrent_kernel is tensor


@pytest.mark.skipif(BACKEND != "tensorflow", reason="of TensorFlow")
def test_second_derivatives_that_are_traced_but_not_run_are_not_told_of():
    import tensorflow as tf

    layer, inputs = keras.layers.SimpleRNN(3), tf.constant(series(batch=2)[0])
    layer.build(inputs.shape)
    call = tf.function(lambda inputs: tf.reduce_sum(layer(inputs)))
    with sunhwan.accelerated():
        with tf.GradientTape(persistent=True) as second:
            second.watch(inputs)
            with tf.GradientTape() as first:
                first.watch(inputs)
                loss = call(inputs)
            gradient = first.gradient(loss, inputs)
        assert paths(layer) == ["fused"]
        second.gradient(gradient, inputs)
        assert paths(layer) == ["fused", "Keras"]


def _second_jax(layer, inputs, arguments):
    import jax

    def loss(inputs, weights):
        mapping = list(zip(layer.trainable_variables, weights, strict=True))
        with keras.StatelessScope(state_mapping=mapping):
            return (layer(inputs, **arguments) ** 2).sum()

    def penalty(inputs, weights):
        return (jax.grad(loss)(inputs, weights) ** 2).sum()

    weights = [variable.value for variable in layer.trainable_variables]
    d_inputs, d_weights = jax.jit(jax.grad(penalty, (0, 1)))(inputs, weights)
    return d_inputs, *d_weights


def _second_tensorflow(layer, inputs, arguments):
    import tensorflow as tf

    def of(inputs):
        with tf.GradientTape() as second:
            second.watch(inputs)
            with tf.GradientTape() as first:
                first.watch(inputs)
                loss = tf.reduce_sum(layer(inputs, **arguments) ** 2)
            penalty = tf.reduce_sum(first.gradient(loss, inputs) ** 2)
        weights = [variable.value for variable in layer.trainable_variables]
        return second.gradient(penalty, [inputs, *weights], unconnected_gradients="zero")

    # To trace a second derivative takes 6 s, to run it 0.3 s: small types and inference are run eagerly.
    traced = layer.compute_dtype == "float32" and arguments.get("training")
    return (tf.function(of) if traced else of)(tf.constant(inputs))


def _second_torch(layer, inputs, arguments):
    import torch

    inputs = torch.tensor(inputs, requires_grad=True)
    weights = [variable.value for variable in layer.trainable_variables]
    loss = (layer(inputs, **arguments) ** 2).sum()
    (d_inputs,) = torch.autograd.grad(loss, inputs, create_graph=True)
    return torch.autograd.grad((d_inputs**2).sum(), [inputs, *weights], materialize_grads=True)


SECOND = {"jax": _second_jax, "tensorflow": _second_tensorflow, "torch": _second_torch}


@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:DeprecationWarning")  # PyTorch's own use
def test_forward_mode_is_that_of_keras():
    layer = keras.layers.GRU(3)
    inputs, _ = series(batch=2, timesteps=3)
    layer.build(inputs.shape)
    stock = FORWARD[BACKEND](layer, inputs)
    with sunhwan.accelerated():
        fused = FORWARD[BACKEND](layer, inputs)
        reasons = [row.reason for row in sunhwan.explain(layer).rows]
        assert reasons == ([""] if BACKEND == "jax" else [seam.FORWARD_MODE])
    agree({"": fused}, {"": stock})


def _forward_jax(layer, inputs):
    import jax

    return jax.jvp(layer, (inputs,), (inputs,))[1]


def _forward_tensorflow(layer, inputs):
    import tensorflow as tf

    inputs = tf.constant(inputs)
    with tf.autodiff.ForwardAccumulator(inputs, inputs) as accumulator:
        output = layer(inputs)
    return accumulator.jvp(output)


def _forward_torch(layer, inputs):
    import torch

    inputs = torch.tensor(inputs)
    return torch.func.jvp(layer, (inputs,), (inputs,))[1].detach()


@pytest.mark.skipif(BACKEND != "torch", reason="of PyTorch")
@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:DeprecationWarning")  # PyTorch's own use
@pytest.mark.parametrize("name", ["hessian", "jvp of grad", "jvp of vmap", "grad of jvp"])
def test_forward_mode_around_other_transformations_is_that_of_keras(name):
    import torch
    from torch.func import grad, hessian, jvp, vmap

    # Of PyTorch's own LSTM and GRU, which Keras calls, there is no derivative in forward mode.
    layer = keras.layers.SimpleRNN(3)
    inputs = torch.tensor(series(batch=2, timesteps=3)[0])
    layer.build(inputs.shape)

    def loss(inputs):
        return (layer(inputs) ** 2).sum()

    def tangent(inputs):
        return jvp(loss, (inputs,), (inputs,))[1]

    of = {
        "hessian": lambda: hessian(loss)(inputs),
        "jvp of grad": lambda: jvp(grad(loss), (inputs,), (inputs,))[1],
        "jvp of vmap": lambda: jvp(vmap(lambda one: layer(one[None])), (inputs,), (inputs,))[1],
        "grad of jvp": lambda: grad(tangent)(inputs),
    }[name]
    stock = of()
    with sunhwan.accelerated():
        fused = of()
        assert [row.reason for row in sunhwan.explain(layer).rows] == [seam.FORWARD_MODE]
    agree({"": fused.detach()}, {"": stock.detach()})


FORWARD = {"jax": _forward_jax, "tensorflow": _forward_tensorflow, "torch": _forward_torch}
