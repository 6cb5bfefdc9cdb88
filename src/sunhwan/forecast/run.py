"""A user's table -> a run that forecasts: settings searched, models trained, scored once on the test part,
saved.

file --Source.read--> Table --prepare--> windows of train, val, test
                                              |-- fit.fit --> Fitted, whose `model` predicts
                                              |-- evaluate.evaluate: errors, intervals, the verdict, on test
                                              alone v
                                          run directory (see `rundir`)
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np

from sunhwan import rundir
from sunhwan.data.health import health as column_health
from sunhwan.data.preparation import ForecastSpec, prepare
from sunhwan.data.table import Table
from sunhwan.data.windows import encode
from sunhwan.errors import SunhwanError
from sunhwan.files import as_csv
from sunhwan.forecast import search as searching
from sunhwan.forecast.backtest import backtest
from sunhwan.forecast.evaluate import Result, evaluate, summary
from sunhwan.forecast.fit import check_enough, fit
from sunhwan.forecast.network import Trained
from sunhwan.forecast.options import Options
from sunhwan.forecast.predict import check_names
from sunhwan.forecast.source import Source
from sunhwan.training.progress import Watcher


def run(
    readings: Table,
    wanted: ForecastSpec,
    options: Options,
    watcher: Watcher,
    *,
    test: Table | None = None,
    search: int | None = None,
    folds: int | None = None,
    all_rows: bool = False,
) -> Result:
    """Search, then backtest or train and test, as asked for.

    Args:
        readings: training and validation rows, and test rows where `test` is None.
        wanted: the targets, the horizon, the split, ...
        options: of training.
        watcher: of progress.
        test: the test part, where it is a file of its own.
        search: settings of the network to try first, within the training part.
        folds: parts of the test share, each forecast by a model trained on the rows before it.
        all_rows: whether the model that is returned is trained on all rows, so that only folds test it.

    Raises:
        SunhwanError: the table cannot be used; see `prepare`. Or a target has a reserved name.
    """
    check_names([name for name in wanted.targets if name in readings.columns.columns], options.level)
    searched = None
    if search is not None:
        searched = searching.search(readings, wanted, options, watcher, search)
        wanted, options = searched.wanted, searched.options
    result = None
    if folds is not None:
        result = backtest(readings, wanted, options, watcher, folds)
    elif not all_rows:
        result = learn(readings, wanted, options, watcher, test)
    if all_rows:
        learnt = prepare(readings, replace(wanted, split=wanted.split[:2]))
        check_enough(learnt)
        fitted = fit(learnt, options, watcher)
        notes = (*learnt.notes, *fitted.notes)
        if result is None:
            result = Result(fitted, notes)
        else:
            verdict = f"over {folds} folds: {result.metrics['verdict']}"
            result = replace(result, fitted=fitted, notes=(*notes, verdict))
    if searched is None:
        return result
    return replace(
        result,
        notes=(*result.notes, searched.note),
        metrics=result.metrics and {**result.metrics, "search": searched.summary},
        trials=searched.trials,
        search=searched.summary,
    )


def learn(
    readings: Table, wanted: ForecastSpec, options: Options, watcher: Watcher, test: Table | None = None
) -> Result:
    """Train a model on a table, and evaluate it on the test part, or on another table.

    Args:
        readings, wanted, options, watcher, test: as for `run`.

    Raises:
        SunhwanError: the table cannot be used; see `prepare`.
    """
    began = time.perf_counter()
    learnt = prepare(readings, wanted)
    check_enough(learnt)
    fitted = fit(learnt, options, watcher)
    if test is None:
        windows, notes = learnt.windows("test"), learnt.notes
    else:
        rows = encode(test, learnt.plan)
        windows, notes = rows.windows(), (*learnt.notes, *rows.notes)
        if len(windows) == 0:
            raise SunhwanError(
                f"{test.name} has no complete window of {learnt.plan.grid.lookback:,} rows followed by "
                f"{learnt.plan.steps:,} steps; give more rows to test on"
            )
    watcher.begin("test part", 1, 1)
    evaluation = evaluate(fitted, learnt, windows)
    model = fitted.model
    metrics = summary(evaluation, model.level, model.shares, time.perf_counter() - began)
    health = column_health(learnt.readings, learnt.part, test)
    return Result(fitted, (*notes, *fitted.notes), evaluation, metrics, health)


def save(result: Result, record: Mapping, folder: Path, source: Source) -> dict:
    """Write the run directory; what `--json` prints.

    Args:
        result: from `run`, with an evaluation.
        record: from `rundir.record`.
        folder: from `files.new_run`.
        source: how the file was read, so that `predict` reads its files the same way.
    """
    metrics = {"run": str(folder), **result.metrics}
    evaluation, fitted = result.evaluation, result.fitted
    model = fitted.model.updated(evaluation.calibrations_after)
    saved = {
        **model.to_dict(),
        "source": source.to_dict(),
        "settings": asdict(fitted.trained[-1].settings),
    }
    predictions = {
        "origin": evaluation.made_at,
        "series": evaluation.series,
        "series_names": np.array(evaluation.series_names),
        "truth": evaluation.actual.astype(np.float32),
        "model": evaluation.predictions.astype(np.float32),
        **{f"baseline:{key}": values.astype(np.float32) for key, values in evaluation.baselines.items()},
        **({} if evaluation.fold is None else {"fold": evaluation.fold}),
    }
    rundir.write(
        folder,
        {
            **record,
            "notes": list(result.notes),
            "seconds": result.metrics["seconds"],
            **({"search": result.search} if result.search else {}),
        },
        saved,
        model.to_arrays(),
        metrics=metrics,
        health=result.health,
        history=history(fitted.trained),
        predictions=predictions,
        **({"search": as_csv(result.trials)} if result.trials else {}),
    )
    return metrics


def history(trained: Sequence[Trained]) -> str:
    """A row for each network and epoch, as CSV."""
    return as_csv(
        [
            {"network": number, "relative": network.settings.relative, **row}
            for number, network in enumerate(trained)
            for row in network.history
        ]
    )
