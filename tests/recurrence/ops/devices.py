"""Programs over four devices, and what became of them as JSON: run by test_xla.py.

XLA_FLAGS=--xla_force_host_platform_device_count=4 python tests/recurrence/ops/devices.py shardy
"""

from __future__ import annotations

import json
import re
import sys
import warnings
from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from configurations import Configuration, largest
from jax.sharding import AxisType, Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from sunhwan import native
from sunhwan.recurrence.ops import xla
from sunhwan.recurrence.ops.jax import recurrence
from sunhwan.recurrence.ops.options import Options

warnings.simplefilter("error")
jax.config.update("jax_use_shardy_partitioner", sys.argv[1] == "shardy")

CONFIGURATION = Configuration(
    Options("lstm", return_sequences=True),
    batch=8,
    timesteps=6,
    features=3,
    units=5,
    initial_state=True,
    mask="anywhere",
    dropout_masks=4,
    recurrent_dropout_masks=1,
)
D_OUTPUT, D_STATES = map(jnp.asarray, CONFIGURATION.output_gradients())
ARRAYS = {name: jnp.asarray(array) for name, array in CONFIGURATION.arrays().items()}
ARRAYS |= {"d_output": D_OUTPUT, "d_states": D_STATES}
DEVICES = np.array(jax.devices())
LINE, SQUARE = Mesh(DEVICES, ("batch",)), Mesh(DEVICES.reshape(2, 2), ("rows", "columns"))


def loss_of(arrays):
    arrays = dict(arrays)
    d_output, d_states = arrays.pop("d_output"), arrays.pop("d_states")
    output, states = recurrence(CONFIGURATION.options, **arrays)
    return (output * d_output).sum() + (states * d_states).sum()


def step(arrays, loss=loss_of):
    """The loss and its gradients with respect to all that has one."""
    moving = {name: arrays[name] for name in xla.DIFFERENTIATED if name in arrays}
    return jax.value_and_grad(lambda moving: loss(arrays | moving))(moving)


def specs(over, names=tuple(ARRAYS)):
    """How each array is split whose batch is split over these axes of a mesh, if it is one of `names`."""
    axes = {name: xla.batch_axis(CONFIGURATION.options, name) for name in ARRAYS}
    return {
        name: P(*(over if axis == axes[name] and name in names else None for axis in range(array.ndim)))
        for name, array in ARRAYS.items()
    }


def split(mesh, specs):
    return {name: jax.device_put(ARRAYS[name], NamedSharding(mesh, spec)) for name, spec in specs.items()}


def outcome(function, arrays, expected=None):
    """What the program of a function calls and sends, and how far it is from the numbers of one device."""
    program = jax.jit(function).lower(arrays).compile()
    text = program.as_text()
    before = native.recomputed()
    results = program(arrays)
    expected = jax.jit(step)(ARRAYS) if expected is None else expected
    errors = [
        largest(np.asarray(one) - np.asarray(other)) / max(1, largest(np.asarray(other)))
        for one, other in zip(jax.tree.leaves(results), jax.tree.leaves(expected), strict=True)
    ]
    return {
        "batches": [
            int(n) for n in re.findall(r"= \(f32\[(\d+),6,\d+\].*custom_call_target=\"sunhwan", text)
        ],
        "gathers": len(re.findall(r"all-gather(?:-start)?\(", text)),
        "sums": len(re.findall(r"all-reduce(?:-start)?\(", text)),
        "error": max(errors),
        "recomputed": native.recomputed() - before,
    }


def case(function):
    CASES[function.__name__] = function
    return function


CASES = {}


@case
def one_axis():
    return outcome(step, split(LINE, specs("batch")))


@case
def two_axes():
    return outcome(step, split(SQUARE, specs(("rows", "columns"))))


@case
def one_axis_of_two():
    return outcome(step, split(SQUARE, specs("rows")))


@case
def nothing_split():
    return outcome(step, split(LINE, specs(None)))


@case
def a_mesh_of_one_device():
    return outcome(step, split(Mesh(DEVICES[:1], ("batch",)), specs("batch")))


@case
def only_the_initial_state_split():
    return outcome(step, split(LINE, specs("batch", ["initial_state"])))


@case
def only_the_output_wanted_split():
    def function(arrays):
        def loss(arrays):
            output, _ = recurrence(CONFIGURATION.options, **arrays)
            return (jax.lax.with_sharding_constraint(output, NamedSharding(LINE, P("batch"))) ** 2).sum()

        return step(arrays, loss)

    def whole(arrays):
        return step(arrays, lambda arrays: (recurrence(CONFIGURATION.options, **arrays)[0] ** 2).sum())

    arrays = {name: array for name, array in ARRAYS.items() if not name.startswith("d_")}
    return outcome(function, arrays, jax.jit(whole)(arrays))


@case
def weights_split_by_column():
    columns = {"kernel": P(None, "columns"), "recurrent_kernel": P(None, "columns"), "bias": P("columns")}
    return outcome(step, split(SQUARE, specs("rows") | columns))


@case
def time_split_too():
    return outcome(step, split(SQUARE, specs("rows") | {"inputs": P("rows", "columns")}))


