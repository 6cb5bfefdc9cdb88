"""What scaling saw: the series that windows were cut from, and who made the targets."""

from types import SimpleNamespace

import numpy as np
import pytest
from sklearn.preprocessing import MinMaxScaler, PowerTransformer

from sunhwan.audit.findings import scaling

SERIES = np.random.default_rng(0).normal(size=500).astype(np.float32)


def windows(series, timesteps):
    return np.lib.stride_tricks.sliding_window_view(series, timesteps)


def test_the_series_of_windows_has_each_value_once_where_some_windows_are_missing():
    cut = windows(SERIES, 12)
    np.testing.assert_array_equal(scaling._series(cut), SERIES)
    np.testing.assert_array_equal(scaling._series(np.delete(cut, [100, 101], axis=0)), SERIES)
    # Where a whole window's length is missing, so are the values that stood in no other.
    missing = scaling._series(np.delete(cut, range(200, 220), axis=0))
    np.testing.assert_array_equal(missing, np.concatenate([SERIES[:211], SERIES[220:]]))


def test_windows_in_no_order_are_no_series():
    cut = windows(SERIES, 12)
    assert scaling._series(np.random.default_rng(1).permutation(cut)) is None
    assert scaling._series(cut[::2]) is None


@pytest.mark.parametrize(("metric", "there"), [("mae", 10.0), ("mse", 20.0)])
def test_an_error_is_told_in_the_data_s_own_units(metric, there):
    rows = 40 * np.linspace(-1, 1, 50)[:, None]  # of which a MinMaxScaler makes 0 to 1: 1 is 80
    fitted = MinMaxScaler().fit(rows)
    one = SimpleNamespace(kind="fit", name="MinMaxScaler", scaler=fitted, rows=rows)
    network = {"mae": 0.125, "mse": 0.0625}[metric]
    told = scaling.told_units(fitted.transform(rows)[:, 0], metric, network, [one])
    assert "of which 1 is 80.0 in the data's own" in told
    assert told.endswith(f"is {there:.1f} there")


def test_no_step_of_a_transformer_that_is_no_line_is_told():
    rows = np.exp(np.linspace(0, 3, 50))[:, None]
    fitted = PowerTransformer().fit(rows)
    one = SimpleNamespace(kind="fit", name="PowerTransformer", scaler=fitted, rows=rows)
    told = scaling.told_units(fitted.transform(rows)[:, 0], "mae", 0.1, [one])
    assert told.startswith("MAE in units that look scaled: the targets of training have mean ")
