"""Fused layers beside stock ones, on the running backend and, in processes of their own, on the others.

KERAS_BACKEND=tensorflow pytest tests/recurrence/test_seam.py
"""

import os
import subprocess
import sys
from dataclasses import dataclass

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import sunhwan
from sunhwan.recurrence import seam

BACKEND = keras.backend.backend()
OTHERS = {"jax", "tensorflow", "torch"} - {BACKEND}

TOLERANCE = 1e-5
"""Of the largest value: a hundred roundings of float32. The adapters' tests hold the kernels to less, against
the reference in float64; stock layers are not exact either."""


@pytest.mark.skipif("SUNHWAN_TEST_ONE_BACKEND" in os.environ, reason="this is such a process")
@pytest.mark.parametrize("backend", sorted(OTHERS))
def test_all_of_this_holds_on_the_other_backends(backend):
    pytest.importorskip(backend)
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", __file__]
    # OMP_NUM_THREADS: the small products of stock layers wait for threads longer than they take.
    environment = os.environ | {
        "KERAS_BACKEND": backend, "SUNHWAN_TEST_ONE_BACKEND": "1", "OMP_NUM_THREADS": "1"
    }  # fmt: skip
    ended = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert ended.returncode == 0, ended.stdout + ended.stderr


# ---- One layer: values, gradients, masks and seeds ----


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


# ---- Models ----


def sequential(*layers, features=3, timesteps=6):
    return keras.Sequential([keras.Input((timesteps, features)), *layers, keras.layers.Dense(1)])


def series(batch=32, timesteps=6, features=3):
    rng = np.random.default_rng(1)
    inputs = rng.normal(size=(batch, timesteps, features)).astype("float32")
    return inputs, inputs[:, :, :1].mean(axis=1)


def bidirectional():
    rnn = keras.layers.LSTM(5, return_sequences=True)
    return sequential(keras.layers.Bidirectional(rnn), keras.layers.Bidirectional(keras.layers.GRU(4))), 4


def time_distributed():
    inputs = keras.Input((2, 3, 3))
    outputs = keras.layers.TimeDistributed(keras.layers.GRU(4))(keras.layers.Reshape((2, 3, 3))(inputs))
    return keras.Model(inputs, keras.layers.SimpleRNN(1)(outputs)), 2


def two_inputs_and_states():
    past, future = keras.Input((6, 3), name="past"), keras.Input((None, 2), name="future")
    output, *states = keras.layers.LSTM(5, return_state=True)(past)
    decoded = keras.layers.LSTM(5, return_sequences=True)(future, initial_state=states)
    encoded = keras.layers.RepeatVector(6)(output)
    both = keras.layers.Concatenate()([decoded, encoded])
    return keras.Model([past, future], keras.layers.GRU(1)(both)), 3


def masking():
    rnn = keras.layers.LSTM(4, return_sequences=True)
    return sequential(keras.layers.Masking(mask_value=0.0), rnn, keras.layers.GRU(3)), 2


def embedding():
    return keras.Sequential(
        [
            keras.Input((None,), dtype="int32"),
            keras.layers.Embedding(9, 4, mask_zero=True),
            keras.layers.Bidirectional(keras.layers.LSTM(4, return_sequences=True)),
            keras.layers.SimpleRNN(3),
            keras.layers.Dense(1),
        ]
    ), 3


def nested():
    inner = keras.Sequential([keras.layers.GRU(4, return_sequences=True), keras.layers.Dense(3)])
    return sequential(inner, keras.layers.SimpleRNN(4)), 2


@keras.saving.register_keras_serializable("tests")
class Subclassed(keras.Model):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.encoder = keras.layers.GRU(4, return_sequences=True, dropout=0.2, seed=2)
        self.decoder = keras.layers.SimpleRNN(1)

    def call(self, inputs, training=False):
        return self.decoder(self.encoder(inputs, training=training))


def subclassed():
    return Subclassed(), 2


MODELS = [bidirectional, time_distributed, two_inputs_and_states, masking, embedding, nested, subclassed]


def inputs_for(make):
    inputs, targets = series()
    if make is two_inputs_and_states:
        return [inputs, inputs[:, ::-1, :2].copy()], targets
    if make is embedding:
        tokens = np.random.default_rng(2).integers(1, 9, (32, 6)).astype("int32")
        tokens[np.arange(6) >= np.random.default_rng(3).integers(1, 7, (32, 1))] = 0
        return tokens, targets
    if make is masking:
        inputs[::2, :2] = 0
        inputs[1::2, 3:] = 0
    if make is time_distributed:
        return inputs.reshape(32, 2, 3, 3), targets
    return inputs, targets


