"""The last value and the value a season before, by hand."""

import numpy as np
import pytest

from sunhwan.baselines.naive import LastValue, Seasonal
from sunhwan.baselines.windows import ArrayWindows

DAY = 86_400


def test_the_season_before_is_the_latest_known_value_at_that_time_of_day(weather):
    learnt = weather()
    test = learnt.windows("test")
    prediction = Seasonal(learnt.plan).predict(test)
    column = learnt.rows.values[:, learnt.plan.target_features[0]]
    for i in (0, 5, len(test) - 1):
        for step in range(6):
            assert prediction[i, step, 0] == column[test.last[i] + step + 1 - 24]


def test_before_the_series_begins_the_last_value_stands_in(weather):
    learnt = weather()
    train = learnt.windows("train")
    early = train.take(np.flatnonzero(train.last + 6 < 24))
    assert len(early)
    np.testing.assert_array_equal(Seasonal(learnt.plan).predict(early), LastValue(learnt.plan).predict(early))


@pytest.mark.parametrize(
    ("interval", "season", "words"),
    [
        (3600, 24, "same time yesterday"),
        (DAY // 48, 48, "same time yesterday"),
        (DAY, 7, "same weekday last week"),
    ],
)
def test_a_season_is_called_by_its_length(weather, interval, season, words):
    learnt = weather(interval=interval, season=season)
    assert learnt.plan.season == season
    seasonal = Seasonal.fit(learnt.windows("train"), learnt.windows("val"))
    assert seasonal.words == words
    assert Seasonal.from_saved(learnt.plan, {}, {}).words == words


def test_without_a_season_there_is_no_seasonal_prediction(weather):
    learnt = weather(interval=2 * DAY)
    assert Seasonal.fit(learnt.windows("train"), learnt.windows("val")) is None


def test_plain_arrays_serve_as_well():
    x = np.random.default_rng(0).normal(5, 3, (20, 8, 2))
    windows = ArrayWindows.of(x, x[:, :3, 1], feature=1, cell=(2, 0))
    last, seasonal = (cls.fit(windows, windows) for cls in (LastValue, Seasonal))
    np.testing.assert_allclose(
        windows.physical(last.predict(windows)), np.tile(x[:, -1:, 1], (1, 3)), rtol=1e-5
    )
    np.testing.assert_allclose(
        windows.physical(seasonal.predict(windows)), np.tile(x[:, 2:3, 0], (1, 3)), rtol=1e-5
    )
    assert seasonal.words == "seasonal naive"
    assert Seasonal.fit(ArrayWindows.of(x, x[:, :3, 1], feature=1), windows) is None
