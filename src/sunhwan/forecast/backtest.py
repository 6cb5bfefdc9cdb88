"""A rolling-origin backtest: the test part cut into folds, each forecast by a model of what lies before it.

    rows   |---------- train ----------|--- val ---|- test 1 -|- test 2 -|- test 3 -|
    fold 1  train ......... val ....... test
    fold 2  train ............ val ............... test
    fold 3  train ............... val ....................... test

So figures rest on several trainings, each with the rows that would have been there at its time, and their
spread says how much they hang on when it was. The verdict is that of all folds' windows together.

Source: Tashman, "Out-of-sample tests of forecasting accuracy", International Journal of Forecasting 16
(2000).
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from sunhwan.data.health import health
from sunhwan.data.preparation import ForecastSpec, Prepared, parts_of, prepare
from sunhwan.data.split import rolling
from sunhwan.data.table import Table
from sunhwan.errors import SunhwanError
from sunhwan.forecast import model as forecaster
from sunhwan.forecast.model import Options
from sunhwan.forecast.run import MODEL, Judged, Result, check_enough, judge, summary
from sunhwan.training.progress import Within
from sunhwan.units import human


def backtest(readings: Table, wanted: ForecastSpec, options: Options, watcher, folds: int) -> Result:
    """`forecast.learn`, once for each fold; what is kept is the model of the last.

    Args:
        readings: all rows.
        wanted: the targets, the horizon, ...; of the split's test share the folds are cut.
        options: of training.
        watcher: told how it goes.
        folds: how many, at least 2.

    Raises:
        SunhwanError: a fold cannot be learnt from, or holds no whole window; nothing was trained then.
    """
    began = time.perf_counter()
    parts = rolling(readings.series, wanted.split, folds)
    grid = learnt_of(readings, wanted, parts, 0).plan.grid
    # As rows, so that windows of all folds are alike.
    wanted = replace(wanted, horizon=grid.horizon, lookback=grid.lookback)
    for number in range(1, folds):
        learnt_of(readings, wanted, parts, number)

    fits, found, each = [], [], []
    for number in range(folds):
        told = Within(watcher, f"fold {number + 1} of {folds}")
        learnt = learnt_of(readings, wanted, parts, number)
        fitted = forecaster.fit(learnt, options, told)
        told.begin("test part", 1, 1)
        judged = judge(fitted, learnt, learnt.windows("test"))
        fits.append(fitted)
        found.append(replace(judged, fold=np.full(len(judged.made_at), number + 1, np.int8)))
        each.append(summary(judged, fitted.forecast, fitted.forecast.shares, 0.0))

    last, whole = fits[-1], joined(found)
    shares = [fitted.forecast.shares for fitted in fits]
    names = dict.fromkeys(name for one in shares for name in one)
    weights = {name: float(np.mean([one.get(name, 0.0) for one in shares])) for name in names}
    metrics = summary(whole, last.forecast, weights, time.perf_counter() - began)
    for i, one in enumerate(metrics["targets"]):
        one["over_folds"] = over([fold["targets"][i]["test"] for fold in each])
    metrics["folds"] = [as_fold(judged, figures) for judged, figures in zip(found, each, strict=True)]
    notes = (
        *learnt.notes,
        f"each of {folds} folds was forecast by a model that had learnt from the rows before it; the last of "
        "these models is kept",
        *(f"in the last fold {note}" for note in last.notes),
    )
    sound = health(learnt.readings, parts_of(readings.series, wanted.split))
    return Result(last, whole, notes, metrics, sound)


def learnt_of(readings: Table, wanted: ForecastSpec, parts: Sequence[np.ndarray], number: int) -> Prepared:
    """What a fold learns from and is judged on, numbered from 0; it holds no row that comes after."""
    part = parts[number]
    rows = part >= 0
    try:
        learnt = prepare(readings.take(rows), wanted, part[rows])
        check_enough(learnt)
    except SunhwanError as error:
        raise SunhwanError(f"fold {number + 1} of {len(parts)}: {error}; or ask for fewer --folds") from None
    return learnt


def joined(found: Sequence[Judged]) -> Judged:
    """The windows of all folds, one after the other."""
    last = found[-1]

    def all_of(name: str) -> np.ndarray:
        return np.concatenate([getattr(one, name) for one in found])

    return replace(
        last,
        **{name: all_of(name) for name in ("made_at", "series", "truth", "said", "ridge", "fold")},
        rivals={name: np.concatenate([one.rivals[name] for one in found]) for name in last.rivals},
        alone=tuple(np.concatenate(of_seed) for of_seed in zip(*(one.alone for one in found), strict=True)),
        apart=min(one.apart for one in found),
    )


def as_fold(judged: Judged, figures: dict) -> dict:
    """One fold for JSON; the figures of each target stand under `targets`, as in the whole."""
    return {
        "fold": int(judged.fold[0]),
        "from": human(judged.made_at.min()),
        "to": human(judged.made_at.max()),
        **{key: figures[key] for key in ("windows", "weights", "targets")},
    }


def over(tests: Sequence[dict[str, dict[str, float]]]) -> dict[str, dict[str, dict[str, float]]]:
    """Mean and standard deviation over folds of each error, of the model and of the baselines."""
    return {
        name: {
            key: {
                "mean": float(np.mean([one[name][key] for one in tests])),
                "std": float(np.std([one[name][key] for one in tests], ddof=1)),
            }
            for key in tests[0][MODEL]
        }
        for name in tests[0]
    }
