"""The library is the one that this package was written for, or one sentence says what is wrong."""

import _ctypes
import ctypes
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from sunhwan import SunhwanError, native
from sunhwan.recurrence.cells import CELLS
from sunhwan.recurrence.ops import release_memory
from sunhwan.recurrence.ops.numpy import backward, forward
from sunhwan.recurrence.ops.options import ACTIVATIONS, Options, Sizes

HEADER = Path(__file__).parents[1] / "native" / "include" / "sunhwan.h"


load_anew = native.load.__wrapped__


@pytest.fixture(autouse=True)
def settings_restored():
    threads, isa = native.num_threads(), native.isa()
    yield
    native.set_num_threads(threads)
    native.set_isa(isa)


# ---- The declarations are those of the header ----


def fields(struct):
    """(name, ctypes type) of each field of a struct in the header, in order."""
    text = re.sub(r"/\*.*?\*/", "", HEADER.read_text(encoding="utf-8"), flags=re.DOTALL)
    body = re.search(rf"typedef struct {struct} {{(.*?)}} {struct};", text, flags=re.DOTALL)[1]
    for declaration in body.split(";")[:-1]:
        if "*" in declaration:
            yield re.search(r"\*(\w+)", declaration)[1], ctypes.c_void_p
        else:
            kind, *names = re.findall(r"\w+", declaration)
            yield from ((name, getattr(ctypes, f"c_{kind.removesuffix('_t')}")) for name in names)


@pytest.mark.parametrize(
    "struct, declared",
    [
        ("sunhwan_recurrence", native.Recurrence),
        ("sunhwan_gradients", native.Gradients),
        ("sunhwan_intervals", native.Intervals),
    ],
)
def test_structs_are_those_of_the_header(struct, declared):
    found = list(fields(struct))
    assert len(found) > 5
    assert found == list(declared._fields_)


def test_functions_and_numbers_are_those_of_the_header():
    text = HEADER.read_text(encoding="utf-8")
    functions = set(re.findall(r"SUNHWAN_API [^(;]*?(sunhwan_\w+)\(", text))
    assert functions == {*native._SIGNATURES, "sunhwan_abi_version"}
    assert f"#define SUNHWAN_ABI_VERSION {native.ABI_VERSION}\n" in text
    numbers = dict(re.findall(r"(SUNHWAN_\w+) = (\d)", text))
    for names in (CELLS, ACTIVATIONS):
        for number, name in enumerate(names):
            assert numbers[f"SUNHWAN_{name.upper()}"] == str(number)


# ---- Another library than the one expected ----


def test_a_library_of_another_version(monkeypatch):
    monkeypatch.setattr(native, "ABI_VERSION", 2)
    with pytest.raises(SunhwanError) as raised:
        load_anew()
    assert str(raised.value) == (
        f"The native library {native.path()} has ABI version 1, but this sunhwan needs 2; "
        "install sunhwan again: pip install ."
    )


def test_a_caller_of_another_version():
    recurrence = native.call(Options("gru"), Sizes(0, 1, 1, 1))
    recurrence.abi_version = 2
    with pytest.raises(ValueError, match=r"abi_version is 2, but this library has 1: .* together"):
        native.forward(recurrence)


def test_a_library_that_is_not_there(monkeypatch, tmp_path):
    monkeypatch.setenv("SUNHWAN_LIBRARY", str(tmp_path / "libsunhwan.so"))
    monkeypatch.setattr(native, "load", load_anew)
    said = (
        f"The native library {tmp_path / 'libsunhwan.so'} (from SUNHWAN_LIBRARY) does not exist; "
        "unset SUNHWAN_LIBRARY, or set it to the path of this version's libsunhwan.so."
    )
    with pytest.raises(SunhwanError) as raised:
        native.load()
    assert str(raised.value) == said
    assert native.reason.__wrapped__() == said


