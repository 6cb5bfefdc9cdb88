"""Memory that is kept between calls: given again, bounded, and never to two at once."""

import gc
import subprocess
import sys
import threading

import numpy as np
import pytest

from sunhwan.recurrence.ops import memory

MEGABYTE = 1 << 20
FLOATS = MEGABYTE // 4


@pytest.fixture(autouse=True)
def nothing_kept():
    gc.collect()
    memory.release()
    yield
    memory.release()


@pytest.mark.parametrize(
    "shape", [(), (0,), (3,), (2, 0, 5), (2, 3, 5), (3, FLOATS - 1), (7, 11, FLOATS // 50)]
)
def test_an_array_is_one_like_any_other(shape):
    array = memory.empty(*shape)
    assert array.shape == shape and array.dtype == np.float32
    assert array.flags.c_contiguous and array.flags.writeable and array.flags.aligned
    assert array.size == 0 or array.ctypes.data % memory.ALIGNMENT == 0
    array[...] = np.arange(array.size).reshape(shape)
    np.testing.assert_array_equal(array.ravel(), np.arange(array.size, dtype=np.float32))


def test_memory_is_given_again():
    array = memory.empty(FLOATS)
    address = array.ctypes.data
    assert memory.kept() == 0
    del array
    assert MEGABYTE <= memory.kept() <= MEGABYTE + 2 * memory.ALIGNMENT
    again = memory.empty(2, FLOATS // 2)
    assert again.ctypes.data == address
    assert memory.kept() == 0


def test_memory_is_not_given_again_while_a_view_lives():
    array = memory.empty(2, FLOATS)
    view = array[1, 5:].T.reshape(-1)
    del array
    assert memory.kept() == 0
    view[:] = 1
    other = memory.empty(2, FLOATS)
    other[:] = 2
    assert (view == 1).all()
    del view
    assert memory.kept() > 0


def test_small_arrays_are_not_kept():
    array = memory.empty(FLOATS - 1)
    del array
    assert memory.kept() == 0


def test_a_small_call_does_not_sit_on_the_memory_of_a_large_one():
    large = memory.empty(5, FLOATS)
    address = large.ctypes.data
    del large
    small = memory.empty(2, FLOATS)
    assert memory.kept() > 5 * MEGABYTE
    fitting = memory.empty(3, FLOATS)
    assert fitting.ctypes.data == address
    assert not np.shares_memory(small, fitting)


def test_the_smallest_that_fits_is_given():
    arrays = [memory.empty(count, FLOATS) for count in (8, 6, 7)]
    address = arrays[1].ctypes.data
    arrays.clear()
    assert memory.empty(5, FLOATS).ctypes.data == address


def test_what_is_kept_is_bounded_and_the_latest_stays(monkeypatch):
    monkeypatch.setattr(memory, "MOST_BYTES", 10 * MEGABYTE)
    arrays = [memory.empty(count, FLOATS) for count in (4, 2, 3, 4)]
    last = arrays[-1].ctypes.data
    while arrays:
        arrays.pop(0)
        assert memory.kept() <= 10 * MEGABYTE
    assert memory.kept() > 9 * MEGABYTE
    assert memory.empty(4, FLOATS).ctypes.data == last
    beyond = memory.empty(11, FLOATS)
    kept = memory.kept()
    del beyond
    assert memory.kept() == kept


def test_what_is_kept_can_be_released():
    array = memory.empty(FLOATS)
    del array
    memory.release()
    assert memory.kept() == 0


def test_threads_never_get_the_same_memory():
    wrong = []

    def run(number):
        for _ in range(300):
            array = memory.empty(FLOATS)
            array[::1024] = number
            other = memory.empty(FLOATS)
            other[::1024] = -number
            if not ((array[::1024] == number).all() and (other[::1024] == -number).all()):
                wrong.append(number)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(1, 6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_an_array_may_outlive_the_interpreter():
    code = """
from sunhwan.recurrence.ops import memory
class Late:
    def __init__(self):
        self.array, self.itself = memory.empty(1 << 20), self
import builtins
builtins.late, mine, memory.late = Late(), Late(), Late()
"""
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stderr == ""
