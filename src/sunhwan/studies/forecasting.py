"""From a forecasting study to its problem: data, windows, baselines, and what models need of them."""

from __future__ import annotations

from dataclasses import fields

import numpy as np

from sunhwan.baselines import study as baselines
from sunhwan.data import table
from sunhwan.data.files.records import listed
from sunhwan.data.series import Preparation, Series, prepare
from sunhwan.data.sets import catalog
from sunhwan.errors import SunhwanError
from sunhwan.studies.problem import Metric, Problem
from sunhwan.studies.study import Study
from sunhwan.units import unit_of

BASELINES = ("last_value", "same_time_yesterday", "ridge", "boosting")


def readings(study: Study) -> table.Table:
    """The table that a study's `[data]` names."""
    given = dict(study.data)
    if given["name"] == "table" and not given.get("path"):
        raise SunhwanError(f"study {study.name!r} works on a file of yours; give it with --data FILE.csv")
    if isinstance(given.get("time"), str):
        given["time"] = [given["time"]]
    return catalog.load(**given)


def preparation(study: Study, columns: list[str]) -> Preparation:
    """The study's `[prepare]`; a target is to be chosen from `columns`."""
    known = [item.name for item in fields(Preparation)]
    for key in study.prepare:
        if key not in known:
            raise SunhwanError(f"[prepare] has an unknown key {key!r}; a forecast has {', '.join(known)}")
    for key in ("lookback", "horizon"):
        if key not in study.prepare:
            raise SunhwanError(f'[prepare] lacks {key}; expected rows or a duration such as "24h"')
    if not study.prepare.get("target"):
        raise SunhwanError(f"no target is named; give one of the columns {listed(columns)} with --target")
    given = {key: tuple(value) if isinstance(value, list) else value for key, value in study.prepare.items()}
    return Preparation(**given)


def problem(study: Study) -> dict[str, Problem]:
    """The study's one problem, under the name `""`.

    Raises:
        SunhwanError: the data cannot be had or holds too little; see `sunhwan.data`.
    """
    for name in study.baselines:
        if name not in BASELINES:
            raise SunhwanError(
                f"there is no baseline {name!r} for forecasts; there are {', '.join(BASELINES)}"
            )
    data = readings(study)
    series = prepare(data, preparation(study, data.columns.columns))
    forecasts, context = baseline_forecasts(
        study.baselines, series, needs_ridge="gru_linear_skip" in builders(study)
    )
    unit = study.unit or unit_of(series.target)
    return {
        "": Problem(
            train=series.train,
            val=series.val,
            test=series.test,
            input_shape=series.train.shape,
            metric=Metric("mae", unit, "mae", factor=series.target_std),
            baselines=forecasts,
            context=context,
            files=evidence(series, forecasts),
            notes=(*series.notes, counted(series)),
            fingerprint=data.fingerprint,
            physical=series.physical,
        )
    }


def builders(study: Study) -> set[str]:
    """The builders that a study's models use."""
    return {study.options(name).get("builder", name) for name in study.models}


def baseline_forecasts(
    names: tuple[str, ...], series: Series, needs_ridge: bool
) -> tuple[dict[str, dict[str, np.ndarray]], dict[str, object]]:
    """Each baseline's scaled forecasts of validation and test, and what models take over from them."""
    forecasts, context = {}, {}
    parts = {"val": series.val, "test": series.test}
    for name in BASELINES:
        if name == "last_value" and name in names:
            forecasts[name] = {part: windows.persistence for part, windows in parts.items()}
        elif name == "same_time_yesterday" and name in names:
            earlier = {part: baselines.seasonal(series, windows) for part, windows in parts.items()}
            # At a horizon of whole days yesterday's value at that time *is* the last value: printed once.
            if earlier["val"] is not None:
                forecasts[name] = earlier
        elif name == "ridge" and (name in names or needs_ridge):
            ridge = baselines.fit_ridge(series.train, series.val, series.season // series.grid.step)
            if name in names:
                forecasts[name] = {part: ridge.predict(windows) for part, windows in parts.items()}
            if series.target in series.features:
                context = {"ridge": ridge, "linear": linear_layer(ridge, series)}
        elif name == "boosting" and name in names:
            forecasts[name] = baselines.boosting(series)
    return forecasts, context


def linear_layer(ridge: baselines.Ridge, series: Series) -> tuple[np.ndarray, float]:
    """Ridge's forecast as one linear layer over a window: weights (timesteps, features) and bias.

    Ridge adds a change to the target's last value; here that value is read from the target's own column
    among the features, which was scaled by its own mean and standard deviation.
    """
    column = series.features.index(series.target)
    weights = ridge.weights.copy()
    weights[-1, column] += series.scale.std[column] / series.target_std
    return weights, ridge.bias + (series.scale.mean[column] - series.target_mean) / series.target_std


def evidence(series: Series, forecasts: dict[str, dict[str, np.ndarray]]) -> dict[str, dict]:
    """What the report needs of the data: the series, actual values and baselines of the test part."""
    rows = series.test.last + series.test.horizon
    names = np.array(series.series_names)
    return {
        "series": {
            "time": series.time,
            "value": series.values,
            "series": series.series,
            "series_names": names,
            "edges": series.edges,
        },
        "predictions": {
            "time": series.time[rows],
            "series": series.series[rows],
            "series_names": names,
            "truth": series.values[rows],
            **{f"forecast:{name}": series.physical(parts["test"]) for name, parts in forecasts.items()},
        },
    }


def counted(series: Series) -> str:
    """How many windows there are of what, in a sentence."""
    parts = " / ".join(f"{len(windows):,}" for windows in (series.train, series.val, series.test))
    timesteps, features = series.train.shape
    return f"{parts} windows of {timesteps} timesteps x {features} features to train / validate / test"
