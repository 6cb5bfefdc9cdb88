"""Training: what it needs, and what it must not see."""

import numpy as np
import polars as pl
import pytest

from sunhwan.baselines.naive import LastValue
from sunhwan.baselines.names import NETWORK
from sunhwan.baselines.predictors import PREDICTORS
from sunhwan.data.preparation import prepare
from sunhwan.errors import SunhwanError
from sunhwan.forecast.fit import fit
from sunhwan.forecast.model import ForecastModel
from sunhwan.forecast.run import learn
from sunhwan.training.progress import Nobody


def test_test_rows_teach_nothing(tabled, station, wanted, small):
    frame, hour = station(rows=500), pl.int_range(500)
    wild = frame.with_columns(
        pl.when(hour >= 400).then(1e4 * hour % 77).otherwise(pl.col("T (degC)")).alias("T (degC)")
    )
    one, other = (learn(tabled(each), wanted(), small, Nobody()).fitted.model for each in (frame, wild))
    assert one.to_dict() == other.to_dict()
    arrays = other.to_arrays()
    for name, array in one.to_arrays().items():
        np.testing.assert_array_equal(array, arrays[name])


def test_too_few_validation_windows_are_refused(tabled, station, wanted, small):
    with pytest.raises(SunhwanError, match="at least 50 are needed"):
        learn(tabled(station(rows=300)), wanted(), small, Nobody())


def test_a_new_baseline_is_a_line_of_the_table(tabled, station, wanted, small, monkeypatch):
    class Oracle(LastValue):
        """Knows what comes."""

        words, worth = "oracle", 0.3

        def predict(self, windows):
            return np.nan_to_num(windows.truths()) + np.float32(0.001)

    monkeypatch.setitem(PREDICTORS, "oracle", Oracle)
    learnt = prepare(tabled(station()), wanted())
    fitted = fit(learnt, small, Nobody())
    assert set(fitted.model.weights) == {"oracle"} and fitted.notes == ("validation chose oracle alone",)
    assert set(fitted.validation) == {*PREDICTORS, NETWORK}
    again = ForecastModel.from_saved(fitted.model.to_dict(), fitted.model.to_arrays())
    assert isinstance(again.baselines["oracle"], Oracle)
