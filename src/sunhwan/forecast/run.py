"""A user's file -> a run that forecasts: read, learnt, scored once on the test part, and kept.

file --table.load--> Table --prepare--> windows of train, val, test
                                              |-- forecaster.fit --> Forecast
                                              |-- judge: errors, intervals, the verdict, on test alone
                                              v
                                          run directory (see `folder`)
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np

from sunhwan import rundir
from sunhwan.baselines.paths import judged
from sunhwan.data import table
from sunhwan.data.files import records
from sunhwan.data.files.records import Records, listed
from sunhwan.data.files.timestamps import customary
from sunhwan.data.grid import seconds_of
from sunhwan.data.health import health
from sunhwan.data.preparation import ForecastSpec, Prepared, prepare
from sunhwan.data.table import Table
from sunhwan.data.windows import ForecastWindows, WindowPlan, encode
from sunhwan.errors import SunhwanError
from sunhwan.evaluation.intervals import Calibration
from sunhwan.evaluation.metrics import errors_of_windows, forecast_errors, interval_scores
from sunhwan.evaluation.significance import Improvement, improvement
from sunhwan.files import as_csv
from sunhwan.forecast import model as forecaster
from sunhwan.forecast.clock import samples
from sunhwan.forecast.model import Fitted, Forecast, Options
from sunhwan.forecast.network import Trained
from sunhwan.units import digits, duration, shown, unit_of

MODEL = "model"

FIRST_CALIBRATED = 50
"""Training needs so many validation windows; of fewer neither epochs nor intervals can be chosen."""


@dataclass(frozen=True)
class Source:
    """Where readings come from, and how they are read.

    Attributes:
        path: the file.
        time: the columns that hold the time; by default the one with a customary name.
        series: the column that tells several series apart.
        times: a few times as the file writes them; see `clock.samples`.
    """

    path: Path
    time: tuple[str, ...] = ()
    series: str | None = None
    times: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def read(self, needed: Sequence[str] = ()) -> tuple[Table, Source]:
        """The table; and this source with the time's columns named, where they were found by their names.

        Args:
            needed: columns that must be there, which is told before anything else is.

        Raises:
            SunhwanError: see `table.load`.
        """
        found = records.read(self.path)
        named = self.found_in(found)
        return replace(named, times=self.times).table(found, needed), named

    def table(
        self, found: Records, needed: Sequence[str] = (), interval: np.timedelta64 | None = None
    ) -> Table:
        """The table that a file's or a frame's rows hold.

        Raises:
            SunhwanError: a column that is needed is not there; or see `table.load`.
        """
        columns = found.frame.columns
        lacking = [
            name for name in (*self.time, *filter(None, [self.series]), *needed) if name not in columns
        ]
        if lacking:
            raise SunhwanError(
                f"{found.name} lacks {listed(lacking)}; it has {listed(columns)}: give these columns under "
                "these names, in any order"
            )
        return table.assemble(found, time=self.time, series=self.series, interval=interval, like=self.times)

    def found_in(self, found: Records) -> Source:
        """This source with the time's columns named, and a few of their times, as these rows have them."""
        time = self.time or tuple(customary(found))
        if not set(time) <= set(found.frame.columns):
            return replace(self, time=time)
        some = found.take(np.unique(np.linspace(0, len(found.frame) - 1, 5_000).astype(np.int64)))
        return replace(self, time=time, times=samples(some, time))

    def as_dict(self) -> dict:
        """For JSON; where the file lies is not kept."""
        times = {name: list(texts) for name, texts in self.times.items()}
        return {"time": list(self.time), "series": self.series, "times": times}

    @classmethod
    def from_dict(cls, kept: Mapping) -> Source:
        """What `as_dict` gave."""
        return cls(Path(), tuple(kept.get("time", ())), kept.get("series"), kept.get("times", {}))


