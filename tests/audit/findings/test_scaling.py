"""Scaling that saw the test rows, and predictions scaled back by the wrong scaler."""

import numpy as np
import pytest

from sunhwan.audit.findings import scaling

EVALUATED = """
model = network()
model.fit(x[:at], y[:at], verbose=0)
model.evaluate(x[at:], y[at:], verbose=0)
"""

SERIES = np.random.default_rng(0).normal(size=500).astype(np.float32)


@pytest.mark.parametrize(
    ("scaling", "leaks"),
    [
        ("scaled = MinMaxScaler().fit_transform(series[:, None])", True),
        ("scaled = MinMaxScaler().fit(series[:300, None]).transform(series[:, None])", False),
        ("scaled = StandardScaler().fit_transform(series[:, None])[:, 0]", True),
        ("scaled = series", False),
        ("scaled = (series - series.min()) / (series.max() - series.min())", True),
        ("scaled = (series - series[:300].min()) / (series[:300].max() - series[:300].min())", False),
        ("scaled = (series - series.mean()) / series.std()", True),
        ("scaled = (series - series[:300].mean()) / series[:300].std()", False),
    ],
)
def test_scaling_over_the_test_rows_is_seen(scaling, leaks, named):
    names, by_name = named(scaling + "\nx, y = cut(scaled)\nat = 300 - 12" + EVALUATED)
    assert names == (["scaled_on_test"] if leaks else [])
    if leaks and "Scaler" in scaling:
        finding = by_name.findings[0]
        assert finding.certain and finding.evidence["rows"] == 400
        assert finding.lines == [by_name.source.splitlines().index(scaling) + 1]


def test_test_rows_scaled_by_themselves_are_seen(named):
    names, by_name = named(
        "scaler = MinMaxScaler()\nx, y = cut(scaler.fit_transform(series[:300, None]))\n"
        "x_test, y_test = cut(scaler.fit_transform(series[300:, None]))\nmodel = network()\n"
        "model.fit(x, y, verbose=0)\nmodel.evaluate(x_test, y_test, verbose=0)\n"
    )
    assert names == ["scaled_on_test"]
    assert by_name.findings[0].evidence["rows"] == 100


def test_a_scaler_of_the_training_windows_is_sound_though_the_test_looks_back_on_them(named):
    names, _ = named(
        "x, y = cut(series)\nscaler = StandardScaler().fit(x[:288].reshape(-1, 1))\n"
        "x = scaler.transform(x.reshape(-1, 1)).reshape(x.shape)\nat = 288" + EVALUATED
    )
    assert names == []


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


@pytest.mark.parametrize(("used", "expected"), [("of_inputs", True), ("of_target", False)])
def test_predictions_scaled_back_by_another_scaler_are_reported(used, expected, findings):
    by_name = findings(
        "of_inputs, of_target = MinMaxScaler(), MinMaxScaler()\n"
        "x = of_inputs.fit_transform(x.reshape(-1, 1)).reshape(x.shape)\n"
        "y = of_target.fit_transform(40 * y[:, None])\nmodel = network()\n"
        "model.fit(x[:160], y[:160], verbose=0)\n"
        f"{used}.inverse_transform(model.predict(x[160:], verbose=0))\n"
    )
    assert ("inverse_scaling" in by_name) == expected
    if expected:
        assert (
            by_name["inverse_scaling"].evidence["unit"] < by_name["inverse_scaling"].evidence["expected_unit"]
        )
