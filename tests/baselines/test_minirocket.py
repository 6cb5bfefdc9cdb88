"""MiniRocket: convolutions that sktime chooses, and NumPy runs."""

import numpy as np
import pytest

pytest.importorskip("sktime")
pytest.importorskip("numba")

from sunhwan.baselines import minirocket
from sunhwan.baselines.minirocket import MiniRocket
from sunhwan.data.ragged import Ragged


@pytest.mark.slow
def test_it_classifies_waves_of_any_length():
    random = np.random.default_rng(0)
    labels = np.arange(60) % 3
    lengths = random.integers(5, 60, 60)
    waves = [
        np.sin(np.arange(n)[:, None] * (0.3, 0.9, 2.0)[k] + random.uniform(0, 6))
        for n, k in zip(lengths, labels, strict=True)
    ]
    recordings = Ragged.of([wave + random.normal(0, 0.1, wave.shape) for wave in waves], float)
    model = MiniRocket.fit(recordings.part(0, 40), labels[:40], 3)
    logits = model.logits(recordings.part(40, 60))
    assert logits.shape == (20, 3)
    assert (logits.argmax(axis=1) == labels[40:]).mean() > 0.7


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:X is")
def test_numpy_computes_what_sktime_does():
    import pandas as pd
    from sktime.transformations.rocket import MiniRocketMultivariateVariable

    random = np.random.default_rng(0)
    walks = [np.cumsum(random.normal(size=(rows, 3)), axis=0) for rows in random.integers(9, 80, 12)]
    recordings = Ragged.of(walks, np.float32)
    frames = [pd.DataFrame(recording) for recording in recordings]
    theirs = MiniRocketMultivariateVariable(random_state=0).fit(frames).transform(frames).to_numpy()
    model = minirocket.train(recordings, np.arange(12) % 2)
    ours = np.stack([model.shares(recording) for recording in recordings])
    # Where sums of float32 lie on their bias, rounding decides whether they are above it: 3 in 10,000 here.
    assert (np.abs(ours - theirs) > 1e-6).mean() < 1e-3
    assert model.logits(recordings).shape == (12, 2)
    assert (model.logits(recordings).argmax(axis=1) == np.arange(12) % 2).all()
    again = MiniRocket.from_arrays(model.to_arrays())
    np.testing.assert_array_equal(again.logits(recordings), model.logits(recordings))
