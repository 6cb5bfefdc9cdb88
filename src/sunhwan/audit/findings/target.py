"""Inputs that contain the target."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from sunhwan.audit.findings.case import Case, Finding
from sunhwan.audit.fits import outputs, spaced

EXACT = 1e-5
"""An input that misses the target by this share of its spread still is it: float32 and scalers round."""

FORMULA = 1e-3
"""What a sum of inputs may miss of a target's spread and still be its formula."""


def target_in_inputs(case: Case) -> Iterator[Finding]:
    """An input that is the target: in every row, in its own units or in a scaler's."""
    y = case.train.y
    if case.fit.kind != "numbers" or y is None or case.fit.declined or len(y) < 30:
        return
    index = spaced(len(y), 5_000)
    x = case.training[index].astype(np.float64)
    classes = case.fit.task == "classes"
    cells = classes_in(x, case.fit.labels(y[index])) if classes else targets_in(x, outputs(y[index]))
    if not cells:
        if not classes:
            yield from target_from_inputs(case)
        return
    step, feature, output = cells[0]
    back, columns = x.shape[1] - 1 - step, x.shape[2]
    where = f"column {feature + 1} of {columns} of the inputs" if columns > 1 else "the inputs"
    at = "at the last timestep" if not back else f"{back} timesteps before the last"
    yield case.finding(
        "leak",
        "target_in_inputs",
        f"the target itself is in {where}, {at}, in all {len(index):,} checked training rows",
        "Remove that column, or shift the target: what is forecast must come after the last input row.",
        timestep=step + 1,
        column=feature + 1,
        output=output + 1,
        rows=len(index),
        examples=[
            {
                "row": int(row),
                "input": float(x[k, step, feature]),
                "target": float(np.ravel(y[row])[output]),
            }
            for k, row in enumerate(index[:3])
        ],
    )


def targets_in(x: np.ndarray, y: np.ndarray) -> list[tuple[int, int, int]]:
    """(timestep, feature, output) of inputs that are a target, or a linear function of it, in every row.

    A series that is a straight line has its target in every input, and nothing leaks.
    """
    cells = []
    flat = x.reshape(len(x), -1)
    spread = flat.std(axis=0)
    for output in range(min(y.shape[1], 8)):
        target = y[:, output]
        known = np.isfinite(target) & np.isfinite(flat).all(axis=1)
        if known.sum() < 30 or len(np.unique(target[known])) < 10:
            continue
        a, b = flat[known], target[known]
        off, moved = b - b.mean(), a - a.mean(axis=0)
        with np.errstate(all="ignore"):
            slope = moved.T @ off / (moved**2).sum(axis=0)
            correlation = slope * spread / b.std()
        for cell in np.flatnonzero(np.abs(correlation) > 1 - 1e-6):
            missed = np.abs(moved[:, cell] * slope[cell] - off).max()
            shifted = abs(slope[cell] - 1) < EXACT and abs(b.mean() - a[:, cell].mean()) > EXACT * b.std()
            if missed < EXACT * 10 * b.std() and not shifted:
                cells.append((int(cell) // x.shape[2], int(cell) % x.shape[2], output))
    for feature in {feature for _, feature, _ in cells}:
        steps = [step for step, column, _ in cells if column == feature]
        if len(steps) > 1 and len(set(steps)) > x.shape[1] / 2:  # a straight line in time
            cells = [cell for cell in cells if cell[1] != feature]
    return sorted(cells, reverse=True)


def classes_in(x: np.ndarray, labels: np.ndarray) -> list[tuple[int, int, int]]:
    """Likewise for classes: a column whose value at the last timestep depends on the class alone."""
    cells, classes = [], np.unique(labels)
    if len(classes) < 2 or min(np.bincount(labels)[classes]) < 10:
        return []
    last = x[:, -1]
    for feature in range(x.shape[2]):
        values = [np.unique(last[labels == label, feature]) for label in classes]
        if all(len(value) == 1 for value in values) and len(np.unique(np.concatenate(values))) == len(
            classes
        ):
            cells.append((x.shape[1] - 1, feature, 0))
    return cells


def target_from_inputs(case: Case) -> Iterator[Finding]:
    """A weighted sum of the inputs that is the target, though the target's own past does not give it.

    So it is where a column was computed from later rows: a centred moving average contains the target in a
    sum with past values. Real series have noise, so nothing but the target itself gives it exactly.
    """
    x, target = case.training, outputs(case.train.y)[:, 0]
    cells, columns = x[0].size, x.shape[2]
    if columns < 2 or cells > 600 or len(x) < 4 * cells:
        return
    if not np.isfinite(target).all() or not np.ptp(target):
        return
    own = own_column(x[:, -1], target)
    if own is None or unexplained(x, target) > FORMULA:
        return
    by_past = unexplained(x[:, :, [own]], target)
    if by_past < 10 * FORMULA:
        return
    containing = [
        column
        for column in range(columns)
        if column != own and unexplained(np.delete(x, column, axis=2), target) > 10 * FORMULA
    ]
    if not containing:
        return
    numbers = " and ".join(str(column + 1) for column in containing)
    verb = "s {} of {} contain it" if len(containing) > 1 else " {} of {} contains it"
    yield case.finding(
        "leak",
        "target_in_inputs",
        f"a weighted sum of the inputs gives the target to within {100 * FORMULA:g}% of its spread, while "
        f"its own past misses it by {100 * by_past:.0f}%: column{verb.format(numbers, columns)}",
        "Compute each row of a column from that row and earlier ones only: rolling means without "
        "center=True, no totals that include later rows.",
        certain=False,
        columns=[column + 1 for column in containing],
        own_column=own + 1,
        unexplained_by_own_past=by_past,
    )


def own_column(last: np.ndarray, target: np.ndarray) -> int | None:
    """The column of the last timesteps (rows, features) in which a row's target occurs some rows later."""
    last, target = last[:20_000], target[:20_000]
    for later in range(1, min(49, len(target) // 2)):
        for column in range(last.shape[1]):
            a, b = last[later:, column].astype(np.float64), target[:-later]
            if a.std() and abs(np.corrcoef(a, b)[0, 1]) > 1 - 1e-6:
                return column
    return None


def unexplained(x: np.ndarray, target: np.ndarray) -> float:
    """The error of a linear fit of a target on windows (rows, timesteps, features), as a share of its spread.

    Fitted on every second row, and evaluated on the others.
    """
    rows = spaced(len(x), 4_000)
    flat = x[rows].reshape(len(rows), -1).astype(np.float64)
    flat = np.column_stack([flat, np.ones(len(flat))])
    weights = np.linalg.lstsq(flat[::2], target[rows][::2], rcond=None)[0]
    missed = target[rows][1::2] - flat[1::2] @ weights
    return float(np.sqrt(np.mean(missed**2)) / target[rows].std())
