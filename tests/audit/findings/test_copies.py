"""Test rows that are training rows, and rows that repeat by nature."""

import numpy as np
import pytest

from sunhwan.audit.findings.copies import copies
from sunhwan.audit.findings.matches import RUN


def cut(series, timesteps, hop=1):
    starts = range(0, len(series) - timesteps + 1, hop)
    return np.stack([series[start : start + timesteps] for start in starts])


@pytest.fixture
def series():
    return np.random.default_rng(0).normal(size=(400, 2)).astype(np.float32)


def test_copies_are_rows_whose_inputs_and_targets_agree_in_every_bit(series):
    x, y = cut(series, 5)[:, :, :1], np.arange(396.0)
    copied = x[[7, 9]], y[[7, 9]]
    judged = np.concatenate([copied[0], x[300:] + 1]), np.concatenate([copied[1], y[300:]])
    matches = copies(judged, (x[:300], y[:300]))
    assert matches is None or matches.rows == 0  # five values and a target repeat by chance
    x, y = cut(series, 20), np.arange(381.0)
    judged = np.concatenate([x[[7, 9]], x[300:]]), np.concatenate([y[[7, 9]], y[300:]])
    matches = copies(judged, (x[:300], y[:300]))
    assert (matches.rows, matches.examples, matches.within) == (2, ((0, 7), (1, 9)), 0.0)
    assert copies((judged[0], judged[1] + 0.5), (x[:300], y[:300])).rows == 0


def test_short_rows_are_copies_where_their_neighbours_are_too():
    y = np.random.default_rng(0).integers(0, 9, 500).astype(float)  # few values: each pair recurs
    x = np.roll(y, 1)[:, None]
    apart = copies((x[300:], y[300:]), (x[:300], y[:300]))
    reaching = copies((x[200:], y[200:]), (x[:300], y[:300]))
    assert apart.rows == 0
    assert reaching.rows == 100 - RUN + 1


def test_rows_that_training_has_several_times_are_counted():
    x = np.random.default_rng(0).normal(size=(20, 12))
    matches = copies((x[:5], None), (np.concatenate([x, x[:10]]), None))
    assert (matches.rows, matches.within) == (5, 20 / 30)


def test_texts_that_recur_by_themselves_are_a_warning(named):
    text = (
        "kinds = random.integers(5, 90, (60, 9))\nchosen = random.integers(0, 60, 300)\n"
        "x, y = kinds[chosen], chosen % 2\n"
        "model = keras.Sequential([keras.layers.Embedding(90, 2), keras.layers.GRU(2),"
        " keras.layers.Dense(1, activation='sigmoid')])\nmodel.compile('adam', 'binary_crossentropy')\n"
        "model.fit(x[:200], y[:200], verbose=0)\nmodel.evaluate(x[200:], y[200:], verbose=0)\n"
    )
    assert named(text)[0] == []
    assert "duplicates" in named(text, "warning")[0]
