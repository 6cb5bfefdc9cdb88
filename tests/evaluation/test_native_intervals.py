"""Arguments of a stream's intervals; what they compute is tested in tests/evaluation/test_intervals.py."""

import re

import numpy as np
import pytest

from sunhwan import native

STEPS, RECENT, ROOM = 2, 5, 4

ARRAYS = {
    "ahead": ((STEPS,), np.int64),
    "rates": ((STEPS,), np.float64),
    "miss_rates": ((STEPS,), np.float64),
    "margins": ((STEPS,), np.float64),
    "latest": ((STEPS, RECENT), np.float64),
    "ordered": ((STEPS, RECENT), np.float64),
    "place": ((STEPS,), np.int64),
    "counts": ((STEPS,), np.int64),
    "said": ((3, ROOM, STEPS), np.float64),
    "made": ((ROOM,), np.uint8),
}


def intervals():
    """A struct that is in order, and its arrays by name."""
    arrays = {name: np.zeros(shape, kind) for name, (shape, kind) in ARRAYS.items()}
    arrays["ahead"][:] = 1, 3
    addresses = [array.ctypes.data for array in arrays.values()]
    made = native.Intervals(native.ABI_VERSION, STEPS, RECENT, ROOM, 0, 0.2, 0.4, *addresses)
    return made, arrays


def update(made, truth=1.0):
    native.check(native.load().sunhwan_intervals_update(made, truth))


def issue(made, lower=0.0, upper=1.0):
    bounds = np.array([[lower] * STEPS, [upper] * STEPS])
    native.check(native.load().sunhwan_intervals_issue(made, *(one.ctypes.data for one in bounds)))


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("abi_version", 99, "abi_version is 99, but this library has 1"),
        ("steps", 0, "steps is 0, expected 1 to 2147483647"),
        ("recent", -1, "recent is -1, expected 1 to 2147483647"),
        ("room", 1, "room is 1, expected 2 to 2147483647"),
        ("room", 3, "ahead[1] is 3, expected 2 to 2, since they rise and room is 3"),
        ("time", -1, "time is -1, expected 0 or more"),
        ("target", 1.0, "target is 1, expected a number above 0 and below 1"),
        ("ceiling", float("nan"), "ceiling is nan, expected a number above 0 and below 1"),
        *((name, None, f"{name} is NULL, expected an array") for name in ARRAYS if name != "said"),
    ],
)
def test_what_cannot_be_is_refused_and_changes_nothing(name, value, said):
    made, arrays = intervals()
    setattr(made, name, value)
    before = bytes(made), {name: array.tobytes() for name, array in arrays.items()}
    for call in (update, issue):
        with pytest.raises(ValueError, match=re.escape(said)):
            call(made)
    assert (bytes(made), {name: array.tobytes() for name, array in arrays.items()}) == before


@pytest.mark.parametrize(
    ("name", "values", "said"),
    [
        ("ahead", (0, 3), "ahead[0] is 0, expected 1 to 3"),
        ("ahead", (2, 2), "ahead[1] is 2, expected 3 to 3"),
        (
            "counts",
            (0, RECENT + 1),
            "step 1 has counts 6 and place 0, expected counts of at most recent = 5 and a smaller place",
        ),
        ("counts", (-1, 0), "step 0 has counts -1"),
        ("place", (0, RECENT), "step 1 has counts 0 and place 5"),
        ("place", (-1, 0), "step 0 has counts 0 and place -1"),
    ],
)
def test_arrays_that_would_be_left_are_refused(name, values, said):
    made, arrays = intervals()
    arrays[name][:] = values
    for call in (update, issue):
        with pytest.raises(ValueError, match=re.escape(said)):
            call(made)


def test_numbers_that_are_infinite_or_not_there():
    made, arrays = intervals()
    for infinite in (float("inf"), -float("inf")):
        with pytest.raises(ValueError, match=r"truth is -?inf, expected one finite"):
            update(made, infinite)
        with pytest.raises(ValueError, match="lower or upper holds infinite values"):
            issue(made, upper=infinite)
    assert made.time == 0 and not arrays["made"].any()
    with pytest.raises(ValueError, match="upper is NULL"):
        native.check(native.load().sunhwan_intervals_issue(made, arrays["rates"].ctypes.data, None))
    with pytest.raises(ValueError, match="intervals is NULL"):
        native.check(native.load().sunhwan_intervals_update(None, 1.0))
    made.said = None
    with pytest.raises(ValueError, match="said is NULL"):
        issue(made)
    update(made)
    assert made.time == 1


def test_scores_that_nobody_sorted_leave_no_array():
    """That `ordered` ascends is the caller's word; where it does not, nothing is written elsewhere."""
    made, arrays = intervals()
    arrays["latest"][:], arrays["ordered"][:], arrays["counts"][:] = 9.0, [5, 4, 3, 2, 1], RECENT
    for truth in (3.0, -7.0, 0.5, 20.0, 1.0):
        issue(made)
        update(made, truth)
    assert (arrays["counts"] == RECENT).all() and np.isfinite(arrays["ordered"]).all()
