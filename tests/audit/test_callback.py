"""The callback: it sees what `fit` was given, says it at the end, and training has the same bits."""

import keras
import numpy as np
import pytest

import sunhwan

SERIES = np.cumsum(np.random.default_rng(0).normal(size=300)).astype("float32")
X = np.lib.stride_tricks.sliding_window_view(SERIES, 12)[:-1, :, None]
Y = SERIES[12:]


def fitted(callbacks, order=slice(None), x=None, y=None, **options):
    keras.utils.set_random_seed(4)
    model = keras.Sequential([keras.layers.GRU(3, dropout=0.2, recurrent_dropout=0.2), keras.layers.Dense(1)])
    model.compile("adam", "mae")
    options = {"validation_split": 0.25, **options}
    x, y = (X[order] if x is None else x), (Y[order] if y is None and x is None else y)
    model.fit(x, y, epochs=2, verbose=0, callbacks=callbacks, **options)
    return model


def test_it_sees_both_parts_and_prints_what_they_tell(capsys):
    audit = sunhwan.audit.Callback(budget=10)
    order = np.random.default_rng(1).permutation(len(X))
    fitted([audit], order)
    fit = audit.findings.fits[0]
    assert (fit.train.rows.count, fit.val.rows.count, fit.calls[0].split) == (216, 72, 0.25)
    np.testing.assert_array_equal(fit.train.rows.x, X[order][:216])
    names = {finding.name for finding in audit.findings}
    assert "window_overlap" in names
    # What nobody can know within a fit.
    assert not names & {"no_test", "one_seed", "selected_on_reported"}
    said = capsys.readouterr().out
    assert said.startswith("fit #1 (GRU 3, 216 windows of 12 x 1 -> 1), line ")
    line = int(said.partition("line ")[2].partition("\n")[0])
    with open(__file__) as file:
        assert "model.fit(" in file.readlines()[line - 1]


def test_training_has_the_same_bits_as_without():
    audit = sunhwan.audit.Callback(budget=5, verbose=0)
    alone = fitted([])
    alone.fit(X, Y, verbose=0)
    watched = fitted([audit])
    watched.fit(X, Y, verbose=0)  # whose order is drawn after the audit
    assert audit.findings.comparisons[0].network is not None
    for ours, theirs in zip(watched.get_weights(), alone.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_a_generator_is_declined_in_a_sentence():
    def batches():
        while True:
            yield X[:32], Y[:32]

    audit = sunhwan.audit.Callback(verbose=0)
    fitted([audit], x=batches(), steps_per_epoch=2, validation_split=0.0, shuffle=False)
    assert "use `with sunhwan.audit():`" in str(audit.findings)


def test_outside_of_fit_it_says_where_it_belongs():
    audit = sunhwan.audit.Callback()
    with pytest.raises(RuntimeError, match="among the callbacks of a model's fit"):
        audit.on_train_begin()
