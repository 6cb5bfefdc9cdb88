"""Plain arrays as windows."""

import numpy as np
import pytest

from sunhwan.baselines.windows import MOST_NUMBERS, ArrayWindows, batches, scored


@pytest.fixture
def arrays():
    random = np.random.default_rng(0)
    return random.normal(20, 4, (50, 6, 3)), random.normal(7, 2, (50, 2))


def test_values_are_scaled_by_training_windows_and_back(arrays):
    x, y = arrays
    train = ArrayWindows.of(x, y)
    index = np.arange(50)
    assert np.abs(train.windows(index).mean(axis=(0, 1))).max() < 1e-5
    np.testing.assert_allclose(train.physical(train.truths()), y, rtol=1e-5)
    other = train.like(x + 4, y + 2)
    np.testing.assert_allclose(other.physical(other.truths()), y + 2, rtol=1e-5)
    assert other.windows(index).mean() == pytest.approx(1, abs=0.1)
    assert np.isnan(train.like(x).truths()).all()


def test_a_target_that_continues_a_feature_is_scaled_like_it(arrays):
    x, _ = arrays
    train = ArrayWindows.of(x, x[:, -2:, 1] + 3, feature=1)
    np.testing.assert_allclose(train.physical(train.current[:, None]), x[:, -1:, 1], rtol=1e-5)
    np.testing.assert_array_equal(ArrayWindows.of(x, x[:, -2:, 1]).current, np.zeros((50, 1)))


def test_some_are_taken_evenly_and_batches_number_them_all(arrays):
    train = ArrayWindows.of(*arrays)
    np.testing.assert_array_equal(train.thinned(3).x, train.x[[0, 24, 49]])
    assert train.thinned(50) is train and scored(train) is train and MOST_NUMBERS > 100
    assert [len(index) for index in batches(train, 20)] == [20, 20, 10]
    assert train.ahead(np.arange(4)).shape == (4, 2, 0)
