"""Inputs that contain the target, each beside inputs that do not."""

import pytest

EVALUATED = """
model = network()
model.fit(x[:at], y[:at], verbose=0)
model.evaluate(x[at:], y[at:], verbose=0)
"""


@pytest.mark.parametrize(("ahead", "leaks"), [(1, False), (0, True), (-3, True)])
def test_a_target_within_its_own_window_is_seen(ahead, leaks, named):
    names, by_name = named(f"x, y = cut(series, ahead={ahead})\nat = 280" + EVALUATED)
    assert names == (["target_in_inputs"] if leaks else [])
    if leaks:
        assert by_name.findings[0].evidence["timestep"] == 12 + ahead


@pytest.mark.parametrize(
    "column",
    [
        "np.roll(series, -1)",  # the next value, joined to each row
        "3 * np.roll(series, -1) + 7",  # the same in other units
    ],
)
def test_a_column_that_is_the_target_moved_is_seen(column, named):
    names, by_name = named(
        f"table = np.stack([series, random.normal(size=400), {column}], axis=1)[:-1]\nx, y = cut(table)\n"
        "at = 280" + EVALUATED
    )
    assert names == ["target_in_inputs"]
    assert by_name.findings[0].evidence["column"] == 3


@pytest.mark.parametrize(
    ("series", "column", "leaks"),
    [
        (
            "series",
            "np.convolve(series, np.ones(5) / 5, mode='same')",
            True,
        ),  # centred: holds two later values
        ("series", "np.convolve(series, np.ones(5) / 5)[: len(series)]", False),  # of values up to now
        ("np.sin(np.arange(400) / 3)", "random.normal(size=400)", False),  # its own past gives it
    ],
)
def test_a_column_that_holds_the_target_in_a_sum_is_seen(series, column, leaks, named):
    names, by_name = named(
        f"series = {series}\ntable = np.stack([series, {column}], axis=1)[2:-2]\nx, y = cut(table)\n"
        "at = 280" + EVALUATED
    )
    assert names == (["target_in_inputs"] if leaks else [])
    if leaks:
        assert by_name.findings[0].evidence["columns"] == [2]
        assert not by_name.leaks  # likely, not proved


@pytest.mark.parametrize(
    "values",
    [
        "10.0 * np.arange(400)",  # every value is a straight line of every other
        "np.repeat(random.normal(size=40), 10)",  # most values are the last one
        "np.zeros(400)",
        "np.round(series)",
    ],
)
def test_series_that_resemble_themselves_are_no_leak(values, named):
    assert named(f"x, y = cut({values})\nat = 280" + EVALUATED)[0] == []


def test_a_class_that_is_a_column_is_seen(named):
    text = (
        "labels = random.integers(0, 2, 200)\nx = random.normal(size=(200, 6, 2))\n{}"
        "model = network(1, 1, 'sigmoid', 'binary_crossentropy')\nmodel.fit(x, labels, verbose=0)\n"
    )
    assert named(text.format("x[:, :, 1] = labels[:, None] * 5\n"))[0] == ["target_in_inputs"]
    assert named(text.format("x[:, :, 1] += labels[:, None] * 5\n"))[0] == []
