"""`sunhwan.Forecaster`: the task from Python, by scikit-learn's conventions."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import replace
from numbers import Integral
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from sunhwan import rundir
from sunhwan.baselines.paths import judged
from sunhwan.data.files import frames
from sunhwan.data.files.records import Records, listed, named, read
from sunhwan.data.preparation import ForecastSpec, prepare
from sunhwan.data.table import Table
from sunhwan.data.windows import encode
from sunhwan.errors import SunhwanError
from sunhwan.files import new_run
from sunhwan.forecast import model as forecaster
from sunhwan.forecast import run as task
from sunhwan.forecast.backtest import backtest
from sunhwan.forecast.model import Options
from sunhwan.forecast.network import Settings
from sunhwan.forecast.predict import ahead
from sunhwan.forecast.search import search
from sunhwan.provenance import now
from sunhwan.units import human


class Forecaster(BaseEstimator):
    """Forecasts columns of a frame of readings, as `sunhwan forecast` does of a file.

    A frame (pandas or polars) or the path of a CSV or Parquet file has a column of times, or several, and a
    row for each time (and series). The order of rows is that of time.

    Args:
        target: the column to forecast, or several.
        time: the column, or columns, of the time; by default the one with a customary name, and of a pandas
            frame the index where it holds times.
        series: the column that tells several series apart.
        horizon, lookback: rows, or durations such as "24h"; by default drawn from the data.
        known: columns known in advance.
        features: the columns to forecast from; by default all that can serve.
        validation: the share of rows, the latest, that chooses epochs, weights and intervals.
        seeds: networks that are averaged.
        level: the share of values that intervals are to hold.
        model: "gru", "lstm" or "simple_rnn".
        units, layers, dropout, recurrent_dropout, epochs: of the networks.
        search: settings of the network to try first, within the training part; see `sunhwan.forecast.search`.
            It begins with those above, and takes others where they are clearly better.
        folds: parts of the latest rows, each forecast by a model of what lies before it, one after the other;
            at least 2. What is fitted in the end is the same as without: it learns from all rows.
        test: the share of rows, the latest, of which folds are cut.

    Attributes:
        forecast_: what was trained.
        search_: with `search`, how many settings were tried and stopped, and the loss of the best and of the
            defaults; `trials_` has a row for each.
        backtest_: with `folds`, what `sunhwan forecast --folds --json` prints: errors over all folds and of
            each, beside the baselines', the intervals' coverage and a verdict.
        notes_: what was met and done on the way, in sentences.

    Example:
        >>> import numpy as np, polars as pl
        >>> hours = np.arange(600)
        >>> start = np.datetime64("2024-01-01", "ms")
        >>> wave = 10 + 5 * np.sin(hours / 4) + np.random.default_rng(0).normal(size=600) / 10
        >>> frame = pl.DataFrame({"time": start + hours * np.timedelta64(3_600_000, "ms"), "T": wave})
        >>> model = Forecaster("T", horizon=3, lookback=24, epochs=1, seeds=1, units=8).fit(frame[:500])
        >>> coming = model.predict(frame[:560])
        >>> coming.columns, coming["time"][0]
        (['made_at', 'time', 'step', 'T'], datetime.datetime(2024, 1, 24, 8, 0))
        >>> bool(np.abs(coming["T"].to_numpy() - wave[560:563]).max() < 1)
        True
    """

    def __init__(
        self,
        target: str | Sequence[str] = (),
        *,
        time: str | Sequence[str] = (),
        series: str | None = None,
        horizon: int | str | None = None,
        lookback: int | str | None = None,
        known: Sequence[str] = (),
        features: Sequence[str] = (),
        validation: float = 0.2,
        seeds: int = 2,
        level: float = 0.8,
        model: str = "gru",
        units: int = 32,
        layers: int = 1,
        dropout: float = 0.1,
        recurrent_dropout: float = 0.0,
        epochs: int = 20,
        search: int | None = None,
        folds: int | None = None,
        test: float = 0.2,
    ):
        self.target = target
        self.time = time
        self.series = series
        self.horizon = horizon
        self.lookback = lookback
        self.known = known
        self.features = features
        self.validation = validation
        self.seeds = seeds
        self.level = level
        self.model = model
        self.units = units
        self.layers = layers
        self.dropout = dropout
        self.recurrent_dropout = recurrent_dropout
        self.epochs = epochs
        self.search = search
        self.folds = folds
        self.test = test

    def fit(self, X: Any, y: object = None, watcher: object = None) -> Forecaster:
        """Learn from a frame or a file; `y` is not used.

        Raises:
            SunhwanError: the readings cannot be learnt from; see `sunhwan.data.preparation.prepare`.
        """
        from sunhwan.training.progress import Nobody

        began = now()
        watcher = watcher or Nobody()
        shares = self._shares()
        wanted = ForecastSpec(
            named(self.target), self.horizon, self.lookback, named(self.known), named(self.features), shares
        )
        settings = Settings(
            cell=self.model,
            units=self.units,
            layers=self.layers,
            dropout=self.dropout,
            recurrent_dropout=self.recurrent_dropout,
            epochs=self.epochs,
        )
        options = Options(settings, self.seeds, self.level)
        records = self._records(X)
        source = task.Source(Path(), named(self.time), self.series).found_in(records)
        readings, notes = source.table(records), []
        self.search_ = self.trials_ = self.backtest_ = None
        if self.search is not None:
            tried = search(readings, wanted, options, watcher, self.search)
            wanted, options = tried.wanted, tried.options
            self.search_, self.trials_ = tried.summary, tried.trials
            notes.append(tried.note)
        if self.folds is not None:
            self.backtest_ = backtest(readings, wanted, options, watcher, self.folds).metrics
            notes.append(f"over {self.folds} folds: {self.backtest_['verdict']}")
        learnt = prepare(readings, replace(wanted, split=shares[:2]))
        task.check_enough(learnt)
        fitted = forecaster.fit(learnt, options, watcher)
        self.source_, self.forecast_ = source, fitted.forecast
        self.notes_, self.began_ = (*learnt.notes, *fitted.notes, *notes), began
        self._remember(records)
        return self

    def predict(self, X: Any = None, every: int | str | None = None) -> Any:
        """What comes after the last row of each series, or after every so many rows.

        Args:
            X: readings, at least as many as a forecast reads, from which intervals learn for this answer
                alone; None for those that were fitted and updated, from which they have learnt.
            every: rows or a duration, such as 1 or "24h".

        Returns:
            A frame of X's kind (of polars without X): `series` where there are several, `made_at`, `time`,
            `step` (from 1), and the median of each target in its unit.
        """
        return self._predict(X, every, bounds=False)

    def predict_interval(self, X: Any = None, every: int | str | None = None) -> Any:
        """`predict` with a lower and an upper bound for each target."""
        return self._predict(X, every, bounds=True)

    def score(self, X: Any, y: object = None) -> float:
        """1 - (mean absolute error) / (that of the last value), over all windows of X.

        1 is perfect, and what is below 0 is worse than "as it is now".
        """
        check_is_fitted(self, "forecast_")
        rows = encode(self._table(self._records(X)), self.forecast_.plan)
        every = rows.windows()
        if not len(every):
            raise SunhwanError("X holds no whole window and path to score; give more rows")
        every = judged(every)
        truth = every.truths()
        said = self.forecast_.quantiles(every)[..., 0]
        ours = np.nanmean(np.abs(said - self.forecast_.plan.physical(truth)), axis=(0, 1))
        last = np.nanmean(np.abs(every.current[:, None] - truth), axis=(0, 1))
        return float(1 - np.mean(ours / self.forecast_.plan.target_scale.std) / np.mean(last))

    def update(self, X: Any) -> Forecaster:
        """New rows: they extend the history, and intervals learn from what came true; the network stays.

        Row by row, as `sunhwan stream` does it: so it makes no difference whether rows come one by one, in
        batches or all at once. What was forecast from the first new row on is judged by the rows that follow.
        Rows may be left out, of some series or of all: a gap is told by its times.

        Args:
            X: rows that come after those that are known, of one series or of several, old or new.

        Raises:
            SunhwanError: rows run backwards, stand twice, lie between the times of the grid, or are known
                already. Then none was taken: give what comes after the time that is named.
        """
        check_is_fitted(self, "forecast_")
        records = self._records(X)
        plan = self.forecast_.plan
        columns = self._columns()
        lacking = [name for name in columns if name not in records.frame.columns]
        if lacking:
            raise SunhwanError(f"the new rows lack {listed(lacking)}")
        new = replace(records, frame=as_text(records.frame).select(columns))
        for name, first in begins(self._table(new, plan.interval)).items():
            if name in self.latest_ and first <= self.latest_[name]:
                of = f" of series {name!r}" if name else ""
                raise SunhwanError(
                    f"the new rows{of} begin at {human(first)}, but those "
                    f"up to {human(self.latest_[name])} are known already; none was taken: give those that "
                    "come after"
                )
        frame = pl.concat([self.history_, new.frame]) if len(self.history_) else new.frame
        both = replace(new, frame=frame, lines=None)
        rows = encode(self._table(both, plan.interval), plan)
        self.forecast_ = self.forecast_.followed(rows, self.latest_)
        self._remember(both)
        return self

    def save(self, folder: str | Path) -> None:
        """Write a run directory, which `sunhwan predict`, `sunhwan stream` and `load` read."""
        check_is_fitted(self, "forecast_")
        folder = new_run("forecast", Path(folder))
        model, arrays = self.forecast_.as_kept()
        model["source"] = self.source_.as_dict()
        known = rundir.record("forecast", [], self.get_params(), {}, self.began_)
        rundir.write(
            folder,
            {**known, "notes": list(self.notes_)},
            model,
            arrays,
            history_csv=self.history_.write_csv(),
        )

    @classmethod
    def load(cls, folder: str | Path) -> Forecaster:
        """The forecaster that a run directory holds, of `save` or of `sunhwan forecast`."""
        folder = Path(folder)
        forecast, source = task.load(folder)
        plan = forecast.plan
        found = cls(
            list(plan.targets),
            time=list(source.time),
            series=source.series,
            horizon=plan.steps,
            lookback=plan.grid.lookback,
            known=list(plan.known),
            level=forecast.level,
        )
        found.source_, found.forecast_, found.notes_ = source, forecast, ()
        found.began_ = rundir.began(folder)
        found.history_, found.latest_ = pl.DataFrame(), {}
        kept = folder / "history.csv"
        if kept.is_file() and set(source.time) <= set(pl.read_csv(kept, n_rows=0).columns):
            found._remember(read(kept))
        return found

    def _shares(self) -> tuple[float, ...]:
        """Per cent of training and validation, and with folds of what they are cut of.

        Raises:
            SunhwanError: a share or a number is none.
        """
        for name in ("validation", "test"):
            share = getattr(self, name)
            if not 0 < share < 1:
                raise SunhwanError(f"{name} is {share!r}, expected a share above 0 and below 1")
        for name, least in (("search", 1), ("folds", 2)):
            number = getattr(self, name)
            if number is not None and (not isinstance(number, Integral) or number < least):
                raise SunhwanError(
                    f"{name} is {number!r}, expected a whole number of at least {least}, or None"
                )
        test = 0.0 if self.folds is None else self.test
        learnt = 100 * (1 - test)
        return (learnt * (1 - self.validation), learnt * self.validation, *([100 * test] if test else []))

    def _records(self, X: Any) -> Records:
        return frames.records(X, named(self.time))

    def _table(self, records: Records, interval: np.timedelta64 | None = None) -> Table:
        return self.source_.table(records, self.forecast_.plan.encoder.columns, interval)

    def _columns(self) -> list[str]:
        """Those that a row must have."""
        keys = [self.source_.series] if self.source_.series else []
        return list(dict.fromkeys([*self.source_.time, *keys, *self.forecast_.plan.encoder.columns]))

    def _predict(self, X: Any, every: int | str | None, bounds: bool) -> Any:
        check_is_fitted(self, "forecast_")
        if X is None and not len(self.history_):
            raise SunhwanError("the run keeps no readings; give the latest ones as X")
        every = None if every is None else str(every)
        if X is None:
            known = self._table(Records(self.history_, "the history", ""), self.forecast_.plan.interval)
            found = ahead(self.forecast_, known, every, followed=True)
        else:
            found = ahead(self.forecast_, self._table(self._records(X)), every)
        for warning in found.warnings:
            warnings.warn(warning, stacklevel=3)
        columns = {name: column for name, column in found.columns.items() if bounds or not name.endswith("%")}
        return frames.like(X, columns)

    def _remember(self, records: Records) -> None:
        """Keep the latest rows of each series: what a forecast reads, and what fills its gaps."""
        plan = self.forecast_.plan
        frame = as_text(records.frame)
        needed = 2 * (max(plan.grid.span + 1, plan.season) + plan.encoder.fill + plan.steps)
        frame = frame.select(self._columns())
        series = self.source_.series
        latest = frame.group_by(series, maintain_order=True).tail(needed) if series else frame.tail(needed)
        self.history_ = latest.select(frame.columns)
        laid = self._table(Records(self.history_, "the history", ""), plan.interval)
        names = np.array(laid.series_names, object)[laid.series]
        self.latest_ = dict(zip(names, laid.time, strict=True))


def begins(readings: Table) -> dict[str, np.datetime64]:
    """The first time of each series."""
    starts = np.flatnonzero(np.diff(readings.series, prepend=-1))
    return {readings.series_names[readings.series[row]]: readings.time[row] for row in starts}


def as_text(frame: pl.DataFrame) -> pl.DataFrame:
    """A frame whose times are text, so that rows of a file and of a frame can be joined."""
    return frame.with_columns(
        pl.col(name).dt.strftime("%Y-%m-%d %H:%M:%S")
        for name, kind in frame.schema.items()
        if kind in (pl.Datetime, pl.Date)
    ).cast(pl.String)
