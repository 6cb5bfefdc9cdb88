"""Scaling that saw the evaluated rows, and predictions that are scaled back by the wrong scaler."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from sunhwan.audit.findings.case import Case, Finding
from sunhwan.audit.findings.matches import DIFFERENT, hashes, runs
from sunhwan.audit.fits import Part, outputs, spaced, windows
from sunhwan.audit.observe.watch import Scaling
from sunhwan.audit.scalers import ROUNDED, scaled, scaler_of, units

RUN = 6
"""Consecutive values of a column that must agree in every bit."""

MOST_COLUMNS = 32
"""Columns of a scaler, and features of a window, that are compared."""

ENDS = 5
"""Spreads by which the values that are in no window may move a sum."""

CHECKED = 3_000
"""Windows of a part that are checked, evenly spaced."""


def scaled_on_test(case: Case) -> Iterator[Finding]:
    """A scaler that was fitted on the rows on which the result is reported."""
    if case.fit.kind != "numbers" or case.fit.declined:
        return
    for part in case.parts:
        if case.level(part) == "leak":
            yield from scaled_on_part(case, part)


def scaled_on_part(case: Case, part: Part) -> Iterator[Finding]:
    x, y = windows(part.rows.x), None if part.rows.y is None else outputs(part.rows.y)
    own = len(case.train), len(case.train) * case.training.shape[1]  # rows of the training windows themselves
    fitted = [scaling for scaling in case.observed.scalings if scaling.kind == "fit"]
    matches = [(scaling, seen(scaling, x, y)) for scaling in fitted if scaling.count not in own]
    matches = [(scaling, match) for scaling, match in matches if match.share > 0.5]
    if matches:
        scaling, match = matches[0]
        yield case.finding(
            "leak",
            "scaled_on_test",
            f"{' and '.join(dict.fromkeys(scaling.name for scaling, _ in matches))} was fitted on "
            f"{scaling.count:,} rows, including those of {match.windows:,} of {match.count:,} {part.words} "
            "windows",
            "Fit scalers on the training rows only, and transform the rest with them.",
            lines=sorted({line for scaling, _ in matches for line in scaling.lines[:1]}),
            part=part.name,
            scaler=scaling.name,
            rows=scaling.count,
            windows=match.windows,
            of=match.count,
        )
    elif column := revealed(case.training, [x]):
        training, both = (f"{a:.3g} and {b:.3g}" for a, b in (column.training, column.all_rows))
        what, *names = column.kind
        yield case.finding(
            "leak",
            "scaled_on_test",
            f"column {column.feature + 1} of the windows has {what} {both} over training and {part.words} "
            f"together, but {training} over training alone: it was scaled over all rows",
            "Compute the scaling from the training rows only.",
            certain=False,
            lines=case.trace.calls(*names)[:4],
            part=part.name,
            column=column.feature + 1,
            train=column.training,
            all_rows=column.all_rows,
        )


@dataclass(frozen=True)
class Seen:
    """How much of a part was among the rows that a scaler was fitted on.

    Attributes:
        windows: how many windows end with such rows.
        count: of how many.
    """

    windows: int
    count: int

    @property
    def share(self) -> float:
        return self.windows / max(self.count, 1)


def seen(scaling: Scaling, x: np.ndarray, y: np.ndarray | None) -> Seen:
    """Looks for the ends of windows, and for their targets, among the rows that a scaler was fitted on.

    Args:
        x: (windows, timesteps, features) as passed to the network.
        y: (windows, numbers) or None.
    """
    rows = scaled(scaling, scaling.rows)[:, :MOST_COLUMNS]
    best = Seen(0, len(x))
    if len(rows) < RUN or len(x) < RUN:
        return best
    known = [np.unique(_hashed(column)[_varies(column)]) for column in rows.T]
    index = spaced(len(x), CHECKED)
    ends = {feature: x[:, -1, feature] for feature in range(min(x.shape[2], MOST_COLUMNS))}
    if y is not None:
        ends[-1] = y[:, 0]
    for feature, series in ends.items():
        # Windows one row apart make a series of their last values; in others it is within each.
        chained = _hashed(series)
        within = (
            runs(_values(x[index][:, -RUN:, feature]), RUN)[:, 0]
            if feature >= 0 and x.shape[1] >= RUN
            else None
        )
        for column in known:
            match = Seen(int((np.isin(chained, column) & _varies(series)).sum()), len(x))
            if within is not None:
                hits = np.isin(within, column) & _varies_within(x[index][:, -RUN:, feature])
                match = max(match, Seen(int(hits.sum()), len(hits)), key=lambda match: match.share)
            if match.share > best.share:
                best = match
    return best


def _values(array):
    """uint64 hashes of single numbers, in an array of the same shape."""
    return hashes(np.asarray(array, np.float32).reshape(-1, 1)).reshape(np.shape(array))


def _hashed(series):
    return runs(_values(series), RUN)


def _varies(series):
    return _varies_within(np.lib.stride_tricks.sliding_window_view(np.asarray(series), RUN))


def _varies_within(rows):
    """(rows,) bool: which have enough different values to be recognised."""
    return (np.diff(np.sort(rows, axis=1), axis=1) != 0).sum(axis=1) >= DIFFERENT - 1


RANGE = "minimum and maximum", "min", "max"
MOMENTS = "mean and standard deviation", "mean", "std"
"""What a scaler fixes, in words, and the functions that scripts compute it by."""


@dataclass(frozen=True)
class Range:
    """A feature that has the statistics of a scaler's output over all rows, but not over training alone.

    Attributes:
        feature: of the window.
        kind: `RANGE` (all values lie in, and reach, [0, 1] or [-1, 1]) or `MOMENTS` (mean 0 and spread 1).
        training, all_rows: (low, high), or (mean, spread), over training rows and over all.
    """

    feature: int
    kind: tuple[str, ...]
    training: tuple[float, float]
    all_rows: tuple[float, float]


def revealed(training: np.ndarray, others: list[np.ndarray]) -> Range | None:
    """A feature whose statistics show that it was scaled over all rows.

    Args:
        training: (windows, timesteps, features).
        others: likewise, of the evaluated parts.
    """
    for feature in range(min(training.shape[2], MOST_COLUMNS)):
        own, rest = training[:, :, feature], [part[:, :, feature] for part in others]
        if len(np.unique(own[:, -1])) < 50:
            continue
        low, high = float(own.min()), float(own.max())
        lowest = min(low, *(float(part.min()) for part in rest))
        highest = max(high, *(float(part.max()) for part in rest))
        for bottom in (0.0, -1.0):
            filled = abs(lowest - bottom) < ROUNDED and abs(highest - 1) < ROUNDED
            if filled and (low > bottom + 1e-3 or high < 1 - 1e-3):
                return Range(feature, RANGE, (low, high), (lowest, highest))
        series, whole = _series(own), _series(np.concatenate([own, *rest]))
        if series is None or whole is None:
            continue
        own_moments, moments = _moments(series), _moments(whole)
        off = [max(abs(mean), abs(spread - 1)) for mean, spread in (own_moments, moments)]
        # The last rows are in no window, so a mean of 0 is not met exactly.
        if off[1] < max(1e-3, ENDS / len(whole)) and off[0] > max(0.02, 10 * off[1]):
            return Range(feature, MOMENTS, own_moments, moments)
    return None


def _moments(values):
    return float(values.mean(dtype=np.float64)), float(values.std(dtype=np.float64))


def _series(windows):
    """The series that windows were cut from, each value once; None where they are not consecutive."""
    timesteps = windows.shape[1]
    moved = np.full(len(windows), timesteps)  # rows from one window's beginning to the next one's
    waiting = np.arange(1, len(windows))
    for by in range(1, timesteps):
        follows = (windows[waiting, : timesteps - by] == windows[waiting - 1, by:]).all(axis=1)
        moved[waiting[follows]] = by
        waiting = waiting[~follows]
        if len(waiting) > 0.05 * (len(windows) - 1):
            return None  # rather than compare long windows at every distance
    return np.concatenate([window[timesteps - by :] for window, by in zip(windows, moved, strict=True)])


def inverse_scaling(case: Case) -> Iterator[Finding]:
    """Predictions that are scaled back by another scaler than the one that scaled the targets."""
    fit = case.fit
    if fit.kind != "numbers" or fit.task != "regression" or fit.declined:
        return
    targets = outputs(case.train.y).astype(np.float32)
    if targets.shape[1] != 1 or len(np.unique(targets)) < 10:
        return
    right = scaler_of(targets[:, 0], case.observed.scalings)
    predictions = [part.call.predictions for part in fit.tests if part.call.predictions is not None]
    back = [scaling for scaling in case.observed.scalings if scaling.kind == "inverse"] if right else []
    for scaling, column in (
        (scaling, _column_of(scaling.rows, rows)) for scaling in back for rows in predictions
    ):
        if column is None:
            continue
        actual, expected = units(scaling.scaler, column), units(right[0].scaler, right[1])
        if np.allclose(actual, expected, rtol=1e-6, atol=1e-9):
            continue
        yield case.finding(
            "warning",
            "inverse_scaling",
            f"predictions are scaled back by column {column + 1} of a {scaling.name}, but the targets were "
            f"scaled by column {right[1] + 1} of another: an error of 1 becomes {actual[1]:.3g} instead of "
            f"{expected[1]:.3g}",
            "Scale predictions back by the scaler, and the column, that scaled the targets.",
            lines=sorted({*scaling.lines[:1], *right[0].lines[:1]}),
            unit=actual[1],
            expected_unit=expected[1],
            column=column + 1,
            expected_column=right[1] + 1,
        )
        return


def _column_of(rows, predictions):
    """The column of a scaler's rows that these predictions are."""
    predictions = outputs(predictions)
    if len(predictions) != len(rows) or predictions.shape[1] != 1:
        return None
    for column in range(rows.shape[1]):
        if np.allclose(rows[:, column], predictions[:, 0], rtol=1e-6):
            return column
    return None
