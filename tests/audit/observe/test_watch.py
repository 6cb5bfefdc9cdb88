"""Watching: what each call was given and where it stands, and that the program never notices."""

import builtins
from contextlib import nullcontext

import keras
import numpy as np
import pytest

from sunhwan.audit.observe.watch import watching
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
predictions = scaler.inverse_transform(model.predict(x, verbose=0))
drawn = np.random.random(), random.random()
"""


@pytest.fixture
def both(tmp_path, monkeypatch):
    """What the program has at its end without an audit and with one, and what was observed."""
    where, scopes = str(tmp_path / "program.py"), ({}, {})
    program = PROGRAM + "import builtins\nbuiltins.scope.update(globals())\n"
    for watch, scope in zip((nullcontext, watching), scopes, strict=True):
        monkeypatch.setattr(builtins, "scope", scope, raising=False)
        with accelerated(), watch(where) as observed:
            run_source(program, where, "__main__")
    return *scopes, observed


def test_the_program_has_the_same_bits_as_without_an_audit(both):
    alone, watched, observed = both
    assert len(observed.calls) == 3
    for before, after in zip(alone["model"].get_weights(), watched["model"].get_weights(), strict=True):
        np.testing.assert_array_equal(before, after)
    for name in ("predictions", "scores", "drawn"):
        np.testing.assert_array_equal(alone[name], watched[name])


def test_calls_are_recorded_with_their_lines_and_their_rows_as_they_were(both):
    _, watched, observed = both
    fit, evaluate, predict = observed.calls
    lines = PROGRAM.splitlines()
    for call, method in ((fit, "model.fit("), (evaluate, "model.evaluate("), (predict, "model.predict(")):
        assert method in lines[call.lines[0] - 1]
    assert (fit.rows.count, fit.validation.count, fit.split) == (48, 16, 0.25)
    np.testing.assert_allclose(fit.rows.x, watched["x"][:48] - 1, atol=1e-12)  # and not as `x += 1` left them
    assert fit.monitors == {"EarlyStopping": "val_loss"}
    assert set(fit.history) == {"loss", "mae", "val_loss", "val_mae"}
    assert set(evaluate.scores) == {"loss", "mae"}
    assert predict.predictions.shape == (64, 1)
    for copied, weights in zip(fit.after, watched["model"].get_weights(), strict=True):
        np.testing.assert_array_equal(copied, weights)


def test_scalers_are_recorded_with_the_rows_they_were_fitted_on(both):
    _, watched, observed = both
    fitted, back = observed.scalings
    assert (fitted.kind, fitted.name, fitted.count) == ("fit", "MinMaxScaler", 64)
    assert "fit_transform" in PROGRAM.splitlines()[fitted.lines[0] - 1]
    np.testing.assert_allclose(fitted.scaler.transform(fitted.rows), watched["y"])
    assert back.kind == "inverse"


def test_keras_and_scikit_learn_are_what_they_were_afterwards(both):
    from sklearn.preprocessing import MinMaxScaler

    for method in (keras.Model.fit, keras.Model.predict, keras.Model.evaluate, MinMaxScaler.fit):
        assert "watch" not in method.__code__.co_filename
