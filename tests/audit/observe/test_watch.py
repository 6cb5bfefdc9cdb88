"""Watching: what each call was given and where it stands, and that the program never notices."""

import random
import tracemalloc
from pathlib import Path

import keras
import numpy as np
import pytest

import sunhwan
from sunhwan.audit.baselines import Budget
from sunhwan.audit.observe.rows import Rows, Stream, keep
from sunhwan.audit.observe.watch import Watch
from sunhwan.audit.session import clock, undisturbed
from sunhwan.cli.accelerate import run_source
from sunhwan.recurrence.keras.accelerate import accelerated

PROGRAM = """
import random

import keras
import numpy as np
from sklearn.preprocessing import MinMaxScaler

keras.utils.set_random_seed(3)
x = np.random.normal(size=(64, 6, 2))
scaler = MinMaxScaler()
y = scaler.fit_transform(x[:, :1, 0] * 2)
model = keras.Sequential(
    [keras.layers.LSTM(4, dropout=0.3, recurrent_dropout=0.2), keras.layers.Dropout(0.1),
    keras.layers.Dense(1)]
)
model.compile("adam", "mse", metrics=["mae"])
stop = keras.callbacks.EarlyStopping(patience=1, restore_best_weights=True)
model.fit(x, y, epochs=3, validation_split=0.25, callbacks=[stop], verbose=0)
scores = model.evaluate(x[:9], y[:9], verbose=0)
x += 1
said = scaler.inverse_transform(model.predict(x, verbose=0))
drawn = np.random.random(), random.random()
"""


def ran(tmp_path, watched):
    where, kept = str(tmp_path / "program.py"), {}
    watch = Watch(where)
    with accelerated():
        if watched:
            watch.start()
        try:
            run_source(PROGRAM + "import builtins\nbuiltins.kept.update(globals())\n", where, "__main__")
        finally:
            watch.stop()
    return kept, watch.record


@pytest.fixture
def both(tmp_path, monkeypatch):
    """What the program has at its end without an audit and with one, and what was observed."""
    import builtins

    found = []
    for watched in (False, True):
        monkeypatch.setattr(builtins, "kept", {}, raising=False)
        record = ran(tmp_path, watched)[1]
        found.append(builtins.kept)
    return *found, record


def test_the_program_has_the_same_bits_as_without_an_audit(both):
    alone, watched, record = both
    assert len(record.calls) == 3
    for before, after in zip(alone["model"].get_weights(), watched["model"].get_weights(), strict=True):
        np.testing.assert_array_equal(before, after)
    for name in ("said", "scores", "drawn"):
        np.testing.assert_array_equal(alone[name], watched[name])


def test_calls_are_kept_with_their_lines_and_their_rows_as_they_were(both):
    _, watched, record = both
    fit, evaluate, predict = record.calls
    lines = PROGRAM.splitlines()
    for call, method in ((fit, "model.fit("), (evaluate, "model.evaluate("), (predict, "model.predict(")):
        assert method in lines[call.lines[0] - 1]
    assert (fit.given.count, fit.val.count, fit.split) == (48, 16, 0.25)
    np.testing.assert_allclose(
        fit.given.x, watched["x"][:48] - 1, atol=1e-12
    )  # and not as `x += 1` left them
    assert fit.monitors == {"EarlyStopping": "val_loss"}
    assert set(fit.history) == {"loss", "mae", "val_loss", "val_mae"}
    assert set(evaluate.scores) == {"loss", "mae"}
    assert predict.said.shape == (64, 1)
    for kept, weights in zip(fit.after, watched["model"].get_weights(), strict=True):
        np.testing.assert_array_equal(kept, weights)


def test_scalers_are_kept_with_what_they_learnt_from(both):
    _, watched, record = both
    learnt, back = record.scalings
    assert (learnt.kind, learnt.name, learnt.count) == ("fit", "MinMaxScaler", 64)
    assert "fit_transform" in PROGRAM.splitlines()[learnt.lines[0] - 1]
    np.testing.assert_allclose(learnt.scaler.transform(learnt.rows), watched["y"])
    assert back.kind == "inverse"


def test_keras_and_scikit_learn_are_what_they_were_afterwards(both):
    from sklearn.preprocessing import MinMaxScaler

    for method in (keras.Model.fit, keras.Model.predict, keras.Model.evaluate, MinMaxScaler.fit):
        assert "watch" not in method.__code__.co_filename


def test_where_the_targets_of_a_prediction_stand_is_known_by_their_name(audited):
    found = audited(
        """
        import keras, numpy as np
        def judged(model, trainX, testX, testY):
            model.fit(trainX, trainX[:, -1], verbose=0)
            return model.predict(testX, verbose=0)
        x = np.random.default_rng(0).normal(size=(60, 4, 1))
        model = keras.Sequential([keras.layers.GRU(2), keras.layers.Dense(1)])
        model.compile("sgd", "mse")
        judged(model, x[:40], x[40:], x[40:, 0])
        """
    )
    part = found.fits[0].reported
    assert (part.name, part.call.truth, part.rows.count) == ("test", "testY", 20)


