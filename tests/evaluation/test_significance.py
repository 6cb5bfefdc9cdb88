"""Significance: resamples against slow ones written out, tests against tables, and what chance may not do."""

import time
from dataclasses import asdict

import numpy as np
import pytest
import scipy.signal
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from sunhwan.errors import SunhwanError
from sunhwan.evaluation import significance
from sunhwan.evaluation.significance import (
    FEWEST_BLOCKS,
    Improvement,
    McNemar,
    Spread,
    autocovariances,
    block_length,
    improvement,
    mcnemar,
    resampled,
    spread,
)

NAN = float("nan")


def autoregressive(random, windows, phi):
    """Standard normal values, each correlated by `phi` with the one before."""
    noise = random.normal(size=windows + 500) * np.sqrt(1 - phi**2)
    return scipy.signal.lfilter([1], [1, -phi], noise)[500:]


def errors(random, windows, phi, better=0.0):
    """Absolute errors of two forecasts, of equal mean but for the share by which the first is better."""
    ours, theirs = (np.exp(0.5 * autoregressive(random, windows, phi)) for _ in range(2))
    return (1 - better) * ours, theirs


# The bootstrap


def test_the_figure_is_that_of_the_means():
    found = improvement([1.0, 2.0, 3.0] * 10, [2.0, 2.0, 4.0] * 10)
    assert found.percent == pytest.approx(25)
    assert found.windows == 30
    low, high = found.interval
    assert low < 25 < high


def test_the_other_way_round():
    ours, theirs = errors(np.random.default_rng(0), 500, 0.5, better=0.1)
    found, other = improvement(ours, theirs), improvement(theirs, ours)
    assert found.percent > 0 > other.percent
    assert (1 - found.percent / 100) * (1 - other.percent / 100) == pytest.approx(1)
    # The same blocks are drawn, if the two block lengths are about the same.
    assert found.probability == pytest.approx(1 - other.probability, abs=0.03)


def test_seeds_make_figures_and_another_seed_makes_nearly_the_same():
    ours, theirs = errors(np.random.default_rng(0), 800, 0.7)
    found = improvement(ours, theirs, seed=3)
    assert found == improvement(ours, theirs, seed=3)
    other = improvement(ours, theirs, seed=4)
    assert other.interval != found.interval
    width = found.interval[1] - found.interval[0]
    assert other.interval == pytest.approx(found.interval, abs=0.15 * width)


def test_a_wider_level_gives_a_wider_interval():
    ours, theirs = errors(np.random.default_rng(0), 800, 0.7)
    narrow, wide = (improvement(ours, theirs, level=level).interval for level in (0.8, 0.99))
    assert wide[0] < narrow[0] < narrow[1] < wide[1]


def test_units_do_not_matter():
    ours, theirs = errors(np.random.default_rng(0), 300, 0.7)
    found, other = improvement(ours, theirs), improvement(8 * ours, 8 * theirs)
    assert found == other


def slow(sums, lengths, block, resamples, seed):
    """The stationary bootstrap step by step: block by block, window by window."""
    random = np.random.default_rng(seed)
    begins = np.cumsum(lengths) - lengths
    of = np.repeat(np.arange(len(lengths)), lengths)
    found = []
    for _ in range(resamples):
        total = np.zeros(2)
        for drawn in range(sums.shape[1]):
            if drawn == 0 or random.random() < 1 / block:
                at = random.integers(sums.shape[1])
            else:
                begin, length = begins[of[at]], lengths[of[at]]
                at = begin + (at + 1 - begin) % length
            total += sums[:, at]
        found.append(total)
    return np.array(found).T


