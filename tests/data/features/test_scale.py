"""Scaling."""

import numpy as np

from sunhwan.data.features.scale import Scale


def test_mean_and_standard_deviation_of_what_is_known():
    rows = np.random.default_rng(0).normal([5, -300], [2, 40], (1000, 2))
    rows[::7, 0] = np.nan
    scaled = Scale.fit(rows, np.zeros(2, bool)).apply(rows)
    assert scaled.dtype == np.float32
    # float32 keeps 7 digits; means over 1,000 rows keep at least 5.
    np.testing.assert_allclose(np.nanmean(scaled, axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(np.nanstd(scaled, axis=0), 1, atol=1e-5)
    assert np.isnan(scaled[::7, 0]).all() and not np.isnan(scaled[1::7, 0]).any()


def test_binary_columns_stay():
    rows = np.array([[0.0, 1.0], [1.0, 1.0], [1.0, 1.0]])
    np.testing.assert_array_equal(Scale.fit(rows, np.ones(2, bool)).apply(rows), rows)


def test_a_constant_column_is_not_divided_by_rounding_error():
    # The standard deviation of ten times 0.1 comes out as 1.4e-17.
    rows = np.full((10, 1), 0.1)
    scale = Scale.fit(rows, np.zeros(1, bool))
    assert scale.std == 1
    # What comes after training may vary, and must not come out as 1e16; the mean is 0.1 but for rounding.
    np.testing.assert_allclose(scale.apply(np.array([[0.1], [0.3]])), [[0.0], [0.2]], atol=1e-7)
