"""The table of baselines: each is trained, saved, loaded and named alike."""

import json

import numpy as np
import pytest

from sunhwan.baselines.names import NAMES
from sunhwan.baselines.predictors import PREDICTORS, reloaded


@pytest.mark.parametrize("key", PREDICTORS)
def test_each_baseline_is_trained_saved_and_loaded(weather, key):
    learnt = weather(targets=("T", "p"), known=("plan",))
    test = learnt.windows("test")
    fitted = PREDICTORS[key].fit(learnt.windows("train"), learnt.windows("val"))
    prediction = fitted.predict(test)
    assert prediction.shape == (len(test), 6, 2) and prediction.dtype == np.float32
    assert fitted.words and 0 <= fitted.worth < 1 and key in NAMES
    saved, arrays = json.loads(json.dumps(fitted.to_dict())), fitted.to_arrays()
    loaded = PREDICTORS[key].from_saved(learnt.plan, saved, arrays)
    np.testing.assert_allclose(loaded.predict(test), prediction, atol=1e-5)
    again = reloaded({key: fitted})[key]
    np.testing.assert_array_equal(again.predict(test), loaded.predict(test))
    for window in (0, len(test) - 1):
        np.testing.assert_array_equal(
            loaded.predict(test.take(np.array([window])))[0], loaded.predict(test)[window]
        )
