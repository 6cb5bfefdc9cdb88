"""Prediction intervals with the coverage that they promise: calibrated on validation, and kept so over time.

A forecast has, for each step of its horizon, a lower and an upper bound (two quantiles), or a point, which is
both. `Calibration` widens or narrows them by a margin, one for each step:

1. *Scores.* How far an actual value y lay outside its bounds: E = max(lower - y, y - upper), below 0 inside.
For a
   point it is the absolute error.
2. *Margin.* Of the n latest scores of a step, the k-th smallest, k = ceil((n + 1) (1 - a)), at most n; a is
   the step's miss rate, at first 1 - level. The interval is [lower - margin, upper + margin], or where the
   margin is so far below 0 that nothing is left, the middle of the bounds. On validation scores alone this is
   split conformal prediction.
3. *Feedback.* When an actual value arrives, each step h looks at the forecast made h steps before: was the
   value outside the interval *of that forecast*? Then a <- min(a + rate (1 - level - miss), ceiling), with
   miss 1 or 0: after a miss intervals widen by much, after a hit they narrow by little. The score joins the
   latest ones, and the oldest goes. So an interval made at time t depends on nothing after t.

What is guaranteed. If scores of validation and later are exchangeable, step 2 alone covers a value with a
probability of at least `level`. If they are not, which in time series is the rule, the sum of step 3
telescopes: over any stretch of n values of a step, whatever their distribution,

    misses / n  <=  1 - level + (a before - a after) / (rate n)

so the long run misses no more than 1 - level as long as a does not run away below 0. The delay changes
nothing of that, since each value is counted once; it makes the response late, and with rate * h above 1 / e
it would overshoot as a controller with a dead time does, so a step's rate is at most 1 / (e h).

Two things differ from the paper. Where a asks for more than the largest of the latest scores, the paper
takes the whole line; we take the largest, since a stream's bounds must be finite; so errors that grow without
end are missed. And a has a ceiling: where values tie (hours without rain) intervals of no width still cover
them, and a would climb for as long, and be paid back in as many misses when the rain begins. The ceiling
leaves the inequality above as it is, and gives away that intervals are never wider than need be.

What is not guaranteed. Coverage is of each step by itself over time: not of whole paths (all steps at once
are covered less often), not of each hour or kind of weather by itself, and not right after a change, to which
scores and a need some time to respond. Missing values are not counted.

Sources: Romano, Patterson and Candès, "Conformalized quantile regression", NeurIPS 2019; Gibbs and Candès,
"Adaptive conformal inference under distribution shift", NeurIPS 2021; for several steps ahead, Wang and
Hyndman, "Online conformal inference for multi-step time series forecasting", 2024 (arXiv 2410.13115).
"""

from __future__ import annotations

import math
from bisect import bisect_left, insort
from collections import deque
from collections.abc import Hashable, Iterable, Mapping, Sequence
from ctypes import byref
from typing import NamedTuple

import numpy as np

from sunhwan import native
from sunhwan.errors import SunhwanError

RECENT = 500
"""Scores that a step keeps. With fewer, margins vary more: 90% is 90 ± 1.3% with 500, ± 3% with 100."""

RATE = 0.01
"""How much a miss moves a step's miss rate. Gibbs and Candès take 0.005; this responds in half the time."""

FORMAT = 1
"""Of the JSON; raised when a state is no longer what it was."""


class Bounds(NamedTuple):
    """Intervals (..., steps) in the target's unit, NaN where there was no forecast."""

    lower: np.ndarray
    upper: np.ndarray