def test_a_generator_goes_on_where_keras_left_it(audited):
    found = audited(
        """
        import keras, numpy as np
        def batches():
            number = 0
            while True:
                number += 1
                yield np.full((4, 3, 1), number, "float32"), np.full((4, 1), number, "float32")
        source = batches()
        model = keras.Sequential([keras.layers.GRU(2), keras.layers.Dense(1)])
        model.compile("sgd", "mse")
        of_validation = {"validation_data": batches(), "validation_steps": 2}
        model.fit(source, steps_per_epoch=3, epochs=2, shuffle=False, verbose=0, **of_validation)
        following = next(source)[0][0, 0, 0]
        assert following == 7, following
        """
    )
    fit = found.fits[0]
    assert (fit.train.rows.count, fit.val.rows.count, fit.train.rows.streamed) == (12, 8, True)
    np.testing.assert_array_equal(fit.train.rows.x[::4, 0, 0], [1, 2, 3])


def test_batches_that_can_be_read_again_are_read_when_the_program_has_ended(audited):
    found = audited(
        """
        import keras, numpy as np
        class Batches(keras.utils.PyDataset):
            def __len__(self):
                return 3
            def __getitem__(self, index):
                return np.full((4, 3, 1), index, "float32"), np.zeros((4, 1), "float32")
        model = keras.Sequential([keras.layers.GRU(2), keras.layers.Dense(1)])
        model.compile("sgd", "mse")
        model.fit(Batches(), verbose=0)
        """
    )
    np.testing.assert_array_equal(found.fits[0].train.rows.x[::4, 0, 0], [0, 1, 2])


def test_batches_that_are_gone_when_the_program_has_ended_are_declined(audited):
    found = audited(
        """
        import keras, numpy as np
        files = {0: np.zeros((4, 3, 1))}
        class Batches(keras.utils.PyDataset):
            def __len__(self):
                return 1
            def __getitem__(self, index):
                return files[index], np.zeros((4, 1), "float32")
        model = keras.Sequential([keras.layers.GRU(2), keras.layers.Dense(1)])
        model.compile("sgd", "mse")
        model.fit(Batches(), verbose=0)
        del files[0]
        """
    )
    assert found.comparisons[0].declined == "its batches could not be read once more (KeyError: 0)"


def test_a_model_that_is_another_by_now_is_not_asked(audited):
    found = audited(
        """
        import keras, numpy as np
        x = np.random.default_rng(0).normal(size=(80, 12, 1))
        model = keras.Sequential([keras.layers.Input((12, 1)), keras.layers.GRU(2), keras.layers.Dense(1)])
        model.compile("sgd", "mse")
        model.fit(x, x[:, 0], validation_split=0.25, verbose=0)
        model.pop()
        """
    )
    compared = found.comparisons[0]
    assert "could not be asked once more (ValueError" in compared.unanswered
    assert compared.network is not None and compared.baselines  # what Keras said then is the result
    assert "your network: it could not be asked once more" in str(found)


def test_a_finder_that_fails_is_named_and_the_others_are_told():
    from sunhwan.audit.session import cautions, fill
    from sunhwan.audit.text import Audit

    def broken(case):
        raise ZeroDivisionError("none")

    x = np.random.default_rng(0).normal(size=(80, 5, 1))
    model = keras.Sequential([keras.layers.GRU(2), keras.layers.Dense(1)])
    model.compile("adam", "mse")
    watch, found = Watch(__file__), Audit(__file__)
    watch.start()
    model.fit(x, x[:, 0], verbose=0)
    watch.stop()
    fill(found, watch.record, "", Budget(600), (broken, cautions.no_test))
    assert found.remarks == ["broken could not be looked for in fit #1 (ZeroDivisionError: none)"]
    assert [finding.name for finding in found] == ["no_test"]


def test_epochs_that_are_calls_of_their_own_are_one_fit(audited):
    found = audited(
        """
        import keras, numpy as np
        x = np.random.default_rng(0).normal(size=(40, 4, 1))
        model = keras.Sequential([keras.layers.GRU(2), keras.layers.Dense(1)])
        model.compile("sgd", "mse")
        for _ in range(3):
            model.fit(x, x[:, 0], verbose=0)
        """
    )
    assert [len(fit.calls) for fit in found.fits] == [3]


