"""The native kernels as such: every size, instruction set and number of threads; nothing out of bounds."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from configurations import ACTIVATIONS, CELL_CHOICES, MASKS, Configuration

from sunhwan import native
from sunhwan.recurrence.ops.numpy import backward, forward
from sunhwan.recurrence.ops.options import Options

INSTRUCTION_SETS = ("avx512", "avx2", "portable")


@pytest.fixture(params=INSTRUCTION_SETS)
def isa(request):
    """Each instruction set in turn."""
    before = native.isa()
    try:
        native.set_isa(request.param)
    except ValueError as error:
        pytest.skip(str(error))
    yield request.param
    native.set_isa(before)


@pytest.fixture
def threads():
    """Lets a test choose the number of threads."""
    before = native.num_threads()
    yield native.set_num_threads
    native.set_num_threads(before)


def results(configuration, rows=slice(None)):
    """output, states and all gradients, by name, of some rows of the batch."""

    def part(name, array):
        axis = {"inputs": 0, "mask": 0, "initial_state": 1, "dropout_mask": 1, "recurrent_dropout_mask": 1}
        return array[(slice(None),) * axis[name] + (rows,)] if name in axis else array

    there = forward(
        configuration.options, **{name: part(name, array) for name, array in configuration.arrays().items()}
    )
    d_output, d_states = configuration.output_gradients()
    found = backward(there, d_output[rows], d_states[:, rows])._asdict()
    found |= {"output": there.output, "states": there.states}
    return {name: value for name, value in found.items() if value is not None}


def assert_same(found, expected, names=None):
    for name in names or expected:
        np.testing.assert_array_equal(found[name], expected[name], err_msg=name)


def random_configuration(rng, **chosen):
    """A configuration with everything at random that is not chosen."""
    cell, reset_after = CELL_CHOICES[rng.integers(4)]
    gates = len(Options(cell).row.gates)
    options = Options(
        cell,
        *(("tanh", "sigmoid") if rng.random() < 0.5 else rng.choice(ACTIVATIONS[1:], 2).tolist()),
        reset_after,
        *(rng.random(4) < 0.5).tolist(),
    )
    everything = {
        "batch": int(rng.integers(1, 21)),
        "timesteps": int(rng.integers(1, 9)),
        "features": int(rng.integers(1, 41)),
        "units": int(rng.integers(1, 41)),
        "bias": bool(rng.random() < 0.7),
        "initial_state": bool(rng.random() < 0.5),
        "mask": str(rng.choice(MASKS)),
        "dropout_masks": int(rng.choice([0, 1, gates])),
        "recurrent_dropout_masks": int(rng.choice([0, 1, gates])),
        "gain": 0.3,
        "seed": int(rng.integers(2**16)),
    }
    return Configuration(options, **everything | chosen)


# ---- Every size ----


@pytest.mark.parametrize("units", range(1, 41))
def test_every_number_of_units_and_features(isa, units):
    rng = np.random.default_rng(units)
    for features in (41 - units, int(rng.integers(1, 41))):
        configuration = random_configuration(rng, units=units, features=features)
        configuration.check(**results(configuration))


@pytest.mark.parametrize("batch", range(1, 41))
def test_every_number_of_sequences(isa, batch):
    rng = np.random.default_rng(batch)
    configuration = random_configuration(rng, batch=batch, units=int(rng.choice([7, 16, 33])))
    configuration.check(**results(configuration))


@pytest.mark.parametrize(
    "sizes",
    [
        {"batch": 1, "timesteps": 300, "features": 3, "units": 5},
        {"batch": 128, "timesteps": 150, "features": 1, "units": 32},  # more is saved than caches hold
        {"batch": 3, "timesteps": 2, "features": 300, "units": 9},
        {"batch": 40, "timesteps": 3, "features": 230, "units": 180},  # more weights than stay near
        {"batch": 600, "timesteps": 3, "features": 2, "units": 5},  # several tiles for one sum of gradients
    ],
    ids=str,
)
@pytest.mark.parametrize(("cell", "reset_after"), CELL_CHOICES)
def test_long_wide_and_many(isa, cell, reset_after, sizes):
    configuration = Configuration(
        Options(cell, reset_after=reset_after, return_sequences=True), **sizes, mask="anywhere", gain=0.3
    )
    configuration.check(**results(configuration))


# Random cases of one unit that were too far off with AVX-512 while a lane's sum was of a whole chunk.
SUMS_OF_ONE_UNIT = [
    Configuration(Options("lstm", "linear", return_sequences=True), 41, 17, 3, 1, gain=0.3, seed=1308426088),
    Configuration(Options("lstm", "linear"), 47, 20, 5, 1, gain=0.3, seed=1105236014),
    Configuration(Options("gru", "linear", return_sequences=True), 47, 17, 4, 1, gain=0.3, seed=1290290741),
    Configuration(Options("simple_rnn", "linear"), 51, 19, 1, 1, gain=0.3, seed=1072675178),
    Configuration(Options("simple_rnn", return_sequences=True), 48, 21, 1, 1, gain=2.0, seed=1197304001),
]


@pytest.mark.parametrize("configuration", SUMS_OF_ONE_UNIT)
def test_gradients_of_one_unit_are_summed_finely(isa, configuration):
    configuration.check(**results(configuration))


SENTINEL = np.float32(-12345.678)

LARGE = (
    {
        "batch": 100,
        "timesteps": 3,
        "features": 150,
        "units": 200,
    },  # tiles of several register blocks, long sums
    {
        "batch": 200,
        "timesteps": 40,
        "features": 3,
        "units": 21,
        "mask": "none",
    },  # streamed, rows across the lanes
)


def test_nothing_is_written_out_of_bounds(isa):
    """Outputs lie between guards of a few cache lines; also of results that are not wanted."""
    rng = np.random.default_rng(0)
    large = [random_configuration(rng, **sizes) for sizes in LARGE for _ in range(3)]
    for configuration in [*(random_configuration(rng) for _ in range(150)), *large]:
        options = configuration.options
        arrays = configuration.arrays()
        sizes = options.sizes(**{name: array.shape for name, array in arrays.items()})
        read = [arrays.get(name) for name in READ]
        shapes = [
            options.output_shape(sizes),
            options.states_shape(sizes),
            native.saved_shape(options, sizes),
        ]
        written = [np.full(int(np.prod(shape)) + 256, SENTINEL) for shape in shapes]
        call = native.call(options, sizes, *map(address, read), *map(guarded, written))
        native.forward(call)
        d_output, d_states = configuration.output_gradients()
        shapes += [read[0].shape, options.states_shape(sizes), *(a.shape for a in read[1:4] if a is not None)]
        gradients = [np.full(int(np.prod(shape)) + 256, SENTINEL) for shape in shapes[3:]]
        wanted = [guarded(gradient) if rng.random() < 0.8 else None for gradient in gradients]
        native.backward(call, native.Gradients(address(d_output), address(d_states), *wanted))
        for shape, array in zip(shapes, [*written, *gradients], strict=True):
            assert (array[:128] == SENTINEL).all(), f"written ahead of an array of {shape}: {configuration}"
            assert (array[-128:] == SENTINEL).all(), f"written behind an array of {shape}: {configuration}"


READ = (
    "inputs", "kernel", "recurrent_kernel", "bias", "initial_state",
    "mask", "dropout_mask", "recurrent_dropout_mask",
)  # fmt: skip


def address(array):
    return None if array is None else array.ctypes.data


def guarded(array):
    return array.ctypes.data + 128 * array.itemsize


def program(code, **environment):
    """Runs a program that may use all of the above, and returns what it printed."""
    here = Path(__file__).parent
    done = subprocess.run(
        [sys.executable, "-c", f"from test_native import *\n{code}"],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(here)} | environment,
        check=False,
    )
    assert done.returncode == 0, f"exit status {done.returncode}: {done.stderr}"
    return done.stdout


def test_nothing_is_read_out_of_bounds(isa):
    """Arrays end (or begin) where memory does, so that reading on ends the process."""
    code = """