@pytest.mark.parametrize("make", MODELS)
def test_models_train_and_predict_as_stock(make, tmp_path):
    inputs, targets = inputs_for(make)

    def study():
        keras.utils.set_random_seed(4)
        model, recurrent = make()
        model.compile("adam", "mse")
        # Of embedded words there is a last, smaller batch.
        batch_size = 20 if make is embedding else 16
        losses = model.fit(inputs, targets, batch_size=batch_size, verbose=0).history["loss"]
        return model, recurrent, losses, model.predict(inputs, verbose=0)

    _, _, losses, predictions = study()
    with sunhwan.accelerated():
        model, recurrent, fused_losses, fused_predictions = study()
        assert paths(model) == ["fused"] * recurrent
        path = tmp_path / "model.keras"
        model.save(path)
        others = [keras.models.load_model(path)]
        if make is nested:
            others.append(keras.models.clone_model(model))
            others[-1].set_weights(model.get_weights())
        for other in others:
            assert np.array_equal(other.predict(inputs, verbose=0), fused_predictions)
            assert paths(other) == ["fused"] * recurrent
    agree({"": fused_losses}, {"": losses})
    agree({"": fused_predictions}, {"": predictions}, tolerance=1e-4)  # what Adam made of rounding errors


@pytest.mark.parametrize("rates", [{}, {"dropout": 0.2, "recurrent_dropout": 0.3}])
@pytest.mark.parametrize("layer", ["SimpleRNN", "GRU", "LSTM"])
def test_200_steps_of_adam_leave_losses_equal_in_four_digits(layer, rates):
    inputs, targets = series(batch=64, timesteps=5)

    def losses():
        keras.utils.set_random_seed(6)
        model = sequential(getattr(keras.layers, layer)(6, **rates), timesteps=5)
        model.compile(keras.optimizers.Adam(0.01), "mse")
        return model, model.fit(inputs, targets, batch_size=16, epochs=50, verbose=0).history["loss"]

    _, stock = losses()
    with sunhwan.accelerated():
        model, fused = losses()
        assert paths(model) == ["fused"]
    assert len(stock) * 4 == 200
    assert stock[-1] < stock[0] / 2
    np.testing.assert_allclose(fused, stock, rtol=1e-4)


def test_states_are_kept_across_batches():
    inputs, _ = series(batch=4, timesteps=6)

    def outputs():
        keras.utils.set_random_seed(5)
        model = keras.Sequential(
            [
                keras.Input(batch_shape=(4, 3, 3)),
                keras.layers.LSTM(4, stateful=True, return_sequences=True),
                keras.layers.GRU(3, stateful=True),
            ]
        )
        first, second = (model.predict(part, verbose=0) for part in (inputs[:, :3], inputs[:, 3:]))
        states = [keras.ops.convert_to_numpy(state) for layer in model.layers for state in layer.states]
        model.layers[0].reset_state()
        model.layers[1].reset_state()
        again = model.predict(inputs[:, :3], verbose=0)
        return model, dict(first=first, second=second, again=again, **dict(zip("hcs", states, strict=True)))

    _, stock = outputs()
    with sunhwan.accelerated():
        model, fused = outputs()
        assert paths(model) == ["fused"] * 2
    agree(fused, stock)
    assert np.array_equal(fused["first"], fused["again"])
    assert not np.allclose(fused["first"], fused["second"], atol=0.01)


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


class Traces(keras.layers.Layer):
    """Counts how often it is called, which a compiled program does not do."""

    def build(self, shape):
        self.count = [0]

    def call(self, inputs):
        if not keras.src.backend.in_symbolic_scope():
            self.count[0] += 1
        return inputs


