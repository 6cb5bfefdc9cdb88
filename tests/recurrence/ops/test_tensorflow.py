"""The TensorFlow adapter: numbers, what it asks of the native library and when, and where it says no."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from configurations import Configuration, configurations
from hypothesis import given, settings
from native_calls import native_calls

from sunhwan.recurrence import ops
from sunhwan.recurrence.ops.options import Options

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
tf = pytest.importorskip("tensorflow")

from sunhwan.recurrence.ops.options import ARRAYS  # noqa: E402
from sunhwan.recurrence.ops.tensorflow import recurrence  # noqa: E402

GRADIENTS = ("inputs", "initial_state", "kernel", "recurrent_kernel", "bias")
WEIGHTS = ("kernel", "recurrent_kernel", "bias")
ALL_GRADIENTS = f"backward of {', '.join(GRADIENTS)}"
WEIGHT_GRADIENTS = f"backward of {', '.join(WEIGHTS)}"
EVERYTHING = Configuration(
    Options("gru", return_sequences=True),
    initial_state=True,
    mask="anywhere",
    dropout_masks=3,
    recurrent_dropout_masks=3,
)


def tensors_of(configuration):
    return {name: tf.constant(array) for name, array in configuration.arrays().items()}


def model_of(configuration):
    """The tensors of a configuration, weights as variables: what Keras has."""
    return {
        name: tf.Variable(tensor) if name in WEIGHTS else tensor
        for name, tensor in tensors_of(configuration).items()
    }


def loss_of(configuration, tensors):
    """A number whose gradient with respect to output and states is the configuration's."""
    output, states = recurrence(configuration.options, **tensors)
    d_output, d_states = configuration.output_gradients()
    return tf.reduce_sum(output * d_output) + tf.reduce_sum(states * d_states)


def results_and_gradients(configuration, tensors):
    """Everything that `Configuration.check` takes."""
    wanted = [name for name in GRADIENTS if name in tensors]
    with tf.GradientTape() as tape:
        tape.watch([tensors[name] for name in wanted])
        output, states = recurrence(configuration.options, **tensors)
    gradients = tape.gradient(
        [output, states],
        [tensors[name] for name in wanted],
        output_gradients=list(map(tf.constant, configuration.output_gradients())),
    )
    return {"output": output, "states": states, **dict(zip(wanted, gradients, strict=True))}


def with_unknown_sizes(function, tensors):
    """`function` of tensors as a graph that knows no more than their dtypes and how many axes they have."""
    signature = {name: tf.TensorSpec([None] * t.ndim, t.dtype) for name, t in tensors.items()}
    return tf.function(function, input_signature=[signature])


@settings(max_examples=100)
@given(configurations())
def test_values_and_gradients(configuration):
    tensors = tensors_of(configuration)
    with native_calls() as calls:
        found = results_and_gradients(configuration, tensors)
    assert calls == [
        "forward, saving",
        f"backward of {', '.join(name for name in GRADIENTS if name in tensors)}",
    ]
    configuration.check(**found)


@settings(max_examples=40)
@given(configurations())
def test_values_and_gradients_in_a_graph(configuration):
    tensors = tensors_of(configuration)
    in_graph = with_unknown_sizes(lambda tensors: results_and_gradients(configuration, tensors), tensors)
    with native_calls() as calls:
        found = in_graph(tensors)
    assert calls == [
        "forward, saving",
        f"backward of {', '.join(name for name in GRADIENTS if name in tensors)}",
    ]
    configuration.check(**found)


@pytest.mark.parametrize("cell", ["simple_rnn", "gru", "lstm"])
def test_the_public_function_takes_tensors(cell):
    configuration = Configuration(Options(cell))
    tensors = model_of(configuration)
    with native_calls() as calls:
        output, states = ops.recurrence(cell, tensors.pop("inputs"), list(tensors.values()))
    assert calls == ["forward"]
    assert isinstance(output, tf.Tensor)
    configuration.check(output=output, states=states)


