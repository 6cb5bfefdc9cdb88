"""A trained model compared with every baseline on the test part: errors, intervals, the verdict."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass

import numpy as np

from sunhwan.baselines.names import NETWORK
from sunhwan.baselines.windows import scored
from sunhwan.data.grid import seconds_of
from sunhwan.data.preparation import Prepared
from sunhwan.data.windows import ForecastWindows, WindowPlan
from sunhwan.evaluation.metrics import errors_of_windows, forecast_errors, interval_scores
from sunhwan.evaluation.significance import Improvement, improvement
from sunhwan.forecast.calibrations import Calibrations, States
from sunhwan.forecast.exact import ExactPredictor
from sunhwan.forecast.fit import Fitted
from sunhwan.units import digits, duration, shown, unit_of

MODEL = "model"
"""The key of the mixture beside its baselines."""


@dataclass(frozen=True)
class Evaluation:
    """Predictions of the test part; all in the targets' units.

    Attributes:
        plan: how windows lie.
        made_at: (windows,) datetime64[s], the time of each window's last row.
        series: (windows,) int, the series of each.
        series_names: the name of each series.
        stride: rows between the windows: 1, or more where only some of many were predicted.
        actual: (windows, steps, targets).
        predictions: (windows, steps, targets, 3): median, lower, upper of the model.
        baselines: each baseline's predictions, (windows, steps, targets).
        names: of the baselines, in words.
        ridge_bounds: (windows, steps, targets, 2) ridge's intervals by the same calibration.
        per_seed: each network's predictions by itself, (windows, steps, targets).
        calibrations_after: the model's calibrations after the test part.
        fold: (windows,) int, the fold of a backtest, from 1; None without one.
    """

    plan: WindowPlan
    made_at: np.ndarray
    series: np.ndarray
    series_names: tuple[str, ...]
    stride: int
    actual: np.ndarray
    predictions: np.ndarray
    baselines: Mapping[str, np.ndarray]
    names: Mapping[str, str]
    ridge_bounds: np.ndarray
    per_seed: tuple[np.ndarray, ...]
    calibrations_after: Mapping[str, States]
    fold: np.ndarray | None = None

    def errors(self, key: str, target: int) -> dict[str, float]:
        """MAE, RMSE and the last step's MAE of the model or a baseline."""
        return self.errors_of(self.predictions[..., 0] if key == MODEL else self.baselines[key], target)

    def errors_of(self, prediction: np.ndarray, target: int) -> dict[str, float]:
        """The same of a prediction, (windows, steps, targets)."""
        errors = forecast_errors(prediction[:, :, target], self.actual[:, :, target])
        return {"mae": errors.mae, "rmse": errors.rmse, "mae_last_step": errors.mae_last_step}

    def best_baseline(self, target: int) -> str:
        """The baseline with the lowest error on the test part, harder to beat than validation's choice."""
        return min(self.baselines, key=lambda key: self.errors(key, target)["mae"])

    def improvement(self, baseline: str, target: int) -> Improvement | None:
        """By how much the model's error is lower than a baseline's; the windows of one time are one draw.

        None where the baseline makes no error, as on a test part of one value.
        """
        ours, theirs = (
            errors_of_windows(prediction[:, :, target], self.actual[:, :, target])
            for prediction in (self.predictions[..., 0], self.baselines[baseline])
        )
        if not np.nansum(theirs):
            return None
        return improvement(ours, theirs, time=self.made_at, horizon=max(self.plan.steps // self.stride, 1))


@dataclass(frozen=True)
class Result:
    """A whole run, before it is written.

    Attributes:
        fitted: the model that predicts, and how it was trained.
        notes: what was found in the data and done about it.
        evaluation: on the test part; None where all rows trained.
        metrics: what `--json` prints, without the run directory; None without an evaluation.
        health: of the readings' columns; see `data.health`.
        trials: a row for each setting that a search tried.
        search: the summary of a search.
    """

    fitted: Fitted
    notes: tuple[str, ...]
    evaluation: Evaluation | None = None
    metrics: dict | None = None
    health: dict | None = None
    trials: tuple[dict, ...] = ()
    search: dict | None = None


def evaluate(fitted: Fitted, learnt: Prepared, test: ForecastWindows) -> Evaluation:
    """The model's and the baselines' predictions of the test part, and ridge's intervals beside them."""
    model, plan = fitted.model, learnt.plan
    test = scored(test)
    baselines = {key: plan.physical(predictor.predict(test)) for key, predictor in fitted.baselines.items()}
    quantiles, medians = ExactPredictor(plan, model.baselines["ridge"], fitted.networks).predict_each(test)
    predictions, after = model.run(test, quantiles)
    strides = np.diff(np.unique(test.last))
    return Evaluation(
        plan,
        test.rows.time[test.last].astype("datetime64[s]"),
        test.rows.series[test.last],
        test.rows.series_names,
        max(int(np.median(strides)), 1) if len(strides) else 1,
        plan.physical(test.truths()),
        predictions,
        baselines,
        {key: predictor.words for key, predictor in fitted.baselines.items()},
        ridge_bounds(fitted, scored(learnt.windows("val")), test, baselines["ridge"]),
        tuple(map(plan.physical, medians)),
        after,
    )


def ridge_bounds(
    fitted: Fitted, validation: ForecastWindows, test: ForecastWindows, prediction: np.ndarray
) -> np.ndarray:
    """Intervals around ridge's predictions by the same calibration, for comparison with the model's."""
    points = validation.plan.physical(fitted.baselines["ridge"].predict(validation))
    calibrations = Calibrations.fit(validation, twice(points), fitted.model.level)
    return calibrations.run(test, twice(prediction))[0]


def twice(points: np.ndarray) -> np.ndarray:
    """Points (...) as bounds (..., 2)."""
    return np.repeat(points[..., None], 2, axis=-1)


def summary(
    evaluation: Evaluation, level: float, weights: Mapping[str, float], seconds: float
) -> dict[str, object]:
    """What `--json` prints: the figures of each target, and the verdict; the first target's are repeated on
    top.

    Args:
        evaluation: on the test part.
        level: of the intervals.
        weights: of the mixture, by member, the mean over steps; of several folds, their mean.
        seconds: of the whole run.
    """
    plan = evaluation.plan
    per_target = []
    for i, target in enumerate(plan.targets):
        actual = evaluation.actual[:, :, i]
        lower, upper = np.moveaxis(evaluation.predictions[:, :, i, 1:], -1, 0)
        model = interval_scores(lower, upper, actual, level)
        ridge = interval_scores(*np.moveaxis(evaluation.ridge_bounds[:, :, i], -1, 0), actual, level)
        best = evaluation.best_baseline(i)
        gains = {key: evaluation.improvement(key, i) for key in evaluation.baselines}
        unit, name = unit_of(target), evaluation.names[best]
        error = evaluation.errors(MODEL, i)["mae"]
        used = {**evaluation.names, NETWORK: "the network"}[max(weights, key=weights.get)]
        about = f"{target}, {duration(plan.steps * seconds_of(plan.interval))} ahead: mean absolute error "
        about += f"{digits(error)} {shown(unit)}".strip()
        per_target.append(
            {
                "target": target,
                "unit": unit,
                "test": {key: evaluation.errors(key, i) for key in (MODEL, *evaluation.baselines)},
                "interval": {
                    "level": level,
                    "coverage": model.coverage,
                    "winkler": model.winkler,
                    "mean_width": model.mean_width,
                    "ridge_winkler": ridge.winkler,
                },
                "networks": [evaluation.errors_of(prediction, i) for prediction in evaluation.per_seed],
                "best_baseline": best,
                "improvement": gain_to_dict(gains[best]),
                "against": {key: gain_to_dict(gain) for key, gain in gains.items()},
                "verdict": verdict(about, gains[best], name, bool(weights.get(NETWORK)), used),
            }
        )
    first = per_target[0]
    return {
        "kind": "forecast",
        "target": first["target"],
        "unit": first["unit"],
        "horizon": plan.steps,
        "interval_seconds": seconds_of(plan.interval),
        "windows": len(evaluation.made_at),
        "names": dict(evaluation.names),
        "test": first["test"],
        "interval": first["interval"],
        "best_baseline": first["best_baseline"],
        "improvement": first["improvement"],
        "weights": dict(weights),
        "targets": per_target,
        "verdict": " ".join(figures["verdict"] for figures in per_target),
        "seconds": round(seconds, 1),
    }


def gain_to_dict(gain: Improvement | None) -> dict | None:
    """An improvement for JSON, which has no infinity."""
    if gain is None:
        return None
    values = asdict(gain)
    if gain.interval:
        values["interval"] = [edge if np.isfinite(edge) else None for edge in gain.interval]
    return values


def verdict(about: str, gain: Improvement | None, best: str, network: bool, used: str) -> str:
    """Whether the network is worth it, in a sentence with a figure and how sure it is.

    Args:
        about: the target, the horizon and the model's error.
        gain: over the best baseline; None where that makes no error.
        best: the best baseline, in words.
        network: whether the mixture uses networks.
        used: the member of the mixture with the largest weight, in words.
    """
    if gain is None:
        return f"{about}. The {best} baseline makes no error on the test part: use {best}."
    if not network:
        return f"{about}. The network adds nothing here: use {used}."
    if gain.sure and gain.percent > 0:
        return f"{about}, {gain.sentence(best)}."
    if gain.sure:
        return f"{about}, {gain.sentence(best)}: use {best}."
    return f"{about}, {gain.sentence(best)}: {best} is the simpler choice."
