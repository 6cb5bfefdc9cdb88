"""The JAX adapter: numbers, what the compiled program calls, every transformation, and where it says no.

What a program calls is read in the program: `calls_of` has a line for each call of the kernels in it.
"""

from __future__ import annotations

import logging
import re
import subprocess
import sys
import threading
from dataclasses import replace
from functools import partial
from itertools import combinations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from configurations import CELL_CHOICES, Configuration, configurations, largest
from hypothesis import given, settings
from hypothesis import strategies as st
from jax import export

from sunhwan.errors import SunhwanError
from sunhwan.recurrence import ops
from sunhwan.recurrence.ops import jax as adapter
from sunhwan.recurrence.ops.jax import recurrence
from sunhwan.recurrence.ops.options import Options

GRADIENTS = ("inputs", "kernel", "recurrent_kernel", "bias", "initial_state")
EVERYTHING = Configuration(
    Options("gru", return_sequences=True),
    initial_state=True,
    mask="anywhere",
    dropout_masks=3,
    recurrent_dropout_masks=3,
)
PLAIN = Configuration(Options("lstm", return_sequences=True))


def arrays_of(configuration):
    return {name: jnp.asarray(array) for name, array in configuration.arrays().items()}


def loss_of(configuration, arrays):
    """A number whose gradient with respect to output and states is the configuration's; and these two."""
    output, states = recurrence(configuration.options, **arrays)
    d_output, d_states = configuration.output_gradients()
    return (output * d_output).sum() + (states * d_states).sum(), (output, states)


def gradients_of(configuration, names=GRADIENTS):
    """The loss's gradient with respect to the named arrays, as a function of all arrays."""

    def loss(moving, arrays):
        return loss_of(configuration, arrays | moving)[0]

    def gradients(arrays):
        return jax.grad(loss)({name: arrays[name] for name in names if name in arrays}, arrays)

    return gradients


def calls_of(function, *arguments):
    """What the compiled function calls."""
    return calls_in(jax.jit(function).lower(*arguments).compile())


def calls_in(program):
    """What a compiled program calls: "forward", "forward, saving" or "backward of kernel, bias"."""
    calls = []
    pattern = r'= \((.*)\) custom-call\(.*custom_call_target="sunhwan_(\w+)"'
    for results, target in re.findall(pattern, program.as_text()):
        there = [size != "0" for size in re.findall(r"f32\[([\d,]*)\]", results)]
        if target == "forward":
            calls.append("forward, saving" if there[2] else "forward")
        else:
            names = [name for name, is_there in zip(GRADIENTS, there, strict=True) if is_there]
            calls.append(f"backward of {', '.join(names)}")
    return calls


def close(one, other, tolerance=1e-5):
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
        assert a.shape == b.shape
        assert largest(np.asarray(a) - np.asarray(b)) <= tolerance * max(1, largest(np.asarray(b)))


# ---- Numbers ----


@settings(max_examples=60)
@given(configurations())
def test_values_and_gradients(configuration):
    arrays = arrays_of(configuration)
    moving = {name: arrays.pop(name) for name in GRADIENTS if name in arrays}

    def step(moving, arrays):
        loss = lambda moving: loss_of(configuration, arrays | moving)  # noqa: E731
        return jax.value_and_grad(loss, has_aux=True)(moving)

    program = jax.jit(step).lower(moving, arrays).compile()
    (_, (output, states)), gradients = program(moving, arrays)
    configuration.check(output=output, states=states, **gradients)
    assert calls_in(program) == ["forward, saving", f"backward of {', '.join(moving)}"]


@settings(max_examples=30)
@given(configurations())
def test_without_gradients_and_without_jit(configuration):
    output, states = recurrence(configuration.options, **arrays_of(configuration))
    configuration.check(output=output, states=states)


def test_the_public_function_takes_jax_arrays():
    arrays = arrays_of(PLAIN)
    inputs, weights = arrays.pop("inputs"), list(arrays.values())
    output, _ = ops.recurrence("lstm", inputs, weights, return_sequences=True)
    assert isinstance(output, jax.Array)
    PLAIN.check(output=output)


