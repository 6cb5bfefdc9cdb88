"""Rows that differ a little from training rows, and neighbours by chance."""

import numpy as np
import pytest

from sunhwan.audit.findings.near import near


@pytest.fixture
def recordings():
    """Windows that do not overlap: noise on a few shapes, as sensors have it."""
    random = np.random.default_rng(2)
    shapes = np.sin(np.arange(30) * random.uniform(0.2, 1.0, (4, 1)))
    return (shapes[random.integers(4, size=600)] + 0.3 * random.normal(size=(600, 30)))[:, :, None]


@pytest.mark.parametrize(
    ("changed", "difference"),
    [
        (lambda rows: rows.round(2), 0.003),
        (lambda rows: rows * (1 + 1e-6), 1e-6),
        (lambda rows: rows + np.random.default_rng(3).normal(0, 0.01, rows.shape), 0.012),
    ],
)
def test_copies_that_differ_a_little_are_found(changed, difference, recordings):
    judged = np.concatenate([changed(recordings[:40]), recordings[500:]])
    matches = near(judged, recordings[:500])
    assert (matches.rows, matches.count) == (40, 140)
    assert matches.difference == pytest.approx(difference, rel=0.6)
    assert [(row, training) for row, training, _ in matches.examples] == [(0, 0), (1, 1), (2, 2)]


def test_neighbours_by_chance_are_no_copies(recordings):
    assert near(recordings[500:], recordings[:500]).rows == 0
    assert near(recordings[:100], recordings[:500]).rows == 0  # equal rows are reported elsewhere
    # Points on a curve lie dense: some are near each other, and none is a copy.
    phase = np.random.default_rng(4).uniform(0, 6.28, (800, 1))
    circle = np.sin(phase + np.arange(24) / 4)
    assert near(circle[600:], circle[:600]).rows == 0
    walk = np.cumsum(np.random.default_rng(5).normal(size=900))
    windows = np.lib.stride_tricks.sliding_window_view(walk, 24)
    assert near(windows[700:], windows[:700]).rows == 0


@pytest.mark.parametrize(
    ("copies", "leaks", "certain"),
    [
        ("x.round(3)", ["near_duplicates"], True),
        ("x + random.normal(0, 0.02, x.shape)", ["near_duplicates"], False),
        ("random.normal(size=x.shape)", [], None),
    ],
)
def test_copies_that_were_changed_a_little_before_the_split(copies, leaks, certain, named):
    names, audit = named(
        f"""
x = random.normal(size=(200, 12, 1))
y = (x[:, :, 0].mean(axis=1) > 0).astype(int)
x, y = np.concatenate([x, {copies}]), np.concatenate([y, y])
order = random.permutation(len(x))
x, y, at = x[order], y[order], 300
model = network(activation="sigmoid", loss="binary_crossentropy", metrics=["accuracy"])
model.fit(x[:at], y[:at], verbose=0)
model.evaluate(x[at:], y[at:], verbose=0)
"""
    )
    assert names == leaks
    assert all(finding.certain == certain for finding in audit if finding.level == "leak")