@pytest.mark.parametrize(
    ("lengths", "block"), [([40], 1), ([40], 6.5), ([7, 21, 12], 5), ([2, 3, 35], 12), ([1] * 40, 1)]
)
def test_resamples_are_those_of_the_method_written_out(lengths, block):
    random = np.random.default_rng(0)
    lengths = np.array(lengths)
    sums = np.stack([autoregressive(random, 40, 0.8) ** 2, autoregressive(random, 40, 0.8) ** 2])
    ours = resampled(sums, lengths, block, 4000, np.random.default_rng(1))
    written_out = slow(sums, lengths, block, 4000, seed=2)
    for which in range(2):
        same = scipy.stats.ks_2samp(ours[which], written_out[which])
        assert same.pvalue > 0.001, "seeded, and unlike in one of a thousand if the two were the same"
    # Every window is as likely as every other: the mean over resamples is the sample's, to 5 standard errors.
    error = ours.std(axis=1) / np.sqrt(4000)
    assert (np.abs(ours.mean(axis=1) - sums.sum(axis=1)) < 5 * error).all()
    assert np.corrcoef(ours)[0, 1] == pytest.approx(np.corrcoef(written_out)[0, 1], abs=0.1)


def test_resamples_are_the_same_however_many_are_drawn_at_a_time(monkeypatch):
    """Up to which blocks are drawn: one resample at a time leaves every resample a whole one."""
    sums = np.ones((2, 50))
    for drawn in (1, 70, 10**6):
        monkeypatch.setattr(significance, "DRAWN", drawn)
        np.testing.assert_array_equal(
            resampled(sums, np.array([20, 30]), 4.0, 30, np.random.default_rng(0)), 50.0
        )


def test_blocks_that_are_all_short_leave_the_rest_to_the_last():
    """What chance does one time in a billion: blocks of one window each, though 20 were expected of each."""

    class Short(np.random.Generator):
        def geometric(self, chance, shape):
            return np.ones(shape, int)

    drawn = resampled(np.ones((2, 400)), np.array([400]), 20.0, 3, Short(np.random.PCG64(0)))
    np.testing.assert_array_equal(drawn, 400.0)


def test_blocks_never_cross_series():
    """Two series of very different errors: a block that crossed would mix them, and no resample be pure."""
    sums = np.stack([np.repeat([1.0, 1000.0], 10)] * 2)
    drawn = resampled(sums, np.array([10, 10]), 1e9, 500, np.random.default_rng(0))[0]
    assert set(np.unique(drawn)) == {20.0, 20_000.0}


def test_series_may_be_mingled_in_time():
    ours, theirs = errors(np.random.default_rng(0), 300, 0.7)
    names = np.repeat(["a", "b", "c"], 100)
    mingled = np.arange(300).reshape(3, 100).T.ravel()
    found = improvement(ours, theirs, series=names)
    assert improvement(ours[mingled], theirs[mingled], series=names[mingled]) == found


def test_one_window_a_series_is_no_certainty():
    """Within series there is nothing to resample; between them there is."""
    ours, theirs = errors(np.random.default_rng(0), 200, 0.0)
    low, high = improvement(ours, theirs, series=np.arange(200)).interval
    assert high - low > 5


def test_series_that_err_together_are_drawn_together():
    """Twenty copies of one series are no more evidence than one."""
    ours, theirs = errors(np.random.default_rng(0), 200, 0.5)
    times = np.tile(np.arange(200), 20)
    together = improvement(np.tile(ours, 20), np.tile(theirs, 20), time=times)
    alone = improvement(ours, theirs)
    assert together.interval == pytest.approx(alone.interval)
    apart = improvement(np.tile(ours, 20), np.tile(theirs, 20), series=np.repeat(np.arange(20), 200))
    assert np.ptp(apart.interval) < 0.4 * np.ptp(alone.interval), "what `time` is there to prevent"


@pytest.mark.parametrize(("phi", "least"), [(0.0, 0.9), (0.8, 0.83)])
def test_the_interval_holds_the_truth_as_often_as_it_says(phi, least):
    """In 200 simulated test parts: 95 %, less 3 standard errors of 0.015, and less what few blocks lack."""
    random = np.random.default_rng(0)
    held = missed = 0
    for _ in range(200):
        found = improvement(*errors(random, 600, phi, better=0.1), resamples=300)
        held += found.interval[0] <= 10 <= found.interval[1]
    assert held / 200 >= least
    if phi:
        random = np.random.default_rng(0)
        for _ in range(200):
            ours, theirs = errors(random, 600, phi, better=0.1)
            at = random.integers(0, 600, (300, 600))
            drawn = 100 * (1 - ours[at].sum(axis=1) / theirs[at].sum(axis=1))
            missed += not np.quantile(drawn, 0.025) <= 10 <= np.quantile(drawn, 0.975)
        assert missed > 2 * (200 - held), "windows one by one, as if they were independent, are too sure"