# What is saved, and which gradients are computed


def trained(tensors):
    """What Keras's `train_step` does: the tape is in the graph, and asks for the weights."""
    with tf.GradientTape() as tape:
        loss = loss_of(EVERYTHING, tensors)
    return tape.gradient(loss, [tensors[name] for name in WEIGHTS])


def predicted(tensors):
    return loss_of(EVERYTHING, tensors)


@pytest.mark.parametrize("wrapped", [lambda function: function, tf.function], ids=["eager", "graph"])
@pytest.mark.parametrize(
    ("function", "expected"),
    [(predicted, ["forward"]), (trained, ["forward, saving", WEIGHT_GRADIENTS])],
    ids=["predict", "fit"],
)
def test_nothing_is_computed_that_nobody_asked_for(function, expected, wrapped):
    tensors = model_of(EVERYTHING)
    run = wrapped(lambda: function(tensors))
    for _ in range(2):
        with native_calls() as calls:
            run()
        assert calls == expected


def test_a_tape_that_watches_other_things_saves_nothing():
    tensors = tensors_of(EVERYTHING)
    with native_calls() as calls, tf.GradientTape() as tape:
        tape.watch(tf.constant(1.0))
        loss_of(EVERYTHING, tensors)
    assert calls == ["forward"]


def test_a_function_traced_without_a_tape_computes_the_forward_pass_again():
    tensors = model_of(EVERYTHING)
    expected = trained(tensors)
    function = tf.function(lambda: predicted(tensors))
    function()
    with native_calls() as calls:
        with tf.GradientTape() as tape:
            loss = function()
        assert calls == ["forward"]
        found = tape.gradient(loss, [tensors[name] for name in WEIGHTS])
    assert calls[1:] == ["forward, saving", ALL_GRADIENTS]
    for here, there in zip(found, expected, strict=True):
        np.testing.assert_array_equal(here, there)


def test_a_function_traced_under_a_tape_saves():
    tensors = tensors_of(EVERYTHING)
    function = tf.function(predicted)
    with native_calls() as calls, tf.GradientTape() as tape:
        tape.watch(tensors["kernel"])
        loss = function(tensors)
        found = tape.gradient(loss, tensors["kernel"])
    assert calls == ["forward, saving", ALL_GRADIENTS]
    np.testing.assert_array_equal(found, results_and_gradients(EVERYTHING, tensors)["kernel"])


def test_a_gradient_of_what_the_tape_in_the_graph_did_not_watch():
    tensors = model_of(EVERYTHING)
    expected = results_and_gradients(EVERYTHING, tensors_of(EVERYTHING))

    @tf.function
    def both(inputs):
        with tf.GradientTape() as tape:
            loss = loss_of(EVERYTHING, tensors | {"inputs": inputs})
        return tape.gradient(loss, tensors["kernel"]), tf.gradients(loss, inputs)[0]

    kernel, inputs = both(tensors["inputs"])
    np.testing.assert_array_equal(kernel, expected["kernel"])
    np.testing.assert_array_equal(inputs, expected["inputs"])


def test_a_part_of_the_results_may_be_used_and_come_back_as_slices():
    tensors = model_of(EVERYTHING)
    gathered = np.array([2, 2, 0])

    def gradients():
        with tf.GradientTape() as tape:
            output, _ = recurrence(EVERYTHING.options, **tensors)
            loss = tf.reduce_sum(tf.gather(output, gathered))
        return tape.gradient(loss, [tensors[name] for name in WEIGHTS])

    d_output = np.zeros(EVERYTHING.output_gradients()[0].shape, np.float32)
    np.add.at(d_output, gathered, 1)
    with tf.GradientTape() as tape:
        output, _ = recurrence(EVERYTHING.options, **tensors)
        loss = tf.reduce_sum(output * d_output)
    expected = tape.gradient(loss, [tensors[name] for name in WEIGHTS])
    for found in (gradients(), tf.function(gradients)()):
        for here, there in zip(found, expected, strict=True):
            np.testing.assert_array_equal(here, there)


