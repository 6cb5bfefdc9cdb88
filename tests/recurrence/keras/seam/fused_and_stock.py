"""What the tests of the seam share: small models, their inputs, and layers run with their gradients."""

import keras
import numpy as np

import sunhwan

BACKEND = keras.backend.backend()

TOLERANCE = 1e-5
"""Of the largest value: a hundred roundings of float32. The adapters' tests hold the kernels to less, against
the reference in float64; stock layers are not exact either."""


def run(layer, inputs, initial_state=None, **arguments):
    """Output and states of a layer, and the gradients of a loss of all of them, by name."""
    rng = np.random.default_rng(5)

    def loss_of(inputs, initial_state):
        results = layer(inputs, initial_state=initial_state, **arguments)
        weights = [rng.normal(size=result.shape).astype("float32") for result in results]
        loss = sum(keras.ops.sum(keras.ops.multiply(a, b)) for a, b in zip(results, weights, strict=True))
        return loss, [keras.ops.convert_to_tensor(result) for result in results]

    results, gradients = RUNS[BACKEND](layer, loss_of, inputs, initial_state)
    names = [
        "output",
        *(f"state {index}" for index in range(len(results) - 1)),
        "d_inputs",
        "d_initial_state",
    ]
    named = dict(zip(names, [*results, *gradients[:2]], strict=True))
    if named["d_initial_state"] is None:
        del named["d_initial_state"]
    weights = [variable.name for variable in layer.trainable_variables]
    return named | {f"d_{name}": array for name, array in zip(weights, gradients[2], strict=True)}


def _run_jax(layer, loss_of, inputs, initial_state):
    import jax

    def loss(inputs, initial_state, weights):
        mapping = list(zip(layer.trainable_variables, weights, strict=True))
        with keras.StatelessScope(state_mapping=mapping) as scope:
            value, results = loss_of(inputs, initial_state)
        return value, (results, scope.get_current_value(layer.cell.seed_generator.state))

    weights = [variable.value for variable in layer.trainable_variables]
    wanted = (0, 2) if initial_state is None else (0, 1, 2)
    differentiate = jax.jit(jax.value_and_grad(loss, wanted, has_aux=True))
    (_, (results, seed)), gradients = differentiate(inputs, initial_state, weights)
    if seed is not None:
        layer.cell.seed_generator.state.assign(seed)
    if initial_state is None:
        return results, (gradients[0], None, gradients[1])
    return results, (gradients[0], np.stack(gradients[1]), gradients[2])


def _run_tensorflow(layer, loss_of, inputs, initial_state):
    import tensorflow as tf

    @tf.function
    def differentiate(inputs, initial_state):
        with tf.GradientTape() as tape:
            tape.watch([inputs, initial_state or []])
            loss, results = loss_of(inputs, initial_state)
        weights = [variable.value for variable in layer.trainable_variables]
        gradients = tape.gradient(loss, [inputs, initial_state or [], weights], unconnected_gradients="zero")
        return results, gradients

    results, (d_inputs, d_states, d_weights) = differentiate(
        tf.constant(inputs), initial_state and [tf.constant(state) for state in initial_state]
    )
    return results, (d_inputs, np.stack(d_states) if d_states else None, d_weights)


def _run_torch(layer, loss_of, inputs, initial_state):
    import torch

    inputs = torch.tensor(inputs, requires_grad=True)
    states = initial_state and [torch.tensor(state, requires_grad=True) for state in initial_state]
    loss, results = loss_of(inputs, states)
    weights = [variable.value for variable in layer.trainable_variables]
    given = [inputs, *(states or []), *weights]
    gradients = torch.autograd.grad(loss, given, allow_unused=True, materialize_grads=True)
    d_inputs, *d_states = gradients[: 1 + len(states or [])]
    d_states = np.stack([state.numpy() for state in d_states]) if states else None
    results = [result.detach() for result in results]
    return results, (d_inputs, d_states, gradients[1 + len(states or []) :])


RUNS = {"jax": _run_jax, "tensorflow": _run_tensorflow, "torch": _run_torch}


def agree(fused, stock, tolerance=TOLERANCE):
    assert fused.keys() == stock.keys()
    for name in stock:
        a, b = np.asarray(fused[name], "float64"), np.asarray(stock[name], "float64")
        assert a.shape == b.shape, name
        error, scale = np.abs(a - b).max(initial=0), max(np.abs(b).max(initial=0), 1)
        assert error <= tolerance * scale, f"{name} is off by {error:.2g} of {scale:.2g}"


def paths(model):
    return [row.path for row in sunhwan.explain(model).rows]


def sequential(*layers, features=3, timesteps=6):
    return keras.Sequential([keras.Input((timesteps, features)), *layers, keras.layers.Dense(1)])


def series(batch=32, timesteps=6, features=3):
    rng = np.random.default_rng(1)
    inputs = rng.normal(size=(batch, timesteps, features)).astype("float32")
    return inputs, inputs[:, :, :1].mean(axis=1)
