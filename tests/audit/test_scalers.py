"""What an error means in the data's own units."""

from types import SimpleNamespace

import numpy as np
import pytest
from sklearn.preprocessing import MinMaxScaler, PowerTransformer

from sunhwan.audit.scalers import error_units


@pytest.mark.parametrize(("metric", "own"), [("mae", 10.0), ("mse", 20.0)])
def test_an_error_is_given_in_the_data_s_own_units(metric, own):
    rows = 40 * np.linspace(-1, 1, 50)[:, None]  # which a MinMaxScaler maps to 0 to 1: 1 is 80
    scaler = MinMaxScaler().fit(rows)
    scaling = SimpleNamespace(kind="fit", name="MinMaxScaler", scaler=scaler, rows=rows)
    network = {"mae": 0.125, "mse": 0.0625}[metric]
    units = error_units(scaler.transform(rows)[:, 0], metric, network, [scaling])
    assert "1 of them is 80.0 in the data's own" in units
    assert units.endswith(f"is {own:.1f}")


def test_a_transformer_that_is_not_linear_has_no_unit():
    rows = np.exp(np.linspace(0, 3, 50))[:, None]
    scaler = PowerTransformer().fit(rows)
    scaling = SimpleNamespace(kind="fit", name="PowerTransformer", scaler=scaler, rows=rows)
    units = error_units(scaler.transform(rows)[:, 0], "mae", 0.1, [scaling])
    assert units.startswith("MAE in units that look scaled: the training targets have mean ")


def test_a_comparison_has_the_units_of_its_errors(on_noise):
    scaled = "scaler = MinMaxScaler()\ny = scaler.fit_transform(40 * y[:, None])\n"
    fit = "model = network()\nmodel.fit(x, y, validation_split=0.3, verbose=0)\n"
    (comparison,) = on_noise(scaled + fit).comparisons
    assert comparison.units.startswith("MSE in squared units of a MinMaxScaler; 1 of them is ")
    unit = float(comparison.units.partition("1 of them is ")[2].partition(" in ")[0].replace(",", ""))
    error = float(comparison.units.rpartition("RMSE is ")[2].replace(",", ""))
    assert error == pytest.approx(unit * comparison.network**0.5, rel=0.01) and unit > 40
    (comparison,) = on_noise("y = (y - y.mean()) / y.std()\n" + fit).comparisons
    looks = "MSE in squared units that look scaled: the training targets have mean "
    assert comparison.units.startswith(looks)
    (comparison,) = on_noise("y = 7 + 3 * y\n" + fit).comparisons
    assert comparison.units == "MSE in the targets' units, squared"
    (comparison,) = on_noise("y = 7 + 3 * y\n" + fit.replace("network()", "network(loss='mae')")).comparisons
    assert comparison.units == ""