@dataclass(frozen=True)
class Judged:
    """What came of a forecaster on the test part; all in the targets' units.

    Attributes:
        plan: how windows lie.
        made_at: (windows,) datetime64[s], the time of each window's last row.
        series: (windows,) int, whose it is.
        series_names: the name of each series.
        apart: rows between the windows: 1, or more where only some of many were judged.
        truth: (windows, steps, targets).
        said: (windows, steps, targets, 3): median, lower, upper of the model.
        rivals: each baseline's forecasts, (windows, steps, targets).
        ridge: (windows, steps, targets, 2) ridge's intervals by the same calibration.
        alone: each network's forecasts without the mixture, (windows, steps, targets), a seed each.
        ended: the model's calibrations after the test part.
        fold: (windows,) int, which part of a backtest each is of, from 1; None without one.
    """

    plan: WindowPlan
    made_at: np.ndarray
    series: np.ndarray
    series_names: tuple[str, ...]
    apart: int
    truth: np.ndarray
    said: np.ndarray
    rivals: Mapping[str, np.ndarray]
    ridge: np.ndarray
    alone: tuple[np.ndarray, ...]
    ended: Mapping[str, tuple[Calibration, ...]]
    fold: np.ndarray | None = None

    def errors(self, name: str, target: int) -> dict[str, float]:
        """MAE, RMSE and the last step's MAE of the model or a baseline."""
        return self.errors_of(self.said[..., 0] if name == MODEL else self.rivals[name], target)

    def errors_of(self, forecast: np.ndarray, target: int) -> dict[str, float]:
        """The same of a forecast, (windows, steps, targets)."""
        found = forecast_errors(forecast[:, :, target], self.truth[:, :, target])
        return {"mae": found.mae, "rmse": found.rmse, "mae_last_step": found.mae_last_step}

    def best_rival(self, target: int) -> str:
        """The baseline with the least error on the test part: harder to beat than what validation names."""
        return min(self.rivals, key=lambda name: self.errors(name, target)["mae"])

    def improvement(self, rival: str, target: int) -> Improvement | None:
        """By how much the model's error is lower than a baseline's; the windows of one time are one draw.

        None where the baseline makes no error, as on a test part of one value.
        """
        ours, theirs = (
            errors_of_windows(forecast[:, :, target], self.truth[:, :, target])
            for forecast in (self.said[..., 0], self.rivals[rival])
        )
        if not np.nansum(theirs):
            return None
        return improvement(ours, theirs, time=self.made_at, horizon=max(self.plan.steps // self.apart, 1))


@dataclass(frozen=True)
class Result:
    """A whole run, before it is written.

    Attributes:
        fitted: the forecaster and what training told.
        judged: on the test part.
        notes: what was met and done.
        metrics: what `--json` prints, without the run's folder.
        health: of the readings' columns; see `data.health`.
    """

    fitted: Fitted
    judged: Judged
    notes: tuple[str, ...]
    metrics: dict
    health: dict


def learn(
    readings: Table, wanted: ForecastSpec, options: Options, watcher, later: Table | None = None
) -> Result:
    """Learn a forecaster from a table and judge it on the test part, or on another table.

    Args:
        readings: training and validation rows, and test rows where `later` is None.
        wanted: the targets, the horizon, the split, ...
        options: of training.
        watcher: told how it goes.
        later: the test part, where it is a file of its own.

    Raises:
        SunhwanError: the table cannot be learnt from; see `prepare`.
    """
    began = time.perf_counter()
    learnt = prepare(readings, wanted)
    check_enough(learnt)
    fitted = forecaster.fit(learnt, options, watcher)
    if later is None:
        test, notes = learnt.windows("test"), learnt.notes
    else:
        rows = encode(later, learnt.plan)
        test, notes = rows.windows(), (*learnt.notes, *rows.notes)
        if len(test) == 0:
            raise SunhwanError(
                f"{later.name} holds no whole window of {learnt.plan.grid.lookback:,} rows with a path of "
                f"{learnt.plan.steps:,} steps; give more rows to test on"
            )
    watcher.begin("test part", 1, 1)
    found = judge(fitted, learnt, test)
    metrics = summary(found, fitted.forecast, fitted.forecast.shares, time.perf_counter() - began)
    sound = health(learnt.readings, learnt.part, later)
    return Result(fitted, found, (*notes, *fitted.notes), metrics, sound)


def check_enough(learnt: Prepared) -> None:
    """Refuse a validation part of too few windows to choose anything on."""
    count = len(learnt.windows("val"))
    if count < FIRST_CALIBRATED:
        rows = int((learnt.part == 1).sum())
        raise SunhwanError(
            f"the validation part ({rows:,} rows) has {count:,} windows; at least {FIRST_CALIBRATED} are "
            "needed to choose epochs and intervals: give more rows, a shorter --horizon or --lookback, or a "
            "larger validation share (--split)"
        )


def judge(fitted: Fitted, learnt: Prepared, test: ForecastWindows) -> Judged:
    """The model's and the baselines' forecasts of the test part, and ridge's intervals beside them."""
    forecast, plan = fitted.forecast, learnt.plan
    test = judged(test)
    rivals = {name: plan.physical(function(test)) for name, function in fitted.baselines.items()}
    truth = plan.physical(test.truths())
    ridge = ridge_intervals(fitted, judged(learnt.windows("val")), test, rivals["ridge"], truth)
    each = [one.predict(test, forecast.line) for one in forecaster.averaged_of(fitted.trained)]
    said, ended = forecast.run(test, each=each)
    alone = tuple(plan.physical(one[..., 0]) for one in each)
    apart = np.diff(np.unique(test.last))
    return Judged(
        plan,
        test.rows.time[test.last].astype("datetime64[s]"),
        test.rows.series[test.last],
        test.rows.series_names,
        max(int(np.median(apart)), 1) if len(apart) else 1,
        truth,
        said,
        rivals,
        ridge,
        alone,
        ended,
    )


def ridge_intervals(
    fitted: Fitted, val: ForecastWindows, test: ForecastWindows, said: np.ndarray, truth: np.ndarray
) -> np.ndarray:
    """Ridge's point forecasts with the same calibration, which the model's intervals have to beat."""
    plan, level = val.plan, fitted.forecast.level
    held, true = plan.physical(fitted.baselines["ridge"](val)), plan.physical(val.truths())
    names = np.array(val.rows.series_names, object)[val.rows.series[val.last]]
    found = np.empty((*said.shape, 2))
    series = test.rows.series[test.last]
    for target in range(len(plan.targets)):
        one = held[:, :, target]
        states = Calibration.fit_series(one, one, true[:, :, target], list(names), level=level)
        pooled = Calibration.fit(one, one, true[:, :, target], level=level)
        for code in np.unique(series):
            mine = np.flatnonzero(series == code)
            state = states.get(test.rows.series_names[code]) or Calibration.from_json(pooled.to_json())
            point = said[mine, :, target]
            bounds = state.run(point, point, truth[mine, :, target], test.last[mine])
            found[mine, :, target] = np.stack(bounds, axis=-1)
    return found


def summary(found: Judged, forecast: Forecast, weights: Mapping[str, float], seconds: float) -> dict:
    """What `--json` prints: figures of each target, and the verdict; the first target's stand on top.

    Args:
        found: what came of the test part.
        forecast: what will predict.
        weights: of the mixture, by member, the mean over steps; of several folds, their mean.
        seconds: that it all took.
    """
    plan = forecast.plan
    per_target = []
    for i, target in enumerate(plan.targets):
        model = interval_scores(
            found.said[:, :, i, 1], found.said[:, :, i, 2], found.truth[:, :, i], forecast.level
        )
        ridge = interval_scores(
            found.ridge[:, :, i, 0], found.ridge[:, :, i, 1], found.truth[:, :, i], forecast.level
        )
        rival = found.best_rival(i)
        against = {name: found.improvement(name, i) for name in found.rivals}
        gain = against[rival]
        unit = unit_of(target)
        per_target.append(
            {
                "target": target,
                "unit": unit,
                "test": {name: found.errors(name, i) for name in (MODEL, *found.rivals)},
                "interval": {
                    "level": forecast.level,
                    "coverage": model.coverage,
                    "winkler": model.winkler,
                    "mean_width": model.mean_width,
                    "ridge_winkler": ridge.winkler,
                },
                "networks": [found.errors_of(one, i) for one in found.alone],
                "best_baseline": rival,
                "improvement": gain_of(gain),
                "against": {name: gain_of(one) for name, one in against.items()},
                "verdict": verdict(plan, target, unit, gain, rival, weights, found.errors(MODEL, i)["mae"]),
            }
        )
    first = per_target[0]
    return {
        "task": "forecast",
        "target": first["target"],
        "unit": first["unit"],
        "horizon": plan.steps,
        "interval_seconds": seconds_of(plan.interval),
        "windows": len(found.made_at),
        "test": first["test"],
        "interval": first["interval"],
        "best_baseline": first["best_baseline"],
        "improvement": first["improvement"],
        "weights": dict(weights),
        "targets": per_target,
        "verdict": " ".join(one["verdict"] for one in per_target),
        "seconds": round(seconds, 1),
    }


def gain_of(gain: Improvement | None) -> dict | None:
    """An improvement for JSON, which has no infinity."""
    if gain is None:
        return None
    found = asdict(gain)
    if gain.interval:
        found["interval"] = [edge if np.isfinite(edge) else None for edge in gain.interval]
    return found


def verdict(
    plan: WindowPlan,
    target: str,
    unit: str,
    gain: Improvement | None,
    rival: str,
    weights: Mapping[str, float],
    mae: float,
) -> str:
    """Whether the network is worth it, in a sentence with a figure and how sure that is."""
    named = rival.replace("_", " ")
    ahead = duration(plan.steps * seconds_of(plan.interval))
    figure = f"{digits(mae)} {shown(unit)}".strip()
    about = f"{target}, {ahead} ahead: mean absolute error {figure}"
    if gain is None:
        return f"{about}. {named} makes no error on the test part: use {named}."
    if not weights.get(forecaster.NETWORK):
        used = max(weights, key=weights.get).replace("_", " ")
        return f"{about}. The network adds nothing here: use {used}."
    if gain.sure and gain.percent > 0:
        return f"{about}, {gain.sentence(named)}."
    if gain.sure:
        return f"{about}, {gain.sentence(named)}: use {named}."
    return f"{about}, {gain.sentence(named)}: {named} is the simpler choice."


def keep(
    result: Result, known: Mapping, folder: Path, source: Source, trials: Sequence[Mapping] = ()
) -> dict:
    """Write the run directory; what `--json` prints.

    Args:
        result: from `learn`.
        known: from `rundir.record`.
        folder: from `files.new_run`.
        source: how the file was read, which `predict` goes by.
        trials: a row for each setting that a search tried.
    """
    metrics = {"run": str(folder), **result.metrics}
    found = result.judged
    model, arrays = result.fitted.forecast.updated(found.ended).as_kept()
    model["source"] = source.as_dict()
    model["settings"] = asdict(result.fitted.trained[-1].settings)
    predictions = {
        "origin": found.made_at,
        "series": found.series,
        "series_names": np.array(found.series_names),
        "truth": found.truth.astype(np.float32),
        "model": found.said.astype(np.float32),
        **{f"baseline:{name}": said.astype(np.float32) for name, said in found.rivals.items()},
        **({} if found.fold is None else {"fold": found.fold}),
    }
    rundir.write(
        folder,
        {**known, "notes": list(result.notes), "seconds": result.metrics["seconds"]},
        model,
        arrays,
        metrics_json=metrics,
        health_json=result.health,
        history_csv=history(result.fitted.trained),
        predictions_npz=predictions,
        **({"search_csv": as_csv(trials)} if trials else {}),
    )
    return metrics


def history(trained: Sequence[Trained]) -> str:
    """A row for each network and epoch, as CSV."""
    return as_csv(
        [
            {"network": number, "relative": one.settings.relative, **row}
            for number, one in enumerate(trained)
            for row in one.history
        ]
    )


def load(folder: Path) -> tuple[Forecast, Source]:
    """The forecaster that a run holds, and how its file was read (where it lies is not kept).

    Raises:
        SunhwanError: it is no run of a forecast, or a file is missing or altered.
    """
    model, arrays = rundir.read(folder, "forecast")
    return Forecast.from_kept(model, arrays), Source.from_dict(model.get("source", {}))


def coming(forecast: Forecast, paths_: ForecastWindows, said: np.ndarray) -> dict[str, np.ndarray]:
    """Forecasts as columns, a row for each origin and step.

    Args:
        paths_: the windows, (windows,).
        said: (windows, steps, targets, 3) in the targets' units.
    """
    plan, count = forecast.plan, len(paths_)
    step = np.arange(1, plan.steps + 1)
    origin = paths_.rows.time[paths_.last].astype("datetime64[ms]")
    columns: dict[str, np.ndarray] = {}
    if paths_.rows.series_names != ("",):
        names = np.array(paths_.rows.series_names, object)
        columns["series"] = np.repeat(names[paths_.rows.series[paths_.last]], plan.steps)
    columns["made_at"] = np.repeat(origin, plan.steps)
    columns["time"] = (origin[:, None] + step * plan.interval).ravel()
    columns["step"] = np.tile(step, count)
    percent = f"{100 * forecast.level:g}"
    for i, target in enumerate(plan.targets):
        columns[target] = said[:, :, i, 0].ravel()
        columns[f"{target} lower {percent}%"] = said[:, :, i, 1].ravel()
        columns[f"{target} upper {percent}%"] = said[:, :, i, 2].ravel()
    return columns