# ---- What is computed, and what is not ----


def test_nothing_is_saved_where_no_gradient_is_asked_for():
    arrays = arrays_of(EVERYTHING)
    assert calls_of(partial(loss_of, EVERYTHING), arrays) == ["forward"]


@pytest.mark.parametrize("names", [names for size in (1, 2, 5) for names in combinations(GRADIENTS, size)])
def test_only_the_gradients_asked_for_are_computed(names):
    calls = calls_of(gradients_of(EVERYTHING, names), arrays_of(EVERYTHING))
    assert calls == ["forward, saving", f"backward of {', '.join(names)}"]


def test_a_first_layer_has_no_gradient_of_its_inputs_computed():
    first, second = PLAIN, replace(PLAIN, features=7, seed=1)
    layers = [arrays_of(first), arrays_of(second)]
    inputs = layers[0].pop("inputs")
    del layers[1]["inputs"]

    def loss(layers, inputs):
        for layer in layers:
            inputs, _ = recurrence(first.options, inputs, **layer)
        return (inputs**2).sum()

    weights = "kernel, recurrent_kernel, bias"
    assert calls_of(jax.grad(loss), layers, inputs) == [
        "forward, saving", "forward, saving", f"backward of inputs, {weights}", f"backward of {weights}",
    ]  # fmt: skip


@pytest.mark.parametrize("used", ["output", "states"])
def test_a_result_that_the_loss_does_not_use_is_no_operand_of_its_gradient(used):
    arrays = arrays_of(PLAIN)

    def loss(arrays):
        output, states = recurrence(PLAIN.options, **arrays)
        return (output if used == "output" else states).sum()

    equation = next(
        equation
        for equation in jax.make_jaxpr(jax.grad(loss))(arrays).eqns
        if equation.primitive.name == "sunhwan_recurrence_backward"
    )
    assert [name for name in equation.params["operands"] if name.startswith("d_")] == [f"d_{used}"]
    other = {"output": "states", "states": "output"}[used]
    d = dict(zip(("output", "states"), map(np.zeros_like, PLAIN.output_gradients()), strict=True))

    def whole_loss(arrays):
        results = dict(zip(("output", "states"), recurrence(PLAIN.options, **arrays), strict=True))
        return results[used].sum() + (results[other] * d[other]).sum()

    close(jax.grad(loss)(arrays), jax.grad(whole_loss)(arrays), 0)


def test_on_one_device_the_program_is_the_call_and_nothing_else():
    arrays = arrays_of(EVERYTHING)
    program = (
        jax.jit(lambda arrays: recurrence(EVERYTHING.options, **arrays)).lower(arrays).compile().as_text()
    )
    entry = program[program.index("ENTRY") :]
    operations = set(re.findall(r"^ +(?:ROOT )?%\S+ = .*? ([a-z-]+)\(", entry, re.MULTILINE))
    assert operations == {"parameter", "custom-call", "get-tuple-element", "tuple"}


def test_masks_have_no_gradient():
    arrays = arrays_of(EVERYTHING)
    wanted = {name: arrays.pop(name) for name in ("dropout_mask", "recurrent_dropout_mask", "mask")}
    gradients = jax.grad(lambda masks: loss_of(EVERYTHING, arrays | masks)[0], allow_int=True)(wanted)
    assert gradients["mask"].dtype == jax.dtypes.float0
    assert not gradients["dropout_mask"].any() and not gradients["recurrent_dropout_mask"].any()
    del wanted["mask"]
    by_kernel = lambda masks: gradients_of(EVERYTHING, ("kernel",))(EVERYTHING.arrays() | masks)  # noqa: E731
    assert not jax.jvp(by_kernel, (wanted,), (wanted,))[1]["kernel"].any()


