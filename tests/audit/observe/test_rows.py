"""ObservedRows of any type, copied within bounds."""

import tracemalloc

import keras
import numpy as np
import pytest

from sunhwan.audit.baselines import Budget
from sunhwan.audit.observe.rows import ObservedRows, Stream, copied
from sunhwan.audit.session import clock, undisturbed


def test_of_large_arrays_the_first_and_last_rows_are_copied(monkeypatch):
    monkeypatch.setattr("sunhwan.audit.observe.rows.MOST_BYTES", 10 * 8)
    rows = copied(np.arange(100.0)[:, None], np.arange(100.0))
    assert (rows.count, rows.whole) == (100, False)
    np.testing.assert_array_equal(rows.y, [0, 1, 2, 3, 4, 95, 96, 97, 98, 99])


def test_of_endless_batches_a_bounded_number_is_copied(monkeypatch):
    monkeypatch.setattr("sunhwan.audit.observe.rows.MOST_STREAMED", 1000)

    def endless():
        while True:
            yield np.zeros((10, 2)), np.zeros(10)

    stream = Stream(endless(), None)
    passing = stream.tee()
    for _ in range(50):
        next(passing)
    # Each batch is 120 bytes as float32: the ninth is the first to go beyond the bound.
    assert len(stream.rows()) == 90


@pytest.mark.parametrize(
    ("x", "reason"),
    [
        (np.array([[1, 2], [3]], dtype=object), "different lengths"),
        ([np.zeros((3, 4, 1)), np.zeros((3, 5, 1))], "cannot be joined into one window"),
        ([np.zeros((3, 4, 1)), np.zeros((2, 4, 1))], "the inputs have 2 and 3 rows"),
        (np.array(["a", "b"]), "not numbers"),
    ],
)
def test_what_cannot_be_audited_is_declined_in_a_sentence(x, reason):
    rows = copied(x)
    assert isinstance(rows, ObservedRows) and reason in rows.declined


def test_several_inputs_are_one_window_and_the_model_gets_them_as_they_were():
    given = {"past": np.arange(24.0).reshape(3, 4, 2), "place": np.array([7, 8, 9])}
    rows = copied(given, np.zeros(3))
    assert rows.x.shape == (3, 4, 3) and rows.count == 3
    np.testing.assert_array_equal(rows.x[1, :, 2], 8)
    back = rows.inputs(rows.x)
    for name, array in given.items():
        np.testing.assert_array_equal(back[name], array)
        assert back[name].dtype == array.dtype
    assert "2 outputs" in copied(given, [np.zeros(3), np.zeros(3)]).declined


def test_of_several_large_inputs_the_first_and_last_rows_are_copied(monkeypatch):
    monkeypatch.setattr("sunhwan.audit.observe.rows.MOST_BYTES", 10 * 3 * 8)
    rows = copied([np.arange(100.0)[:, None, None] * np.ones((1, 2, 1)), np.arange(100.0)], np.arange(100.0))
    assert rows.count == 100 and len(rows) == 6
    np.testing.assert_array_equal(rows.y, [0, 1, 2, 97, 98, 99])


def test_a_model_of_several_inputs_is_audited(audited):
    audit = audited(
        """
        import keras, numpy as np
        random = np.random.default_rng(0)
        x = {"past": random.normal(size=(80, 4, 2)).astype("float32"), "place": random.normal(size=(80, 3))}
        past, place = keras.Input((4, 2), name="past"), keras.Input((3,), name="place")
        joined = keras.layers.Concatenate()([keras.layers.GRU(2)(past), place])
        model = keras.Model({"past": past, "place": place}, keras.layers.Dense(1)(joined))
        model.compile("sgd", "mae")
        model.fit(x, x["past"][:, -1, 1], validation_split=0.25, verbose=0)
        """
    )
    comparison = audit.comparisons[0]
    assert not comparison.declined and comparison.network > 0
    assert comparison.baselines["last_value"] == 0
    assert audit.fits[0].title == "GRU 2, 60 windows of 4 x 5 (2 inputs) -> 1"
    with undisturbed():
        clock(audit, 1.0, Budget(20))
    assert audit.speeds[0].ratio > 0


def test_of_a_file_larger_than_is_copied_no_more_is_read(monkeypatch, tmp_path):
    """A memmap stays one: its ends are copied, and nothing between them is read."""
    monkeypatch.setattr("sunhwan.audit.observe.rows.MOST_BYTES", 2**20)
    size = (2**20, 16, 1)  # 64 MB of zeros, 64 times what is copied
    array = np.memmap(tmp_path / "large", np.float32, "w+", shape=size)
    array[0], array[-1] = 1, 2
    targets = np.zeros(2**20, np.float32)
    tracemalloc.start()
    rows = copied(array, targets)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (rows.count, len(rows)) == (2**20, 2**14)
    assert rows.x[0, 0, 0] == 1 and rows.x[-1, 0, 0] == 2
    assert peak < 4 * 2**20


def test_arrays_of_other_kinds_are_taken():
    import pandas as pd

    assert copied(pd.DataFrame({"a": [1.0, 2.0]})).x.shape == (2, 1)
    assert copied([np.zeros((3, 2))]).x.shape == (3, 2)
    assert copied({"only": np.zeros((3, 2))}).x.shape == (3, 2)
    assert copied(keras.ops.zeros((3, 2))).x.shape == (3, 2)