def test_a_block_is_audited_and_draws_no_random_number_of_the_program():
    x = np.random.default_rng(0).normal(size=(80, 5, 1))
    model = keras.Sequential([keras.layers.GRU(2), keras.layers.Dense(1)])
    model.compile("adam", "mse")
    with sunhwan.audit() as findings:
        model.fit(x, x[:, -1], validation_split=0.2, verbose=0)
        np.random.seed(5)
        random.seed(5)
        weights = model.get_weights()
    assert findings.fits[0].val.rows.count == 16
    assert findings.comparisons[0].baselines["last_value"] == pytest.approx(0, abs=1e-12)
    drawn = np.random.random(), random.random()
    np.random.seed(5)
    random.seed(5)
    assert drawn == (np.random.random(), random.random())
    for before, after in zip(weights, model.get_weights(), strict=True):
        np.testing.assert_array_equal(before, after)
    lines = Path(__file__).read_text().splitlines()
    assert "model.fit(x, x[:, -1], validation_split=0.2" in lines[findings.fits[0].lines[0] - 1]


def test_of_large_arrays_the_first_and_last_rows_are_kept(monkeypatch):
    monkeypatch.setattr("sunhwan.audit.observe.rows.MOST_BYTES", 10 * 8)
    rows = keep(np.arange(100.0)[:, None], np.arange(100.0))
    assert (rows.count, rows.whole) == (100, False)
    np.testing.assert_array_equal(rows.y, [0, 1, 2, 3, 4, 95, 96, 97, 98, 99])


def test_of_endless_batches_a_bounded_number_is_kept(monkeypatch):
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
    ("x", "said"),
    [
        (np.array([[1, 2], [3]], dtype=object), "ragged"),
        ([np.zeros((3, 4, 1)), np.zeros((3, 5, 1))], "do not join into one window"),
        ([np.zeros((3, 4, 1)), np.zeros((2, 4, 1))], "the inputs have 2 and 3 rows"),
        (np.array(["a", "b"]), "not numbers"),
    ],
)
def test_what_cannot_be_audited_is_declined_in_a_sentence(x, said):
    rows = keep(x)
    assert isinstance(rows, Rows) and said in rows.declined


def test_several_inputs_are_one_window_and_the_model_gets_them_as_they_were():
    given = {"past": np.arange(24.0).reshape(3, 4, 2), "place": np.array([7, 8, 9])}
    rows = keep(given, np.zeros(3))
    assert rows.x.shape == (3, 4, 3) and rows.count == 3
    np.testing.assert_array_equal(rows.x[1, :, 2], 8)
    back = rows.inputs(rows.x)
    for name, array in given.items():
        np.testing.assert_array_equal(back[name], array)
        assert back[name].dtype == array.dtype
    assert "2 outputs" in keep(given, [np.zeros(3), np.zeros(3)]).declined


def test_of_several_large_inputs_the_first_and_last_rows_are_kept(monkeypatch):
    monkeypatch.setattr("sunhwan.audit.observe.rows.MOST_BYTES", 10 * 3 * 8)
    rows = keep([np.arange(100.0)[:, None, None] * np.ones((1, 2, 1)), np.arange(100.0)], np.arange(100.0))
    assert rows.count == 100 and len(rows) == 6
    np.testing.assert_array_equal(rows.y, [0, 1, 2, 97, 98, 99])


def test_a_model_of_several_inputs_is_audited(audited):
    found = audited(
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
    compared = found.comparisons[0]
    assert not compared.declined and compared.network > 0
    assert compared.baselines["last_value"] == 0
    assert found.fits[0].title == "GRU 2, 60 windows of 4 x 5 (2 inputs) -> 1"
    with undisturbed():
        clock(found, 1.0, Budget(20))
    assert found.speeds[0].ratio > 0


def test_of_a_file_larger_than_is_kept_no_more_is_read(monkeypatch, tmp_path):
    """A memmap stays one: what is kept are copies of its ends, and nothing between them is looked at."""
    monkeypatch.setattr("sunhwan.audit.observe.rows.MOST_BYTES", 2**20)
    size = (2**20, 16, 1)  # 64 MB of nothing, 64 times what is kept
    array = np.memmap(tmp_path / "large", np.float32, "w+", shape=size)
    array[0], array[-1] = 1, 2
    targets = np.zeros(2**20, np.float32)
    tracemalloc.start()
    rows = keep(array, targets)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (rows.count, len(rows)) == (2**20, 2**14)
    assert rows.x[0, 0, 0] == 1 and rows.x[-1, 0, 0] == 2
    assert peak < 4 * 2**20


def test_arrays_of_other_kinds_are_taken():
    import pandas as pd

    assert keep(pd.DataFrame({"a": [1.0, 2.0]})).x.shape == (2, 1)
    assert keep([np.zeros((3, 2))]).x.shape == (3, 2)
    assert keep({"only": np.zeros((3, 2))}).x.shape == (3, 2)
    assert keep(keras.ops.zeros((3, 2))).x.shape == (3, 2)