def test_models_that_have_run_are_switched_and_back_and_compiled_once_for_each_path(kernel_runs):
    inputs, targets = series()
    traces = Traces()
    model = sequential(traces, keras.layers.SimpleRNN(3, return_sequences=True), keras.layers.GRU(3))
    model.compile("sgd", "mse")

    def run():
        before, traced = kernel_runs(), traces.count[0]
        model.fit(inputs, targets, batch_size=16, verbose=0)
        model.evaluate(inputs, targets, batch_size=16, verbose=0)
        model.predict(inputs, batch_size=16, verbose=0)
        model.train_on_batch(inputs[:16], targets[:16])
        return kernel_runs() > before, traces.count[0] > traced

    eager = BACKEND == "torch"
    anew = eager or (BACKEND == "jax" and not hasattr(keras.src.backend.jax.trainer.jax, "make_user_context"))
    assert run() == (False, True)
    sunhwan.accelerate()
    try:
        assert run() == (True, True)
        sunhwan.restore()
        # Once more on JAX: what it keys programs by was not there yet when the first one was compiled.
        run()
        assert run() == (False, eager)
        sunhwan.accelerate()
        assert run() == (True, anew)
        with sunhwan.accelerated():
            assert run() == (True, eager)
        model.compile("sgd", "mse")
        assert run() == (True, True)
    finally:
        sunhwan.restore()
    assert run() == (False, True)  # for it was compiled anew
    assert run() == (False, eager)


@pytest.fixture
def kernel_runs(monkeypatch):
    """How often the kernels have run; on JAX, where no Python runs, how often a program with them has."""
    runs = []
    if BACKEND == "jax":
        from keras.src.backend.jax import trainer

        jit = trainer.jit

        def spying(function, **options):
            jitted = jit(function, **options)

            def call(*arguments):
                if "sunhwan_forward" in jitted.lower(*arguments).as_text():
                    runs.append(None)
                return jitted(*arguments)

            return call

        monkeypatch.setattr(trainer, "jit", spying)
    else:
        from sunhwan.recurrence.ops import library

        forward = library.forward
        monkeypatch.setattr(library, "forward", lambda *call: [runs.append(None), forward(*call)])
    return lambda: len(runs)


@pytest.mark.skipif(BACKEND != "torch", reason="of PyTorch")
@pytest.mark.filterwarnings("ignore:Dynamo:UserWarning")
@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor:UserWarning")  # Dynamo's own asking
def test_what_torch_compile_made_is_made_anew(kernel_runs):
    import torch

    layer = keras.layers.GRU(2)
    inputs = torch.tensor(series(batch=2, timesteps=3)[0])
    layer(inputs)
    compiled = torch.compile(lambda inputs: layer(inputs), backend="eager")

    def run():
        before, _ = kernel_runs(), compiled(inputs)
        return kernel_runs() > before

    assert not run()
    with sunhwan.accelerated():
        assert run()
        assert run()
    assert not run()


@pytest.mark.skipif(BACKEND != "torch", reason="of PyTorch")
@pytest.mark.filterwarnings("ignore:Dynamo:UserWarning")
def test_torch_compiles_layers_that_are_not_fused_as_before():
    import torch

    layer = keras.layers.GRU(2, activation="silu", return_sequences=True)
    inputs = torch.tensor(series(batch=2, timesteps=3)[0])
    layer(inputs)

    @torch.no_grad()  # Dynamo asks for the gradient of a tensor that has none, which warns
    def compiled():
        operations = []

        def backend(graph, _):
            operations.append(len(graph.graph.nodes))
            return graph.forward

        output = torch.compile(lambda inputs: layer(inputs) * 2, backend=backend)(inputs)
        return output.detach(), operations

    torch.compiler.reset()
    stock, operations = compiled()
    with sunhwan.accelerated():
        fused, operations_fused = compiled()
        assert [row.reason.partition(";")[0] for row in sunhwan.explain(layer).rows] == [
            "the activation is 'silu'"
        ]
    assert operations_fused == operations
    agree({"": fused}, {"": stock})


# ---- Where fused layers are not as stock ones ----


def _small_types_deviation():
    inputs, _ = series(batch=3)
    layer = keras.layers.LSTM(5, dtype="mixed_bfloat16", return_sequences=True)
    stock = keras.ops.convert_to_numpy(keras.ops.cast(layer(inputs), "float32"))
    wide = keras.layers.LSTM(5, return_sequences=True)
    wide.build(inputs.shape)
    wide.set_weights([keras.ops.cast(weight, "bfloat16") for weight in layer.weights])
    truth = keras.ops.convert_to_numpy(wide(keras.ops.cast(inputs, "bfloat16")))
    with sunhwan.accelerated():
        fused = keras.ops.convert_to_numpy(keras.ops.cast(layer(inputs), "float32"))
        assert paths(layer) == ["fused"]
    assert np.abs(fused - truth).max() < np.abs(stock - truth).max()