import ctypes, mmap
libc = ctypes.CDLL(None)
PAGE = mmap.PAGESIZE
kept = []

def at_the_edge(array, end):
    if array is None: return None
    pages = -(-array.nbytes // PAGE)
    block = mmap.mmap(-1, (pages + 2) * PAGE)
    kept.append(block)
    begin = ctypes.addressof(ctypes.c_char.from_buffer(block))
    for guard in (begin, begin + (pages + 1) * PAGE):
        assert libc.mprotect(ctypes.c_void_p(guard), PAGE, 0) == 0
    at = begin + PAGE + (pages * PAGE - array.nbytes if end else 0)
    ctypes.memmove(at, array.ctypes.data, array.nbytes)
    return at

rng = np.random.default_rng(1)
large = [random_configuration(rng, **sizes) for sizes in LARGE for _ in range(2)]
for turn, configuration in enumerate([*(random_configuration(rng) for _ in range(120)), *large]):
    options, arrays = configuration.options, configuration.arrays()
    sizes = options.sizes(**{name: array.shape for name, array in arrays.items()})
    read = [arrays.get(name) for name in READ]
    written = [np.empty(shape, np.float32) for shape in (
        options.output_shape(sizes), options.states_shape(sizes), native.saved_shape(options, sizes))]
    edges = [at_the_edge(array, turn % 2) for array in (*read, *written)]
    call = native.call(options, sizes, *edges)
    native.forward(call)
    d = [at_the_edge(array, turn % 2) for array in configuration.output_gradients()]
    gradients = [read[0], np.zeros(options.states_shape(sizes), np.float32), *read[1:4]]
    native.backward(call, native.Gradients(*d, *(at_the_edge(array, turn % 2) for array in gradients)))
print("whole")
"""
    assert program(code, SUNHWAN_ISA=isa) == "whole\n"


# ---- The same bits ----

REPEATED = [
    Configuration(
        Options(cell, reset_after=reset_after, return_sequences=True),
        batch=batch,
        timesteps=timesteps,
        features=features,
        units=units,
        initial_state=True,
        mask=mask,
        dropout_masks=masks * len(Options(cell).row.gates),
        recurrent_dropout_masks=masks * len(Options(cell).row.gates),
    )
    for cell, reset_after in CELL_CHOICES
    for batch, timesteps, features, units, mask, masks in (
        (53, 19, 14, 32, "none", 0),
        (53, 19, 9, 20, "anywhere", 1),
        (53, 19, 9, 20, "none", 1),  # rows across the lanes, of which some parts have too few
        (125, 7, 3, 6, "none", 0),
        (600, 5, 33, 16, "left", 0),
    )
]


def name_of(configuration):
    options = configuration.options
    sizes = f"{configuration.batch}-{configuration.units}-{configuration.mask}"
    return f"{options.cell}-{options.reset_after}-{sizes}"


@pytest.mark.parametrize("configuration", REPEATED, ids=name_of)
def test_results_are_the_same_bits_with_any_number_of_threads(isa, threads, configuration):
    threads(1)
    expected = results(configuration)
    for number in (2, 3, 7, 7):
        threads(number)
        assert_same(results(configuration), expected)


@pytest.mark.parametrize("configuration", REPEATED, ids=name_of)
def test_a_batch_in_parts_has_the_same_bits(isa, configuration):
    whole = results(configuration)
    for first, last in ((0, 1), (1, 8), (8, 29), (29, configuration.batch)):
        part = results(configuration, slice(first, last))
        for name, axis in (("output", 0), ("states", 1), ("inputs", 0), ("initial_state", 1)):
            expected = whole[name].take(range(first, last), axis)
            np.testing.assert_array_equal(part[name], expected, err_msg=name)


def test_denormals_are_zero_in_every_thread(isa, threads):
    """Or results would depend on which thread took which tile: frameworks flush them in some of theirs."""
    inputs = np.full((256, 50, 16), 1e-20, np.float32)
    kernel, recurrent_kernel = np.full((16, 32), 1e-20, np.float32), np.zeros((32, 32), np.float32)
    for number in (1, 2):
        threads(number)
        there = forward(
            Options("simple_rnn", activation="linear", return_sequences=True),
            inputs,
            kernel,
            recurrent_kernel,
        )
        assert (there.output == 0).all()  # and not 16 * 1e-40, which float32 can hold


def test_instruction_sets_agree():
    """Loosely: each is held to the reference above; here, that they are different programs at all."""
    before, found = native.isa(), {}
    try:
        for name in INSTRUCTION_SETS:
            try:
                native.set_isa(name)
            except ValueError:
                continue
            found[name] = results(REPEATED[1])["kernel"]
    finally:
        native.set_isa(before)
    assert "portable" in found
    for other in found.values():
        # a sum of 53 * 19 products near 1, in float32, in another order
        np.testing.assert_allclose(other, found["portable"], rtol=0, atol=1e-3)
    assert len({array.tobytes() for array in found.values()}) == len(found)


# ---- Saved values that the library holds ----


def held(configuration):
    """The output and the ticket of a call with its values held, and a function that runs it backward."""
    options, arrays = configuration.options, configuration.arrays()
    sizes = options.sizes(**{name: array.shape for name, array in arrays.items()})
    output = np.empty(options.output_shape(sizes), np.float32)
    read = [arrays.get(name) for name in READ]
    call = native.call(options, sizes, *map(address, read), address(output))
    ticket = native.forward_held(call)

    def backward_held(ticket=ticket):
        d = configuration.output_gradients()
        kernel = np.empty_like(arrays["kernel"])
        native.backward_held(call, ticket, native.Gradients(*map(address, d), d_kernel=address(kernel)))
        return kernel

    return output, ticket, backward_held


def test_held_values_are_used_once_and_computed_again_after_that():
    configurations = REPEATED[::4]
    expected = [results(configuration) for configuration in configurations]
    calls = [held(configuration) for configuration in configurations]
    assert len({ticket for _, ticket, _ in calls}) == len(calls)
    for again in (0, 1):
        before = native.recomputed()
        for (output, _, backward_held), alone in reversed(list(zip(calls, expected, strict=True))):
            np.testing.assert_array_equal(output, alone["output"])
            np.testing.assert_array_equal(backward_held(), alone["kernel"])
        assert native.recomputed() - before == again * len(calls)


def test_a_small_call_does_not_hold_the_memory_of_a_large_one():
    native.release_memory()
    large = Configuration(Options("lstm"), batch=64, timesteps=100, units=32)
    _, _, backward_held = held(large)
    backward_held()
    kept = native.memory_kept()
    held(Configuration(Options("lstm")))
    assert native.memory_kept() > kept / 2


def test_a_ticket_that_nobody_got_is_of_no_use():
    _, _, backward_held = held(REPEATED[0])
    for ticket in (0, -1, 2**62):
        before = native.recomputed()
        np.testing.assert_array_equal(backward_held(ticket), results(REPEATED[0])["kernel"])
        assert native.recomputed() - before == 1


# ---- Several callers at once, and forks ----


def test_several_python_threads_call_at_once(threads):
    threads(2)
    expected = [results(configuration) for configuration in REPEATED]
    with ThreadPoolExecutor(4) as pool:
        for _ in range(5):
            for found, alone in zip(pool.map(results, REPEATED), expected, strict=True):
                assert_same(found, alone)


def test_errors_of_several_python_threads_are_their_own():
    def message(batch):
        with pytest.raises(ValueError) as raised:
            native.forward(native.call(Options("gru"), (-batch, 1, 1, 1, 0, 0), 64, 64, 64))
        return str(raised.value)

    with ThreadPoolExecutor(4) as pool:
        for batch, said in enumerate(pool.map(message, range(1, 200)), start=1):
            assert said == f"batch is {-batch}, expected 0 to 2147483647."


def test_after_a_fork_both_go_on():
    code = """
import warnings
warnings.simplefilter("ignore")  # that forking a process with threads is a risk: it is what is tested
native.set_num_threads(2)
expected = results(REPEATED[0])
with ThreadPoolExecutor(2) as busy:  # and a fork in the midst of calls
    calls = [busy.submit(results, configuration) for configuration in REPEATED * 5]
    children = []
    for _ in range(5):
        child = os.fork()
        if child == 0:
            assert_same(results(REPEATED[0]), expected)
            native.release_memory()
            grandchild = os.fork()
            if grandchild == 0:
                assert_same(results(REPEATED[0]), expected)
                if sys.platform == "linux":  # whose threads are to be seen: that of the pool is a new one
                    assert len(os.listdir("/proc/self/task")) == 2
                os._exit(7)
            os._exit(os.waitstatus_to_exitcode(os.waitpid(grandchild, 0)[1]))
        children.append(child)
    for call in calls:
        call.result()
assert_same(results(REPEATED[0]), expected)
print([os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children])
"""
    assert program(code, OPENBLAS_NUM_THREADS="1") == "[7, 7, 7, 7, 7]\n"
