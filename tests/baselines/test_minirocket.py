"""MiniRocket: convolutions that sktime chooses, and NumPy runs."""

import itertools

import numpy as np
import pytest

pytest.importorskip("sktime")
pytest.importorskip("numba")

from sunhwan.baselines import minirocket
from sunhwan.baselines.minirocket import MiniRocket


@pytest.mark.slow
def test_it_tells_waves_apart_whatever_their_lengths():
    random = np.random.default_rng(0)
    labels = np.arange(60) % 3
    lengths = random.integers(5, 60, 60)
    offsets = np.append(0, np.cumsum(lengths))
    waves = [
        np.sin(np.arange(n) * (0.3, 0.9, 2.0)[k] + random.uniform(0, 6))
        for n, k in zip(lengths, labels, strict=True)
    ]
    values = (np.concatenate(waves) + random.normal(0, 0.1, offsets[-1]))[:, None]
    model = minirocket.fit(values[: offsets[40]], offsets[:41], labels[:40])
    said = model.logits(values[offsets[40] :], offsets[40:] - offsets[40])
    assert said.shape == (20, 3)
    assert (said.argmax(axis=1) == labels[40:]).mean() > 0.7


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:X is")
def test_numpy_says_what_sktime_says():
    import pandas as pd
    from sktime.transformations.rocket import MiniRocketMultivariateVariable

    random = np.random.default_rng(0)
    offsets = np.append(0, np.cumsum(random.integers(9, 80, 12)))
    values = np.cumsum(random.normal(size=(offsets[-1], 3)), axis=0).astype(np.float32)
    frames = [pd.DataFrame(values[a:b]) for a, b in itertools.pairwise(offsets)]
    theirs = MiniRocketMultivariateVariable(random_state=0).fit(frames).transform(frames).to_numpy()
    model = minirocket.fit(values, offsets, np.arange(12) % 2)
    ours = np.stack([model.shares(values[a:b]) for a, b in itertools.pairwise(offsets)])
    # Where sums of float32 lie on their bias, rounding says whether they are above it: 3 in 10,000 here.
    assert (np.abs(ours - theirs) > 1e-6).mean() < 1e-3
    assert model.logits(values, offsets).shape == (12, 2)
    assert (model.logits(values, offsets).argmax(axis=1) == np.arange(12) % 2).all()
    again = MiniRocket.from_arrays(model.as_arrays())
    np.testing.assert_array_equal(again.logits(values, offsets), model.logits(values, offsets))