def test_a_persistent_tape_gives_the_same_twice():
    tensors = model_of(EVERYTHING)
    with tf.GradientTape(persistent=True) as tape:
        loss = loss_of(EVERYTHING, tensors)
    for name in WEIGHTS:
        np.testing.assert_array_equal(*(tape.gradient(loss, tensors[name]) for _ in range(2)))


def test_a_graph_hands_arrays_over_without_a_copy():
    """Tens of megabytes are saved for the backward pass at each step."""
    configuration = replace(EVERYTHING, batch=64, timesteps=100, units=32)
    tensors = model_of(configuration)

    @tf.function
    def step():
        with tf.GradientTape() as tape:
            loss = loss_of(configuration, tensors)
        return tape.gradient(loss, tensors["kernel"])

    with native_calls() as calls:
        step()
    forward, backward = calls.structs
    for name in ("inputs", "kernel", "recurrent_kernel", "mask", "dropout_mask", "saved"):
        assert getattr(forward, name) == getattr(backward, name)


# Graphs


@pytest.mark.parametrize(
    ("return_sequences", "batch", "time"), [(True, None, 5), (False, None, 5), (True, 2, None)]
)
def test_what_is_known_of_shapes_is_kept(return_sequences, batch, time):
    options = Options("lstm", return_sequences=return_sequences)
    weights = [tf.ones(shape) for shape in [(3, 28), (7, 28), (28,)]]

    @tf.function(input_signature=[tf.TensorSpec([batch, time, 3])])
    def function(inputs):
        output, states = recurrence(options, inputs, *weights)
        assert output.shape.as_list() == ([batch, time, 7] if return_sequences else [batch, 7])
        assert states.shape.as_list() == [2, batch, 7]
        gradients = tf.gradients(output, [inputs, *weights])
        assert [g.shape.as_list() for g in gradients] == [[batch, time, 3], [3, 28], [7, 28], [28]]
        return output, gradients[0]

    output, d_inputs = function(np.ones((2, 5, 3), np.float32))
    assert output.shape == ((2, 5, 7) if return_sequences else (2, 7))
    assert d_inputs.shape == (2, 5, 3)


def test_equal_shapes_are_traced_once():
    traces = []

    @tf.function
    def step(inputs):
        traces.append(inputs.shape)
        return trained(tensors | {"inputs": inputs})

    tensors = model_of(EVERYTHING)
    for seed in range(3):
        step(tensors_of(replace(EVERYTHING, seed=seed))["inputs"])
    assert len(traces) == 1


def test_in_a_while_loop():
    tensors = model_of(EVERYTHING)
    many = tf.stack([tensors_of(replace(EVERYTHING, seed=seed))["inputs"] for seed in range(3)])

    def total(many):
        with tf.GradientTape() as tape:
            loss = tf.constant(0.0)
            for inputs in many:
                loss += loss_of(EVERYTHING, tensors | {"inputs": inputs})
        return [loss, *tape.gradient(loss, [tensors[name] for name in WEIGHTS])]

    with native_calls() as calls:
        found = tf.function(total)(many)
    assert calls == ["forward, saving"] * 3 + [WEIGHT_GRADIENTS] * 3
    for here, there in zip(found, total(many), strict=True):
        # Sums of three float32 numbers of size 10 in another order
        np.testing.assert_allclose(here, there, rtol=1e-5, atol=1e-5)


def test_recurrences_that_run_at_once_do_not_disturb_each_other():
    """The executor runs what does not depend on each other in several threads."""
    some = [Configuration(Options(cell), batch=40, timesteps=30, seed=seed)
            for seed, cell in enumerate(["gru", "lstm"] * 4)]  # fmt: skip
    tensors = [model_of(configuration) for configuration in some]

    def losses():
        return [loss_of(configuration, t) for configuration, t in zip(some, tensors, strict=True)]

    def gradients():
        with tf.GradientTape() as tape:
            loss = tf.add_n(losses())
        return tape.gradient(loss, [t["kernel"] for t in tensors])

    in_graph = tf.function(gradients)
    expected = gradients()
    for _ in range(5):
        for here, there in zip(in_graph(), expected, strict=True):
            np.testing.assert_array_equal(here, there)


