"""One layer: values, gradients, masks and seeds are those of the stock layer."""

from dataclasses import dataclass

import keras
import numpy as np
import pytest
from fused_and_stock import BACKEND, agree, paths, run, series
from hypothesis import given, settings
from hypothesis import strategies as st

import sunhwan


@dataclass(frozen=True)
class Given:
    """A layer and what it is called with."""

    layer: str
    options: dict
    batch: int = 3
    timesteps: int = 4
    features: int = 2
    mask: str = "none"
    initial_state: bool = False
    training: bool = True


@st.composite
def calls(draw):
    flag = st.booleans()
    layer = draw(st.sampled_from(["SimpleRNN", "GRU", "LSTM"]))
    activations = st.sampled_from(["linear", "relu", "tanh", "sigmoid", "hard_sigmoid", None])
    options = {
        # Of fewer in a batch of one, XLA makes better programs than the kernels are.
        "units": draw(st.integers(5 if BACKEND == "jax" else 1, 9)),
        "activation": draw(activations),
        "use_bias": draw(flag),
        # So that bias, and which of its rows is which, matters.
        "bias_initializer": keras.initializers.RandomNormal(stddev=0.5, seed=1),
        "dropout": draw(st.sampled_from([0, 0.4])),
        "recurrent_dropout": draw(st.sampled_from([0, 0.4])),
        "return_sequences": draw(flag),
        "go_backwards": draw(flag),
        "unroll": draw(flag),
        "zero_output_for_mask": draw(flag),
    }
    mask = draw(st.sampled_from(["none", "left", "right", "anywhere"]))
    if layer != "SimpleRNN":
        # Gates beyond 0 to 1 make states grow, and rounding errors with them.
        options["recurrent_activation"] = draw(st.sampled_from(["sigmoid", "hard_sigmoid"]))
        options["implementation"] = draw(st.sampled_from([1, 2]))
        # Keras takes a list of masks for one here, and fails, unless it is kept from cuDNN.
        options["use_cudnn"] = False
    if layer == "GRU":
        options["reset_after"] = draw(flag)
    if layer == "LSTM":
        options["unit_forget_bias"] = False
    if mask != "none" and options["unroll"] and options["go_backwards"]:
        options["unroll"] = BACKEND == "jax"  # see DEVIATIONS and REASONS
    return Given(
        layer,
        options,
        *(draw(st.integers(1, most)) for most in (4, 5, 4)),
        mask=mask,
        initial_state=draw(flag),
        training=draw(flag),
    )


@settings(max_examples={"jax": 30, "tensorflow": 20, "torch": 100}[BACKEND], deadline=None, derandomize=True)
@given(calls())
def test_values_gradients_and_seeds_are_those_of_keras(call):
    layer = getattr(keras.layers, call.layer)(**call.options, return_state=True, seed=7)
    rng = np.random.default_rng(3)
    inputs = rng.normal(size=(call.batch, call.timesteps, call.features)).astype("float32")
    layer.build(inputs.shape)
    lengths = rng.integers(0, call.timesteps + 1, call.batch)[:, np.newaxis]
    mask = {
        "none": None,
        "left": np.arange(call.timesteps) >= lengths,
        "right": np.arange(call.timesteps) < lengths,
        "anywhere": rng.random((call.batch, call.timesteps)) < 0.5,
    }[call.mask]
    states = [
        rng.normal(size=(call.batch, layer.units)).astype("float32") for _ in range(len(layer.state_size))
    ]
    arguments = dict(mask=mask, initial_state=states if call.initial_state else None, training=call.training)

    seed = np.array(layer.cell.seed_generator.state)
    stock = run(layer, inputs, **arguments)
    seed_after = np.array(layer.cell.seed_generator.state)
    layer.cell.seed_generator.state.assign(seed)
    with sunhwan.accelerated():
        fused = run(layer, inputs, **arguments)
        assert paths(layer) == ["fused"]
    assert np.array_equal(seed_after, np.array(layer.cell.seed_generator.state))
    agree(fused, stock)


@pytest.mark.parametrize("unroll", [False, True])
@pytest.mark.parametrize("go_backwards", [False, True])
def test_steps_ahead_of_all_data_are_as_on_the_running_backend(unroll, go_backwards):
    """JAX's scan puts the initial state out there; its unrolled loop and the other backends put out zeros."""
    if unroll and go_backwards and BACKEND == "torch":
        pytest.skip("Keras fails there")
    layer = keras.layers.GRU(3, return_sequences=True, unroll=unroll, go_backwards=go_backwards)
    inputs, state = np.ones((1, 4, 2), "float32"), np.full((1, 3), 0.5, "float32")
    mask = np.array([[False, True, True, False]])
    stock = np.array(keras.ops.stop_gradient(layer(inputs, initial_state=state, mask=mask)))
    with sunhwan.accelerated():
        fused = np.array(keras.ops.stop_gradient(layer(inputs, initial_state=state, mask=mask)))
        assert paths(layer) == ["fused"]
    expected = 0.5 if BACKEND == "jax" and not unroll else 0
    assert np.all(stock[0, 0] == expected)
    agree({"": fused}, {"": stock})


@pytest.mark.parametrize("dtype", ["mixed_float16", "mixed_bfloat16", "float16"])
@pytest.mark.parametrize("layer", ["SimpleRNN", "GRU", "LSTM"])
def test_small_types_are_computed_in_float32_and_returned_in_their_own(layer, dtype):
    inputs, _ = series(batch=3)
    keras.utils.set_random_seed(3)
    options = dict(return_sequences=True, return_state=True, recurrent_initializer="glorot_uniform")
    small = getattr(keras.layers, layer)(5, dtype=dtype, **options)
    stock = small(inputs)
    with sunhwan.accelerated():
        fused = small(inputs)
        assert paths(small) == ["fused"]
    wide = getattr(keras.layers, layer)(5, **options)
    wide.build(inputs.shape)
    wide.set_weights([keras.ops.cast(weight, small.compute_dtype) for weight in small.weights])
    exact = wide(keras.ops.cast(inputs, small.compute_dtype))
    for a, b, truth in zip(fused, stock, exact, strict=True):
        assert keras.backend.standardize_dtype(a.dtype) == small.compute_dtype
        assert a.dtype == b.dtype
        a, truth = (
            np.array(keras.ops.cast(keras.ops.stop_gradient(value), "float32")) for value in (a, truth)
        )
        # One rounding, at the end, to the 8 bits of bfloat16 or more.
        assert np.abs(a - truth).max() <= 2**-8 * np.abs(truth).max()


def test_a_layer_takes_whole_numbers_as_stock_does():
    layer = keras.layers.SimpleRNN(3)
    inputs = np.arange(12).reshape(2, 3, 2)
    stock = layer(inputs)
    with sunhwan.accelerated():
        fused = layer(inputs)
        assert paths(layer) == ["fused"]
    agree({"": keras.ops.stop_gradient(fused)}, {"": keras.ops.stop_gradient(stock)})