class Calibration:
    """Margins of one series' forecasts, one for each step of the horizon, learnt and kept up to date.

    The order of calls is that of time: `issue` a forecast, `update` with what came true next, and again. A
    time at which nothing is forecast, or nothing is observed, passes with an `update` alone, of NaN if need
    be. Memory is constant: `recent` scores a step, and the forecasts whose actual values are outstanding.

    Each series has its own (see `fit_series`), and they share nothing once they run: the size of errors
    differs between series, a miss in one says little about the next, and a common margin would cover one
    series too often and another too rarely, though both together look right.

    Each target has its own as well. Made by `fit` or `from_dict`. A calibration belongs to one thread.

    Example: a forecast of two steps, off by up to 1 at the first and by up to 2 at the second.
        >>> truth = np.linspace(-1, 1, 99)[:, None] * [1, 2]
        >>> calibration = Calibration.fit(np.zeros((99, 2)), np.zeros((99, 2)), truth, level=0.9)
        >>> lower, upper = calibration.issue([10.0, 10.0], [10.0, 10.0])
        >>> upper.round(2)
        array([10.92, 11.84])
        >>> calibration.update(11.5)  # outside the interval for one step ahead
        >>> calibration.miss_rates.round(3), calibration.margins.round(2)
        (array([0.091, 0.1  ]), array([0.94, 1.84]))
    """

    def __init__(
        self,
        level: float,
        steps: Sequence[int],
        rate: float,
        scores: Iterable[Iterable[float]],
        recent: int,
        miss_rates: Sequence[float] | None = None,
    ):
        self.level = level
        self.steps = tuple(steps)
        self.rate = rate
        self._target = 1 - level
        self._ceiling = min(2 * self._target, (1 + self._target) / 2)
        self._ahead = np.array(self.steps, np.int64)
        # A rate above 1 / (e h) would overshoot, as the file's head explains.
        self._rates = np.minimum(rate, 1 / (math.e * self._ahead))
        count = len(self.steps)
        self._miss_rates = np.array(miss_rates or [self._target] * count, np.float64)
        # The latest scores of each step (steps, recent), NaN where there are none yet; the place of the next,
        # which is that of the oldest; how many there are. And the same in order, since sorting 500 at
        # every step takes twenty times as long as inserting one.
        self._recent = recent
        self._scores, self._ordered = np.full((2, count, recent), np.nan)
        self._place, self._counts = np.zeros((2, count), np.int64)
        for column, known in enumerate(scores):
            self._keep(column, list(known)[-recent:])
            self._ordered[column, : self._counts[column]] = sorted(self._latest(column))
        # Slightly less, so that 10 * 0.9 is 9 however it is rounded. Below the ceiling it is at least 1.
        rank = np.ceil((self._counts + 1) * (1 - self._miss_rates) - 1e-9)
        place = (np.minimum(rank, self._counts) - 1).astype(np.int64)
        self._margins = self._ordered[np.arange(count), place]
        # The forecasts of the latest times and of now, in the place `time % room`: lower bounds, upper bounds
        # and margins (3, room, steps), NaN where there was none. Allocated with the first: for 1,440 steps it
        # takes 50 MB.
        self._room = max(self.steps) + 1
        self._said: np.ndarray | None = None
        self._made = np.zeros(self._room, np.uint8)
        self._shape, self._bounds = (count,), np.empty((2, count))
        # What `issue` and `update` hand to the native library, which works on these arrays in their places.
        self._native = native.Intervals(
            native.ABI_VERSION, count, recent, self._room, 0, self._target, self._ceiling,
            *(
                array.ctypes.data
                for array in (
                    self._ahead, self._rates, self._miss_rates, self._margins, self._scores, self._ordered,
                    self._place, self._counts,
                )
            ),
            None, self._made.ctypes.data,
        )  # fmt: skip
        self._handed = byref(self._native)
        self._issued = [bounds.ctypes.data for bounds in self._bounds]

    def __reduce__(self):
        # Arrays of a copy lie elsewhere, so the pointers to them are made again.
        return Calibration.from_dict, (self.to_dict(),)

    @classmethod
    def fit(
        cls,
        lower: np.ndarray,
        upper: np.ndarray,
        truth: np.ndarray,
        *,
        level: float,
        steps: Sequence[int] | None = None,
        recent: int = RECENT,
        rate: float = RATE,
    ) -> Calibration:
        """The calibration that validation gives: split conformal prediction of its latest scores.

        Args:
            lower, upper: (windows, steps) validation forecasts in time order, in the target's unit; of point
                forecasts give the point as both. Where lower is above upper they are swapped. NaN where there
                is no forecast.
            truth: (windows, steps) actual values; NaN where missing.
            level: the share of actual values to cover, such as 0.9.
            steps: (steps,) how many steps ahead each column is, rising; 1, 2, ... if not given.
            recent: scores that each step keeps.
            rate: how much a miss moves a step's miss rate; 0 leaves it as it is.

        Raises:
            ValueError: the shapes differ, or an argument is out of range.
            SunhwanError: a step has too few actual values for the level: 90% takes 9, 95% takes 19.
        """
        score = scores(*sorted_bounds(lower, upper), np.asarray(truth, np.float64))
        steps = checked(score, level, steps, recent, rate)
        lists = [column[~np.isnan(column)].tolist() for column in score.T]
        for ahead, known in zip(steps, lists, strict=True):
            if len(known) < fewest(level):
                raise SunhwanError(
                    f"step {ahead} has {len(known):,} validation forecasts whose actual value is known; "
                    f"{100 * level:g}% intervals need at least {fewest(level)}: give more validation data "
                    "or a lower level"
                )
        return cls(level, steps, rate, lists, recent)

    @classmethod
    def fit_series(
        cls,
        lower: np.ndarray,
        upper: np.ndarray,
        truth: np.ndarray,
        series: Sequence[Hashable],
        *,
        level: float,
        steps: Sequence[int] | None = None,
        recent: int = RECENT,
        rate: float = RATE,
    ) -> dict[Hashable, Calibration]:
        """One calibration for each series.

        Where a series has too few validation truths at a step, that step begins with scores of all series,
        evenly spaced over validation, and has its own once it runs.

        Args:
            series: (windows,) an id for each window; windows of one series are in time order.
            lower, upper, truth, level, steps, recent, rate: as for `fit`.

        Raises:
            ValueError: as for `fit`, or there are not as many ids as windows.
            SunhwanError: all series together have too few observed truths at a step.
        """
        everyone = cls.fit(
            lower, upper, truth, level=level, steps=steps, recent=max(len(truth), recent, 1), rate=rate
        )
        score = scores(*sorted_bounds(lower, upper), np.asarray(truth, np.float64))
        if len(series) != len(score):
            raise ValueError(f"series has {len(series):,} ids, expected one for each window, {len(score):,}.")
        checked(score, level, steps, recent, rate)
        pooled = []
        for column in range(len(everyone.steps)):
            known = everyone._latest(column)
            count = min(len(known), recent)
            pooled.append([known[at] for at in np.linspace(0, len(known) - 1, count).astype(int)])
        rows: dict[Hashable, list[int]] = {}
        for row, name in enumerate(series.tolist() if isinstance(series, np.ndarray) else series):
            rows.setdefault(name, []).append(row)
        found = {}
        for name, own in rows.items():
            lists = [column[~np.isnan(column)].tolist() for column in score[own].T]
            lists = [
                mine if len(mine) >= fewest(level) else pool for mine, pool in zip(lists, pooled, strict=True)
            ]
            found[name] = cls(level, everyone.steps, rate, lists, recent)
        return found

    def rested(self) -> Calibration:
        """A copy that has learnt the same, with no forecast outstanding: to begin with at another time.

        Example:
            >>> calibration = Calibration.fit(np.zeros((9, 1)), np.zeros((9, 1)), np.ones((9, 1)), level=0.9)
            >>> _ = calibration.issue([5.0], [5.0])
            >>> calibration.rested().update(99.0)  # no forecast was made of it
        """
        return Calibration.from_dict({**self.to_dict(), "outstanding": [], "now": None})

    @property
    def margins(self) -> np.ndarray:
        """(steps,) by how much bounds go outward now, in the target's unit."""
        return self._margins.copy()

    @property
    def miss_rates(self) -> np.ndarray:
        """(steps,) the share of truths that each step aims to miss now; 1 - level at first."""
        return self._miss_rates.copy()

    def adjust(self, lower: np.ndarray, upper: np.ndarray) -> Bounds:
        """Intervals by the present margins, without learning from them: split conformal after `fit`.

        Args:
            lower, upper: (..., steps) forecasts in the target's unit, the point as both of a point forecast.

        Raises:
            ValueError: the shapes differ, or have not as many steps last, or a bound is infinite.
        """
        lower, upper = sorted_bounds(lower, upper)
        if lower.ndim < 1 or lower.shape[-1] != len(self.steps):
            raise ValueError(f"lower has shape {lower.shape}, expected (..., {len(self.steps)} steps).")
        return widened(lower, upper, limited(self._margins, lower, upper))

    def issue(self, lower: np.ndarray, upper: np.ndarray) -> Bounds:
        """The intervals of a forecast made now, noted down until the actual values arrive.

        Of two at one time, the second counts.

        Args:
            lower, upper: (steps,) in the target's unit; NaN where there is no forecast.

        Raises:
            ValueError: the shapes are not (steps,), or a bound is infinite.
        """
        for name, bound, place in (("lower", lower, 0), ("upper", upper, 1)):
            if np.shape(bound) != self._shape:
                raise ValueError(f"{name} has shape {np.shape(bound)}, expected ({len(self.steps)} steps,).")
            self._bounds[place] = bound
        if self._said is None:
            self._begin()
        if status := native.load().sunhwan_intervals_issue(self._handed, *self._issued):
            native.check(status)
        return Bounds(*self._bounds.copy())

    def update(self, truth: float) -> None:
        """Goes on to the next time, at which `truth` was observed: every step learns from its forecast.

        Args:
            truth: the target at that time, in its unit; NaN if it was not observed.

        Raises:
            ValueError: `truth` is no number, or infinite.
        """
        if not isinstance(truth, float | int) or math.isinf(truth):
            raise ValueError(f"truth is {np.asarray(truth).tolist()}, expected one finite number, or NaN.")
        if status := native.load().sunhwan_intervals_update(self._handed, truth):
            native.check(status)

    def run(
        self, lower: np.ndarray, upper: np.ndarray, truth: np.ndarray, at: np.ndarray | None = None
    ) -> Bounds:
        """Intervals of a whole part in time order, as `issue` and `update` would give them one by one.

        They are the same to the last bit, and so is the state afterwards: that of the time at which the last
        window was forecast. Truths after it are given but not known then, so they teach nothing. It takes
        about 2 µs a window and step: scores come of whole arrays, and only what depends on what was before,
        margins and miss rates, goes window by window.

        Args:
            lower, upper, truth: (windows, steps) in the target's unit, as for `fit`.
            at: (windows,) integers, rising: the time of each forecast, such as a window's last row. Without
                it each is one step after the one before.

        Returns:
            Bounds (windows, steps).

        Raises:
            ValueError: the shapes do not fit, `at` does not rise, a value is infinite, or forecasts are
                outstanding from before, whose truths are not among those given.

        Example:
            >>> random = np.random.default_rng(0)
            >>> truth, said = random.normal(size=(2000, 1)), np.zeros((2000, 1))
            >>> calibration = Calibration.fit(said[:500], said[:500], truth[:500], level=0.9)
            >>> lower, upper = calibration.run(said[500:], said[500:], 3 * truth[500:])
            >>> covered = (lower <= 3 * truth[500:]) & (3 * truth[500:] <= upper)
            >>> round(float(covered[:100].mean()), 2), round(float(covered.mean()), 2)
            (0.82, 0.9)
        """
        lower, upper = sorted_bounds(lower, upper)
        score = scores(lower, upper, np.asarray(truth, np.float64))
        if score.ndim != 2 or score.shape[1] != len(self.steps):
            raise ValueError(f"lower has shape {score.shape}, expected (windows, {len(self.steps)} steps).")
        times = np.arange(len(score)) if at is None else np.asarray(at)
        if times.shape != (len(score),) or times.dtype.kind not in "iu" or (np.diff(times) < 1).any():
            raise ValueError(
                f"at has shape {times.shape} and is of {times.dtype}, expected rising integers of shape "
                f"({len(score)},)."
            )
        if self._made.any():
            raise ValueError("forecasts are outstanding from before; run a calibration that has issued none.")
        margins, narrowest = np.empty_like(score), (lower - upper) / 2
        for column in range(len(self.steps)):
            margins[:, column] = self._one_by_one(
                column, times.tolist(), score[:, column].tolist(), narrowest[:, column].tolist()
            )
        if len(times):
            self._native.time += int(times[-1] - times[0])
            for window in np.flatnonzero(times[-1] - times < self._room):
                self._note(int(times[-1] - times[window]), lower[window], upper[window], margins[window])
        return widened(lower, upper, margins)

    def _note(self, ago: int, *said: np.ndarray) -> None:
        """Note down lower bounds, upper bounds and margins, each (steps,), of a forecast made so long ago."""
        if self._said is None:
            self._begin()
        place = (self._native.time - ago) % self._room
        self._said[:, place], self._made[place] = said, True

    def _begin(self) -> None:
        """Allocate room for forecasts."""
        self._said = np.full((3, self._room, len(self.steps)), np.nan)
        self._native.said = self._said.ctypes.data

    def _one_by_one(
        self, column: int, times: list[int], score: list[float], narrowest: list[float]
    ) -> list[float]:
        """The margins of one step's forecasts, each by what was known when it was made.

        It does for one step and a whole part what `update` does for all steps at one time: in plain numbers,
        since arrays of one take longer.

        Args:
            column: of the step, whose state is afterwards that of the last time.
            times: (windows,) when each forecast was made.
            score: (windows,) NaN where there is no truth or no forecast.
            narrowest: (windows,) the margin that leaves the middle of the bounds.
        """
        ordered = self._ordered[column, : self._counts[column]].tolist()
        latest = deque(self._latest(column), maxlen=self._recent)
        ahead, rate, ceiling = self.steps[column], float(self._rates[column]), self._ceiling
        miss_rate, margin = float(self._miss_rates[column]), float(self._margins[column])
        margins, arrived = [], 0
        for time, least in zip(times, narrowest, strict=True):
            while arrived < len(margins) and times[arrived] + ahead <= time:
                value = score[arrived]
                if value == value:
                    moved = miss_rate + rate * (self._target - (value > margins[arrived]))
                    miss_rate = min(moved, ceiling)
                    if len(latest) == latest.maxlen:
                        del ordered[bisect_left(ordered, latest[0])]
                    latest.append(value)
                    insort(ordered, value)
                    rank = math.ceil((len(ordered) + 1) * (1 - miss_rate) - 1e-9)
                    margin = ordered[min(rank, len(ordered)) - 1]
                arrived += 1
            margins.append(margin if least < margin else least)
        self._miss_rates[column], self._margins[column] = miss_rate, margin
        self._keep(column, latest)
        self._ordered[column, : len(ordered)] = ordered
        return margins

    def _keep(self, column: int, scores: Sequence[float]) -> None:
        """Put a step's latest scores, oldest first, in their places."""
        self._scores[column, : len(scores)] = scores
        self._place[column], self._counts[column] = len(scores) % self._recent, len(scores)

    def _latest(self, column: int) -> list[float]:
        """A step's scores, oldest first."""
        scores = np.roll(self._scores[column], -self._place[column])
        return scores[~np.isnan(scores)].tolist()

    def to_dict(self) -> dict:
        """The whole state for JSON, so that a stream can stop and continue: no bit is lost.

        Example:
            >>> calibration = Calibration.fit(np.zeros((9, 1)), np.zeros((9, 1)), np.ones((9, 1)), level=0.9)
            >>> Calibration.from_dict(calibration.to_dict()).margins
            array([1.])
        """
        return {
            "format": FORMAT,
            "level": self.level,
            "steps": list(self.steps),
            "rate": self.rate,
            "recent": self._recent,
            "miss_rates": self._miss_rates.tolist(),
            "scores": [self._latest(column) for column in range(len(self.steps))],
            "outstanding": [
                self._written(ago) for ago in range(min(self._native.time, max(self.steps)), 0, -1)
            ],
            "now": self._written(0),
        }

    def _written(self, ago: int) -> list | None:
        """The forecast made so long ago: lower and upper bounds and margins, None for NaN; or None."""
        place = (self._native.time - ago) % self._room
        if not self._made[place]:
            return None
        return [
            [None if value != value else value for value in part] for part in self._said[:, place].tolist()
        ]

    @classmethod
    def from_dict(cls, saved: Mapping) -> Calibration:
        """From what `to_dict` returned.

        Raises:
            SunhwanError: something is missing or malformed, or it is of another format.
        """
        try:
            if saved["format"] != FORMAT:
                raise SunhwanError(
                    f"the calibration has format {saved['format']}, but this version reads {FORMAT}; fit it "
                    "again, or use the version that saved it"
                )
            if not all(saved["scores"]) or len(saved["scores"]) != len(saved["miss_rates"]):
                raise ValueError("a step has no scores")
            steps = checked(
                np.empty((0, len(saved["miss_rates"]))),
                saved["level"],
                saved["steps"],
                saved["recent"],
                saved["rate"],
            )
            scores = [[float(score) for score in known] for known in saved["scores"]]
            if not np.isfinite([*saved["miss_rates"], *(score for known in scores for score in known)]).all():
                raise ValueError("a number is not finite")
            calibration = cls(
                saved["level"], steps, saved["rate"], scores, saved["recent"], saved["miss_rates"]
            )
            forecasts = [*saved["outstanding"][-max(steps) :], saved["now"]]
            calibration._native.time = len(forecasts) - 1
            for ago, forecast in enumerate(reversed(forecasts)):
                if forecast is not None:
                    calibration._note(ago, *np.array(forecast, np.float64).reshape(3, len(steps)))
        except (ValueError, KeyError, TypeError, IndexError) as error:
            raise SunhwanError(
                f"got {str(saved)[:40]!r}, expected the state that a calibration saved ({error}); restore it "
                "from where it was saved, or fit the calibration again"
            ) from error
        return calibration