def test_two_thousand_resamples_of_ten_thousand_windows_are_quick():
    ours, theirs = errors(np.random.default_rng(0), 10_000, 0.9)
    began = time.process_time()
    improvement(ours, theirs, horizon=24)
    assert time.process_time() - began < 1.5, "0.07 s where nothing else runs"


@pytest.mark.parametrize("phi", [0.3, 0.5, 0.8])
def test_the_block_is_politis_and_white_s(phi):
    """For an autoregression it is known: G / g(0) = 2 phi / (1 - phi^2), b = ((G / g(0))^2 n)^(1/3)."""
    random, found = np.random.default_rng(0), []
    for _ in range(9):
        # The difference of a forecast and one of constant error varies as the forecast does.
        found.append(block_length(10 + autoregressive(random, 20_000, phi), np.full(20_000, 10.0)))
    expected = ((2 * phi / (1 - phi**2)) ** 2 * 20_000) ** (1 / 3)
    # One estimate is off by a fifth or so, since it rests on a sum of estimated autocovariances.
    assert np.median(found) == pytest.approx(expected, rel=0.15)


def test_pairs_are_of_one_series():
    """Of 1, 2 | 10, 20, 30: at lag 1 the pairs 1 2, 10 20 and 20 30, at lag 2 only 10 30."""
    found = autocovariances(np.array([1.0, 2, 10, 20, 30]), np.array([2, 3]), 3)
    assert found.tolist() == [1405 / 5, 802 / 5, 300 / 5, 0]


def test_the_block_of_several_series_is_about_that_of_one():
    random = np.random.default_rng(0)
    series = 10 + np.stack([autoregressive(random, 1000, 0.7) for _ in range(20)])
    found = block_length(series.ravel(), np.full(20_000, 10.0), series=np.repeat(np.arange(20), 1000))
    assert found == pytest.approx(((1.4 / 0.51) ** 2 * 20_000) ** (1 / 3), rel=0.3)


def test_the_block_is_at_least_the_horizon_and_at_most_the_longest_series():
    ours, theirs = errors(np.random.default_rng(0), 300, 0.0)
    assert block_length(ours, theirs) < 5
    assert block_length(ours, theirs, horizon=48) == 48
    assert block_length(ours, theirs, horizon=48, series=np.repeat(np.arange(10), 30)) == 30


@pytest.mark.parametrize("factor", [1.0, 0.9, 0.0])
def test_forecasts_that_differ_by_nothing_or_by_a_factor(factor):
    theirs = np.exp(autoregressive(np.random.default_rng(0), 300, 0.9))
    found = improvement(factor * theirs, theirs)
    assert found.percent == pytest.approx(100 * (1 - factor))
    # No resample says anything else; differences of running sums round to 1e-13 or so.
    assert found.interval == pytest.approx((found.percent, found.percent), abs=1e-9)
    assert found.block == 1
    if factor == 1:
        assert (found.percent, found.interval, found.probability) == (0, (0, 0), 0.5)
        assert found.sentence("ridge") == (
            "no significant difference from ridge on the test part "
            "(0.0% lower error, 95% interval 0.0 to 0.0%)"
        )


def test_constant_errors():
    found = improvement(np.full(50, 2.0), np.full(50, 4.0))
    assert (found.percent, found.interval, found.probability) == (50, (50, 50), 1)


@pytest.mark.parametrize("windows", [1, 2, FEWEST_BLOCKS - 1])
def test_few_windows_say_nothing_of_chance(windows):
    found = improvement(np.full(windows, 1.0), np.full(windows, 2.0))
    assert (found.percent, found.interval, found.probability, found.sure) == (50, None, None, False)
    assert found.sentence("ridge").startswith("50.0% lower error than ridge, on too few windows")


