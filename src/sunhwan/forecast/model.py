"""The model of a forecast: a mixture of networks, ridge and the other baselines, with calibrated intervals.

`fit.fit` trains it. `ForecastModel.run` applies it to any rows that were laid out by its plan. `to_dict` and
`to_arrays` turn it into plain JSON and arrays, and `from_saved` reads these back.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from sunhwan import rundir
from sunhwan.baselines.names import NETWORK
from sunhwan.baselines.predictors import PREDICTORS, Predictor
from sunhwan.data.windows import EncodedRows, ForecastWindows, WindowPlan
from sunhwan.forecast.calibrations import Calibrations, States
from sunhwan.forecast.exact import ExactPredictor, Network


@dataclass(frozen=True)
class ForecastModel:
    """A trained model.

    Attributes:
        plan: how rows become windows.
        baselines: by key, those that the mixture uses; and ridge, which the networks correct.
        networks: all with the same weight.
        weights: of the mixture, by member: one for each step, (steps,) float32, or one for all; `network`
            stands for the mean of the networks.
        spread: by baseline of the mixture, (outputs, 2): the lower and the upper quantile of its errors,
            scaled.
        level: the share of actual values that intervals should cover.
        calibrations: of its intervals; None while it is trained.
    """

    plan: WindowPlan
    baselines: Mapping[str, Predictor]
    networks: tuple[Network, ...]
    weights: Mapping[str, np.ndarray | float]
    spread: Mapping[str, np.ndarray]
    level: float
    calibrations: Calibrations | None

    @property
    def shares(self) -> dict[str, float]:
        """The mean of each member's weights over the steps."""
        return {key: float(np.mean(weights, dtype=np.float64)) for key, weights in self.weights.items()}

    @cached_property
    def exact(self) -> ExactPredictor:
        """Ridge and the networks; for one thread."""
        return ExactPredictor(self.plan, self.baselines["ridge"], self.networks)

    def quantiles(self, paths: ForecastWindows, network: np.ndarray | None = None) -> np.ndarray:
        """(windows, steps, targets, 3) in the targets' units, float64: median, lower, upper, uncalibrated.

        Args:
            paths: the windows.
            network: the predictions of the networks, where they are known already.
        """
        predictions = {key: self.baselines[key].predict(paths) for key in self.weights if key != NETWORK}
        if NETWORK in self.weights:
            predictions[NETWORK] = self.exact.predict(paths) if network is None else network
        return self.mixed(predictions)

    def mixed(self, predictions: Mapping[str, np.ndarray]) -> np.ndarray:
        """The mixture of its members' predictions: (windows, steps, targets, 3) in the targets' units,
        float64.

        Args:
            predictions: by member, scaled: (windows, steps, targets), of the network (windows, steps,
                targets, 3).
        """
        scales, mean = self._in_units
        total, *more = (
            np.multiply(
                predictions[key] if key == NETWORK else banded(predictions[key], self.spread[key]),
                scale,
                dtype=float,
            )
            for key, scale in scales.items()
        )
        physical = sum(more, total)
        physical += mean
        return physical

    @cached_property
    def _in_units(self) -> tuple[dict[str, np.ndarray], np.ndarray]:
        """By member its weights times the targets' spread, (1 or steps, targets, 1); and their mean."""
        scale = self.plan.target_scale
        std, mean = scale.std[:, None], scale.mean[:, None]
        weights = {key: np.asarray(values, np.float64) for key, values in self.weights.items()}
        return {key: values.reshape(-1, 1, 1) * std for key, values in weights.items()}, mean

    def now(self, paths: ForecastWindows) -> np.ndarray:
        """Forecasts (windows, steps, targets, 3) with intervals as they are now, whatever has come true."""
        quantiles = self.quantiles(paths)
        return within(quantiles[..., 0], self.calibrations.now(paths, quantiles[..., 1:]))

    def run(
        self, paths: ForecastWindows, network: np.ndarray | None = None
    ) -> tuple[np.ndarray, dict[str, States]]:
        """Forecasts of windows in time order, each interval calibrated by what had come true before it.

        Args:
            paths, network: as for `quantiles`.

        Returns:
            (windows, steps, targets, 3) in the targets' units: median, lower, upper; and the calibrations of
            each series as they are at its last window, with no forecast outstanding.
        """
        quantiles = self.quantiles(paths, network)
        bounds, after = self.calibrations.run(paths, quantiles[..., 1:])
        return within(quantiles[..., 0], bounds), after

    def followed(self, rows: EncodedRows, since: Mapping[str, np.datetime64]) -> ForecastModel:
        """The same model after new rows, as a stream of them leaves it: at each row every step learns from
        what it had predicted for it, and a forecast is noted down that later rows will be compared with.

        Args:
            rows: of each series the new ones, and as many before them as a forecast reads.
            since: by series, the time of the last row that was followed; of other series all rows are new.
        """
        actual, predictions = self.plan.physical(rows.truth), {}
        names = np.array(rows.series_names, object)[rows.series]
        new = np.array(
            [name not in since or time > since[name] for name, time in zip(names, rows.time, strict=True)],
            bool,
        )
        origins = rows.origins().observed()
        origins = origins.take(np.flatnonzero(new[origins.last]))
        if len(origins):
            predictions = dict(zip(origins.last.tolist(), self.quantiles(origins), strict=True))
        after: dict[str, States] = {}
        for name in dict.fromkeys(names[new]):
            states = after[name] = (
                tuple(map(copy.copy, self.calibrations.series[name]))
                if name in since and name in self.calibrations.series
                else self.calibrations.of(name)
            )
            for row in np.flatnonzero(new & (names == name)).tolist():
                for target, state in enumerate(states):
                    state.update(actual[row, target])
                    if row in predictions:
                        state.issue(predictions[row][:, target, 1], predictions[row][:, target, 2])
        return self.updated(after)

    def updated(self, after: Mapping[str, States]) -> ForecastModel:
        """The same model with the calibrations of some series in place of those before."""
        return replace(self, calibrations=self.calibrations.updated(after))

    def to_dict(self) -> dict:
        """For JSON; `to_arrays` has the rest."""
        return {
            "plan": self.plan.to_dict(),
            "baselines": {key: predictor.to_dict() for key, predictor in self.baselines.items()},
            "networks": [network.to_dict() for network in self.networks],
            "weights": {key: np.asarray(weights).tolist() for key, weights in self.weights.items()},
            "level": self.level,
            "calibrations": self.calibrations.to_dict(),
        }

    def to_arrays(self) -> dict[str, np.ndarray]:
        """For an .npz file."""
        arrays = {f"spread:{key}": values for key, values in self.spread.items()}
        for key, predictor in self.baselines.items():
            arrays |= {f"{key}:{name}": array for name, array in predictor.to_arrays().items()}
        for i, network in enumerate(self.networks):
            arrays |= {f"network{i}:{name}": array for name, array in network.weights.items()}
        return arrays

    @classmethod
    def from_saved(cls, saved: Mapping, arrays: Mapping[str, np.ndarray]) -> ForecastModel:
        """From what `to_dict` and `to_arrays` returned.

        Raises:
            SunhwanError: something is missing or of another shape.
        """

        def under(prefix: str) -> dict[str, np.ndarray]:
            start = f"{prefix}:"
            return {name[len(start) :]: array for name, array in arrays.items() if name.startswith(start)}

        with rundir.reading("model"):
            plan = WindowPlan.from_dict(saved["plan"])
            model = cls(
                plan,
                {
                    key: PREDICTORS[key].from_saved(plan, predictor, under(key))
                    for key, predictor in saved["baselines"].items()
                },
                tuple(
                    Network.from_saved(plan, network, under(f"network{i}"))
                    for i, network in enumerate(saved["networks"])
                ),
                {key: np.asarray(weights, np.float32) for key, weights in saved["weights"].items()},
                under("spread"),
                float(saved["level"]),
                Calibrations.from_dict(saved["calibrations"]),
            )
            used = {"ridge", *model.weights} - {NETWORK}
            if lacking := (used - set(model.baselines)) | (used & set(model.weights)) - set(model.spread):
                raise ValueError(f"{', '.join(sorted(lacking))} without arrays")
            if (NETWORK in model.weights) != bool(model.networks):
                raise ValueError("networks without a weight, or a weight without networks")
            for key, weights in model.weights.items():
                if weights.shape not in ((), (plan.steps,)) or not np.isfinite(weights).all():
                    raise ValueError(f"{key} has the weights {weights}, expected {plan.steps} finite numbers")
        return model


def banded(prediction: np.ndarray, spread: np.ndarray) -> np.ndarray:
    """A prediction (windows, steps, targets) with the quantiles of its errors (outputs, 2) around it."""
    band = spread.reshape(*prediction.shape[1:], 2).astype(np.float32)
    return np.stack([prediction, prediction + band[..., 0], prediction + band[..., 1]], axis=-1)


def within(median: np.ndarray, bounds: np.ndarray) -> np.ndarray:
    """(..., 3): a median and its bounds (..., 2), the median moved inside where it lies beyond one."""
    return np.concatenate([np.clip(median, bounds[..., 0], bounds[..., 1])[..., None], bounds], axis=-1)