@pytest.mark.parametrize("dtype", [np.int8, np.float32])
def test_a_mask_of_numbers_counts_as_one_of_booleans(dtype):
    arrays = arrays_of(EVERYTHING)
    EVERYTHING.check(
        output=recurrence(EVERYTHING.options, **arrays | {"mask": arrays["mask"].astype(dtype)})[0]
    )


# ---- Types ----


@pytest.mark.parametrize("dtype", [jnp.float16, jnp.bfloat16])
def test_smaller_floats_are_computed_in_float32_and_returned_in_their_own_type(dtype):
    arrays = {
        name: array if array.dtype == bool else array.astype(dtype)
        for name, array in arrays_of(EVERYTHING).items()
    }
    d_output, d_states = EVERYTHING.output_gradients()

    def loss(arrays):
        output, states = recurrence(EVERYTHING.options, **arrays)
        return (output * d_output).sum() + (states * d_states).sum(), (output, states)

    moving = {name: arrays.pop(name) for name in GRADIENTS}
    (_, results), gradients = jax.value_and_grad(lambda moving: loss(arrays | moving), has_aux=True)(moving)
    assert {value.dtype for value in jax.tree.leaves((results, gradients))} == {jnp.dtype(dtype)}
    # As if the same numbers had been float32, and the results had then been rounded.
    wide = {
        name: array if array.dtype == bool else array.astype(jnp.float32) for name, array in arrays.items()
    }
    moving = {name: array.astype(jnp.float32) for name, array in moving.items()}
    (_, exact), _ = jax.value_and_grad(lambda moving: loss(wide | moving), has_aux=True)(moving)
    for result, value in zip(results, exact, strict=True):
        np.testing.assert_array_equal(result, value.astype(dtype))


def test_other_types_are_refused():
    arrays = arrays_of(EVERYTHING)
    for name in arrays.keys() - {"mask"}:
        with pytest.raises(TypeError, match=rf"^{name} is of type int32, expected float32.*{name}\.astype"):
            recurrence(EVERYTHING.options, **arrays | {name: arrays[name].astype(jnp.int32)})
    with jax.enable_x64(True), pytest.raises(TypeError, match="inputs is of type float64, expected float32"):
        recurrence(EVERYTHING.options, **arrays | {"inputs": arrays["inputs"].astype(jnp.float64)})


def test_with_64_bit_types_switched_on():
    with jax.enable_x64(True):
        arrays = arrays_of(EVERYTHING)
        gradients = jax.jit(gradients_of(EVERYTHING))(arrays)
        results = recurrence(EVERYTHING.options, **arrays)
        EVERYTHING.check(**gradients, **dict(zip(("output", "states"), results, strict=True)))


@pytest.mark.parametrize(
    "name, shape, message",
    [
        ("inputs", (3, 4), r"inputs has shape \(3, 4\), expected \(batch, time, features\)"),
        ("inputs", (3, 0, 4), "time is 0.*expected 1 or more"),
        ("kernel", (4, 20), r"kernel has shape \(4, 20\), expected \(features=4, columns=21\)"),
        (
            "recurrent_kernel",
            (8, 21),
            r"^recurrent_kernel has shape \(8, 21\), expected \(units=8, columns=",
        ),
        ("bias", (21,), r"bias has shape \(21,\), expected \(rows=2, columns=21\)"),
        ("initial_state", (2, 3, 7), r"initial_state has shape \(2, 3, 7\), expected \(states=1, batch=3,"),
        ("mask", (5, 3), r"mask has shape \(5, 3\), expected \(batch=3, time=5\)"),
        ("dropout_mask", (2, 3, 4), r"dropout_mask has shape \(2, 3, 4\), expected \(gates=1 or 3, batch=3,"),
        ("recurrent_dropout_mask", (3, 7), r"recurrent_dropout_mask has shape \(3, 7\), expected \(gates="),
    ],
)
@pytest.mark.parametrize("jit", [False, True])
def test_wrong_shapes_are_refused(name, shape, message, jit):
    arrays = arrays_of(EVERYTHING) | {name: jnp.ones(shape)}
    function = partial(recurrence, EVERYTHING.options)
    with pytest.raises(ValueError, match=message):
        (jax.jit(function) if jit else function)(**arrays)


