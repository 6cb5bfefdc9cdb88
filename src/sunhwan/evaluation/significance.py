"""Whether a difference is significant: a bootstrap for forecasts, McNemar's test for classifiers, spread over
seeds.

Errors of successive forecasts are correlated, so a test part of 8,000 hourly windows is worth far less than
8,000 independent ones. Resampling blocks of time preserves the correlation; resampling windows one by one, or
a paired t-test, would mistake chance for a difference.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.stats

from sunhwan.errors import SunhwanError

FEWEST_BLOCKS = 5
"""With fewer blocks than this, no interval is given: resampling four of them would be misleading."""

FEW_DISCORDANT = 25
"""Below so many discordant pairs McNemar's test is exact."""

DRAWN = 500_000
"""Blocks drawn at a time, so that memory use does not grow with resamples."""


@dataclass(frozen=True)
class Improvement:
    """By how much one forecast's error is lower than another's, and how sure that is.

    Attributes:
        percent: by which the mean absolute error is lower than the baseline's; below 0 where it is higher.
        interval: (low, high) around it in percent, or None where there are too few windows to say.
        level: of the interval.
        probability: the share of resamples in which the error is lower, those in which both are equal
            counted half; None where there are too few windows to say.
        windows: how many were compared.
        block: mean length of the blocks that were drawn, in windows (or times, where these were given).
    """

    percent: float
    interval: tuple[float, float] | None
    level: float
    probability: float | None
    windows: int
    block: float

    @property
    def sure(self) -> bool:
        """Whether the interval excludes 0, so that the difference is significant."""
        return self.interval is not None and not self.interval[0] <= 0 <= self.interval[1]

    def sentence(self, baseline: str) -> str:
        """The result in words.

        Example:
            >>> Improvement(3.14, (1.2, 5.0), 0.95, 0.999, 8000, 24.0).sentence("ridge")
            '3.1% lower error than ridge (95% interval 1.2 to 5.0%)'
            >>> Improvement(-0.4, (-1.9, 1.2), 0.95, 0.31, 8000, 24.0).sentence("ridge")
            'no significant difference from ridge on the test part (0.4% higher error, 95% interval -1.2 to 1.9%)'
        """  # noqa: E501
        side = "lower" if self.percent >= 0 else "higher"
        figure = f"{abs(self.percent):.1f}% {side} error"
        if self.interval is None:
            return (
                f"{figure} than {baseline}, on too few windows to estimate an interval "
                f"({self.windows:,}, in blocks of {self.block:.0f})"
            )
        # The interval is of the figure that stands before it, so its signs turn with the side.
        low, high = self.interval if side == "lower" else (-self.interval[1], -self.interval[0])
        interval = f"{100 * self.level:g}% interval {low:z.1f} to {high:z.1f}%"
        if self.sure:
            return f"{figure} than {baseline} ({interval})"
        return f"no significant difference from {baseline} on the test part ({figure}, {interval})"