@case
def a_batch_that_does_not_divide():
    def seven(arrays):
        def loss(arrays):
            output, _ = recurrence(CONFIGURATION.options, **arrays | {"inputs": arrays["inputs"][:7]})
            return (output**2).sum()

        return step({name: arrays[name] for name in ("inputs", "kernel", "recurrent_kernel", "bias")}, loss)

    return outcome(seven, split(LINE, specs("batch")), jax.jit(seven)(ARRAYS))


@case
def an_explicit_mesh():
    expected = jax.jit(step)(ARRAYS)
    with jax.set_mesh(jax.make_mesh((4,), ("batch",), axis_types=(AxisType.Explicit,))):
        arrays = {name: jax.device_put(ARRAYS[name], spec) for name, spec in specs("batch").items()}
        return outcome(step, arrays, expected)


@case
def a_mesh_around_arrays_that_are_not_on_it():
    expected = jax.jit(step)(ARRAYS)
    with jax.set_mesh(jax.make_mesh((4,), ("batch",), axis_types=(AxisType.Explicit,))):
        return outcome(step, ARRAYS, expected)


@case
def a_shard_map_with_gradients_inside():
    gradients = {name: spec for name, spec in specs("batch").items() if name in xla.DIFFERENTIATED}

    @partial(jax.shard_map, mesh=LINE, in_specs=(specs("batch"),), out_specs=(P(), gradients))
    def mapped(arrays):
        loss, gradients = step(arrays)
        return jax.lax.psum(loss, "batch"), gradients

    return outcome(mapped, ARRAYS)


def within_shard_map(arrays, check):
    mapped = jax.shard_map(
        lambda arrays: jax.lax.psum(loss_of(arrays), "batch"),
        mesh=LINE, in_specs=(specs("batch"),), out_specs=P(), check_vma=check,
    )  # fmt: skip
    return step(arrays, mapped)


@case
def the_gradient_of_a_shard_map():
    return outcome(partial(within_shard_map, check=True), ARRAYS)


@case
def the_gradient_of_an_unchecked_shard_map():
    return outcome(partial(within_shard_map, check=False), ARRAYS)


@case
def vmap_of_an_axis_that_is_split():
    def function(arrays):
        def loss(arrays):
            inputs = arrays.pop("inputs")
            run = jax.vmap(lambda each: recurrence(CONFIGURATION.options, each, **arrays)[0])
            return (run(inputs) ** 2).sum()

        return step({name: arrays[name] for name in ("inputs", "kernel", "recurrent_kernel", "bias")}, loss)

    arrays = ARRAYS | {"inputs": jnp.stack([ARRAYS["inputs"] * k for k in range(1, 5)])}
    first_axis = {name: NamedSharding(LINE, P("batch") if name == "inputs" else P()) for name in arrays}
    return outcome(function, jax.device_put(arrays, first_axis), jax.jit(function)(arrays))


@case
def scan_around_it():
    def function(arrays):
        def loss(arrays):
            def chunk(states, factor):
                output, states = recurrence(
                    CONFIGURATION.options,
                    **arrays | {"initial_state": states, "inputs": arrays["inputs"] * factor},
                )
                return states, output

            _, outputs = jax.lax.scan(chunk, arrays["initial_state"], jnp.arange(1.0, 4.0))
            return (outputs**2).sum()

        return step({name: array for name, array in arrays.items() if not name.startswith("d_")}, loss)

    return outcome(function, split(LINE, specs("batch")), jax.jit(function)(ARRAYS))


@case
def checkpointed():
    return outcome(lambda arrays: step(arrays, jax.checkpoint(loss_of)), split(LINE, specs("batch")))


@case
def two_layers_and_a_training_step():
    """As `keras.distribution.DataParallel` has it: data split, variables whole, buffers donated."""
    above = replace(CONFIGURATION, options=Options("gru"), features=5, units=7).arrays()
    weights = {n: ARRAYS[n] for n in ("kernel", "recurrent_kernel", "bias")}
    weights = [weights, {name: jnp.asarray(above[name]) for name in weights}]

    def train(state):
        def loss(weights):
            output, _ = recurrence(CONFIGURATION.options, state["inputs"], **weights[0])
            output, _ = recurrence(Options("gru"), output, **weights[1])
            return (output**2).mean()

        value, gradients = jax.value_and_grad(loss)(state["weights"])
        return value, jax.tree.map(lambda old, gradient: old - 0.1 * gradient, state["weights"], gradients)

    whole = {"inputs": ARRAYS["inputs"], "weights": weights}
    placed = jax.device_put(
        whole, {"inputs": NamedSharding(LINE, P("batch")), "weights": NamedSharding(LINE, P())}
    )
    return outcome(train, placed, jax.jit(train)(whole))


@case
def without_jit():
    arrays = split(LINE, specs("batch"))
    output, states = recurrence(
        CONFIGURATION.options, **{n: a for n, a in arrays.items() if not n.startswith("d_")}
    )
    return {"output": list(output.sharding.spec), "states": list(states.sharding.spec)}


if __name__ == "__main__":
    print(json.dumps({name: function() for name, function in CASES.items()}))
