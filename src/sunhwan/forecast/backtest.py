"""A rolling-origin backtest: the test part cut into folds, each forecast by a model trained on the rows
before it.

    rows   |---------- train ----------|--- val ---|- test 1 -|- test 2 -|- test 3 -|
    fold 1  train ......... val ....... test
    fold 2  train ............ val ............... test
    fold 3  train ............... val ....................... test

So figures rest on several trainings, each with the rows that were available at its time, and their spread
shows how much they depend on the period. The verdict is about the windows of all folds together.

Source: Tashman, "Out-of-sample tests of forecasting accuracy", International Journal of Forecasting 16
(2000).
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from sunhwan.data import split
from sunhwan.data.health import health as column_health
from sunhwan.data.preparation import ForecastSpec, Prepared, parts_of, prepare
from sunhwan.data.table import Table
from sunhwan.errors import SunhwanError
from sunhwan.forecast.evaluate import MODEL, Evaluation, Result, evaluate, summary
from sunhwan.forecast.fit import check_enough, fit
from sunhwan.forecast.options import Options
from sunhwan.training.progress import Watcher, Within
from sunhwan.units import human


def backtest(readings: Table, wanted: ForecastSpec, options: Options, watcher: Watcher, folds: int) -> Result:
    """`run.learn`, once for each fold; the model of the last fold is returned.

    Args:
        readings: all rows.
        wanted: the targets, the horizon, ...; the test share of its split is cut into folds.
        options: of training.
        watcher: of progress.
        folds: how many, at least 2.

    Raises:
        SunhwanError: a fold has too few rows to train, or no complete window; nothing was trained then.
    """
    began = time.perf_counter()
    parts = rolling(readings.series, wanted.split, folds)
    grid = learnt_of(readings, wanted, parts, 0).plan.grid
    # As rows, so that windows of all folds are alike.
    wanted = replace(wanted, horizon=grid.horizon, lookback=grid.lookback)
    for number in range(1, folds):
        learnt_of(readings, wanted, parts, number)

    evaluations, figures, shares = [], [], []
    for number in range(folds):
        within = Within(watcher, f"fold {number + 1} of {folds}")
        learnt = learnt_of(readings, wanted, parts, number)
        fitted = fit(learnt, options, within)
        within.begin("test part", 1, 1)
        evaluation = evaluate(fitted, learnt, learnt.windows("test"))
        fold = np.full(len(evaluation.made_at), number + 1, np.int8)
        evaluations.append(replace(evaluation, fold=fold))
        shares.append(fitted.model.shares)
        figures.append(summary(evaluation, options.level, shares[-1], 0.0))

    whole = joined(evaluations)
    keys = dict.fromkeys(key for weights in shares for key in weights)
    weights = {key: float(np.mean([weights.get(key, 0.0) for weights in shares])) for key in keys}
    metrics = summary(whole, options.level, weights, time.perf_counter() - began)
    for i, target in enumerate(metrics["targets"]):
        target["over_folds"] = spread([fold["targets"][i]["test"] for fold in figures])
    metrics["folds"] = [fold_figures(*pair) for pair in zip(evaluations, figures, strict=True)]
    notes = (
        *learnt.notes,
        f"each of {folds} folds was forecast by a model trained on the rows before it; the model of the last "
        "fold is saved",
        *(f"in the last fold {note}" for note in fitted.notes),
    )
    health = column_health(learnt.readings, parts_of(readings.series, wanted.split))
    return Result(fitted, notes, whole, metrics, health)


def learnt_of(readings: Table, wanted: ForecastSpec, parts: Sequence[np.ndarray], number: int) -> Prepared:
    """The rows of a fold, numbered from 0, prepared: none that comes after it."""
    part = parts[number]
    rows = part >= 0
    try:
        learnt = prepare(readings.take(rows), wanted, part[rows])
        check_enough(learnt)
    except SunhwanError as error:
        raise SunhwanError(f"fold {number + 1} of {len(parts)}: {error}; or ask for fewer --folds") from None
    return learnt


def joined(evaluations: Sequence[Evaluation]) -> Evaluation:
    """The windows of all folds, one after the other."""
    last = evaluations[-1]

    def all_of(name: str) -> np.ndarray:
        return np.concatenate([getattr(evaluation, name) for evaluation in evaluations])

    arrays = ("made_at", "series", "actual", "predictions", "ridge_bounds", "fold")
    seeds = zip(*(evaluation.per_seed for evaluation in evaluations), strict=True)
    return replace(
        last,
        **{name: all_of(name) for name in arrays},
        baselines={
            key: np.concatenate([evaluation.baselines[key] for evaluation in evaluations])
            for key in last.baselines
        },
        per_seed=tuple(map(np.concatenate, seeds)),
        stride=min(evaluation.stride for evaluation in evaluations),
    )


def fold_figures(evaluation: Evaluation, figures: dict) -> dict:
    """One fold for JSON; the figures of each target are under `targets`, as in the whole."""
    return {
        "fold": int(evaluation.fold[0]),
        "from": human(evaluation.made_at.min()),
        "to": human(evaluation.made_at.max()),
        **{key: figures[key] for key in ("windows", "weights", "targets")},
    }


def spread(tests: Sequence[dict[str, dict[str, float]]]) -> dict[str, dict[str, dict[str, float]]]:
    """Mean and standard deviation over folds of each error, of the model and of the baselines."""
    return {
        key: {
            error: {
                "mean": float(np.mean([test[key][error] for test in tests])),
                "std": float(np.std([test[key][error] for test in tests], ddof=1)),
            }
            for error in tests[0][MODEL]
        }
        for key in tests[0]
    }


def rolling(series: np.ndarray, shares: Sequence[float], folds: int) -> list[np.ndarray]:
    """The parts of a backtest: the test part is cut into folds, one after the other, and what lies before
    each is its training and validation part, in the proportion of their shares.

    Args:
        series: (rows,) as for `chronological`.
        shares: three.
        folds: how many, at least 2.

    Returns:
        For each fold (rows,) int8: 0 train, 1 validation, 2 test, -1 for what comes after it.

    Example:
        >>> for part in rolling(np.zeros(10, int), (40, 20, 40), 2):
        ...     print(part)
        [ 0  0  0  0  1  1  2  2 -1 -1]
        [0 0 0 0 0 1 1 1 2 2]
    """
    fractions, _ = split.checked(shares)
    if fractions is None:
        raise SunhwanError(f"a split of {shares} was given; folds are cut by three shares, such as 60/20/20")
    parts = [np.full(len(series), -1, np.int8) for _ in range(folds)]
    starts = np.flatnonzero(np.diff(series, prepend=-1))
    for start, end in zip(starts, np.append(starts[1:], len(series)), strict=True):
        rows = end - start
        first = round(rows * (fractions[0] + fractions[1]))
        edges = first + np.round((rows - first) * np.arange(folds + 1) / folds).astype(int)
        for part, begins, ends in zip(parts, edges, edges[1:], strict=False):
            validation = round(begins * fractions[0] / (fractions[0] + fractions[1]))
            part[start : start + ends] = np.searchsorted([validation, begins], np.arange(ends), side="right")
    return parts