def improvement(
    errors: np.ndarray,
    baseline: np.ndarray,
    *,
    series: np.ndarray | None = None,
    time: np.ndarray | None = None,
    horizon: int = 1,
    level: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> Improvement:
    """By how many percent the mean of `errors` is lower than that of `baseline`, by the stationary bootstrap.

    A resample is as many windows as there are, in blocks of consecutive windows. A block begins at any window
    with equal chance, goes on to the next with chance 1 - 1/block, and at the end of its series goes on at
    the same series' beginning, as in the paper: so blocks never cross series, and every window is as likely
    as every other. Both forecasts are resampled at the same windows. The interval is that of percentiles. The
    mean length of a block is `block_length`'s.

    Several series are taken to err independently of each other. Stations under one sky do not: give `time`,
    and the windows of one time are drawn together.

    The fewer blocks, the more hopeful the interval: of 30 to 50 blocks of strongly autocorrelated errors, a
    95% interval covered the true value in 88 to 90% of simulations, where errors were independent in 95%.

    What it does not say: how another training seed would do (see `spread`), and how another year would, if
    it is unlike the test part.

    Args:
        errors, baseline: (windows,) absolute errors of two forecasts of the same windows, in time order
            (within each series). NaN in both: not observed, and left out.
        series: (windows,) an id for each window, where there are several series.
        time: (windows,) when each forecast was made, sortable, where several series share times; not with
            `series`.
        horizon: windows over which targets overlap: the steps ahead of the furthest target.
        level: of the interval.
        resamples: how many; the interval's ends wobble by chance by some 5% of its width at 2,000.
        seed: of the resamples; equal seeds give equal figures.

    Raises:
        ValueError: the shapes differ, an error is negative, infinite, or NaN in one forecast alone, or
            another argument is none.
        SunhwanError: no window is observed, or the baseline makes no error at all.

    Source: Politis and Romano, "The stationary bootstrap", JASA 89 (1994).

    Example:
        >>> noise = np.random.default_rng(0).gamma(2, size=(2, 1000))
        >>> found = improvement(0.9 * noise[0], noise[0] + 0.1 * noise[1])
        >>> found.sentence("ridge")
        '18.2% lower error than ridge (95% interval 17.8 to 18.7%)'
    """
    if not 0 < level < 1:
        raise ValueError(f"level is {level}, expected a number above 0 and below 1.")
    if resamples < 1:
        raise ValueError(f"resamples is {resamples}, expected at least 1.")
    if series is not None and time is not None:
        raise ValueError("series and time were both given; time suffices where series share their times.")
    sums, lengths, windows = arranged(errors, baseline, series, time)
    block = block_length(errors, baseline, series=series, time=time, horizon=horizon)
    total = sums.sum(axis=1)
    if not total[1]:
        raise SunhwanError(
            f"the baseline makes no error in {windows:,} windows, so there is no percentage; compare with "
            "another forecast, or look whether the target is constant"
        )
    percent = float(100 * (1 - total[0] / total[1]))
    if lengths.sum() < FEWEST_BLOCKS * block:
        return Improvement(percent, None, level, None, windows, block)
    ours, theirs = resampled(sums, lengths, block, resamples, np.random.default_rng(seed))
    # A resample in which the baseline makes no error: the same, or infinitely worse.
    ratio = np.divide(ours, theirs, out=np.where(ours > 0, np.inf, 1.0), where=theirs > 0)
    drawn = 100 * (1 - ratio)
    # Quantiles that are drawn values, outward: between -inf and a number there is nothing to interpolate.
    low = np.quantile(drawn, (1 - level) / 2, method="lower")
    high = np.quantile(drawn, (1 + level) / 2, method="higher")
    probability = float((ours < theirs).mean() + (ours == theirs).mean() / 2)
    return Improvement(percent, (float(low), float(high)), level, probability, windows, block)


def block_length(
    errors: np.ndarray,
    baseline: np.ndarray,
    *,
    series: np.ndarray | None = None,
    time: np.ndarray | None = None,
    horizon: int = 1,
) -> float:
    """The mean length of blocks, in windows (or times): as long as errors are alike, and at least `horizon`.

    The bootstrap of a ratio of means is, to first order, that of the mean of d = errors - ratio * baseline,
    so d's autocorrelation decides. It is that of pairs within a series, over all series. The rule is the one
    of Politis and White: autocovariances up to a lag from which on correlations vanish, tapered by a flat-top
    window, give the length that estimates the variance best; at most min(3 sqrt(n), n / 3), n being
    the windows of the longest series. Forecasts of `horizon` steps share all but one of them with their
    neighbours, whatever the sample says, so no length is below `horizon`; none is above the longest series.

    Args, raises:
        As for `improvement`.

    Source: Politis and White, "Automatic block-length selection for the dependent bootstrap", Econometric
    Reviews 23 (2004), with the correction of Patton, Politis and White, Econometric Reviews 28 (2009).

    Example:
        >>> random = np.random.default_rng(0)
        >>> independent = random.gamma(2, size=(2, 1000))
        >>> block_length(*independent) < 3, block_length(*independent, horizon=24)
        (True, 24.0)
        >>> smooth = np.apply_along_axis(np.convolve, 1, independent, np.ones(12), "valid")
        >>> 12 < block_length(*smooth) < 60
        True
    """
    if horizon < 1:
        raise ValueError(f"horizon is {horizon}, expected at least 1.")
    sums, lengths, _ = arranged(errors, baseline, series, time)
    longest = int(lengths.max())
    total = sums.sum(axis=1)
    difference = sums[0] - (total[0] / total[1] if total[1] else 0.0) * sums[1]
    # Forecasts that are equal, or differ by a factor, leave rounding alone, which has no length.
    if np.abs(difference).max() <= 1e-12 * sums.max():
        difference = np.zeros_like(difference)
    return float(min(max(politis_white(difference, lengths), horizon, 1), longest))


def politis_white(values: np.ndarray, lengths: np.ndarray) -> float:
    """The stationary bootstrap's best mean block for the mean of values, by Politis and White's rule.

    Args:
        values: (windows,) series after series, of mean 0.
        lengths: (series,) windows of each.
    """
    windows, longest = int(lengths.sum()), int(lengths.max())
    most = min(3 * np.sqrt(longest), longest / 3)
    run = max(5, int(np.ceil(np.sqrt(np.log10(windows)))))
    lags = min(int(np.ceil(np.sqrt(longest))) + run, longest - 1)
    covariance = autocovariances(values, lengths, lags)
    if lags < 1 or not covariance[0]:
        return 1.0
    correlation = covariance / covariance[0]
    threshold = 2 * np.sqrt(np.log10(windows) / windows)
    small = np.abs(correlation[1:]) < threshold
    # The first lag after which `run` correlations in a row are small, or the last lag that is not.
    starts = [lag for lag in range(len(small) - run + 1) if small[lag : lag + run].all()]
    last = starts[0] if starts else int(np.flatnonzero(~small).max(initial=-1)) + 1
    reach = min(2 * max(last, 1), lags)
    lag = np.arange(1, reach + 1)
    taper = np.clip(2 * (1 - lag / reach), 0, 1)
    slope = 2 * (taper * lag * covariance[1 : reach + 1]).sum()
    spectrum = covariance[0] + 2 * (taper * covariance[1 : reach + 1]).sum()
    if spectrum <= 0:
        return most
    # D = 2 g(0)^2 for the stationary bootstrap, as corrected; b = (2 G^2 / D)^(1/3) n^(1/3).
    return float(min((slope / spectrum) ** 2 * windows, most**3) ** (1 / 3))


def autocovariances(values: np.ndarray, lengths: np.ndarray, lags: int) -> np.ndarray:
    """(lags + 1,) mean products of values so many windows apart in one series, over the number of windows."""
    place = np.concatenate([np.arange(length) for length in lengths])
    found = [np.square(values).sum()]
    for lag in range(1, lags + 1):
        # `place` counts from the series' beginning, so a partner `lag` before lies in the same series.
        found.append((values[lag:] * values[:-lag])[place[lag:] >= lag].sum())
    return np.array(found) / len(values)


def arranged(
    errors: np.ndarray, baseline: np.ndarray, series: np.ndarray | None, time: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray, int]:
    """Both forecasts' errors series after series (2, windows), the series' lengths, and how many windows.

    With `time` the errors of one time are added up, and all times are one series.
    """
    pair = [np.asarray(values, np.float64) for values in (errors, baseline)]
    for name, values in zip(("errors", "baseline"), pair, strict=True):
        if values.ndim != 1 or values.shape != pair[0].shape:
            raise ValueError(
                f"errors has shape {pair[0].shape}, baseline {pair[1].shape}; expected (windows,) for both."
            )
        if (values < 0).any() or np.isinf(values).any():
            raise ValueError(f"{name} holds negative or infinite values, expected absolute errors.")
    for name, ids in (("series", series), ("time", time)):
        if ids is not None and np.shape(ids) != pair[0].shape:
            raise ValueError(f"{name} has shape {np.shape(ids)}, expected that of errors, {pair[0].shape}.")
    both = np.stack(pair)
    unknown = np.isnan(both)
    alone = int((unknown[0] != unknown[1]).sum())
    if alone:
        raise ValueError(
            f"{alone:,} of {both.shape[1]:,} windows have an error of one forecast and NaN of the other; "
            "expected two forecasts judged on the same windows."
        )
    known = ~unknown[0]
    windows = int(known.sum())
    if not windows:
        raise SunhwanError(
            f"none of {both.shape[1]:,} windows has an observed error; expected at least one to compare "
            "forecasts on"
        )
    both = both[:, known]
    if time is not None:
        when, place = np.unique(np.asarray(time)[known], return_inverse=True)
        sums = np.stack([np.bincount(place, weights=values, minlength=len(when)) for values in both])
        return sums, np.array([len(when)]), windows
    if series is None:
        return both, np.array([windows]), windows
    _, place, lengths = np.unique(np.asarray(series)[known], return_inverse=True, return_counts=True)
    return both[:, np.argsort(place, kind="stable")], lengths, windows


def resampled(
    sums: np.ndarray, lengths: np.ndarray, block: float, resamples: int, random: np.random.Generator
) -> np.ndarray:
    """Both forecasts' sums over each resample: (2, resamples).

    A block's sum is a difference of running sums, so the work is that of drawing blocks, not windows.

    Args:
        sums: (2, windows) series after series.
        lengths: (series,) windows of each.
        block: the mean length of a block.
    """
    windows = sums.shape[1]
    begin, length = (np.repeat(values, lengths) for values in (np.cumsum(lengths) - lengths, lengths))
    # Every series stands twice in a row, so that a block that goes on at the beginning is one difference.
    place = np.concatenate([np.tile(np.arange(n), 2) + start for n, start in segments(lengths)])
    # Both forecasts in one complex number: they are wanted at the same places, and looking up is the work.
    running = np.concatenate([[0], np.cumsum(sums[0, place] + 1j * sums[1, place])])
    first = np.arange(windows) + begin
    whole = running[2 * begin + length] - running[2 * begin]
    chance = 1 / block
    # Enough blocks to fill a resample but for one time in a billion; then the last block takes the rest.
    enough = windows * chance + 6 * np.sqrt(windows * chance * (1 - chance)) + 6
    blocks = min(windows, int(np.ceil(enough)))
    found = np.empty(resamples, np.complex128)
    step = max(1, DRAWN // blocks)
    for start in range(0, resamples, step):
        shape = (min(step, resamples - start), blocks)
        end = np.minimum(np.cumsum(random.geometric(chance, shape), axis=1), windows)
        end[:, -1] = windows
        size = np.diff(end, axis=1, prepend=0)
        at = random.integers(0, windows, shape)
        turns, rest = np.divmod(size, length[at])
        begins = first[at]
        drawn = running[begins + rest] - running[begins]
        # Few blocks are longer than their series.
        round_and_round = np.nonzero(turns)
        drawn[round_and_round] += turns[round_and_round] * whole[at[round_and_round]]
        found[start : start + step] = drawn.sum(axis=1)
    return np.stack([found.real, found.imag])


def segments(lengths: np.ndarray) -> zip:
    """Each series' length and where it begins."""
    return zip(lengths, np.cumsum(lengths) - lengths, strict=True)


@dataclass(frozen=True)
class McNemar:
    """Two classifiers on the same examples.

    Attributes:
        both, neither: examples that both, or neither, get right.
        only_first, only_second: the discordant pairs: what one gets right and the other does not.
        p_value: how likely so uneven a split of the discordant pairs would be, were both equally good.
        exact: whether by the binomial distribution, or by chi-squared with continuity correction.
    """

    both: int
    only_first: int
    only_second: int
    neither: int
    p_value: float
    exact: bool


def mcnemar(first: np.ndarray, second: np.ndarray) -> McNemar:
    """McNemar's test of whether two classifiers are right equally often.

    Exact where fewer than `FEW_DISCORDANT` pairs are discordant: twice the binomial tail, at most 1. Else
    (|b - c| - 1)^2 / (b + c) is chi-squared with one degree of freedom.

    Args:
        first, second: (examples,) bool: whether each classifier got each example right.

    Raises:
        ValueError: they are not bool, or of no such shape, or their shapes differ.
        SunhwanError: there are no examples.

    Source: McNemar, "Note on the sampling error of the difference between correlated proportions",
    Psychometrika 12 (1947); the correction is Edwards's, Psychometrika 13 (1948).

    Example:
        >>> first = np.array([True] * 9 + [False])
        >>> found = mcnemar(first, ~first)
        >>> found.only_first, found.only_second, round(found.p_value, 4), found.exact
        (9, 1, 0.0215, True)
    """
    first, second = np.asarray(first), np.asarray(second)
    if first.dtype != bool or second.dtype != bool:
        raise ValueError(
            f"got {first.dtype} and {second.dtype}, expected bool: whether each example was right."
        )
    if first.ndim != 1 or first.shape != second.shape:
        raise ValueError(f"got shapes {first.shape} and {second.shape}, expected (examples,) for both.")
    if not len(first):
        raise SunhwanError("got no examples; expected at least one to compare classifiers on")
    b, c = int((first & ~second).sum()), int((~first & second).sum())
    exact = b + c < FEW_DISCORDANT
    if exact:
        p_value = scipy.stats.binomtest(b, b + c).pvalue if b + c else 1.0
    else:
        # The correction must not turn an even split into a difference.
        p_value = scipy.stats.chi2.sf(max(abs(b - c) - 1, 0) ** 2 / (b + c), df=1)
    return McNemar(int((first & second).sum()), b, c, int((~first & ~second).sum()), float(p_value), exact)


@dataclass(frozen=True)
class Spread:
    """One model's figure over training seeds.

    Attributes:
        values: one of each seed, in order.
        mean: their mean, or None where one diverged.
        std: their sample standard deviation; None with a single seed, or where one diverged.
    """

    values: tuple[float | None, ...]
    mean: float | None
    std: float | None

    def sentence(self, unit: str = "") -> str:
        """The result in words; `unit` as people read it.

        Example:
            >>> spread([2.31, 2.35, 2.27]).sentence("°C")
            '2.31 ± 0.04 °C over 3 seeds (2.27 to 2.35)'
            >>> spread([0.8769]).sentence()
            '0.877 with one seed'
            >>> spread([2.31, None, float("nan")]).sentence("°C")
            'diverged with 2 of 3 seeds'
        """
        seeds = len(self.values)
        if self.mean is None:
            return f"diverged with {self.values.count(None)} of {seeds} {'seeds' if seeds > 1 else 'seed'}"
        unit = f" {unit}" if unit else ""
        if self.std is None:
            return f"{self.mean:.3g}{unit} with one seed"
        decimals = max(0, 2 - int(np.floor(np.log10(abs(self.mean))))) if self.mean else 2
        mean, std, low, high = (
            f"{value:,.{decimals}f}" for value in (self.mean, self.std, min(self.values), max(self.values))
        )
        return f"{mean} ± {std}{unit} over {seeds} seeds ({low} to {high})"


def spread(values: Sequence[float | None]) -> Spread:
    """Mean and sample standard deviation over seeds; a seed that diverged is None, or not finite.

    Raises:
        SunhwanError: there are no seeds.

    Example:
        >>> spread([1.0, 2.0, 3.0])
        Spread(values=(1.0, 2.0, 3.0), mean=2.0, std=1.0)
    """
    figures = tuple(None if value is None or not np.isfinite(value) else float(value) for value in values)
    if not figures:
        raise SunhwanError("got figures of no seeds; expected at least one")
    if None in figures:
        return Spread(figures, None, None)
    return Spread(
        figures, float(np.mean(figures)), float(np.std(figures, ddof=1)) if len(figures) > 1 else None
    )
