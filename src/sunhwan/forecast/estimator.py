"""`sunhwan.Forecaster`: forecasts from Python, by scikit-learn's conventions."""

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
from sunhwan.baselines.windows import scored
from sunhwan.data.files import frames
from sunhwan.data.files.records import Records, listed, named, read
from sunhwan.data.preparation import ForecastSpec
from sunhwan.data.table import Table
from sunhwan.data.windows import encode
from sunhwan.errors import SunhwanError
from sunhwan.files import new_run
from sunhwan.forecast.options import Options, Settings
from sunhwan.forecast.predict import load, predict_table
from sunhwan.forecast.run import run
from sunhwan.forecast.source import Source
from sunhwan.provenance import now
from sunhwan.training.progress import Nobody, Watcher
from sunhwan.units import human


class Forecaster(BaseEstimator):
    """Forecasts columns of a frame of readings, as `sunhwan forecast` does of a file.

    A frame (pandas or polars) or the path of a CSV or Parquet file has a column of times, or several, and a
    row for each time (and series). The order of rows is that of time.

    Args:
        target: the column to forecast, or several.
        time: the column, or columns, of the time; by default the one with a customary name, and of a pandas
            frame the index where it is of times.
        series: the column that names the series of each row.
        horizon, lookback: rows, or durations such as "24h"; the defaults depend on the data.
        known: columns whose future values are known.
        features: the columns to forecast from; by default all usable ones.
        validation: the share of rows, the latest, that chooses epochs, weights and intervals.
        seeds: networks that are averaged.
        level: the share of actual values that intervals should cover.
        cell: "gru", "lstm" or "simple_rnn".
        units, layers, dropout, recurrent_dropout, epochs: of the networks.
        search: settings of the network to try first, within the training part; see `sunhwan.forecast.search`.
            It begins with those above, and uses others where they are clearly better.
        folds: parts of the latest rows, each forecast by a model trained on the rows before it; at least 2.
            The
            model that is fitted in the end is the same as without: it is trained on all rows.
        test: the share of rows, the latest, that is cut into folds.

    Attributes:
        model_: the trained model.
        search_: with `search`, how many settings were tried and stopped, and the loss of the best and of the
            defaults; `trials_` has a row for each.
        backtest_: with `folds`, what `sunhwan forecast --folds --json` prints: errors over all folds and of
            each, beside the baselines', the intervals' coverage and a verdict.
        notes_: what was found in the data and done about it, in sentences.

    Example:
        >>> import numpy as np, polars as pl
        >>> hours = np.arange(600)
        >>> start = np.datetime64("2024-01-01", "ms")
        >>> wave = 10 + 5 * np.sin(hours / 4) + np.random.default_rng(0).normal(size=600) / 10
        >>> frame = pl.DataFrame({"time": start + hours * np.timedelta64(3_600_000, "ms"), "T": wave})
        >>> model = Forecaster("T", horizon=3, lookback=24, epochs=1, seeds=1, units=8).fit(frame[:500])
        >>> forecast = model.predict(frame[:560])
        >>> forecast.columns, forecast["time"][0]
        (['made_at', 'time', 'step', 'T'], datetime.datetime(2024, 1, 24, 8, 0))
        >>> bool(np.abs(forecast["T"].to_numpy() - wave[560:563]).max() < 1)
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
        seeds: int = Options.seeds,
        level: float = Options.level,
        cell: str = Settings.cell,
        units: int = Settings.units,
        layers: int = Settings.layers,
        dropout: float = Settings.dropout,
        recurrent_dropout: float = Settings.recurrent_dropout,
        epochs: int = Settings.epochs,
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
        self.cell = cell
        self.units = units
        self.layers = layers
        self.dropout = dropout
        self.recurrent_dropout = recurrent_dropout
        self.epochs = epochs
        self.search = search
        self.folds = folds
        self.test = test

    def fit(self, X: Any, y: object = None, watcher: Watcher | None = None) -> Forecaster:
        """Train on a frame or a file; `y` is not used.

        Raises:
            SunhwanError: the readings cannot be used; see `sunhwan.data.preparation.prepare`.
        """
        began = now()
        wanted = ForecastSpec(
            named(self.target),
            self.horizon,
            self.lookback,
            named(self.known),
            named(self.features),
            self._shares(),
        )
        settings = Settings(
            cell=self.cell,
            units=self.units,
            layers=self.layers,
            dropout=self.dropout,
            recurrent_dropout=self.recurrent_dropout,
            epochs=self.epochs,
        )
        records = self._records(X)
        source = Source(Path(), named(self.time), self.series).recognized(records)
        result = run(
            source.table(records),
            wanted,
            Options(settings, self.seeds, self.level),
            watcher or Nobody(),
            search=self.search,
            folds=self.folds,
            all_rows=True,
        )
        self.source_, self.model_, self.notes_, self.began_ = source, result.fitted.model, result.notes, began
        self.search_, self.trials_, self.backtest_ = result.search, result.trials or None, result.metrics
        self._remember(records)
        return self

    def predict(self, X: Any = None, every: int | str | None = None) -> Any:
        """Forecasts after the last row of each series, or after every so many rows.

        Args:
            X: readings, at least as many as a forecast reads, from which intervals learn for this call alone;
                None for those that were fitted and updated, from which they have learnt.
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

        1 is perfect, and a score below 0 is worse than predicting the last value.
        """
        check_is_fitted(self, "model_")
        windows = encode(self._table(self._records(X)), self.model_.plan).windows()
        if not len(windows):
            raise SunhwanError("X has no complete window followed by all its steps to score; give more rows")
        windows = scored(windows)
        actual = windows.truths()
        prediction = self.model_.quantiles(windows)[..., 0]
        ours = np.nanmean(np.abs(prediction - self.model_.plan.physical(actual)), axis=(0, 1))
        last = np.nanmean(np.abs(windows.current[:, None] - actual), axis=(0, 1))
        return float(1 - np.mean(ours / self.model_.plan.target_scale.std) / np.mean(last))

    def update(self, X: Any) -> Forecaster:
        """New rows: they extend the history, and intervals learn from them; the network stays.

        Row by row, as in `sunhwan stream`: it makes no difference whether rows come one by one, in batches or
        all at once. Forecasts made from the first new row on are compared with the rows that follow. Rows may
        be
        missing, of some series or of all: a gap is recognized by its times.

        Args:
            X: rows that come after those that are known, of one series or of several, old or new.

        Raises:
            SunhwanError: rows run backwards, occur twice, lie between the times of the grid, or are known
                already. Then no row was added: give those after the time that is named.
        """
        check_is_fitted(self, "model_")
        records = self._records(X)
        plan = self.model_.plan
        columns = self._columns()
        lacking = [name for name in columns if name not in records.frame.columns]
        if lacking:
            raise SunhwanError(f"the new rows lack {listed(lacking)}")
        new = replace(records, frame=as_text(records.frame).select(columns))
        for name, first in begins(self._table(new, plan.interval)).items():
            if name in self.latest_ and first <= self.latest_[name]:
                of = f" of series {name!r}" if name else ""
                raise SunhwanError(
                    f"the new rows{of} begin at {human(first)}, but those up to "
                    f"{human(self.latest_[name])} are known already; no row was added: give later ones"
                )
        frame = pl.concat([self.history_, new.frame]) if len(self.history_) else new.frame
        both = replace(new, frame=frame, lines=None)
        rows = encode(self._table(both, plan.interval), plan)
        self.model_ = self.model_.followed(rows, self.latest_)
        self._remember(both)
        return self

    def save(self, folder: str | Path) -> None:
        """Write a run directory, which `sunhwan predict`, `sunhwan stream` and `load` read."""
        check_is_fitted(self, "model_")
        folder = new_run("forecast", Path(folder))
        record = rundir.record("forecast", [], self.get_params(), {}, self.began_)
        rundir.write(
            folder,
            {**record, "notes": list(self.notes_)},
            {**self.model_.to_dict(), "source": self.source_.to_dict()},
            self.model_.to_arrays(),
            readings=self.history_.write_csv(),
        )

    @classmethod
    def load(cls, folder: str | Path) -> Forecaster:
        """The forecaster in a run directory, of `save` or of `sunhwan forecast`."""
        folder = Path(folder)
        model, source = load(folder)
        plan = model.plan
        forecaster = cls(
            list(plan.targets),
            time=list(source.time),
            series=source.series,
            horizon=plan.steps,
            lookback=plan.grid.lookback,
            known=list(plan.known),
            level=model.level,
        )
        forecaster.source_, forecaster.model_, forecaster.notes_ = source, model, ()
        forecaster.began_ = rundir.began(folder)
        forecaster.history_, forecaster.latest_ = pl.DataFrame(), {}
        readings = rundir.load(folder).path("readings")
        if readings.is_file():
            forecaster._remember(read(readings))
        return forecaster

    def _shares(self) -> tuple[float, ...]:
        """Percent of training and validation, and with folds of the rows that are cut into them.

        Raises:
            SunhwanError: a share or a number is out of range.
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
        rest = 100 * (1 - test)
        return (rest * (1 - self.validation), rest * self.validation, *([100 * test] if test else []))

    def _records(self, X: Any) -> Records:
        return frames.records(X, named(self.time))

    def _table(self, records: Records, interval: np.timedelta64 | None = None) -> Table:
        return self.source_.table(records, self.model_.plan.encoder.columns, interval)

    def _columns(self) -> list[str]:
        """Those that a row must have."""
        keys = [self.source_.series] if self.source_.series else []
        return list(dict.fromkeys([*self.source_.time, *keys, *self.model_.plan.encoder.columns]))

    def _predict(self, X: Any, every: int | str | None, bounds: bool) -> Any:
        check_is_fitted(self, "model_")
        if X is None and not len(self.history_):
            raise SunhwanError("the run has no readings; give the latest ones as X")
        every = None if every is None else str(every)
        if X is None:
            known = self._table(Records(self.history_, "the history", ""), self.model_.plan.interval)
            prediction = predict_table(self.model_, known, every, followed=True)
        else:
            prediction = predict_table(self.model_, self._table(self._records(X)), every)
        for warning in prediction.warnings:
            warnings.warn(warning, stacklevel=3)
        hidden = () if bounds else prediction.bounds
        columns = {name: column for name, column in prediction.columns.items() if name not in hidden}
        return frames.like(X, columns)

    def _remember(self, records: Records) -> None:
        """Keep the latest rows of each series: what a forecast reads, and what fills its gaps."""
        plan = self.model_.plan
        frame = as_text(records.frame)
        needed = 2 * (plan.past + plan.encoder.fill + plan.steps)
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
