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
    audit = sunhwan.audit.Callback()
    order = np.random.default_rng(1).permutation(len(X))
    fitted([audit], order)
    fit = audit.findings.fits[0]
    assert (fit.train.rows.count, fit.validation.rows.count, fit.calls[0].split) == (216, 72, 0.25)
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
    audit = sunhwan.audit.Callback(verbose=0)
    alone = fitted([])
    alone.fit(X, Y, verbose=0)
    watched = fitted([audit])
    watched.fit(X, Y, verbose=0)  # whose order is drawn after the audit
    assert audit.findings.comparisons[0].network is not None
    for ours, theirs in zip(watched.get_weights(), alone.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def endless(first, last):
    while True:
        for at in range(first, last, 12):
            yield X[at : at + 12], Y[at : at + 12]


def test_the_batches_of_generators_are_seen_as_they_pass():
    audit = sunhwan.audit.Callback(verbose=0)
    streams = {"validation_data": endless(120, 216), "validation_steps": 4, "steps_per_epoch": 10}
    given = {"validation_split": 0.0, "shuffle": False, **streams}
    watched = fitted([audit], x=endless(0, 120), **given)
    fit = audit.findings.fits[0]
    np.testing.assert_array_equal(fit.train.rows.x, X[:120])
    np.testing.assert_array_equal(fit.validation.rows.y, Y[120:168])
    assert not audit.findings.comparisons[0].declined
    given["validation_data"] = endless(120, 216)
    alone = fitted([], x=endless(0, 120), **given)
    for ours, theirs in zip(watched.get_weights(), alone.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_a_dataset_is_read_again_when_training_has_ended():
    class Batches(keras.utils.PyDataset):
        def __len__(self):
            return 8

        def __getitem__(self, index):
            return X[12 * index : 12 * index + 12], Y[12 * index : 12 * index + 12]

    audit = sunhwan.audit.Callback(verbose=0)
    fitted([audit], x=Batches(), validation_split=0.0, shuffle=False)
    np.testing.assert_array_equal(audit.findings.fits[0].train.rows.x, X[:96])


def test_where_keras_keeps_no_batches_that_is_said():
    from sunhwan.audit.callback import pass_through
    from sunhwan.audit.observe.rows import Stream

    stream = Stream(endless(0, 120), 10)
    pass_through(stream, object())
    assert stream.rows().declined == "no batch was seen"


def test_the_first_steps_are_seen():
    audit = sunhwan.audit.Callback(verbose=0)
    fitted([audit])
    first = audit.findings.fits[0].calls[0].first
    assert len(first.losses) == 7 and len(first.norms) == 7  # 216 rows in batches of 32, one epoch
    assert first.losses[-1] == pytest.approx(audit.call.history["loss"][0], rel=1e-4)
    assert len(set(first.norms)) == 7


def test_given_to_evaluate_it_sees_nothing_and_says_nothing(capsys):
    audit = sunhwan.audit.Callback()
    fitted([]).evaluate(X, Y, verbose=0, callbacks=[audit])
    assert audit.findings is None and not capsys.readouterr().out


def test_outside_of_fit_it_says_where_it_belongs():
    audit = sunhwan.audit.Callback()
    with pytest.raises(RuntimeError, match="among the callbacks of a model's fit"):
        audit.on_train_begin()
