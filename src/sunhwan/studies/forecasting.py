"""From a forecasting study to its problem: data, windows, baselines, and what models need of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sunhwan.baselines.predictors import PREDICTORS
from sunhwan.data import split, table
from sunhwan.data.files.records import listed
from sunhwan.data.preparation import ForecastSpec, Prepared, prepare
from sunhwan.data.sets import catalog
from sunhwan.data.windows import ForecastWindows
from sunhwan.errors import SunhwanError
from sunhwan.studies.problem import Metric, Problem
from sunhwan.studies.study import Study
from sunhwan.units import unit_of

PREPARE = ("target", "lookback", "horizon", "features", "calendar", "step", "split", "fill", "indexing")
"""The keys of `[prepare]`."""

OPTIONS = {"ridge": {"most_weights": 6_000}}
"""Of baselines: ridge reads the tutorial's whole windows, 240 timesteps of 14 features."""

DEFAULTS = {"features": (), "calendar": (), "step": 1, "split": (60, 20, 20), "fill": "6h"}


@dataclass(frozen=True)
class OneStep:
    """Windows of one target and one step, as a part that models train on."""

    windows: ForecastWindows

    def __len__(self) -> int:
        return len(self.windows)

    def gather(self, index: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Inputs (batch, timesteps, features) and targets (batch,), float32, scaled."""
        return self.windows.windows(index), self.windows.truths(index).ravel()

    @property
    def truth(self) -> np.ndarray:
        """(windows,) float32: every window's actual value, scaled."""
        return self.windows.truths().ravel()


def readings(study: Study) -> table.Table:
    """The table that a study's `[data]` names."""
    options = dict(study.data)
    if options["name"] == "table" and not options.get("path"):
        raise SunhwanError(f"study {study.name!r} needs a file of yours; name it with --data FILE.csv")
    if isinstance(options.get("time"), str):
        options["time"] = [options["time"]]
    return catalog.load(**options)


def specification(study: Study, columns: list[str]) -> ForecastSpec:
    """What the study's `[prepare]` says: one step, at the horizon; the target is one of `columns`."""
    for key in study.prepare:
        if key not in PREPARE:
            raise SunhwanError(f"[prepare] has an unknown key {key!r}; a forecast has {', '.join(PREPARE)}")
    for key in ("lookback", "horizon"):
        if key not in study.prepare:
            raise SunhwanError(f'[prepare] has no {key}; expected rows or a duration such as "24h"')
    if not study.prepare.get("target"):
        raise SunhwanError(f"no target is named; name one of the columns {listed(columns)} with --target")
    options = {
        key: tuple(value) if isinstance(value, list) else value for key, value in study.prepare.items()
    }
    target, horizon = options.pop("target"), options.pop("horizon")
    return ForecastSpec((target,), leads=(horizon,), **{**DEFAULTS, **options})


def problem(study: Study) -> dict[str, Problem]:
    """The study's one problem, under the name `""`.

    Raises:
        SunhwanError: the data cannot be loaded or is too small; see `sunhwan.data`.
    """
    for name in study.baselines:
        if name not in PREDICTORS:
            raise SunhwanError(
                f"there is no baseline {name!r} for forecasts; expected some of {', '.join(PREDICTORS)}"
            )
    data = readings(study)
    spec = specification(study, data.columns.columns)
    prepared = prepare(data, spec, split.chronological(data.series, spec.split))
    parts = {part: prepared.windows(part) for part in split.PARTS}
    predictions, context = baseline_predictions(
        study.baselines, parts, needs_ridge="gru_linear_skip" in builders(study)
    )
    plan, target = prepared.plan, spec.targets[0]
    factor = float(plan.target_scale.std[0])
    return {
        "": Problem(
            **{part: OneStep(windows) for part, windows in parts.items()},
            input_shape=parts["train"].shape,
            metric=Metric("mae", study.unit or unit_of(target), "mae", factor=factor),
            baselines=predictions,
            context=context,
            files=evidence(prepared, data.column(target), parts["test"], predictions),
            notes=(*prepared.notes, counted(parts)),
            fingerprint=data.fingerprint,
            physical=plan.physical,
        )
    }


def builders(study: Study) -> set[str]:
    """The builders that a study's models use."""
    return {study.options(name).get("builder", name) for name in study.models}


def baseline_predictions(
    names: tuple[str, ...], parts: dict[str, ForecastWindows], needs_ridge: bool
) -> tuple[dict[str, dict[str, np.ndarray]], dict[str, object]]:
    """Each baseline's scaled predictions of validation and test, and what models take over from them."""
    train, val, plan = parts["train"], parts["val"], parts["train"].plan
    needed = [name for name in PREDICTORS if name in names or (name == "ridge" and needs_ridge)]
    # At a horizon of whole seasons the value a season before *is* the last value, which is reported once.
    if plan.season and plan.leads[0] % plan.season == 0:
        needed = [name for name in needed if name != "seasonal"]
    fitted = {name: PREDICTORS[name].fit(train, val, **OPTIONS.get(name, {})) for name in needed}
    predictions = {
        name: {part: predictor.predict(parts[part]).ravel() for part in ("val", "test")}
        for name, predictor in fitted.items()
        if name in names and predictor is not None
    }
    context = {"ridge": fitted["ridge"]} if "ridge" in fitted else {}
    return predictions, context


def evidence(
    prepared: Prepared,
    values: np.ndarray,
    test: ForecastWindows,
    predictions: dict[str, dict[str, np.ndarray]],
) -> dict[str, dict]:
    """What the report needs of the data: the series, actual values and baselines of the test part.

    Args:
        prepared: the data.
        values: (rows,) the target in its unit, NaN where missing.
        test: the windows of the test part.
        predictions: by baseline and part.
    """
    rows, plan = prepared.rows, prepared.plan
    at = test.last + plan.leads[0]
    names = np.array(rows.series_names)
    return {
        "series": {
            "time": rows.time,
            "value": values,
            "series": rows.series,
            "series_names": names,
            "edges": np.array([rows.time[prepared.part == code][0] for code in (1, 2)]),
        },
        "predictions": {
            "time": rows.time[at],
            "series": rows.series[at],
            "series_names": names,
            "truth": values[at],
            **{f"forecast:{name}": plan.physical(parts["test"]) for name, parts in predictions.items()},
        },
    }


def counted(parts: dict[str, ForecastWindows]) -> str:
    """How many windows there are, in a sentence."""
    counts = " / ".join(f"{len(windows):,}" for windows in parts.values())
    timesteps, features = parts["train"].shape
    return f"{counts} windows of {timesteps} timesteps x {features} features to train / validate / test"