def test_few_blocks_say_nothing_of_chance():
    ours, theirs = errors(np.random.default_rng(0), 100, 0.0)
    assert improvement(ours, theirs, horizon=20).interval is not None
    few = improvement(ours, theirs, horizon=21)
    assert few.interval is None
    assert few.sentence("ridge").endswith("on too few windows to estimate an interval (100, in blocks of 21)")


def test_what_was_not_observed_is_left_out():
    ours, theirs = errors(np.random.default_rng(0), 400, 0.0)
    holes = np.random.default_rng(1).random(400) < 0.2
    found = improvement(np.where(holes, NAN, ours), np.where(holes, NAN, theirs))
    assert found == improvement(ours[~holes], theirs[~holes])
    names = np.arange(400) % 3
    found = improvement(np.where(holes, NAN, ours), np.where(holes, NAN, theirs), series=names)
    assert found == improvement(ours[~holes], theirs[~holes], series=names[~holes])


def test_a_baseline_without_error_in_some_resamples():
    """A baseline that errs once in 30 windows is drawn in two resamples of three."""
    ours, theirs = np.zeros(30), np.zeros(30)
    theirs[4], ours[11] = 1.0, 0.5
    found = improvement(ours, theirs)
    assert found.percent == pytest.approx(50)
    assert found.interval == (-np.inf, 100)
    # An error of ours and none of the baseline's: worse; of neither: as good.
    assert 0.4 < found.probability < 0.8
    assert "nan" not in found.sentence("ridge")


def test_windows_that_do_not_compare():
    fine = np.ones(10)
    for wrong, message in (
        (np.ones(9), r"errors has shape \(10,\), baseline \(9,\)"),
        (np.ones((10, 1)), r"baseline \(10, 1\); expected \(windows,\)"),
        (-fine, "baseline holds negative or infinite"),
        (np.inf * fine, "baseline holds negative or infinite"),
        (np.where(np.arange(10) < 3, NAN, 1), "3 of 10 windows have an error of one forecast and NaN"),
    ):
        with pytest.raises(ValueError, match=message):
            improvement(fine, wrong)
    for arguments, message in (
        ({"series": np.zeros(9)}, r"series has shape \(9,\)"),
        ({"time": np.zeros((10, 1))}, r"time has shape \(10, 1\)"),
        ({"time": np.arange(10), "series": np.zeros(10)}, "series and time were both given"),
        ({"level": 95}, "level is 95"),
        ({"resamples": 0}, "resamples is 0"),
        ({"horizon": 0}, "horizon is 0"),
    ):
        with pytest.raises(ValueError, match=message):
            improvement(fine, fine, **arguments)
    for nothing in (np.zeros(0), np.full(3, NAN)):
        with pytest.raises(SunhwanError, match="has an observed error"):
            improvement(nothing, nothing)
    with pytest.raises(SunhwanError, match="the baseline makes no error in 10 windows"):
        improvement(fine, np.zeros(10))


def test_sentences_turn_the_interval_with_the_side():
    worse = Improvement(-3.14, (-5.04, -1.2), 0.95, 0.001, 8000, 24.0)
    assert worse.sentence("ridge") == "3.1% higher error than ridge (95% interval 1.2 to 5.0%)"
    perhaps = Improvement(0.4, (-0.04, 2.0), 0.9, 0.7, 8000, 24.0)
    assert perhaps.sentence("ridge") == (
        "no significant difference from ridge on the test part (0.4% lower error, 90% interval 0.0 to 2.0%)"
    )
    assert asdict(worse)["interval"] == (-5.04, -1.2)


@given(st.integers(5, 60), st.integers(1, 70), st.integers(1, 6), st.integers(0, 10**6))
def test_whatever_the_windows_the_figures_are_sound(windows, horizon, series, seed):
    random = np.random.default_rng(seed)
    ours, theirs = random.gamma(1, size=(2, windows))
    names = random.integers(0, series, windows)
    found = improvement(ours, theirs, series=names, horizon=horizon, resamples=50)
    assert 1 <= found.block <= max(np.bincount(names))
    if found.interval is not None:
        low, high = found.interval
        assert low <= high <= 100 and 0 <= found.probability <= 1
    else:
        assert windows < FEWEST_BLOCKS * found.block


