"""The native library: found, checked and declared. native/include/sunhwan.h documents its functions.

`SUNHWAN_LIBRARY=/path/to/libsunhwan.so` loads another build than the installed one. The library itself reads
SUNHWAN_ISA and SUNHWAN_NUM_THREADS. An empty value counts as unset.

    python -c "from sunhwan import native; print(native.path(), native.isa())"
"""

from __future__ import annotations

import ctypes
import os
import sys
from ctypes import POINTER, byref, c_char_p, c_double, c_int, c_int32, c_int64, c_uint32, c_void_p
from functools import cache
from pathlib import Path
from typing import Protocol

from sunhwan.errors import SunhwanError

ABI_VERSION = 1
"""SUNHWAN_ABI_VERSION of the header that the structs below follow."""


class Options(Protocol):
    """The options of a call; `recurrence.ops.options.Options` is one."""

    @property
    def numbers(self) -> tuple[int, ...]: ...


class Sizes(Protocol):
    """The sizes of a call, six numbers; `recurrence.ops.options.Sizes` is one."""

    batch: int


class Recurrence(ctypes.Structure):
    """`sunhwan_recurrence`; `call` makes one. Pointers are addresses, or None."""

    _fields_ = [
        ("abi_version", c_uint32),
        *(
            (name, c_int32)
            for name in (
                "cell", "activation", "recurrent_activation", "reset_after", "go_backwards",
                "return_sequences", "zero_output_for_mask", "zero_before_data",
                "dropout_mask_gates", "recurrent_dropout_mask_gates",
            )
        ),
        *((name, c_int64) for name in ("batch", "timesteps", "features", "units")),
        *(
            (name, c_void_p)
            for name in (
                "inputs", "kernel", "recurrent_kernel", "bias", "initial_state", "mask", "dropout_mask",
                "recurrent_dropout_mask", "output", "states", "saved",
            )
        ),
    ]  # fmt: skip


class Gradients(ctypes.Structure):
    """`sunhwan_gradients`: addresses, or None for a gradient of zeros or one that is not wanted."""

    _fields_ = [
        (name, c_void_p)
        for name in (
            "d_output", "d_states",
            "d_inputs", "d_initial_state", "d_kernel", "d_recurrent_kernel", "d_bias",
        )
    ]  # fmt: skip


class Intervals(ctypes.Structure):
    """`sunhwan_intervals`: numbers, and addresses of arrays that `evaluation.intervals` owns."""

    _fields_ = [
        ("abi_version", c_uint32),
        *((name, c_int64) for name in ("steps", "recent", "room", "time")),
        *((name, c_double) for name in ("target", "ceiling")),
        *(
            (name, c_void_p)
            for name in (
                "ahead", "rates", "miss_rates", "margins", "latest", "ordered", "place", "counts", "said",
                "made",
            )
        ),
    ]  # fmt: skip


_SIGNATURES = {
    "sunhwan_message": (c_char_p, []),
    "sunhwan_saved_per_sequence": (c_int64, [POINTER(Recurrence)]),
    "sunhwan_forward": (c_int, [POINTER(Recurrence)]),
    "sunhwan_backward": (c_int, [POINTER(Recurrence), POINTER(Gradients)]),
    "sunhwan_forward_held": (c_int, [POINTER(Recurrence), POINTER(c_int64)]),
    "sunhwan_backward_held": (c_int, [POINTER(Recurrence), c_int64, POINTER(Gradients)]),
    "sunhwan_recomputed": (c_int64, []),
    "sunhwan_stepper_new": (c_int, [POINTER(Recurrence), POINTER(c_void_p)]),
    "sunhwan_stepper_free": (None, [c_void_p]),
    "sunhwan_stepper_step": (c_int, [c_void_p, c_int64, c_void_p, c_void_p]),
    "sunhwan_intervals_update": (c_int, [POINTER(Intervals), c_double]),
    "sunhwan_intervals_issue": (c_int, [POINTER(Intervals), c_void_p, c_void_p]),
    "sunhwan_isa": (c_char_p, []),
    "sunhwan_set_isa": (c_int, [c_char_p]),
    "sunhwan_num_threads": (c_int32, []),
    "sunhwan_set_num_threads": (c_int, [c_int32]),
    "sunhwan_memory_kept": (c_int64, []),
    "sunhwan_release_memory": (None, []),
    "sunhwan_peak_gflops": (c_double, [c_int32, c_double]),
}


def path() -> Path:
    """The path of the library: beside this file, or SUNHWAN_LIBRARY."""
    if chosen := os.environ.get("SUNHWAN_LIBRARY"):
        return Path(chosen)
    # An editable installation has two folders for the package: of the sources and of the built files.
    folders = [Path(folder) for folder in sys.modules[__package__].__path__]
    libraries = [folder / "libsunhwan.so" for folder in folders]
    return next((library for library in libraries if library.exists()), libraries[0])


