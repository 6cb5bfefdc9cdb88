"""Intervals: margins by hand, late feedback, coverage under change, and streams that are stopped."""

import copy
import json
import math
import pickle
import time

import numpy as np
import pytest
import scipy.signal
from hypothesis import given
from hypothesis import strategies as st

from sunhwan.errors import SunhwanError
from sunhwan.evaluation.intervals import RATE, Calibration, fewest

NAN = float("nan")


def autoregression(windows, horizon, change=1.0, seed=0, phi=0.8):
    """The best forecasts (windows, horizon) of an autoregression and what came true.

    Its noise is `change` times as strong from the middle of the last four fifths on.
    """
    noise = np.random.default_rng(seed).normal(size=windows + horizon)
    noise[windows * 3 // 5 :] *= change
    y = scipy.signal.lfilter([1], [1, -phi], noise)
    ahead = np.arange(1, horizon + 1)
    now = np.arange(windows)[:, None]
    return y[now] * phi**ahead, y[now + ahead]


def held(bounds, truth):
    return (bounds.lower <= truth) & (truth <= bounds.upper)


def series_of(seed, windows, steps, missing=0.2):
    """A made-up series, quantile forecasts of it, and truths that are the series at each step, with holes.

    Returns:
        y (windows + max(steps),), lower and upper (windows, steps), truth (windows, steps).
    """
    random = np.random.default_rng(seed)
    y = random.normal(size=windows + max(steps)).round(1)  # rounded, so that scores tie
    y[random.random(len(y)) < missing] = NAN
    lower = random.normal(-1, 0.5, (windows, len(steps))).round(1)
    upper = lower + random.gamma(2, 0.5, (windows, len(steps))).round(1)
    gone = random.random(windows) < missing
    lower[gone] = upper[gone] = NAN
    return y, lower, upper, y[np.arange(windows)[:, None] + np.array(steps)]


def one_by_one(calibration, lower, upper, y, at):
    """What `run` says, said by `issue` and `update`: y (times,) is what is observed at each time."""
    rows, said = dict(zip(at, range(len(at)), strict=True)), []
    for now in range(at[0], at[-1] + 1):
        if now > at[0]:
            calibration.update(y[now])
        if now in rows:
            said.append(calibration.issue(lower[rows[now]], upper[rows[now]]))
    return [np.stack(bounds) for bounds in zip(*said, strict=True)]


# Split conformal prediction


def test_the_margin_by_hand():
    """Nine scores 1 to 9: at 90 % the 9th smallest, ceil(10 * 0.9); at 80 % the 8th; at 50 % the 5th."""
    truth = np.array([[3.0], [-1], [4], [-2], [5], [9], [-6], [8], [7]])
    point = np.zeros((9, 1))
    for level, margin in ((0.9, 9), (0.8, 8), (0.5, 5)):
        calibration = Calibration.fit(point, point, truth, level=level)
        assert calibration.margins.tolist() == [margin]
        lower, upper = calibration.adjust([[10.0], [20.0]], [[10.0], [20.0]])
        assert (lower.tolist(), upper.tolist()) == (
            [[10 - margin], [20 - margin]],
            [[10 + margin], [20 + margin]],
        )


@pytest.mark.parametrize("percent", range(50, 100, 3))
def test_rounding_takes_no_score_more_than_the_level_asks_for(percent):
    """k = ceil((n + 1) percent / 100) in integers; in float64 70 % of 10 is a hair above 7, or below."""
    for count in range(fewest(percent / 100), 130):
        rising = np.arange(1.0, count + 1)[:, None]
        calibration = Calibration.fit(0 * rising, 0 * rising, rising, level=percent / 100)
        assert calibration.margins == [-(-(count + 1) * percent // 100)]


def test_quantiles_that_are_too_wide_are_narrowed():
    """Truths 0 to 8 within -10 and 20: scores -10 to -2 by the lower bound, the 9th smallest is -2."""
    truth = np.arange(9.0)[:, None]
    calibration = Calibration.fit(np.full((9, 1), -10.0), np.full((9, 1), 20.0), truth, level=0.9)
    assert calibration.margins == [max(-10 - 0, 0 - 20)]  # the score of truth 0
    lower, upper = calibration.adjust([0.0], [100.0])
    assert (lower, upper) == ([10], [90])
    # Where nothing would be left, the middle.
    lower, upper = calibration.adjust([0.0], [4.0])
    assert (lower, upper) == ([2], [2])


def test_each_step_has_its_own_margin():
    truth = np.arange(1.0, 10)[:, None] * [1, 10, 100]
    calibration = Calibration.fit(np.zeros((9, 3)), np.zeros((9, 3)), truth, level=0.9)
    assert calibration.margins.tolist() == [9, 90, 900]


@pytest.mark.parametrize("level", [0.5, 0.8, 0.9, 0.95])
def test_split_conformal_covers_exchangeable_truths_as_it_should(level):
    """Of n + 1 exchangeable scores the last is among the k smallest with probability k / (n + 1)."""
    random, count, trials = np.random.default_rng(0), 39, 4000
    truth = random.standard_t(3, (trials, count + 1))
    covered = 0
    for row in truth:
        calibration = Calibration.fit(
            np.zeros((count, 1)), np.zeros((count, 1)), row[:count, None], level=level
        )
        covered += abs(row[-1]) <= calibration.margins[0]
    expected = math.ceil((count + 1) * level - 1e-9) / (count + 1)
    # Four standard errors.
    assert covered / trials == pytest.approx(expected, abs=4 * math.sqrt(0.25 / trials))


@pytest.mark.parametrize(("level", "count"), [(0.5, 1), (0.8, 4), (0.9, 9), (0.95, 19), (0.99, 99)])
def test_the_fewest_scores_that_a_level_takes(level, count):
    assert fewest(level) == count
    fine = np.zeros((count, 1))
    assert Calibration.fit(fine, fine, fine, level=level).margins == [0]
    with pytest.raises(
        SunhwanError, match=f"step 1 has {count - 1} validation forecasts .* at least {count}"
    ):
        Calibration.fit(fine[1:], fine[1:], fine[1:], level=level)


def test_crossed_quantiles_are_swapped():
    lower, upper, truth = (np.random.default_rng(seed).normal(size=(50, 2)) for seed in range(3))
    mine, theirs = (Calibration.fit(*both, truth, level=0.8) for both in ((lower, upper), (upper, lower)))
    assert mine.to_dict() == theirs.to_dict()
    np.testing.assert_array_equal(mine.adjust(lower, upper), theirs.adjust(upper, lower))
    assert (mine.adjust(lower, upper).lower <= mine.adjust(lower, upper).upper).all()


def test_validation_without_a_truth_or_a_forecast_is_left_out():
    truth = np.arange(1.0, 21)[:, None]
    truth[::2] = NAN
    lower = np.zeros((20, 1))
    lower[1] = NAN
    calibration = Calibration.fit(lower, lower, truth, level=0.9)
    assert calibration.margins == [20]  # of 4, 6, ..., 20, nine scores
    assert np.isnan(calibration.adjust([NAN], [NAN])).all()


def test_only_the_latest_scores_are_kept():
    truth = np.concatenate([np.full(50, 100.0), np.ones(20)])[:, None]
    calibration = Calibration.fit(np.zeros((70, 1)), np.zeros((70, 1)), truth, level=0.9, recent=20)
    assert calibration.margins == [1]


# Feedback


def test_feedback_by_hand():
    """Scores 1 to 9 at 80 %, two steps; a miss takes the miss rate from 0.2 to 0.12, a hit to 0.22."""
    truth = np.repeat(np.arange(1.0, 10)[:, None], 2, axis=1)
    calibration = Calibration.fit(np.zeros((9, 2)), np.zeros((9, 2)), truth, level=0.8, recent=9, rate=0.1)
    assert calibration.margins.tolist() == [8, 8]
    calibration.issue([0.0, 0.0], [0.0, 0.0])
    calibration.update(8.5)  # a miss one step ahead; of two steps ahead nothing is known
    np.testing.assert_allclose(calibration.miss_rates, [0.12, 0.2])
    # Scores are now 2 to 9 and 8.5: ceil(10 * 0.88) is the 9th, 9; two steps ahead still the 8th.
    assert calibration.margins.tolist() == [9, 8]
    calibration.issue([0.0, 0.0], [0.0, 0.0])
    calibration.update(8.7)  # a hit by the margin 9; what was said two steps before, with 8, is a miss
    np.testing.assert_allclose(calibration.miss_rates, [0.14, 0.12])
    assert calibration.margins.tolist() == [9, 9]


def test_a_miss_is_one_of_what_was_said_then():
    """The margin grows between a forecast and its truth, which lies between the two margins: still a miss."""
    truth = np.repeat(np.arange(1.0, 10)[:, None], 2, axis=1)
    calibration = Calibration.fit(np.zeros((9, 2)), np.zeros((9, 2)), truth, level=0.8, rate=0.1)
    for y in (100.0, 100.0):
        calibration.issue([0.0, 0.0], [0.0, 0.0])
        calibration.update(y)
    before, grown = calibration.miss_rates[1], calibration.margins[1]
    assert grown == 100
    calibration.update(9.0)
    assert calibration.miss_rates[1] == pytest.approx(before - 0.1 * 0.8)


def test_nothing_is_learnt_before_the_first_truths_are_there():
    truth = np.random.default_rng(0).normal(size=(50, 1))
    calibration = Calibration.fit(truth, truth, truth + 1, level=0.9, steps=[6])
    begin = calibration.to_dict()
    for _ in range(5):
        calibration.issue([0.0], [0.0])
        calibration.update(1000.0)
        assert calibration.margins == [1] and calibration.miss_rates == pytest.approx([0.1])
    calibration.issue([0.0], [0.0])
    calibration.update(1000.0)
    assert calibration.miss_rates < 0.1
    assert begin != calibration.to_dict()


@pytest.mark.parametrize("what", ["truth", "forecast"])
def test_times_without_a_truth_or_a_forecast_pass(what):
    truth = np.random.default_rng(0).normal(size=(50, 2))
    calibration = Calibration.fit(np.zeros((50, 2)), np.zeros((50, 2)), truth, level=0.9)
    before = calibration.margins.tolist(), calibration.miss_rates.tolist()
    for _ in range(4):
        if what == "truth":
            calibration.issue([0.0, 0.0], [0.0, 0.0])
            calibration.update(NAN)
        else:
            calibration.update(3.0)
    assert (calibration.margins.tolist(), calibration.miss_rates.tolist()) == before


def test_of_two_forecasts_at_one_time_the_second_stands():
    truth = np.random.default_rng(0).normal(size=(50, 1))
    calibration, other = (Calibration.fit(truth * 0, truth * 0, truth, level=0.9) for _ in range(2))
    calibration.issue([50.0], [50.0])
    for each in (calibration, other):
        each.issue([0.0], [0.0])
        each.update(0.1)
    assert calibration.to_dict() == other.to_dict()


steps_ahead = st.sampled_from([[1], [1, 2, 3], [3], [2, 7], [1, 24]])


@given(st.integers(0, 10**6), steps_ahead, st.integers(1, 60), st.booleans(), st.sampled_from([12, 500]))
def test_run_says_what_issue_and_update_say_and_leaves_the_same_state(seed, steps, windows, gaps, recent):
    random = np.random.default_rng(seed)
    y, lower, upper, truth = series_of(seed, 60 + windows, steps)
    fit = {"level": 0.75, "steps": steps, "recent": recent, "rate": 0.05}
    lengths = random.integers(1, 4, windows) if gaps else np.ones(windows, int)
    at = 60 + np.minimum(np.cumsum(lengths) - lengths[0], windows - 1)
    at = np.unique(at)
    run, stepwise = (Calibration.fit(lower[:60], upper[:60], truth[:60], **fit) for _ in range(2))
    said = run.run(lower[at], upper[at], truth[at], None if len(at) == windows else at)
    expected = one_by_one(stepwise, lower[at], upper[at], y, at.tolist())
    np.testing.assert_array_equal(said.lower, expected[0])
    np.testing.assert_array_equal(said.upper, expected[1])
    assert run.to_dict() == stepwise.to_dict()
    # And they go on alike.
    for each in (run, stepwise):
        each.update(0.7)
    assert run.to_dict() == stepwise.to_dict()


class Simple:
    """What the file's head says, for one step, with all that was ever scored kept and sorted anew."""

    def __init__(self, scored, level, ahead, recent, rate):
        self.scored, self.level, self.ahead, self.recent = list(scored), level, ahead, recent
        self.rate, self.miss_rate, self.said = min(rate, 1 / (math.e * ahead)), 1 - level, {}

    @property
    def margin(self):
        latest = sorted(self.scored[-self.recent :])
        rank = math.ceil((len(latest) + 1) * (1 - self.miss_rate) - 1e-9)
        return latest[min(rank, len(latest)) - 1]

    def issue(self, now, lower, upper):
        lower, upper = min(lower, upper), max(lower, upper)
        self.said[now] = lower, upper, max(self.margin, (lower - upper) / 2)
        margin = self.said[now][2]
        return sorted([lower - margin, upper + margin])

    def update(self, now, truth):
        if now - self.ahead not in self.said or truth != truth:
            return
        lower, upper, margin = self.said[now - self.ahead]
        score = max(lower - truth, truth - upper)
        target = 1 - self.level
        moved = self.miss_rate + self.rate * (target - (score > margin))
        self.miss_rate = min(moved, 2 * target, (1 + target) / 2)
        self.scored.append(score)


halves = st.integers(-6, 6).map(lambda number: number / 2)  # so that scores tie with each other and margins


@given(
    st.lists(st.tuples(st.none() | halves, st.none() | st.tuples(halves, halves)), max_size=60),
    st.lists(halves, min_size=4, max_size=12),
    st.sampled_from([[1], [1, 2, 3], [2, 7]]),
    st.sampled_from([4, 5, 11]),
    st.sampled_from([0.5, 0.75]),
    st.sampled_from([0.0, 0.05, 0.3]),
)
def test_issue_and_update_do_what_sorting_anew_would(times, begin, steps, recent, level, rate):
    truth = np.repeat(np.array(begin)[:, None], len(steps), axis=1)
    calibration = Calibration.fit(
        0 * truth, 0 * truth, truth, level=level, steps=steps, recent=recent, rate=rate
    )
    simple = [Simple(np.abs(begin), level, ahead, recent, rate) for ahead in steps]
    for now, (observed, bounds) in enumerate(times):
        observed = NAN if observed is None else observed
        calibration.update(observed)
        for one in simple:
            one.update(now, observed)
        assert calibration.margins.tolist() == [one.margin for one in simple]
        assert calibration.miss_rates.tolist() == [one.miss_rate for one in simple]
        lower, upper = (np.full(len(steps), bound) for bound in bounds or (NAN, NAN))
        said = calibration.issue(lower, upper)
        if bounds:
            expected = [one.issue(now, *bounds) for one in simple]
            np.testing.assert_array_equal(np.transpose(said), expected)
        else:
            assert np.isnan(said).all()


def test_bounds_of_which_one_is_missing_are_none():
    truth = np.random.default_rng(0).normal(size=(50, 2))
    calibration = Calibration.fit(0 * truth, 0 * truth, truth, level=0.9)
    before = calibration.margins.tolist()
    said = calibration.issue([NAN, 1.0], [1.0, NAN])
    assert np.isnan(said).all()
    calibration.update(3.0)
    calibration.update(3.0)
    assert calibration.margins.tolist() == before


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, lambda one: pickle.loads(pickle.dumps(one))])
def test_a_copy_goes_on_alike_and_by_itself(copied):
    y, lower, upper, truth = series_of(0, 120, [1, 2])
    calibration = Calibration.fit(lower[:60], upper[:60], truth[:60], level=0.75, steps=[1, 2])
    for now in range(60, 70):
        calibration.update(y[now])
        calibration.issue(lower[now], upper[now])
    other, before = copied(calibration), calibration.to_dict()
    for now in range(70, 80):
        other.update(y[now])
        other.issue(lower[now], upper[now])
    assert calibration.to_dict() == before != other.to_dict()
    for now in range(70, 80):
        calibration.update(y[now])
        calibration.issue(lower[now], upper[now])
    assert calibration.to_dict() == other.to_dict()


@given(st.integers(0, 10**6), steps_ahead, st.integers(0, 59))
def test_what_is_said_rests_on_nothing_that_came_true_later(seed, steps, now):
    y, lower, upper, truth = series_of(seed, 120, steps)
    later = y.copy()
    later[60 + now + 1 :] = np.random.default_rng(seed + 1).normal(0, 50, len(y) - 61 - now)
    changed = later[np.arange(120)[:, None] + np.array(steps)]
    said = [
        Calibration.fit(lower[:60], upper[:60], truth[:60], level=0.75, steps=steps, rate=0.1).run(
            lower[60:], upper[60:], values[60:]
        )
        for values in (truth, changed)
    ]
    np.testing.assert_array_equal(said[0].lower[: now + 1], said[1].lower[: now + 1])
    np.testing.assert_array_equal(said[0].upper[: now + 1], said[1].upper[: now + 1])


def test_what_came_true_in_time_is_used():
    """Were nothing ever learnt, the test above would hold too."""
    _, lower, upper, truth = series_of(0, 120, [3], missing=0)
    calibration = Calibration.fit(lower[:60], upper[:60], truth[:60], level=0.75, steps=[3], rate=0.1)
    said = calibration.run(lower[60:], upper[60:], truth[60:] + 100)
    width = said.upper - said.lower - (upper - lower)[60:]
    assert np.ptp(width[:3]) < 1e-9
    assert (width[3:] > width[:3].max() + 1e-9).all()


@given(st.integers(0, 10**6), steps_ahead, st.sampled_from([0.6, 0.75, 0.9]), st.floats(0.001, 0.2))
def test_misses_are_bounded_by_the_miss_rate_s_way(seed, steps, level, rate):
    """The inequality of the file's head, whatever comes true: here something that changes without warning."""
    random = np.random.default_rng(seed)
    y = np.repeat(random.normal(0, 10 ** random.uniform(-2, 2, 12)), 20)[: 200 + max(steps)]
    truth = y[np.arange(200)[:, None] + np.array(steps)]
    point = np.zeros_like(truth)
    calibration = Calibration.fit(point[:60], point[:60], truth[:60], level=level, steps=steps, rate=rate)
    before = calibration.miss_rates
    said = calibration.run(point[60:], point[60:], truth[60:])
    for column, ahead in enumerate(steps):
        known = slice(0, 140 - ahead)  # what came true up to the last forecast
        misses = (~held(said, truth[60:]))[known, column]
        own = min(rate, 1 / (math.e * ahead))
        way = (before[column] - calibration.miss_rates[column]) / (own * max(len(misses), 1))
        assert misses.mean() <= 1 - level + way + 1e-9
        assert calibration.miss_rates[column] <= min(2 * (1 - level), (2 - level) / 2)


def test_under_the_ceiling_the_inequality_is_an_equation():
    forecast, truth = autoregression(3000, 3)
    calibration = Calibration.fit(forecast[:1000], forecast[:1000], truth[:1000], level=0.9)
    said = calibration.run(forecast[1000:], forecast[1000:], truth[1000:])
    for column in range(3):
        misses = (~held(said, truth[1000:]))[: 2000 - column - 1, column]
        way = (0.1 - calibration.miss_rates[column]) / (RATE * len(misses))
        assert misses.mean() == pytest.approx(0.1 + way, abs=1e-9)


# Coverage


@pytest.mark.parametrize("change", [1.0, 2.0, 4.0])
@pytest.mark.parametrize("horizon", [1, 12])
def test_coverage_holds_when_the_noise_grows_halfway(change, horizon):
    """5,000 windows: 1,000 of validation, 2,000 of test before the noise changes and 2,000 after."""
    forecast, truth = autoregression(5000, horizon, change)
    calibration = Calibration.fit(forecast[:1000], forecast[:1000], truth[:1000], level=0.9)
    static = held(calibration.adjust(forecast[1000:], forecast[1000:]), truth[1000:])
    adaptive = held(calibration.run(forecast[1000:], forecast[1000:], truth[1000:]), truth[1000:])
    for half in (adaptive[:2000], adaptive[2000:]):
        assert half.mean(axis=0) == pytest.approx(np.full(horizon, 0.9), abs=0.025)
    if change > 1:
        assert static[2000:].mean() < 0.7, "what the feedback is there to mend"


def test_intervals_narrow_again_when_the_noise_falls():
    forecast, truth = autoregression(5000, 3, change=0.5)
    calibration = Calibration.fit(forecast[:1000], forecast[:1000], truth[:1000], level=0.9)
    said = calibration.run(forecast[1000:], forecast[1000:], truth[1000:])
    width = said.upper - said.lower
    assert width[-1000:].mean() == pytest.approx(0.5 * width[1000:2000].mean(), rel=0.15)
    assert held(said, truth[1000:])[-1000:].mean() == pytest.approx(0.9, abs=0.025)


def test_quantile_forecasts_that_are_wrong_are_mended():
    """Bounds of half the width that they should have, and of twice: both end at 90 %."""
    forecast, truth = autoregression(4000, 2)
    for half in (0.8, 3.2):
        lower, upper = forecast - half, forecast + half
        calibration = Calibration.fit(lower[:1000], upper[:1000], truth[:1000], level=0.9)
        said = calibration.run(lower[1000:], upper[1000:], truth[1000:])
        assert held(said, truth[1000:]).mean() == pytest.approx(0.9, abs=0.02)
        raw = ((lower <= truth) & (truth <= upper))[1000:].mean()
        assert abs(raw - 0.9) > 0.06


def test_far_steps_do_not_overshoot():
    """144 steps ahead a rate of 0.05 would swing: coverage of any 1,000 windows would too."""
    random = np.random.default_rng(0)
    truth = random.normal(size=(7000, 1))
    point = np.zeros_like(truth)
    calibration = Calibration.fit(point[:1000], point[:1000], truth[:1000], level=0.9, steps=[144], rate=0.05)
    kept = held(calibration.run(point[1000:], point[1000:], truth[1000:]), truth[1000:])
    assert kept.reshape(6, 1000).mean(axis=1) == pytest.approx(np.full(6, 0.9), abs=0.025)


def test_hours_without_rain_are_not_paid_back():
    """Nothing to miss for 3,000 hours, then noise, of which most is held from the beginning."""
    random = np.random.default_rng(0)
    noise = random.normal(size=(600, 1))
    truth = np.concatenate([noise[:100], np.zeros((3000, 1)), noise[100:]])
    point = np.zeros_like(truth)
    calibration = Calibration.fit(point[:100], point[:100], truth[:100], level=0.9)
    said = calibration.run(point[100:], point[100:], truth[100:])
    assert held(said, truth[100:])[:3000].all()
    # All scores are 0 when the noise begins; as soon as a few are known, their largest is the margin.
    assert held(said, truth[100:])[3000:3200].mean() > 0.7
    assert held(said, truth[100:])[-250:].mean() > 0.85


def test_constant_truths_and_a_forecast_that_is_always_right():
    truth = np.full((100, 2), 7.0)
    calibration = Calibration.fit(truth[:50], truth[:50], truth[:50], level=0.9)
    said = calibration.run(truth[50:], truth[50:], truth[50:])
    np.testing.assert_array_equal(said.lower, truth[50:])
    np.testing.assert_array_equal(said.upper, truth[50:])


# Streams


@given(st.integers(0, 10**6), steps_ahead, st.integers(0, 30))
def test_a_stream_that_is_stopped_goes_on_to_the_last_bit(seed, steps, stop):
    y, lower, upper, truth = series_of(seed, 95, steps)
    whole, stopped = (
        Calibration.fit(lower[:60], upper[:60], truth[:60], level=0.75, steps=steps, rate=0.05)
        for _ in range(2)
    )
    for now in range(60, 95):
        for each in (whole, stopped):
            each.update(y[now])
        if now == 60 + stop:
            stopped = Calibration.from_dict(json.loads(json.dumps(stopped.to_dict())))
        said, expected = (each.issue(lower[now], upper[now]) for each in (stopped, whole))
        if now == 60 + stop + 1:
            stopped = Calibration.from_dict(
                json.loads(json.dumps(stopped.to_dict()))
            )  # with a forecast made and not yet passed
        np.testing.assert_array_equal(said, expected)
    assert stopped.to_dict() == whole.to_dict()


def test_memory_is_constant():
    calibration = Calibration.fit(
        np.zeros((200, 3)),
        np.zeros((200, 3)),
        np.random.default_rng(0).normal(size=(200, 3)),
        level=0.9,
        recent=50,
    )
    random, sizes = np.random.default_rng(1), []
    for _ in range(300):
        calibration.issue([0.0] * 3, [0.0] * 3)
        calibration.update(random.normal())
        value = calibration.to_dict()
        sizes.append((*map(len, value["scores"]), len(value["outstanding"])))
    assert set(sizes[3:]) == {(50, 50, 50, 3)}


@pytest.mark.parametrize(
    "spoil",
    [
        lambda value: value.pop("scores"),
        lambda value: value.update(level=2),
        lambda value: value.update(steps=[2, 1]),
        lambda value: value.update(scores=[[1.0] * 9, []]),
        lambda value: value.update(scores=[[1.0] * 9]),
        lambda value: value.update(scores=[[1.0, NAN] * 9] * 2),
        lambda value: value.update(miss_rates=[0.1, "a"]),
        lambda value: value.update(miss_rates=[0.1]),
        lambda value: value.update(now=[[1.0], [1.0], [1.0]]),
        lambda value: value.update(outstanding=[[1.0, 2.0]]),
        lambda value: value.update(recent=None),
    ],
)
def test_a_malformed_state_is_refused(spoil):
    fine = np.ones((9, 2))
    value = Calibration.fit(fine, fine, fine, level=0.9).to_dict()
    assert Calibration.from_dict(value).margins.tolist() == [0, 0]
    spoil(value)
    with pytest.raises(SunhwanError, match="expected the state that a calibration saved"):
        Calibration.from_dict(value)


def test_what_is_no_state_and_another_format():
    for saved in ({}, [], 3, None, "{", {"format": {}}):
        with pytest.raises(SunhwanError, match=r"a calibration saved|has format"):
            Calibration.from_dict(saved)
    with pytest.raises(SunhwanError, match="has format 99, but this version reads 1"):
        Calibration.from_dict({"format": 99})


# Several series


def test_series_have_margins_of_their_own():
    random = np.random.default_rng(0)
    truth = random.normal(size=(600, 2))
    names = np.tile(["calm", "wild"], 300)
    truth[names == "wild"] *= 10
    point = np.zeros_like(truth)
    found = Calibration.fit_series(point, point, truth, names, level=0.9)
    assert list(found) == ["calm", "wild"]
    for name, calibration in found.items():
        alone = Calibration.fit(point[names == name], point[names == name], truth[names == name], level=0.9)
        assert calibration.to_dict() == alone.to_dict()
    assert (found["wild"].margins > 5 * found["calm"].margins).all()
    calm = found["calm"].to_dict()
    found["wild"].issue([0.0, 0.0], [0.0, 0.0])
    found["wild"].update(1e6)
    assert found["calm"].to_dict() == calm


def test_a_series_with_too_few_truths_begins_with_those_of_all():
    truth = np.arange(1.0, 101)[:, None] * [1, 1]
    names = np.where(np.arange(100) < 92, 1, 2)
    truth[:85, 1] = NAN  # of the second step, no series has nine but both together
    truth[90:92, 1] = NAN
    point = np.zeros_like(truth)
    found = Calibration.fit_series(point, point, truth, names, level=0.9, recent=20)
    scores = {name: calibration.to_dict()["scores"] for name, calibration in found.items()}
    assert scores[1][0] == list(range(73, 93)), "its own, the latest"
    # 20 of 100, from the first to the last.
    assert scores[2][0] == [1 + int(at) for at in np.linspace(0, 99, 20)]
    assert scores[1][1] == scores[2][1] == [86, 87, 88, 89, 90, 93, 94, 95, 96, 97, 98, 99, 100]
    with pytest.raises(SunhwanError, match="step 1 has 5 validation forecasts"):
        Calibration.fit_series(point[:5], point[:5], truth[:5], names[:5], level=0.9)
    with pytest.raises(ValueError, match="series has 99 ids, expected one for each window, 100"):
        Calibration.fit_series(point, point, truth, names[1:], level=0.9)


# What is refused


def test_arguments_that_are_none():
    fine = np.ones((20, 2))
    for arguments, message in (
        ({"level": 90}, "level is 90"),
        ({"level": 0}, "level is 0"),
        ({"level": 0.9, "steps": [1]}, r"steps are \(1,\), expected 2 rising integers"),
        ({"level": 0.9, "steps": [0, 1]}, "steps are"),
        ({"level": 0.9, "steps": [2, 2]}, "steps are"),
        ({"level": 0.9, "recent": 8}, "recent is 8, expected at least 9"),
        ({"level": 0.9, "rate": 1}, "rate is 1"),
        ({"level": 0.9, "rate": -0.1}, "rate is -0.1"),
    ):
        for fit in (Calibration.fit, lambda *a, **k: Calibration.fit_series(*a, [0] * 20, **k)):
            with pytest.raises(ValueError, match=message):
                fit(fine, fine, fine, **arguments)


def test_shapes_that_do_not_fit():
    fine = np.ones((20, 2))
    calibration = Calibration.fit(fine, fine, fine, level=0.9)
    with pytest.raises(ValueError, match=r"upper has shape \(20, 1\), expected that of lower, \(20, 2\)"):
        Calibration.fit(fine, fine[:, :1], fine, level=0.9)
    with pytest.raises(ValueError, match=r"truth has shape \(19, 2\)"):
        Calibration.fit(fine, fine, fine[1:], level=0.9)
    for empty in (np.ones(20), np.ones((20, 0))):
        with pytest.raises(ValueError, match=r"expected \(windows, steps\)"):
            Calibration.fit(empty, empty, empty, level=0.9)
    with pytest.raises(SunhwanError, match="step 1 has 0 validation"):
        Calibration.fit(fine[:0], fine[:0], fine[:0], level=0.9)
    with pytest.raises(ValueError, match=r"lower has shape \(3,\), expected \(2 steps,\)"):
        calibration.issue([1.0] * 3, [1.0] * 3)
    with pytest.raises(ValueError, match=r"lower has shape \(\), expected \(\.\.\., 2 steps\)"):
        calibration.adjust(1.0, 1.0)
    with pytest.raises(ValueError, match=r"expected \(windows, 2 steps\)"):
        calibration.run(fine[0], fine[0], fine[0])
    for at in ([0], np.arange(20)[::-1], np.zeros(20, int), np.arange(20.0)):
        with pytest.raises(ValueError, match="expected rising integers"):
            calibration.run(fine, fine, fine, at=at)


def test_infinite_values_are_refused():
    fine, wrong = np.ones((20, 1)), np.full((20, 1), np.inf)
    calibration = Calibration.fit(fine, fine, fine, level=0.9)
    for lower, upper, truth in ((wrong, fine, fine), (fine, wrong, fine), (fine, fine, wrong)):
        with pytest.raises(ValueError, match="infinite"):
            Calibration.fit(lower, upper, truth, level=0.9)
        with pytest.raises(ValueError, match="infinite"):
            calibration.run(lower, upper, truth)
    with pytest.raises(ValueError, match="infinite"):
        calibration.issue([np.inf], [1.0])
    for truth in (np.inf, [1.0]):
        with pytest.raises(ValueError, match="expected one finite number, or NaN"):
            calibration.update(truth)


def test_a_run_begins_with_nothing_outstanding():
    fine = np.ones((20, 2))
    calibration = Calibration.fit(fine, fine, fine, level=0.9)
    calibration.run(fine[:0], fine[:0], fine[:0])
    calibration.issue([1.0, 1.0], [1.0, 1.0])
    for _ in range(2):
        with pytest.raises(ValueError, match="outstanding from before"):
            calibration.run(fine, fine, fine)
        calibration.update(1.0)
    calibration.update(1.0)  # two steps on, all that was said has come true
    assert calibration.run(fine, fine, fine).lower.shape == (20, 2)


def test_a_run_of_one_window():
    fine = np.ones((20, 2))
    calibration = Calibration.fit(fine, fine, fine + 1, level=0.9)
    said = calibration.run(fine[:1], fine[:1], fine[:1])
    assert (said.lower.tolist(), said.upper.tolist()) == ([[0, 0]], [[2, 2]])


def test_ten_thousand_windows_are_quick():
    forecast, truth = autoregression(11_000, 12)
    calibration = Calibration.fit(forecast[:1000], forecast[:1000], truth[:1000], level=0.9)
    began = time.process_time()
    calibration.run(forecast[1000:], forecast[1000:], truth[1000:])
    assert time.process_time() - began < 2, "0.2 s where nothing else runs"