def test_a_batch_of_none():
    configuration = replace(EVERYTHING, batch=0)
    found = results_and_gradients(configuration, tensors_of(configuration))
    assert found["output"].shape == (0, 5, 7) and found["states"].shape == (1, 0, 7)
    assert found["inputs"].shape == (0, 5, 4)
    assert not any(np.any(found[name]) for name in WEIGHTS)


@pytest.mark.parametrize("wrapped", [lambda function: function, tf.function], ids=["eager", "graph"])
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision_is_computed_in_float32(dtype, wrapped):
    half = {name: t if name == "mask" else tf.cast(t, dtype) for name, t in tensors_of(EVERYTHING).items()}
    half["kernel"] = tf.cast(half["kernel"], tf.float32)  # each tensor may have its own
    single = {name: t if name == "mask" else tf.cast(t, tf.float32) for name, t in half.items()}

    @wrapped
    def gradients(tensors):
        with tf.GradientTape() as tape:
            tape.watch([tensors[name] for name in GRADIENTS])
            results = recurrence(EVERYTHING.options, **tensors)
        return [*results, *tape.gradient(results, [tensors[name] for name in GRADIENTS])]

    dtypes = [dtype, dtype, *(half[name].dtype for name in GRADIENTS)]
    for here, there, expected in zip(gradients(half), gradients(single), dtypes, strict=True):
        assert here.dtype == expected
        np.testing.assert_array_equal(here, tf.cast(there, expected))


MIRRORED = """
import numpy as np, tensorflow as tf
tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2
)
from sunhwan.recurrence.ops.options import Options
from sunhwan.recurrence.ops.tensorflow import recurrence

rng = np.random.default_rng(0)
inputs = rng.normal(size=(6, 5, 4)).astype("float32")
strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
assert strategy.num_replicas_in_sync == 2
with strategy.scope():
    weights = [tf.Variable(rng.normal(size=(n, 21), scale=0.3).astype("float32")) for n in (4, 7, 2)]

def step(inputs):
    with tf.GradientTape() as tape:
        output, states = recurrence(Options("gru"), inputs, *weights)
        loss = tf.reduce_sum(output**2)
    gradients = tape.gradient(loss, weights)
    context = tf.distribute.get_replica_context()
    return context.all_reduce("sum", loss), [context.all_reduce("sum", g) for g in gradients]

parts = iter([inputs[:3], inputs[3:]])
batches = strategy.experimental_distribute_values_from_function(lambda _: tf.constant(next(parts)))
for wrapped in (tf.function, lambda function: function):
    loss, gradients = wrapped(lambda batches: strategy.run(step, (batches,)))(batches)
    with tf.GradientTape() as tape:
        output, _ = recurrence(Options("gru"), tf.constant(inputs), *weights)
        expected = tf.reduce_sum(output**2)
    for here, there in zip([loss, *gradients], [expected, *tape.gradient(expected, weights)]):
        for replica in strategy.experimental_local_results(here):
            # float32, summed in two parts
            np.testing.assert_allclose(replica, there, rtol=1e-5, atol=1e-5)
print("the same")
"""


def test_replicas_share_a_batch():
    """In a process of its own: devices are split before TensorFlow first runs anything."""
    said = subprocess.run([sys.executable, "-c", MIRRORED], capture_output=True, text=True)
    assert said.stdout.strip() == "the same", said.stderr


# What is refused


def second_derivative(tensors, loss=predicted):
    with tf.GradientTape() as outer:
        with tf.GradientTape() as tape:
            found = loss(tensors)
        first = tape.gradient(found, tensors["kernel"])
    return outer.gradient(first, tensors["bias"])