def _masked_nan_deviation():
    inputs, _ = series(batch=2)
    inputs[:, 4:] = np.nan
    arguments = dict(mask=np.arange(6) < np.array([[4], [4]]))
    layer = keras.layers.GRU(3, return_state=True)
    layer.build(inputs.shape)
    stock = run(layer, inputs, **arguments)
    with sunhwan.accelerated():
        fused = run(layer, inputs, **arguments)
        assert paths(layer) == ["fused"]
    assert np.isnan(np.asarray(stock["d_kernel"])).any()
    assert all(np.isfinite(np.asarray(value)).all() for value in fused.values())
    same = ("output", "state 0")
    agree({name: fused[name] for name in same}, {name: stock[name] for name in same})


def _implementation_1_deviation():
    inputs, _ = series(batch=2)
    for layer in (keras.layers.LSTM, keras.layers.GRU):
        layer = layer(3, dropout=0.5, implementation=1)
        with pytest.raises(Exception, match=r"(?i)shape|rank|dimension"):
            layer(inputs, training=True)
        layer.cell.reset_dropout_mask()
        with sunhwan.accelerated():
            layer(inputs, training=True)
            assert paths(layer) == ["fused"]


def _unroll_deviation():
    if BACKEND != "torch":
        pytest.skip("of PyTorch")
    inputs, _ = series(batch=2)
    mask = np.arange(6) < np.array([[4], [6]])
    unrolled, rolled = (
        keras.layers.GRU(3, unroll=unroll, go_backwards=True, seed=1) for unroll in (True, False)
    )
    with pytest.raises(AttributeError, match="'tuple' object has no attribute 'shape'"):
        unrolled(inputs, mask=mask)
    rolled.build(inputs.shape)
    rolled.set_weights(unrolled.get_weights())
    stock = keras.ops.convert_to_numpy(rolled(inputs, mask=mask))
    with sunhwan.accelerated():
        agree({"": keras.ops.convert_to_numpy(unrolled(inputs, mask=mask))}, {"": stock})
        assert paths(unrolled) == ["fused"]


def _jit_compile_deviation():
    if BACKEND != "tensorflow":
        pytest.skip("of TensorFlow")
    fused = sequential(keras.layers.SimpleRNN(2))
    not_fused = sequential(keras.layers.SimpleRNN(2, activation="silu"))
    for model in (fused, not_fused):
        model.compile("sgd", "mse", jit_compile=True)
        assert model.jit_compile
    with sunhwan.accelerated():
        assert not fused.jit_compile
        assert not_fused.jit_compile
    assert fused.jit_compile


def _conversion_deviation():
    if BACKEND != "tensorflow":
        pytest.skip("of TensorFlow")
    import tensorflow as tf

    layer, inputs = keras.layers.GRU(2), tf.constant(series(batch=2)[0])
    layer.build(inputs.shape)

    def operations():
        traced = tf.function(lambda inputs: layer(inputs)).get_concrete_function(inputs)
        return {operation.type for operation in traced.graph.get_operations()}

    assert not any("PyFunc" in kind for kind in operations())
    with sunhwan.accelerated():
        assert any("PyFunc" in kind for kind in operations())


def _dropout_deviation():
    if BACKEND != "torch":
        pytest.skip("of PyTorch")
    inputs, _ = series(batch=4)
    layer = keras.layers.GRU(5, return_sequences=True)
    stock = layer(inputs).detach()
    with sunhwan.accelerated():
        fused = layer(inputs).detach()
        assert paths(layer) == ["fused"]

    def kept(sequences, seed):
        keras.utils.set_random_seed(3)
        return keras.layers.Dropout(0.5, seed=seed)(sequences, training=True) != 0

    assert kept(stock, 1).equal(kept(fused, 1))
    assert not kept(stock, None).equal(kept(fused, None))
    by_time = fused.transpose(0, 1).contiguous().transpose(0, 1)
    assert kept(stock, None).equal(kept(by_time, None))


