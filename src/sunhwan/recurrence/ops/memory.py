"""Memory for results, kept between calls: forward saves tens of megabytes for backward in each call.

Fresh memory costs a page fault at the first touch of each page. Measured for 41 MB, an LSTM(32) over 128
sequences of 500 steps: 16 ms from torch.empty, 3.5 ms from np.empty, which requests huge pages, and 1 ms for
memory that was used before; forward and backward together take 10 to 19 ms.
"""

from __future__ import annotations

import math

import numpy as np

SMALLEST = 1 << 20
"""Bytes from which memory is kept; the system's allocator handles smaller sizes."""

MOST_BYTES = 256 << 20
"""Bytes kept at most; the native library has limits of its own, in `native/src/memory.cpp`."""

ALIGNMENT = 64
"""Bytes; TensorFlow uses an array without a copy only if its address is a multiple of them."""

_kept: dict[int, np.ndarray] = {}
"""Free memory by address, oldest first. Threads may take and return it at once, and Python may return it
whenever it collects garbage, so there is no lock: each change is atomic."""


def empty(*shape: int) -> np.ndarray:
    """An uninitialised float32 array whose memory is kept for reuse when it is no longer referenced.

    Example:
        >>> empty(128, 240, 32).shape
        (128, 240, 32)
    """
    floats = math.prod(shape)
    if 4 * floats < SMALLEST:
        memory = np.empty(4 * floats + ALIGNMENT, np.uint8)
        begin = -memory.ctypes.data % ALIGNMENT
        return memory[begin : begin + 4 * floats].view(np.float32).reshape(shape)
    return np.asarray(_Loan(_take(4 * floats + ALIGNMENT), shape))


def kept() -> int:
    """Bytes of free memory that are kept."""
    return sum(memory.nbytes for memory in list(_kept.values()))


def release() -> None:
    """Return the free memory to the system."""
    _kept.clear()


class _Loan:
    """The base of an array that `empty` returned: lives as long as its last view, then returns the memory."""

    def __init__(self, memory, shape):
        self.memory, self.address = memory, memory.ctypes.data
        self.__array_interface__ = {
            "version": 3,
            "typestr": np.dtype(np.float32).str,
            "shape": shape,
            "data": (self.address + -self.address % ALIGNMENT, False),
        }

    def __del__(self):
        if self.memory.nbytes > MOST_BYTES:
            return
        _kept[self.address] = self.memory
        for address in list(_kept):
            if kept() <= MOST_BYTES:
                break
            _kept.pop(address, None)


def _take(size):
    # At most twice the size, so that a small call does not occupy the memory of a large one.
    fitting = sorted(
        (memory.nbytes, address)
        for address, memory in list(_kept.items())
        if size <= memory.nbytes <= 2 * size
    )
    for _, address in fitting:
        memory = _kept.pop(address, None)
        if memory is not None:  # else another thread was faster
            return memory
    return np.empty(size, np.uint8)