def test_an_empty_batch():
    arrays = arrays_of(replace(EVERYTHING, batch=0))
    output, states = recurrence(EVERYTHING.options, **arrays)
    assert output.shape == (0, 5, 7) and states.shape == (1, 0, 7)

    def loss(arrays):
        return sum(result.sum() for result in recurrence(EVERYTHING.options, **arrays))

    gradients = jax.jit(jax.grad(lambda moving: loss(arrays | moving)))({n: arrays[n] for n in GRADIENTS})
    assert {name: array.shape for name, array in gradients.items()} == {n: arrays[n].shape for n in GRADIENTS}
    assert not any(array.any() for array in gradients.values())


# ---- Transformations ----


def test_jit_is_not_needed_and_may_be_switched_off():
    with jax.disable_jit():
        EVERYTHING.check(**gradients_of(EVERYTHING)(arrays_of(EVERYTHING)))


def test_calls_from_several_threads_at_once():
    arrays, failures = arrays_of(EVERYTHING), []
    step = jax.jit(gradients_of(EVERYTHING))

    def work():
        try:
            for _ in range(20):
                EVERYTHING.check(**step(arrays))
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures


MEMBERS = [replace(EVERYTHING, seed=seed) for seed in range(3)]


def stacked(names, axis=0):
    """The named arrays of `MEMBERS` stacked, the others as the first has them; and their mapped axes."""
    each = [arrays_of(member) for member in MEMBERS]
    axes = {name: min(axis, array.ndim) if name in names else None for name, array in each[0].items()}
    arrays = {
        name: array if axes[name] is None else jnp.stack([arrays[name] for arrays in each], axes[name])
        for name, array in each[0].items()
    }
    return arrays, axes


def one_by_one(function, names):
    """What `function` returns for each of the members, stacked."""
    each = [arrays_of(member) for member in MEMBERS]
    results = [function(each[0] | {name: arrays[name] for name in names}) for arrays in each]
    return jax.tree.map(lambda *parts: jnp.stack(parts), *results)


def run(arrays):
    return recurrence(EVERYTHING.options, **arrays)


PER_SEQUENCE = ("inputs", "initial_state", "mask", "dropout_mask", "recurrent_dropout_mask")


@pytest.mark.parametrize(
    "names", [("inputs",), ("initial_state",), ("mask", "recurrent_dropout_mask"), PER_SEQUENCE]
)
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_vmap_folds_its_axis_into_the_batch(names, axis):
    arrays, axes = stacked(names, axis)
    mapped = jax.vmap(run, in_axes=(axes,))
    close(jax.jit(mapped)(arrays), one_by_one(run, names), 0)  # a batch in parts is bitwise the same
    assert calls_of(mapped, arrays) == ["forward"]
    assert "scan" not in str(jax.make_jaxpr(mapped)(arrays))


def test_the_gradient_of_a_vmap_is_one_call_that_sums_the_weight_gradients():
    names = ("inputs", "mask")
    arrays, axes = stacked(names)

    def loss(moving, arrays):
        mapped = jax.vmap(lambda each: loss_of(EVERYTHING, each)[0], in_axes=(axes,))
        return mapped(arrays | moving).sum()

    moving = {name: arrays[name] for name in GRADIENTS}
    gradients = jax.jit(jax.grad(loss))(moving, arrays)
    alone = one_by_one(gradients_of(EVERYTHING), names)
    expected = {name: array if name == "inputs" else array.sum(axis=0) for name, array in alone.items()}
    close(gradients, expected)
    assert calls_of(jax.grad(loss), moving, arrays) == [
        "forward, saving", "backward of inputs, kernel, recurrent_kernel, bias, initial_state",
    ]  # fmt: skip