@cache
def load() -> ctypes.CDLL:
    """The library, loaded once, with its functions declared.

    Raises:
        SunhwanError: it is missing, has another version, or an environment variable has an invalid value.
    """
    where, named, remedy = path(), "", "install sunhwan again: pip install ."
    if os.environ.get("SUNHWAN_LIBRARY"):
        named = " (from SUNHWAN_LIBRARY)"
        remedy = "unset SUNHWAN_LIBRARY, or set it to the path of this version's libsunhwan.so."
    if not where.exists():
        raise SunhwanError(f"The native library {where}{named} does not exist; {remedy}")
    try:
        library = ctypes.CDLL(str(where))
        version = library.sunhwan_abi_version()
        functions = {name: getattr(library, name) for name in _SIGNATURES} if version == ABI_VERSION else {}
    except (OSError, AttributeError) as error:
        raise SunhwanError(
            f"The native library {where}{named} cannot be loaded ({error}); {remedy}"
        ) from error
    if version != ABI_VERSION:
        raise SunhwanError(
            f"The native library {where}{named} has ABI version {version}, but this sunhwan needs "
            f"{ABI_VERSION}; {remedy}"
        )
    for name, function in functions.items():
        function.restype, function.argtypes = _SIGNATURES[name]
    if (threads := os.environ.get("SUNHWAN_NUM_THREADS")) and not (
        threads.isascii() and threads.isdigit() and 1 <= int(threads) <= 1024
    ):
        raise SunhwanError(f"SUNHWAN_NUM_THREADS is {threads!r}, expected a number from 1 to 1024.")
    if library.sunhwan_isa() is None:
        raise SunhwanError(_message(library))
    return library


def _message(library: ctypes.CDLL) -> str:
    return f"{library.sunhwan_message().decode(errors='replace')}."  # it may be cut within a character


@cache
def reason() -> str | None:
    """Why the library cannot be used, in one sentence; None if it can. Determined once per process."""
    try:
        load()
    except SunhwanError as error:
        return str(error)
    return None


def check(status: int) -> None:
    """Raises a ValueError or MemoryError with the library's message if a call failed."""
    if status:
        message = _message(load())
        raise MemoryError(message) if status == 2 else ValueError(message)


def call(options: Options, sizes: Sizes, *addresses: int | None, **named: int | None) -> Recurrence:
    """The description of a call for `forward` and `backward`.

    Args:
        addresses: of float32 arrays, C-contiguous (`mask`: bytes), in the order of the fields: inputs,
            kernel, recurrent_kernel, bias, initial_state, mask, dropout_mask, recurrent_dropout_mask, output,
            states, saved; or by name. None: not given, or not wanted. The caller keeps the arrays alive.
    """
    batch, timesteps, features, units, *mask_gates = sizes
    return Recurrence(
        ABI_VERSION, *options.numbers, *mask_gates, batch, timesteps, features, units, *addresses, **named
    )


def saved_shape(options: Options, sizes: Sizes) -> tuple[int, int]:
    """(batch, floats) of the array in which `forward` saves what `backward` needs."""
    floats = load().sunhwan_saved_per_sequence(byref(call(options, sizes)))
    if floats < 0:
        check(1)
    return sizes.batch, floats


def forward(recurrence: Recurrence) -> None:
    """Compute the output, states and saved of what `call` described."""
    check(load().sunhwan_forward(byref(recurrence)))


def backward(recurrence: Recurrence, gradients: Gradients) -> None:
    """Compute the gradients that have an address, after `forward` has filled `recurrence.saved`."""
    check(load().sunhwan_backward(byref(recurrence), byref(gradients)))


def forward_held(recurrence: Recurrence) -> int:
    """`forward`, with the library keeping what backward needs; returns the ticket for it."""
    ticket = c_int64()
    check(load().sunhwan_forward_held(byref(recurrence), byref(ticket)))
    return ticket.value


def backward_held(recurrence: Recurrence, ticket: int, gradients: Gradients) -> None:
    """`backward` after `forward_held`; forward runs again if the library no longer has the ticket."""
    check(load().sunhwan_backward_held(byref(recurrence), ticket, byref(gradients)))


def recomputed() -> int:
    """How many times `backward_held` ran forward again."""
    return load().sunhwan_recomputed()


def isa() -> str:
    """The instruction set in use: avx512, avx2 or portable."""
    return load().sunhwan_isa().decode()


def set_isa(name: str) -> None:
    """Choose another instruction set for later calls: for tests and timings."""
    check(load().sunhwan_set_isa(name.encode()))


def num_threads() -> int:
    """How many threads work on one call."""
    return load().sunhwan_num_threads()


def set_num_threads(threads: int) -> None:
    """Choose how many threads work on one call; no result depends on it."""
    check(load().sunhwan_set_num_threads(threads))


def memory_kept() -> int:
    """Bytes of workspace that the library keeps between calls."""
    return load().sunhwan_memory_kept()


def release_memory() -> None:
    """Release the workspace that the library keeps between calls."""
    load().sunhwan_release_memory()


def peak_gflops(threads: int = 1, seconds: float = 0.2) -> float:
    """The peak of fused multiply-adds, which kernels are compared with: billions of operations a second."""
    return load().sunhwan_peak_gflops(threads, seconds)
