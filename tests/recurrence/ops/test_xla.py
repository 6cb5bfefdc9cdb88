"""The XLA handlers: what they refuse, what they do about a `saved` that is not theirs, several devices."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import asdict
from functools import cache
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from configurations import Configuration

from sunhwan import native
from sunhwan.recurrence.ops import xla
from sunhwan.recurrence.ops.jax import backward_p, reason, recurrence, recurrence_p
from sunhwan.recurrence.ops.options import Options

HERE = Path(__file__).parent
CONFIGURATION = Configuration(
    Options("gru", return_sequences=True),
    batch=12,
    initial_state=True,
    mask="anywhere",
    dropout_masks=3,
    recurrent_dropout_masks=1,
)


@pytest.fixture(autouse=True)
def _registered():
    assert reason() is None


# ---- Arguments ----

WRONG_SHAPES = {
    "inputs": (12, 5),
    "kernel": (4, 20),
    "recurrent_kernel": (21,),
    "bias": (21,),
    "initial_state": (2, 12, 7),
    "mask": (12, 6),
    "dropout_mask": (3, 12, 5),
    "recurrent_dropout_mask": (1, 11, 7),
}


def forward(arrays, results, **changed):
    """A forward call as JAX makes it, where nothing but the handler checks it."""
    types = [jax.ShapeDtypeStruct(shape, jnp.float32) for shape in results]
    attributes = dict(
        zip(asdict(CONFIGURATION.options), map(np.int32, CONFIGURATION.options.numbers), strict=True)
    )
    arrays = [jnp.asarray(arrays[name]) for name in xla.ARRAYS]
    return jax.ffi.ffi_call(xla.FORWARD, types)(*arrays, **attributes | changed)


RESULTS = ((12, 5, 7), (1, 12, 7), (0,))


def test_a_call_by_hand():
    output, states, _ = forward(CONFIGURATION.arrays(), RESULTS)
    CONFIGURATION.check(output=output, states=states)


@pytest.mark.parametrize("name", WRONG_SHAPES)
def test_a_wrong_shape_is_an_error_and_not_a_crash(name):
    arrays = CONFIGURATION.arrays()
    arrays[name] = np.ones(WRONG_SHAPES[name], arrays[name].dtype)
    with pytest.raises(jax.errors.JaxRuntimeError, match=r"INVALID_ARGUMENT: sunhwan: ") as error:
        forward(arrays, RESULTS)
    found = str(error.value)
    assert f"sunhwan: {name} has shape" in found or (
        name == "recurrent_kernel" and "kernel has shape" in found
    )


@pytest.mark.parametrize("name", ["output", "states", "saved"])
def test_a_wrong_shape_of_a_result_is_an_error(name):
    results = list(RESULTS)
    results[["output", "states", "saved"].index(name)] = (12, 2)
    with pytest.raises(
        jax.errors.JaxRuntimeError, match=rf"sunhwan: {name} has shape \(12, 2\), expected \(1"
    ):
        forward(CONFIGURATION.arrays(), results)


@pytest.mark.parametrize("name", sorted(set(WRONG_SHAPES) - {"mask"}))
def test_an_array_without_axes_is_an_error(name):
    with pytest.raises(jax.errors.JaxRuntimeError, match=r"INVALID_ARGUMENT: sunhwan: .* has shape "):
        forward(CONFIGURATION.arrays() | {name: np.float32(1)}, RESULTS)


def test_gates_that_the_cell_has_not_are_an_error():
    with pytest.raises(jax.errors.JaxRuntimeError, match="dropout_mask_gates is 2, expected 0, 1 or one"):
        forward(CONFIGURATION.arrays() | {"dropout_mask": np.ones((2, 12, 4), np.float32)}, RESULTS)


def test_an_option_that_is_none_is_an_error():
    with pytest.raises(jax.errors.JaxRuntimeError, match="sunhwan: activation is 7, expected 0"):
        forward(CONFIGURATION.arrays(), RESULTS, activation=np.int32(7))


# ---- What is saved belongs to the call that saved it ----


def saved_and_gradients(change):
    """The gradients after `change` has been at what forward saved; and how often that was computed anew."""
    arrays = {name: jnp.asarray(array) for name, array in CONFIGURATION.arrays().items()}
    d_output, d_states = map(jnp.asarray, CONFIGURATION.output_gradients())
    operands = arrays | {"saved": change(forward_saving(arrays)), "d_output": d_output, "d_states": d_states}
    before = native.recomputed()
    gradients = backward_p.bind(
        *operands.values(),
        options=CONFIGURATION.options,
        operands=tuple(operands),
        results=tuple(f"d_{name}" for name in xla.DIFFERENTIATED),
    )
    CONFIGURATION.check(**dict(zip(xla.DIFFERENTIATED, gradients, strict=True)))
    return native.recomputed() - before


def forward_saving(arrays):
    results = ("output", "states", "saved")
    return recurrence_p.bind(
        *arrays.values(), options=CONFIGURATION.options, operands=tuple(arrays), results=results
    )[2]


def test_what_forward_saved_is_used():
    assert saved_and_gradients(lambda saved: saved) == 0


@pytest.mark.parametrize(
    "change",
    [
        lambda saved: saved[::-1],
        lambda saved: jnp.concatenate([saved[6:], saved[:6]]),
        lambda saved: jnp.zeros_like(saved),
        lambda saved: jnp.full_like(saved, jnp.nan),
    ],
)
def test_what_another_call_saved_is_not(change):
    assert saved_and_gradients(change) == 1


@pytest.mark.parametrize("parts", [2, 3])
def test_what_several_calls_saved_is_not(parts):
    arrays = CONFIGURATION.arrays()

    def gathered(_):
        pieces = []
        for rows in np.split(np.arange(12), parts):
            axes = {name: xla.batch_axis(CONFIGURATION.options, name) for name in arrays}
            part = {n: a if axes[n] is None else a.take(rows, axes[n]) for n, a in arrays.items()}
            pieces.append(forward_saving({name: jnp.asarray(array) for name, array in part.items()}))
        return jnp.concatenate(pieces)

    assert saved_and_gradients(gathered) == 1


def test_what_was_saved_for_a_larger_batch_is_not():
    """Its first rows look like those of a call of their own, as where XLA cuts an array into parts."""
    axes = {name: xla.batch_axis(CONFIGURATION.options, name) for name in CONFIGURATION.arrays()}

    def larger(_):
        arrays = CONFIGURATION.arrays()
        twice = {
            n: a if axes[n] is None else np.concatenate([a, a[..., ::-1]], axes[n]) for n, a in arrays.items()
        }
        return forward_saving({name: jnp.asarray(array) for name, array in twice.items()})[:12]

    assert saved_and_gradients(larger) == 1


def test_a_pullback_may_be_called_twice():
    arrays = {name: jnp.asarray(array) for name, array in CONFIGURATION.arrays().items()}
    moving = {name: arrays.pop(name) for name in xla.DIFFERENTIATED}
    run = lambda moving: recurrence(CONFIGURATION.options, **arrays, **moving)  # noqa: E731
    _, pullback = jax.vjp(run, moving)
    for _ in range(2):
        (gradients,) = pullback(tuple(map(jnp.asarray, CONFIGURATION.output_gradients())))
        CONFIGURATION.check(**gradients)


def test_what_another_instruction_set_saved_is_not():
    isa = native.isa()

    def change(saved):
        jax.block_until_ready(saved)
        native.set_isa("portable")
        return saved

    try:
        assert saved_and_gradients(change) == (isa != "portable")
    finally:
        native.set_isa(isa)


# ---- Refusals ----


def run(program, *arguments, **environment):
    said = subprocess.run(
        [sys.executable, program, *arguments], capture_output=True, text=True, env=os.environ | environment
    )
    assert said.returncode == 0, said.stderr
    return json.loads(said.stdout)


def test_a_library_that_is_not_there(monkeypatch, tmp_path):
    monkeypatch.setattr(native, "path", lambda: tmp_path / "libsunhwan.so")
    assert xla.reason.__wrapped__().startswith(
        f"The library of XLA handlers {tmp_path / 'libsunhwan_xla.so'} cannot be loaded: "
    )


def test_handlers_of_a_later_version_are_refused_and_do_not_keep_jax_from_starting():
    said = run(HERE / "later_handlers.py")
    assert "version (0.99) is incompatible" in said["reason"]
    assert said["reason"].startswith(f"JAX {jax.__version__} does not accept sunhwan's XLA handlers: ")
    assert said["jax computes"] == 6


# ---- Several devices ----


@cache
def outcomes(partitioner):
    return run(HERE / "devices.py", partitioner, XLA_FLAGS="--xla_force_host_platform_device_count=4")


# Of eight sequences: how many each call computes, in the order forward, backward.
SPLIT = {
    "one_axis": [2, 2],
    "two_axes": [2, 2],
    "one_axis_of_two": [4, 4],
    "only_the_initial_state_split": [2, 2],
    "an_explicit_mesh": [2, 2],
    "a_shard_map_with_gradients_inside": [2, 2],
    "the_gradient_of_a_shard_map": [2, 2],
    "the_gradient_of_an_unchecked_shard_map": [2, 2],
    "vmap_of_an_axis_that_is_split": [8, 8],  # of 4 x 8
    "scan_around_it": [2, 2],
    "checkpointed": [2, 2, 2],
    "two_layers_and_a_training_step": [2, 2],
}
WHOLE = {
    "nothing_split": [8, 8],
    "a_mesh_of_one_device": [8, 8],
    "a_mesh_around_arrays_that_are_not_on_it": [8, 8],
}
# What XLA has to gather for the call, or is free to, as long as the numbers are right.
GATHERED = {
    "only_the_output_wanted_split": [2, 2],
    "weights_split_by_column": [4, 4],
    "time_split_too": [4, 4],
    "a_batch_that_does_not_divide": [7, 7],
}


@pytest.mark.parametrize("partitioner", ["shardy", "gspmd"])
@pytest.mark.parametrize("case", [*SPLIT, *WHOLE, *GATHERED])
def test_several_devices(partitioner, case):
    outcome = outcomes(partitioner)[case]
    assert outcome["error"] < 1e-5
    # Parts of a batch that cannot be split evenly come from several devices, each of which held all of it.
    assert outcome["recomputed"] == 0 or case == "a_batch_that_does_not_divide"
    assert sorted(outcome["batches"]) == (SPLIT | WHOLE | GATHERED)[case]
    if case in SPLIT:
        assert outcome["gathers"] == 0 and outcome["sums"] > 0
    if case in WHOLE:
        assert outcome["gathers"] == 0 and outcome["sums"] == 0


@pytest.mark.parametrize("partitioner", ["shardy", "gspmd"])
def test_every_case_is_looked_at(partitioner):
    assert outcomes(partitioner).keys() == {*SPLIT, *WHOLE, *GATHERED, "without_jit"}


def test_several_devices_without_jit():
    assert outcomes("shardy")["without_jit"] == {"output": ["batch", None, None], "states": [None, "batch"]}