@pytest.mark.parametrize("what", ["text", "another library"])
def test_what_is_no_library_of_ours(monkeypatch, tmp_path, what):
    path = tmp_path / "libsunhwan.so"
    path.write_text("no library") if what == "text" else path.symlink_to(_ctypes.__file__)
    monkeypatch.setenv("SUNHWAN_LIBRARY", str(path))
    said = rf"^The native library {re.escape(str(path))} \(from SUNHWAN_LIBRARY\) cannot be loaded "
    with pytest.raises(SunhwanError, match=said):
        load_anew()


def test_a_library_of_ones_own_installation_that_is_not_there(monkeypatch, tmp_path):
    monkeypatch.setenv("SUNHWAN_LIBRARY", "")
    monkeypatch.setattr(native, "path", lambda: tmp_path / "libsunhwan.so")
    with pytest.raises(SunhwanError, match=r"does not exist; install sunhwan again: pip install \.$"):
        load_anew()


def test_a_library_that_lacks_a_function(monkeypatch):
    monkeypatch.setitem(native._SIGNATURES, "sunhwan_later", (None, []))
    with pytest.raises(SunhwanError, match=r"cannot be loaded \(.*sunhwan_later.*\); install"):
        load_anew()


# ---- Environment variables, which the library reads once in a process ----


def run(code, **environment):
    return subprocess.run(
        [sys.executable, "-c", f"from sunhwan import native\n{code}"],
        capture_output=True,
        text=True,
        env=os.environ | environment,
        check=False,
    )


def test_variables_choose_instruction_set_and_threads():
    said = run("print(native.isa(), native.num_threads())", SUNHWAN_ISA="portable", SUNHWAN_NUM_THREADS="3")
    assert said.stdout == "portable 3\n", said.stderr


def test_empty_variables_are_as_none():
    code = "print(native.path(), native.isa(), native.num_threads(), native.reason())"
    names = ("SUNHWAN_LIBRARY", "SUNHWAN_ISA", "SUNHWAN_NUM_THREADS")
    clean = {name: value for name, value in os.environ.items() if name not in names}
    command = [sys.executable, "-c", f"from sunhwan import native\n{code}"]
    said = [
        subprocess.run(command, capture_output=True, text=True, env=environment, check=True).stdout
        for environment in (clean, clean | dict.fromkeys(names, ""))
    ]
    assert said[0] == said[1]
    assert said[0].endswith(" None\n")


@pytest.mark.parametrize(
    "variable, value, expected",
    [
        (
            "SUNHWAN_ISA",
            "avx3",
            r'the instruction set is "avx3" \(SUNHWAN_ISA\), expected one of .*portable\.',
        ),
        ("SUNHWAN_ISA", "\u00e9" * 400, r'the instruction set is "\u00e9+.?\.'),  # cut within a letter
        ("SUNHWAN_NUM_THREADS", "0", r"SUNHWAN_NUM_THREADS is '0', expected a number from 1 to 1024\."),
        ("SUNHWAN_NUM_THREADS", "two", r"SUNHWAN_NUM_THREADS is 'two', expected a number from 1 to 1024\."),
    ],
)
def test_unknown_values_of_variables(variable, value, expected):
    said = run("print(native.reason()); native.load()", **{variable: value})
    assert re.fullmatch(expected, said.stdout.strip()), said.stdout
    assert said.stderr.splitlines()[-1] == f"sunhwan.errors.SunhwanError: {said.stdout.strip()}"


# ---- Settings of a running process ----


def test_instruction_sets_are_chosen():
    native.set_isa("portable")
    assert native.isa() == "portable"
    with pytest.raises(ValueError, match=r'the instruction set is "avx3" .* expected one of .*portable\.'):
        native.set_isa("avx3")
    assert native.isa() == "portable"


def test_numbers_of_threads_are_chosen():
    native.set_num_threads(7)
    assert native.num_threads() == 7
    for threads in (0, -1, 1025):
        with pytest.raises(ValueError, match=f"threads is {threads}, expected 1 to 1024"):
            native.set_num_threads(threads)
    assert native.num_threads() == 7