def test_vmap_of_a_gradient_without_weights_is_one_call():
    names, wanted = ("inputs", "mask"), ("inputs", "initial_state")
    arrays, axes = stacked(names)
    mapped = jax.vmap(gradients_of(EVERYTHING, wanted), in_axes=(axes,))
    close(jax.jit(mapped)(arrays), one_by_one(gradients_of(EVERYTHING, wanted), names), 0)
    assert calls_of(mapped, arrays) == ["forward, saving", "backward of inputs, initial_state"]


@pytest.mark.parametrize("names", [("inputs", "mask"), ("kernel",), ("inputs", "bias", "dropout_mask")])
def test_each_member_of_a_vmap_may_have_weights_or_weight_gradients_of_its_own(names):
    arrays, axes = stacked(names)
    mapped = jax.vmap(gradients_of(EVERYTHING), in_axes=(axes,))
    close(jax.jit(mapped)(arrays), one_by_one(gradients_of(EVERYTHING), names), 0)


def test_vmap_within_vmap():
    arrays, axes = stacked(("inputs",))
    inner = jax.vmap(run, in_axes=(axes,))
    outer = jax.vmap(inner, in_axes=(axes | {"inputs": 2},))
    inputs = [arrays["inputs"], 2 * arrays["inputs"]]
    expected = [inner(arrays | {"inputs": each}) for each in inputs]
    arrays["inputs"] = jnp.stack(inputs, axis=2)
    close(outer(arrays), jax.tree.map(lambda *parts: jnp.stack(parts), *expected), 0)
    assert calls_of(outer, arrays) == ["forward"]


def test_vmap_over_nobody():
    arrays = arrays_of(PLAIN)
    nobody = jax.vmap(lambda inputs: recurrence(PLAIN.options, **arrays | {"inputs": inputs}))(
        jnp.zeros((0, *arrays["inputs"].shape))
    )
    assert [result.shape for result in nobody] == [(0, 3, 5, 7), (0, 2, 3, 7)]


def test_scan_around_it():
    arrays = arrays_of(PLAIN)
    chunks = jnp.stack([arrays["inputs"], 2 * arrays["inputs"], -arrays["inputs"]])

    def chunk(states, inputs, weights):
        output, states = recurrence(PLAIN.options, inputs, *weights, initial_state=states)
        return states, output

    def scanned(weights):
        _, outputs = jax.lax.scan(partial(chunk, weights=weights), jnp.zeros((2, 3, 7)), chunks)
        return (outputs**2).sum()

    def looped(weights):
        states, loss = jnp.zeros((2, 3, 7)), 0
        for inputs in chunks:
            states, output = chunk(states, inputs, weights)
            loss += (output**2).sum()
        return loss

    weights = [arrays[name] for name in ("kernel", "recurrent_kernel", "bias")]
    close(jax.jit(jax.grad(scanned))(weights), jax.grad(looped)(weights))


def test_checkpoint_saves_nothing_until_the_gradient_is_computed():
    arrays = arrays_of(EVERYTHING)
    loss = jax.checkpoint(lambda arrays: loss_of(EVERYTHING, arrays)[0])
    moving = {name: arrays.pop(name) for name in GRADIENTS}
    step = jax.value_and_grad(lambda moving: loss(arrays | moving))
    EVERYTHING.check(**jax.jit(step)(moving)[1])
    assert calls_of(step, moving)[:2] == ["forward", "forward, saving"]


def test_donated_buffers():
    arrays = arrays_of(PLAIN)
    expected = jax.jit(gradients_of(PLAIN))(arrays)
    step = jax.jit(
        lambda weights, inputs: gradients_of(PLAIN, ("kernel",))(weights | {"inputs": inputs}) | weights,
        donate_argnums=0,
    )
    inputs = arrays.pop("inputs")
    donated = {name: array.copy() for name, array in arrays.items()}
    close(step(donated, inputs), arrays)
    assert all(array.is_deleted() for array in donated.values())
    close(jax.jit(gradients_of(PLAIN))(arrays | {"inputs": inputs}), expected, 0)


