"""MiniRocket beside the others, where it is installed."""

import numpy as np
import pytest

pytest.importorskip("sktime")
pytest.importorskip("numba")

from sunhwan.evaluation.minirocket import MiniRocket


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
    model = MiniRocket(values[: offsets[40]], offsets[:41], labels[:40])
    said = model.logits(values[offsets[40] :], offsets[40:] - offsets[40])
    assert said.shape == (20, 3)
    assert (said.argmax(axis=1) == labels[40:]).mean() > 0.7