def test_memory_is_kept_between_calls_until_it_is_released():
    rng = np.random.default_rng(0)
    inputs, kernel = rng.normal(size=(64, 100, 32)), rng.normal(size=(32, 128)) / 8
    there = forward(Options("lstm"), *(array.astype(np.float32) for array in (inputs, kernel, kernel)))
    before = backward(there, np.ones_like(there.output))
    assert native.memory_kept() > 0
    release_memory()
    assert native.memory_kept() == 0
    after = backward(there, np.ones_like(there.output))
    for name, gradient in after._asdict().items():
        np.testing.assert_array_equal(gradient, getattr(before, name))


def test_the_peak_is_measured():
    # One multiply-add a nanosecond is less than any processor does, a thousand lanes more.
    assert 1 < native.peak_gflops(threads=1, seconds=0.01) < 4000


@pytest.mark.parametrize("sizes", [(1, 0, 1, 1), (1, 1, 0, 1), (1, 1, 1, 0), (-1, 1, 1, 1), (2**31, 1, 1, 1)])
def test_sizes_out_of_range(sizes):
    with pytest.raises(
        ValueError, match=r"(batch|timesteps|features|units) is .*, expected [01] to 2147483647"
    ):
        native.forward(native.call(Options("lstm"), Sizes(*sizes), *[1] * 3))


def test_sizes_beyond_all_memory_are_an_error_before_anything_is_read():
    largest = 2**31 - 1
    for sizes in (Sizes(*[largest] * 4), Sizes(largest, largest, 1, 1), Sizes(1, 1, 1, largest)):
        with pytest.raises(MemoryError, match="need more memory than any machine has"):
            native.forward(native.call(Options("lstm"), sizes, *[1] * 3))  # an address that cannot be read


def test_a_workspace_that_cannot_be_had_is_an_error_before_anything_is_read():
    # 160 GB of weights where 8 may be had
    said = run(
        "import resource\n"
        "from sunhwan.recurrence.ops.options import Options, Sizes\n"
        "resource.setrlimit(resource.RLIMIT_AS, (8 << 30, 8 << 30))\n"
        "call = native.call(Options('lstm'), Sizes(1, 1, 1, 100_000), *[1] * 3, output=1)\n"
        "native.forward(call)"
    )
    assert said.stderr.splitlines()[-1] == (
        "MemoryError: not enough memory for the workspace of batch 1, timesteps 1, features 1, units 100000; "
        "use smaller batches."
    )


@pytest.mark.parametrize(
    "changed, said",
    [
        ({"kernel": None}, "kernel is NULL, expected an array"),
        ({"dropout_mask": 64}, "dropout_mask is given, but dropout_mask_gates is 0"),
        (
            {"dropout_mask_gates": 2},
            "dropout_mask_gates is 2, expected 0, 1 or one for each of the cell's 4 gates",
        ),
        (
            {"recurrent_dropout_mask_gates": 1},
            "recurrent_dropout_mask is NULL, but recurrent_dropout_mask_gates is 1",
        ),
        ({"cell": 3}, r"cell is 3, expected 0 \(SimpleRNN\), 1 \(GRU\) or 2 \(LSTM\)"),
        ({"activation": 5}, r"activation is 5, expected 0 \(linear\) to 4 \(hard_sigmoid\)"),
        ({"go_backwards": 2}, "go_backwards is 2, expected 0 or 1"),
    ],
    ids=str,
)
def test_a_description_that_makes_no_sense(changed, said):
    recurrence = native.call(Options("lstm"), Sizes(1, 1, 1, 1), *[64] * 3)
    for name, value in changed.items():
        setattr(recurrence, name, value)
    with pytest.raises(ValueError, match=said):
        native.forward(recurrence)


def test_backward_wants_what_forward_saved():
    recurrence = native.call(Options("lstm"), Sizes(1, 1, 1, 1), *[64] * 3)
    with pytest.raises(ValueError, match="saved is NULL, expected the array that forward wrote"):
        native.backward(recurrence, native.Gradients())
    with pytest.raises(ValueError, match="d_bias is given, but bias is NULL"):
        native.backward(recurrence, native.Gradients(d_bias=64))