def forward_mode(tensors, loss=predicted):
    inputs = tensors["inputs"]
    with tf.autodiff.ForwardAccumulator(inputs, tf.ones_like(inputs)) as accumulator:
        found = loss(tensors)
    return accumulator.jvp(found)


REFUSALS = (NotImplementedError, tf.errors.UnimplementedError)


@pytest.mark.parametrize(
    ("derivative", "message"),
    [
        (second_derivative, "second derivative is not available"),
        (forward_mode, "forward mode is not available"),
    ],
)
def test_other_derivatives_are_refused(derivative, message):
    tensors = model_of(EVERYTHING)
    with pytest.raises(NotImplementedError, match=message):
        derivative(tensors)
    with pytest.raises(REFUSALS, match=message):
        tf.function(derivative)(tensors)
    for traced_before in (False, True):
        function = tf.function(predicted)
        if traced_before:
            function(tensors)
        # TensorFlow transposes a function's gradient for forward mode, which is a second derivative.
        with pytest.raises(REFUSALS, match=r"is not available\. A fused recurrence has gradients only"):
            derivative(tensors, function)


def test_a_second_derivative_of_a_function_is_refused_if_it_is_asked_for():
    tensors = model_of(EVERYTHING)
    function = tf.function(lambda: predicted(tensors))
    with tf.GradientTape() as outer:
        with tf.GradientTape() as tape:
            loss = function()
        first = tape.gradient(loss, tensors["kernel"])
    np.testing.assert_array_equal(first, trained(tensors)[0])
    with pytest.raises(tf.errors.UnimplementedError, match="second derivative"):
        outer.gradient(first, tensors["bias"])


@pytest.mark.parametrize("function", [predicted, trained])
def test_compilation_by_xla_is_refused(function):
    tensors = model_of(EVERYTHING)
    with (
        native_calls() as calls,
        pytest.raises(NotImplementedError, match=r"XLA .* leave out jit_compile=True"),
    ):
        tf.function(lambda: function(tensors), jit_compile=True)()
    assert not calls
    tf.function(lambda: function(tensors), jit_compile=False)()


@pytest.mark.parametrize("name", [name for name in ARRAYS if name != "mask"])
@pytest.mark.parametrize("dtype", ["float64", "int32", "complex64"])
def test_another_dtype_is_refused(name, dtype):
    tensors = tensors_of(EVERYTHING)
    tensors[name] = tf.cast(tensors[name], dtype)
    with (
        native_calls() as calls,
        pytest.raises(TypeError, match=f"^{name} has dtype {dtype}, expected float32"),
    ):
        recurrence(EVERYTHING.options, **tensors)
    assert not calls


def test_a_mask_of_another_dtype_counts_as_in_numpy():
    tensors = tensors_of(EVERYTHING)
    for dtype in ("uint8", "int64", "float32"):
        others = tensors | {"mask": 2 * tf.cast(tensors["mask"], dtype)}
        EVERYTHING.check(**results_and_gradients(EVERYTHING, others))


@pytest.mark.parametrize("name", ARRAYS)
def test_a_shape_that_does_not_fit_is_said(name):
    tensors = tensors_of(EVERYTHING)
    tensors[name] = tf.concat([tensors[name], tensors[name]], axis=-1)
    message = r"has shape \(.*\), expected \("
    with native_calls() as calls:
        with pytest.raises(ValueError, match=message):
            recurrence(EVERYTHING.options, **tensors)
        with pytest.raises(tf.errors.InvalidArgumentError, match=message):
            with_unknown_sizes(lambda tensors: recurrence(EVERYTHING.options, **tensors), tensors)(tensors)
    assert not calls


def test_a_wrong_number_of_axes_is_said():
    tensors = tensors_of(EVERYTHING)
    with pytest.raises(ValueError, match=r"inputs has shape \(5, 4\), expected \(batch, time, features\)"):
        recurrence(EVERYTHING.options, **tensors | {"inputs": tensors["inputs"][0]})