def _fullgraph_deviation():
    if BACKEND != "torch":
        pytest.skip("of PyTorch")
    import torch

    layer, inputs = keras.layers.GRU(2), torch.tensor(series(batch=2)[0])
    layer(inputs)
    torch.compiler.reset()
    compiled = torch.compile(lambda inputs: layer(inputs), fullgraph=True, backend="eager")
    stock = compiled(inputs)
    with sunhwan.accelerated(), pytest.raises(torch._dynamo.exc.Unsupported, match="disable"):
        compiled(inputs)
    agree({"": compiled(inputs).detach()}, {"": stock.detach()})


DEVIATES = {
    "small types": _small_types_deviation,
    "masked NaN": _masked_nan_deviation,
    "implementation=1": _implementation_1_deviation,
    "unroll": _unroll_deviation,
    "jit_compile": _jit_compile_deviation,
    "conversion": _conversion_deviation,
    "Dropout": _dropout_deviation,
    "fullgraph": _fullgraph_deviation,
}


@pytest.mark.parametrize("name", seam.DEVIATIONS)
def test_fused_layers_deviate_as_it_is_written(name):
    DEVIATES[name]()


# ---- What is not fused, and why ----


class OwnLoop(keras.layers.GRU):
    def inner_loop(self, *args, **kwargs):
        return super().inner_loop(*args, **kwargs)


class OwnCall(keras.layers.LSTM):
    def call(self, sequences, initial_state=None, mask=None, training=False):
        return super().call(sequences, initial_state, mask, training)


class OwnConfig(keras.layers.LSTM):
    """Changes nothing of what is computed."""


class OwnCell(keras.layers.GRUCell):
    pass


def with_own_cell():
    layer = keras.layers.GRU(3)
    layer.cell = OwnCell(3)
    return layer


def tanh(x):
    return keras.ops.tanh(x)


def with_late_recurrent_dropout():
    layer = keras.layers.LSTM(3)
    layer.cell.recurrent_dropout = 0.5
    return layer


def with_late_policy():
    layer = keras.layers.GRU(3)
    layer.build((None, 6, 3))
    layer.dtype_policy = keras.DTypePolicy("mixed_bfloat16")
    return layer


NOT_FUSED = {
    "rnn": (lambda: keras.layers.RNN(keras.layers.LSTMCell(3)), "only SimpleRNN, GRU and LSTM are fused"),
    "stack": (
        lambda: keras.layers.RNN([keras.layers.GRUCell(3), keras.layers.SimpleRNNCell(3)]),
        "only SimpleRNN, GRU and LSTM are fused",
    ),
    "inner_loop": (lambda: OwnLoop(3), "its class OwnLoop has a method inner_loop of its own"),
    "call": (lambda: OwnCall(3), "its class OwnCall has a method call of its own"),
    "cell": (with_own_cell, "its cell is a OwnCell, not Keras's own GRUCell"),
    "rate": (
        lambda: keras.layers.LSTM(3, dropout=1.0),
        "a dropout rate is 1, which Keras treats in several ways",
    ),
    "silu": (
        lambda: keras.layers.LSTM(3, activation="silu"),
        "the activation is 'silu'; the kernels have linear, relu, tanh, sigmoid and hard_sigmoid",
    ),
    "own activation": (
        lambda: keras.layers.GRU(3, recurrent_activation=tanh),
        f"the recurrent activation is '{__name__}.tanh'; "
        "the kernels have linear, relu, tanh, sigmoid and hard_sigmoid",
    ),
    "recurrent dropout": (
        with_late_recurrent_dropout,
        "its recurrent_dropout was set after its construction, and Keras pays no heed to it",
    ),
    "policy": (
        with_late_policy,
        "its dtype_policy was changed: it computes in bfloat16, its cell in float32",
    ),
    "float64": (
        lambda: keras.layers.LSTM(3, dtype="float64"),
        "it computes in float64; the kernels compute in float32",
    ),
}


@pytest.mark.parametrize("name", NOT_FUSED)
def test_what_is_not_fused_takes_the_path_of_keras_and_says_why(name):
    make, reason = NOT_FUSED[name]
    if name == "float64" and BACKEND == "jax":
        pytest.skip("JAX has no float64 unless it is told so for the whole process")
    keras.utils.set_random_seed(2)
    layer = make()
    inputs, _ = series(batch=2)
    stock = layer(inputs, training=True)
    with sunhwan.accelerated():
        fused = layer(inputs, training=True)
        assert [(row.path, row.reason) for row in sunhwan.explain(layer).rows] == [("Keras", reason)]
    stock, fused = (
        keras.ops.convert_to_numpy(keras.ops.cast(value, "float64" if name == "float64" else "float32"))
        for value in (stock, fused)
    )
    assert np.array_equal(fused, stock)


