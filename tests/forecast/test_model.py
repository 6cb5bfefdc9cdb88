"""The model of a forecast: saved and loaded, and blind to what comes later."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from sunhwan.errors import SunhwanError
from sunhwan.forecast.model import ForecastModel
from sunhwan.forecast.predict import predict_table


def test_a_forecast_does_not_see_what_comes_after_it(run):
    readings, result = run.readings, run.result
    model = result.fitted.model
    column = readings.column("T (degC)").copy()
    for series in range(3):
        column[series * 700 + 600 : series * 700 + 700] = 1e4
    later = replace(readings, columns=readings.columns.with_columns(pl.Series("T (degC)", column)))
    before, after = (predict_table(model, one, "1").columns for one in (readings, later))
    early = before["made_at"] < np.datetime64("2024-03-01") + np.timedelta64(600, "h")
    assert 0 < early.sum() < len(early)
    for name in before:
        np.testing.assert_array_equal(before[name][early], after[name][early])
    assert (before["T (degC)"][~early] != after["T (degC)"][~early]).all()


@pytest.mark.parametrize("harm", ["plan", "baselines", "networks", "calibrations", "weights", "level"])
def test_a_saved_model_that_lacks_something_is_refused(run, harm):
    result = run.result
    saved, arrays = result.fitted.model.to_dict(), result.fitted.model.to_arrays()
    del saved[harm]
    with pytest.raises(SunhwanError, match=r"cannot be read .*make the run again"):
        ForecastModel.from_saved(saved, arrays)


@pytest.mark.parametrize("harm", [lambda a: a[:1], lambda a: a * np.nan, lambda a: np.hstack([a, a])])
def test_a_saved_ridge_of_another_shape_or_without_numbers_is_refused(run, harm):
    result = run.result
    saved, arrays = result.fitted.model.to_dict(), result.fitted.model.to_arrays()
    with pytest.raises(SunhwanError, match=r"cannot be read .*make the run again"):
        ForecastModel.from_saved(saved, arrays | {"ridge:weights": harm(arrays["ridge:weights"])})


@pytest.mark.parametrize("weights", [[1.0, 0.0], [float("nan")] * 6, "all"])
def test_saved_weights_of_other_steps_or_without_numbers_are_refused(run, weights):
    result = run.result
    saved, arrays = result.fitted.model.to_dict(), result.fitted.model.to_arrays()
    with pytest.raises(SunhwanError, match=r"cannot be read .*make the run again"):
        ForecastModel.from_saved({**saved, "weights": dict.fromkeys(saved["weights"], weights)}, arrays)


def test_a_mixture_without_its_members_is_refused(run):
    model = run.result.fitted.model
    saved, arrays = model.to_dict(), model.to_arrays()
    for weights in ({"seasonal": 1.0, "boosting": 1.0, "last_value": 1.0, "ridge": 1.0}, {"unheard": 1.0}):
        with pytest.raises(SunhwanError, match="without arrays"):
            ForecastModel.from_saved({**saved, "weights": weights, "baselines": {}}, arrays)
    with pytest.raises(SunhwanError, match="cannot be read"):
        ForecastModel.from_saved({**saved, "baselines": {"unheard": {}}}, arrays)
    with pytest.raises(SunhwanError, match="without a weight"):
        turned = [] if saved["networks"] else [run.result.fitted.networks[0].to_dict()]
        more = {f"network0:{name}": array for name, array in run.result.fitted.networks[0].weights.items()}
        ForecastModel.from_saved({**saved, "networks": turned}, arrays | more)


def test_what_is_loaded_predicts_the_same_bits(run):
    from sunhwan.data.windows import encode

    model = run.result.fitted.model
    again = ForecastModel.from_saved(model.to_dict(), model.to_arrays())
    windows = encode(run.readings, model.plan).windows()
    np.testing.assert_array_equal(again.run(windows)[0], model.run(windows)[0])
