"""Statistics of recordings, and the logistic regression on them."""

import numpy as np

from sunhwan.baselines.summaries import Summary, statistics
from sunhwan.data.ragged import Ragged


def test_statistics_are_those_of_each_recording_alone():
    random = np.random.default_rng(0)
    values, offsets = random.normal(3, 2, (60, 2)), np.array([0, 1, 8, 60])
    found = statistics(Ragged(values, offsets))
    assert found.shape == (3, 17)
    for row, start, end in zip(found, offsets, offsets[1:], strict=False):
        mine = values[start:end]
        steps = np.abs(np.diff(mine, axis=0)) if len(mine) > 1 else np.zeros((1, 2))
        expected = [
            mine.mean(0),
            mine.std(0),
            mine.min(0),
            mine.max(0),
            mine[0],
            mine[-1],
            steps.mean(0),
            steps.std(0),
        ]
        np.testing.assert_allclose(row, [*np.concatenate(expected), np.log(len(mine))], atol=1e-9)


def test_it_classifies_by_statistics():
    random = np.random.default_rng(0)
    labels = np.arange(90) % 3
    offsets = np.append(0, np.cumsum(random.integers(3, 30, 90)))
    values = random.normal(size=(offsets[-1], 1)) * (1 + 2 * np.repeat(labels, np.diff(offsets)))[:, None]
    recordings = Ragged(values, offsets)
    found = statistics(recordings)
    model = Summary.fit(recordings.part(0, 60), labels[:60], 3, (recordings.part(60, 90), labels[60:]))
    assert (model.logits(recordings).argmax(axis=1) == labels).mean() > 0.8
    two = Summary.train(found[labels < 2], labels[labels < 2], 1.0).scores(found)
    assert two.shape == (90, 2) and (two[:, 0] == 0).all()