def test_activations_of_keras_are_known_as_names_and_as_functions():
    for activation in ("relu", keras.activations.relu, keras.ops.relu):
        assert seam.activation_name(keras.layers.GRU(1, activation=activation).cell.activation) == "relu"
    assert seam.activation_name(keras.layers.GRU(1, activation=None).cell.activation) == "linear"


def test_an_activation_may_have_no_module_or_no_hash():
    class Scaled:
        __hash__ = None

        def __call__(self, x):
            return 2 * x

    assert not hasattr(str.upper, "__module__")  # as torch.Tensor.tanh
    assert seam.activation_name(str.upper) == "builtins.upper"
    assert seam.activation_name(Scaled()) == f"{__name__}.Scaled"


def test_a_layers_own_method_takes_numpys_arrays_as_in_keras():
    layer = keras.layers.LSTM(3)
    inputs, _ = series(batch=2)
    layer.build(inputs.shape)
    stock = layer.call(inputs)
    with sunhwan.accelerated():
        fused = layer.call(inputs)
        assert paths(layer) == ["fused"]
    agree({"": keras.ops.stop_gradient(fused)}, {"": keras.ops.stop_gradient(stock)})


def test_a_subclass_that_changes_nothing_of_the_computation_is_fused():
    layer = OwnConfig(3)
    with sunhwan.accelerated():
        layer(series()[0])
        assert paths(layer) == ["fused"]


def test_shapes_that_keras_would_spread_out_are_left_to_keras():
    layer = keras.layers.SimpleRNN(3, return_sequences=True)
    inputs, _ = series(batch=2)
    mask = np.ones((2, 6, 1), bool)
    stock = layer(inputs, mask=mask)
    with sunhwan.accelerated():
        fused = layer(inputs, mask=mask)
        assert [row.reason for row in sunhwan.explain(layer).rows] == [
            "its mask has the shape (2, 6, 1); the kernels take (2, 6)"
        ]
    agree({"": keras.ops.stop_gradient(fused)}, {"": keras.ops.stop_gradient(stock)})


@pytest.mark.skipif(BACKEND != "torch", reason="of PyTorch")
@pytest.mark.parametrize("kind", ["real", "fake", "fake mode"])
def test_what_has_no_memory_to_read_is_left_to_keras(kind):
    import torch
    from torch._subclasses.fake_tensor import FakeTensorMode
    from torch.fx.experimental.proxy_tensor import make_fx

    layer = keras.layers.SimpleRNN(3)
    inputs = torch.tensor(series(batch=2)[0])
    stock = layer(inputs).detach()
    with sunhwan.accelerated():
        if kind == "fake mode":
            with FakeTensorMode(allow_non_fake_inputs=True) as mode:
                assert layer(mode.from_tensor(inputs)).shape == (2, 3)
            mode = "FakeTensorMode"
        else:
            graph = make_fx(layer, tracing_mode=kind, _allow_non_fake_inputs=True)(inputs)
            agree({"": graph(inputs).detach()}, {"": stock})
            mode = "ProxyTorchDispatchMode"
        assert [row.reason for row in sunhwan.explain(layer).rows] == [
            f"it runs within a {mode}, which the kernels would escape"
        ]


@pytest.mark.skipif(BACKEND != "torch", reason="of PyTorch")
def test_a_tensor_of_a_class_of_its_own_is_left_to_keras():
    from torch.testing._internal.two_tensor import TwoTensor  # stands for DTensor, which needs processes

    layer = keras.layers.SimpleRNN(3)
    inputs = keras.ops.convert_to_tensor(series(batch=2)[0])
    layer.build(inputs.shape)
    layer.cell.recurrent_kernel = TwoTensor(*[layer.cell.recurrent_kernel.value.detach()] * 2)
    stock = layer(inputs)
    with sunhwan.accelerated():
        fused = layer(inputs)
        assert [row.reason for row in sunhwan.explain(layer).rows] == [
            "it computes with a TwoTensor, which has no memory for a kernel to read"
        ]
    agree({"": fused.a.detach()}, {"": stock.a.detach()})


