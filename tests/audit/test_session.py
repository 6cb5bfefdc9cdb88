"""An audit from beginning to end: what it leaves alone, leaves out, and survives."""

import random
from pathlib import Path

import keras
import numpy as np
import pytest

import sunhwan
from sunhwan.audit import session
from sunhwan.audit.baselines import Budget
from sunhwan.audit.findings.copies import duplicates
from sunhwan.audit.findings.selection import no_test
from sunhwan.audit.observe.watch import watching
from sunhwan.audit.session import fill
from sunhwan.audit.text import Audit


def test_what_the_budget_left_out_is_named_by_fit(on_noise, monkeypatch):
    """Leaks come before baselines; when time runs out in the second fit, what was not checked is named."""
    looked = []

    def window_overlap(case):
        looked.append(case.fit.number)
        if case.fit.number == 2:
            monkeypatch.setattr("sunhwan.audit.baselines.Budget.left", 0)
        return ()

    leaks = window_overlap, duplicates
    monkeypatch.setattr(session, "LEAKS", leaks)
    monkeypatch.setattr(session.fill, "__defaults__", ((*leaks, no_test),))
    audit = on_noise("for units in (2, 3):\n    network(keras.layers.GRU(units)).fit(x, y, verbose=0)")
    assert looked == [1, 2] and not audit.findings
    assert audit.remarks == [
        "the time budget of 10 min was spent before fit #2 could be checked for duplicates",
        "the time budget of 10 min was spent before fits #1 and #2 could be checked for no_test",
    ]
    assert all(why == "the time budget is spent" for why in audit.comparisons[1].skipped.values())


def test_a_finder_that_fails_is_named_and_the_others_run():
    def broken(case):
        raise ZeroDivisionError("none")

    x = np.random.default_rng(0).normal(size=(80, 5, 1))
    model = keras.Sequential([keras.layers.GRU(2), keras.layers.Dense(1)])
    model.compile("adam", "mse")
    with watching(__file__) as observed:
        model.fit(x, x[:, 0], verbose=0)
    audit = Audit(__file__)
    fill(audit, observed, "", Budget(600), (broken, no_test))
    assert audit.remarks == ["broken could not be checked in fit #1 (ZeroDivisionError: none)"]
    assert [finding.name for finding in audit] == ["no_test"]


def test_a_block_is_audited_and_draws_no_random_number_of_the_program():
    x = np.random.default_rng(0).normal(size=(80, 5, 1))
    model = keras.Sequential([keras.layers.GRU(2), keras.layers.Dense(1)])
    model.compile("adam", "mse")
    with sunhwan.audit() as findings:
        model.fit(x, x[:, -1], validation_split=0.2, verbose=0)
        np.random.seed(5)
        random.seed(5)
        weights = model.get_weights()
    assert findings.fits[0].validation.rows.count == 16
    assert findings.comparisons[0].baselines["last_value"] == pytest.approx(0, abs=1e-12)
    drawn = np.random.random(), random.random()
    np.random.seed(5)
    random.seed(5)
    assert drawn == (np.random.random(), random.random())
    for before, after in zip(weights, model.get_weights(), strict=True):
        np.testing.assert_array_equal(before, after)
    lines = Path(__file__).read_text().splitlines()
    assert "model.fit(x, x[:, -1], validation_split=0.2" in lines[findings.fits[0].lines[0] - 1]