# ---- What the kernels have not got ----


@settings(max_examples=4)
@given(configurations(), st.integers(0, 100))
def test_forward_mode_agrees_with_the_gradient(configuration, seed):
    arrays, rng = arrays_of(configuration), np.random.default_rng(seed)
    moving = {name: arrays.pop(name) for name in GRADIENTS if name in arrays}
    directions = {name: jnp.asarray(rng.normal(size=a.shape), jnp.float32) for name, a in moving.items()}
    loss = lambda moving: loss_of(configuration, arrays | moving)[0]  # noqa: E731
    _, slope = jax.jit(lambda m, d: jax.jvp(loss, (m,), (d,)))(moving, directions)
    terms = [(gradient * directions[name]).sum() for name, gradient in jax.grad(loss)(moving).items()]
    assert abs(slope - sum(terms)) <= 1e-4 * max(1, sum(map(abs, terms)))


@pytest.mark.parametrize("outer", [jax.jacfwd, jax.jacrev])
@pytest.mark.parametrize("inner", [jax.jacfwd, jax.jacrev])
def test_second_derivatives(outer, inner):
    arrays = arrays_of(PLAIN)
    bias = arrays.pop("bias")
    gradient = lambda bias: gradients_of(PLAIN, ("bias",))(arrays | {"bias": bias})["bias"]  # noqa: E731
    loss = lambda bias: loss_of(PLAIN, arrays | {"bias": bias})[0]  # noqa: E731
    second = jax.jit(outer(inner(loss)))(bias)
    step = 1e-2
    for index in (0, 8, 27):
        moved = step * jnp.eye(len(bias))[index]
        expected = (gradient(bias + moved) - gradient(bias - moved)) / (2 * step)
        close(second[index], expected, 1e-3)


def test_forward_mode_says_so_in_the_log(caplog):
    arrays = arrays_of(replace(PLAIN, seed=77))
    with caplog.at_level(logging.INFO, "sunhwan"):
        jax.jit(lambda arrays: jax.jvp(lambda a: loss_of(PLAIN, a)[0], (arrays,), (arrays,)))(arrays)
    assert [record.getMessage() for record in caplog.records] == [
        "sunhwan_recurrence_tangent is composed of JAX's operations, not a call of the kernels: "
        "the kernels have no forward mode"
    ]


def test_vmap_of_forward_mode():
    arrays = arrays_of(PLAIN)
    bias = arrays.pop("bias")
    function = lambda bias: recurrence(PLAIN.options, **arrays, bias=bias)[0]  # noqa: E731
    close(jax.jacfwd(function)(bias), jax.jacrev(function)(bias))


# ---- Programs that cannot call the kernels ----


def is_free_of_calls(module):
    return "custom_call @sunhwan" not in module


def test_an_exported_program_calls_no_kernel(caplog):
    arrays = arrays_of(EVERYTHING)
    function = jax.jit(lambda arrays: recurrence(EVERYTHING.options, **arrays))
    with caplog.at_level(logging.INFO, "sunhwan"):
        exported = export.export(function)(arrays)
    assert is_free_of_calls(exported.mlir_module())
    assert [record.getMessage().rpartition(": ")[2] for record in caplog.records] == [
        "the program is exported"
    ]
    close(export.deserialize(exported.serialize()).call(arrays), function(arrays))
    assert not is_free_of_calls(function.lower(arrays).as_text())  # afterwards, too


def test_an_exported_program_may_be_differentiated():
    arrays = arrays_of(EVERYTHING)
    exported = export.export(jax.jit(lambda arrays: loss_of(EVERYTHING, arrays)[0]))(arrays)
    loaded = export.deserialize(exported.serialize(vjp_order=1))
    gradients = jax.grad(loaded.call, allow_int=True)(arrays)
    close({name: gradients[name] for name in GRADIENTS}, gradients_of(EVERYTHING)(arrays))