def test_use_cudnn_fails_as_in_keras():
    layer = keras.layers.LSTM(3, use_cudnn=True)
    with sunhwan.accelerated():
        if BACKEND == "torch":  # which has a loop of its own under that name
            layer(series()[0])
        else:
            with pytest.raises(ValueError, match="use_cudnn=True was specified"):
                layer(series()[0])
        assert [row.reason for row in sunhwan.explain(layer).rows] == [
            "use_cudnn=True asks for Keras's own path on a GPU"
        ]


def test_a_call_that_only_asks_for_shapes_is_no_run():
    layer = keras.layers.GRU(3)
    with sunhwan.accelerated():
        model = keras.Sequential([keras.Input((6, 3)), keras.layers.Lambda(lambda x: layer(x))])
        assert model.output_shape == (None, 3)
        assert paths(layer) == ["not run yet"]
        model.predict(series()[0], verbose=0)
        assert paths(layer) == ["fused"]


def test_one_thread_on_the_path_of_keras_leaves_the_others_alone():
    from threading import Thread

    inside, outside = keras.layers.GRU(2), keras.layers.GRU(2)
    with sunhwan.accelerated():
        with seam.suspended("a test"):
            inside(series()[0])
            thread = Thread(target=outside, args=(series()[0],))
            thread.start()
            thread.join()
        assert [row.reason for row in sunhwan.explain(inside).rows] == ["a test"]
        assert paths(outside) == ["fused"]
        inside(series()[0])
        assert paths(inside) == ["Keras", "fused"]


@pytest.mark.filterwarnings("ignore:The `native_serialization` parameter:DeprecationWarning")
def test_an_exported_model_does_without_sunhwan(tmp_path):
    inputs, _ = series(batch=2)
    model = sequential(keras.layers.LSTM(3, return_sequences=True), keras.layers.GRU(3))
    with sunhwan.accelerated():
        predicted = model.predict(inputs, verbose=0)
        loaded = EXPORTS[BACKEND](model, tmp_path / "exported", inputs)
        reasons = [row.reason for row in sunhwan.explain(model).rows]
        assert reasons == ["", seam.EXPORTED] * 2
    agree({"": loaded}, {"": predicted})


def _export_as_saved_model(model, path, inputs):
    tensorflow = pytest.importorskip("tensorflow")
    model.export(path, verbose=False)
    archive = keras.export.ExportArchive()
    archive.track(model)
    archive.add_endpoint("serve", model.call, [keras.InputSpec(shape=(None, 6, 3), dtype="float32")])
    archive.write_out(f"{path}_archive", verbose=False)
    # Two at a time, so that both stay alive while they are called.
    first, second = tensorflow.saved_model.load(path), tensorflow.saved_model.load(f"{path}_archive")
    first, second = np.array(first.serve(inputs)), np.array(second.serve(inputs))
    assert np.array_equal(first, second)
    return first


def _export_to_torch(model, path, inputs):
    import torch

    exported = torch.export.export(model, (torch.tensor(inputs),))
    torch.export.save(exported, f"{path}.pt2")
    return torch.export.load(f"{path}.pt2").module()(torch.tensor(inputs)).detach()


EXPORTS = {"jax": _export_as_saved_model, "tensorflow": _export_as_saved_model, "torch": _export_to_torch}


# ---- Derivatives that the kernels have not ----


@pytest.mark.parametrize("dtype", ["float32", "mixed_bfloat16", "float16"])
@pytest.mark.parametrize("rates", [{}, {"dropout": 0.3, "recurrent_dropout": 0.4}])
@pytest.mark.parametrize("layer", ["SimpleRNN", "GRU", "LSTM"])
def test_second_derivatives_are_those_of_keras(layer, rates, dtype):
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

    layer, inputs = keras.layers.GRU(3), tf.constant(series(batch=2)[0])
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

    @tf.function
    def of(inputs):
        with tf.GradientTape() as second:
            second.watch(inputs)
            with tf.GradientTape() as first:
                first.watch(inputs)
                loss = tf.reduce_sum(layer(inputs, **arguments) ** 2)
            penalty = tf.reduce_sum(first.gradient(loss, inputs) ** 2)
        weights = [variable.value for variable in layer.trainable_variables]
        return second.gradient(penalty, [inputs, *weights], unconnected_gradients="zero")

    return of(tf.constant(inputs))


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