def scores(lower: np.ndarray, upper: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """How far truths lie outside their bounds, below 0 inside; NaN where one of the three is."""
    if np.shape(truth) != np.shape(lower):
        raise ValueError(f"truth has shape {np.shape(truth)}, expected that of lower, {np.shape(lower)}.")
    if np.isinf(truth).any():
        raise ValueError("truth holds infinite values, expected finite ones, or NaN where not observed.")
    return np.maximum(lower - truth, truth - upper) + 0.0  # zeros of one sign, as in `sorted_bounds`


def sorted_bounds(lower: np.ndarray, upper: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Bounds in float64, crossed ones swapped: sorting quantiles brings them closer to the true ones.

    Zeros have one sign, so that it does not matter which of two equal ones is the smaller.

    Source: Chernozhukov, Fernández-Val and Galichon, "Quantile and probability curves without crossing",
    Econometrica 78 (2010).
    """
    lower, upper = np.asarray(lower, np.float64) + 0.0, np.asarray(upper, np.float64) + 0.0
    if lower.shape != upper.shape:
        raise ValueError(f"upper has shape {upper.shape}, expected that of lower, {lower.shape}.")
    if (np.isinf(lower) | np.isinf(upper)).any():
        raise ValueError("lower or upper holds infinite values, expected finite bounds, or NaN for none.")
    return np.minimum(lower, upper), np.maximum(lower, upper)


def limited(margins: np.ndarray, lower: np.ndarray, upper: np.ndarray) -> np.ndarray:
    """Margins that leave at least the middle of the bounds, NaN where there are none."""
    return np.maximum(margins, (lower - upper) / 2)


def widened(lower: np.ndarray, upper: np.ndarray, margins: np.ndarray) -> Bounds:
    """Bounds moved outward by margins. Rounding must not cross those that meet in the middle."""
    low, high = lower - margins, upper + margins
    return Bounds(np.minimum(low, high), np.maximum(low, high))


def fewest(level: float) -> int:
    """How many scores a level takes: with n of them, k = ceil((n + 1) level) must not be above n.

    Example:
        >>> fewest(0.8), fewest(0.9), fewest(0.95)
        (4, 9, 19)
    """
    return math.ceil(level / (1 - level) - 1e-9)


def checked(
    score: np.ndarray, level: float, steps: Sequence[int] | None, recent: int, rate: float
) -> tuple[int, ...]:
    """The steps, after a look at all arguments of `fit`."""
    if score.ndim != 2 or not score.shape[1]:
        raise ValueError(f"lower has shape {score.shape}, expected (windows, steps), at least one step.")
    ahead = tuple(range(1, score.shape[1] + 1)) if steps is None else tuple(int(step) for step in steps)
    rising = all(early < late for early, late in zip((0, *ahead), ahead, strict=False))
    if len(ahead) != score.shape[1] or not rising:
        raise ValueError(f"steps are {ahead}, expected {score.shape[1]} rising integers, from 1 on.")
    if not 0 < level < 1:
        raise ValueError(f"level is {level}, expected a number above 0 and below 1.")
    if recent < fewest(level):
        raise ValueError(f"recent is {recent}, expected at least {fewest(level)} for a level of {level}.")
    if not 0 <= rate < 1:
        raise ValueError(f"rate is {rate}, expected a number from 0 on, below 1.")
    return ahead