@pytest.mark.parametrize("configuration", [EVERYTHING, replace(PLAIN, options=Options("simple_rnn"))])
def test_an_exported_program_may_have_symbolic_sizes(configuration):
    arrays = arrays_of(configuration)
    batch, time = export.symbolic_shape("batch, time")
    symbols = {configuration.batch: batch, configuration.timesteps: time}
    weights = ("kernel", "recurrent_kernel", "bias")
    types = {
        name: jax.ShapeDtypeStruct(
            [
                s if name in weights else symbols.get(s, s) if axis < 2 else s
                for axis, s in enumerate(array.shape)
            ],
            array.dtype,
        )
        for name, array in arrays.items()
    }
    # The masks' first axis is as long as the batch, and no batch.
    for name in types.keys() & {"dropout_mask", "recurrent_dropout_mask"}:
        types[name] = jax.ShapeDtypeStruct((3, batch, arrays[name].shape[2]), arrays[name].dtype)
    function = jax.jit(lambda arrays: recurrence(configuration.options, **arrays))
    exported = export.deserialize(export.export(function)(types).serialize(vjp_order=1))
    close(exported.call(arrays), function(arrays))
    with pytest.raises(ValueError, match="bias has shape"):
        export.export(function)(types | {"bias": jax.ShapeDtypeStruct((5,), jnp.float32)})


@pytest.mark.parametrize("platform", ["cuda", "tpu"])
def test_a_program_for_another_platform_calls_no_kernel(platform, caplog):
    arrays = arrays_of(EVERYTHING)
    traced = jax.jit(gradients_of(EVERYTHING)).trace(arrays)
    with caplog.at_level(logging.INFO, "sunhwan"):
        assert is_free_of_calls(traced.lower(lowering_platforms=(platform,)).as_text())
    assert {record.getMessage().rpartition(": ")[2] for record in caplog.records} == {
        "they run on the CPU only"
    }
    assert not is_free_of_calls(traced.lower(lowering_platforms=("cpu",)).as_text())


@pytest.mark.parametrize("cell, reset_after", CELL_CHOICES)
@pytest.mark.parametrize(
    "activations, flags, changes",
    [
        (
            ("linear", "hard_sigmoid"),
            {"go_backwards": True, "zero_before_data": True},
            {"mask": "right", "bias": False, "dropout_masks": 1},
        ),
        (
            ("relu", "tanh"),
            {"return_sequences": False, "zero_output_for_mask": True},
            {"recurrent_dropout_masks": 1},
        ),
    ],
)
def test_what_other_programs_compute_instead(cell, reset_after, activations, flags, changes):
    options = Options(cell, *activations, reset_after=reset_after, **{"return_sequences": True} | flags)
    masks = {name: len(options.row.gates) for name in ("dropout_masks", "recurrent_dropout_masks")}
    configuration = replace(EVERYTHING, options=options, gain=0.3, **masks | changes)
    arrays = arrays_of(configuration)
    moving = {name: arrays.pop(name) for name in GRADIENTS if name in arrays}

    @jax.jit
    def step(moving):
        return jax.value_and_grad(lambda moving: loss_of(configuration, arrays | moving), has_aux=True)(
            moving
        )

    (_, (output, states)), gradients = export.export(step)(moving).call(moving)
    configuration.check(output=output, states=states, **gradients)


# ---- No kernels at all ----


def test_importing_it_starts_no_backend():
    program = (
        "import sunhwan.recurrence.ops.jax; from jax._src.xla_bridge import backends_are_initialized; "
        "print(backends_are_initialized())"
    )
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert said.stdout == "False\n"


def test_where_they_cannot_be_called_it_says_why(monkeypatch):
    monkeypatch.setattr(adapter, "reason", lambda: "The dog has eaten the handlers.")
    with pytest.raises(SunhwanError, match=r"^The dog has eaten the handlers\.$"):
        recurrence(PLAIN.options, **arrays_of(PLAIN))