# McNemar


def discordant(only_first, only_second, both=3, neither=2):
    """Which examples each of two classifiers got right."""
    first = np.repeat([True, True, False, False], [both, only_first, only_second, neither])
    second = np.repeat([True, False, True, False], [both, only_first, only_second, neither])
    return first, second


def test_mcnemar_by_hand():
    """1 and 9 of 10 discordant pairs: 2 (1 + 10) / 1024. 15 and 30 of 45: chi-squared 14^2 / 45."""
    exact = mcnemar(*discordant(1, 9))
    assert exact == McNemar(3, 1, 9, 2, pytest.approx(22 / 1024), True)
    approximate = mcnemar(*discordant(30, 15))
    assert approximate == McNemar(3, 30, 15, 2, pytest.approx(scipy.stats.chi2.sf(196 / 45, 1)), False)
    # 0.0369 in tables of chi-squared at 4.356.
    assert approximate.p_value == pytest.approx(0.0369, abs=0.0002)


def test_mcnemar_where_exact_ends():
    assert mcnemar(*discordant(12, 12)).exact
    assert not mcnemar(*discordant(12, 13)).exact
    # The two agree where they meet, to what the correction is worth.
    for b, c in ((5, 20), (9, 16), (12, 13)):
        exact = scipy.stats.binomtest(b, b + c).pvalue
        assert mcnemar(*discordant(b, c)).p_value == pytest.approx(exact, abs=0.01)


@pytest.mark.parametrize("count", [0, 4, 12, 13, 500])
def test_an_even_split_is_no_difference(count):
    assert mcnemar(*discordant(count, count)).p_value == 1


@given(st.integers(0, 60), st.integers(0, 60))
def test_mcnemar_is_the_same_from_both_sides(b, c):
    found, other = mcnemar(*discordant(b, c)), mcnemar(*discordant(b, c)[::-1])
    assert found.p_value == pytest.approx(other.p_value) and 0 < found.p_value <= 1
    assert (found.only_first, found.only_second) == (other.only_second, other.only_first) == (b, c)


def test_mcnemar_under_chance_says_so_as_rarely_as_it_promises():
    random = np.random.default_rng(0)
    for pairs in (20, 60):
        splits = random.binomial(pairs, 0.5, 2000)
        by_split = {b: mcnemar(*discordant(b, pairs - b)).p_value for b in set(splits.tolist())}
        assert np.mean([by_split[b] < 0.05 for b in splits.tolist()]) < 0.065


def test_mcnemar_takes_bools_of_one_shape():
    with pytest.raises(ValueError, match="got int64 and bool, expected bool"):
        mcnemar(np.array([1, 0]), np.array([True, False]))
    with pytest.raises(ValueError, match=r"got shapes \(2,\) and \(3,\)"):
        mcnemar(np.ones(2, bool), np.ones(3, bool))
    with pytest.raises(SunhwanError, match="got no examples"):
        mcnemar(np.ones(0, bool), np.ones(0, bool))


# Seeds


def test_spread_by_hand():
    assert spread([2.0, 4.0, 4.0, 6.0]) == Spread((2.0, 4.0, 4.0, 6.0), 4.0, pytest.approx(np.sqrt(8 / 3)))
    assert spread([3]) == Spread((3.0,), 3.0, None)
    for diverged in (None, NAN, np.inf):
        assert spread([1.0, diverged]) == Spread((1.0, None), None, None)
    with pytest.raises(SunhwanError, match="no seeds"):
        spread([])


@pytest.mark.parametrize(
    ("values", "unit", "said"),
    [
        ([0.87, 0.88, 0.89], "", "0.880 ± 0.010 over 3 seeds (0.870 to 0.890)"),
        ([1234.0, 1236.0], "W", "1,235 ± 1 W over 2 seeds (1,234 to 1,236)"),
        ([0.0, 0.0], "mm", "0.00 ± 0.00 mm over 2 seeds (0.00 to 0.00)"),
        ([None], "", "diverged with 1 of 1 seed"),
    ],
)
def test_spread_in_words(values, unit, said):
    assert spread(values).sentence(unit) == said
