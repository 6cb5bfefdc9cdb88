"""What forecasts: a mixture of a network, its straight line and the other baselines, with honest intervals.

    training rows --> straight line --> networks that correct it --.
         |                                                         |
         '----------> boosting, last value, a season ago ----------+--> weights by validation --> quantiles
                                                                                                       |
                                                            validation errors, series by series --> margins

`fit` makes a `Forecast` of two parts of a table; `Forecast.quantiles` applies it to any rows that were laid
out by its plan; `as_kept` and `from_kept` take it to and from plain JSON and arrays.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from sunhwan import rundir
from sunhwan.baselines import paths as baselines
from sunhwan.baselines.trees import Trees
from sunhwan.data.preparation import Prepared
from sunhwan.data.windows import EncodedRows, ForecastWindows, WindowPlan
from sunhwan.evaluation.intervals import RECENT, Bounds, Calibration
from sunhwan.forecast import mixture, network
from sunhwan.forecast.exact import ExactPredictor
from sunhwan.forecast.network import NETWORK, Network, Settings

WORTH = {"gradient_boosting": 0.02, "same_time_yesterday": 0.01, "last_value": 0.01, NETWORK: 0.005}
"""By how much of the validation error a member must lower the mixture's: each makes a forecast slower, and
what gains less gains it by chance."""

RELATIVE_UNLESS = 0.01
"""Windows are read relative to their last row unless absolute ones lower the validation loss by so much."""


@dataclass(frozen=True)
class Options:
    """How a forecaster is trained.

    Attributes:
        settings: of the networks.
        seeds: networks that are averaged.
        level: the share of truths that intervals are to hold.
        relative: whether windows are read relative to their last row; None where validation is to choose.
    """

    settings: Settings = field(default_factory=Settings)
    seeds: int = 2
    level: float = 0.8
    relative: bool | None = None


@dataclass(frozen=True)
class Forecast:
    """A trained forecaster.

    Attributes:
        plan: how rows become windows.
        line: the straight line.
        networks: that correct it, all with the same weight.
        trees: boosted trees, where the mixture uses them.
        weights: of the mixture, by member: one for each step, (steps,) float32, or one for all; `network`
            stands for the mean of the networks.
        spread: by member but the network, (outputs, 2): where the lower and the upper quantile of its errors
            lie, scaled.
        level: the share of truths that intervals are to hold.
        calibrations: one for each series and target, by name; and, under `""`, one for series that training
            never saw.
    """

    plan: WindowPlan
    line: baselines.Linear
    networks: tuple[Network, ...]
    trees: Trees | None
    weights: Mapping[str, np.ndarray | float]
    spread: Mapping[str, np.ndarray]
    level: float
    calibrations: Mapping[str, tuple[Calibration, ...]]

    @property
    def shares(self) -> dict[str, float]:
        """The mean of each member's weights over the steps."""
        return {name: float(np.mean(weights, dtype=np.float64)) for name, weights in self.weights.items()}

    def members(
        self, paths: ForecastWindows, exact: bool = False, each: Sequence[np.ndarray] = ()
    ) -> dict[str, np.ndarray]:
        """What each member that the mixture uses says, scaled: (windows, steps, targets), of the network
        (windows, steps, targets, 3).

        Args:
            paths: the windows.
            exact: to compute them as a stream does, and with the same bits.
            each: what each network says of them, where that is known.
        """
        known: dict[str, Callable[[], np.ndarray]] = {
            "last_value": lambda: baselines.last_value(paths),
            "same_time_yesterday": lambda: baselines.seasonal(paths),
            "gradient_boosting": lambda: self.trees.predict(paths),
        }
        said = {name: known[name]() for name in known if name in self.weights}
        if exact:
            return {**said, **self.exact.of(paths)}
        if "ridge" in self.weights:
            said["ridge"] = self.line.predict(paths)
        if NETWORK in self.weights:
            said[NETWORK] = mean(each or [one.predict(paths, self.line) for one in self.networks])
        return said

    def mixed(self, said: Mapping[str, np.ndarray]) -> np.ndarray:
        """What `members` said, mixed: (windows, steps, targets, 3) in the targets' units, float64."""
        scales, mean = self._in_units
        total, *more = (
            np.multiply(
                said[name] if name == NETWORK else banded(said[name], self.spread[name]), scale, dtype=float
            )
            for name, scale in scales.items()
        )
        physical = sum(more, total)
        physical += mean
        return physical

    @cached_property
    def _in_units(self) -> tuple[dict[str, np.ndarray], np.ndarray]:
        """By member its weights times the targets' spread, (1 or steps, targets, 1); and their mean."""
        scale = self.plan.target_scale
        std, mean = scale.std[:, None], scale.mean[:, None]
        weights = {name: np.asarray(one, np.float64) for name, one in self.weights.items()}
        return {name: one.reshape(-1, 1, 1) * std for name, one in weights.items()}, mean

    @cached_property
    def exact(self) -> ExactPredictor:
        """The line and networks for windows by themselves; for one thread."""
        return ExactPredictor(self.plan, self.line, self.networks, "ridge" in self.weights)

    def quantiles(
        self, paths: ForecastWindows, exact: bool = False, each: Sequence[np.ndarray] = ()
    ) -> np.ndarray:
        """(windows, steps, targets, 3) in the targets' units, float64: median, lower, upper, uncalibrated."""
        return self.mixed(self.members(paths, exact, each))

    def calibration(self, series: str) -> tuple[Calibration, ...]:
        """A fresh copy of a series' calibrations, one a target; of one never seen, what all series gave."""
        return tuple(one.rested() for one in self.calibrations.get(series, self.calibrations[""]))

    def now(self, paths: ForecastWindows) -> np.ndarray:
        """Forecasts (windows, steps, targets, 3) by intervals as they are now, whatever has come true."""
        said = self.quantiles(paths, exact=True)
        series = paths.rows.series[paths.last]
        for code in np.unique(series):
            mine = np.flatnonzero(series == code)
            for target, state in enumerate(self.calibration(paths.rows.series_names[code])):
                one = said[mine, :, target]
                said[mine, :, target] = within(one[..., 0], state.adjust(one[..., 1], one[..., 2]))
        return said

    def run(
        self, paths: ForecastWindows, exact: bool = False, each: Sequence[np.ndarray] = ()
    ) -> tuple[np.ndarray, dict[str, tuple[Calibration, ...]]]:
        """Forecasts of windows in time order, each interval calibrated by what had come true before it.

        Args:
            paths, exact, each: as for `members`.

        Returns:
            (windows, steps, targets, 3) in the targets' units: median, lower, upper; and the calibrations of
            each series as they are at the last window, with no forecast outstanding.
        """
        said = self.quantiles(paths, exact, each)
        truth = self.plan.physical(paths.truths())
        series, ended = paths.rows.series[paths.last], {}
        for code in np.unique(series):
            mine = np.flatnonzero(series == code)
            name = paths.rows.series_names[code]
            states = self.calibration(name)
            for target, state in enumerate(states):
                one = said[mine, :, target]
                bounds = state.run(one[..., 1], one[..., 2], truth[mine, :, target], paths.last[mine])
                said[mine, :, target] = within(one[..., 0], bounds)
            ended[name] = tuple(one.rested() for one in states)
        return said, ended

    def followed(self, rows: EncodedRows, since: Mapping[str, np.datetime64]) -> Forecast:
        """The same forecaster after new rows, as a stream of them leaves it: at each row every step learns
        from what it had said of it, and a forecast is noted down that later rows will judge.

        Args:
            rows: of each series the new ones, and as many before them as a forecast reads.
            since: by series, the time of the last row that was followed; of other series all rows are new.
        """
        truth, said = self.plan.physical(rows.truth), {}
        names = np.array(rows.series_names, object)[rows.series]
        new = np.array(
            [name not in since or time > since[name] for name, time in zip(names, rows.time, strict=True)],
            bool,
        )
        origins = rows.origins().observed()
        origins = origins.take(np.flatnonzero(new[origins.last]))
        if len(origins):
            quantiles = self.quantiles(origins, exact=True)
            said = dict(zip(origins.last.tolist(), quantiles, strict=True))
        calibrations = dict(self.calibrations)
        for name in dict.fromkeys(names[new]):
            states = calibrations[name] = (
                tuple(Calibration.from_json(one.to_json()) for one in self.calibrations[name])
                if name in since and name in self.calibrations
                else self.calibration(name)
            )
            for row in np.flatnonzero(new & (names == name)).tolist():
                for target, state in enumerate(states):
                    state.update(truth[row, target])
                    if row in said:
                        state.issue(said[row][:, target, 1], said[row][:, target, 2])
        return replace(self, calibrations=calibrations)

    def updated(self, ended: Mapping[str, tuple[Calibration, ...]]) -> Forecast:
        """The same forecaster, its intervals kept up to date by what `run` returned."""
        learnt = dict(ended)
        if "" in learnt and len(self.calibrations) > 1:
            del learnt[""]
        return replace(self, calibrations={**self.calibrations, **learnt})

    def as_kept(self) -> tuple[dict, dict[str, np.ndarray]]:
        """For JSON, and the arrays."""
        model = {
            "plan": self.plan.to_dict(),
            "line": {"timesteps": self.line.timesteps, "penalty": self.line.penalty},
            "networks": [one.as_dict() for one in self.networks],
            "weights": {name: np.asarray(weights).tolist() for name, weights in self.weights.items()},
            "level": self.level,
            "calibrations": {
                name: [json.loads(one.to_json()) for one in states]
                for name, states in self.calibrations.items()
            },
        }
        arrays = {f"line:{key}": getattr(self.line, key) for key in ("weights", "ahead", "bias")}
        arrays |= {f"spread:{name}": values for name, values in self.spread.items()}
        for i, one in enumerate(self.networks):
            arrays |= {f"network{i}:{name}": array for name, array in one.weights.items()}
        if self.trees:
            arrays |= {f"trees:{name}": array for name, array in self.trees.arrays().items()}
        return model, arrays

    @classmethod
    def from_kept(cls, model: dict, arrays: Mapping[str, np.ndarray]) -> Forecast:
        """What `as_kept` gave.

        Raises:
            SunhwanError: something is missing or of another shape.
        """

        def under(prefix: str) -> dict[str, np.ndarray]:
            start = f"{prefix}:"
            return {name[len(start) :]: array for name, array in arrays.items() if name.startswith(start)}

        with rundir.kept("model"):
            plan = WindowPlan.from_dict(model["plan"])
            line = baselines.Linear(**under("line"), **model["line"])
            window, ahead = (plan.grid.timesteps, len(plan.names)), (plan.steps, len(plan.known_features))
            said = line(*(np.zeros((1, *shape), np.float32) for shape in (window, ahead)))
            if said.shape != (1, plan.outputs) or not np.isfinite(said).all():
                raise ValueError(
                    f"the straight line says {said.shape}, expected {plan.outputs} finite numbers"
                )
            networks = [
                Network.from_kept(one, under(f"network{i}"), plan) for i, one in enumerate(model["networks"])
            ]
            trees = Trees.from_arrays(plan, under("trees")) if under("trees") else None
            calibrations = {
                name: tuple(Calibration.from_json(json.dumps(one)) for one in states)
                for name, states in model["calibrations"].items()
            }
            forecast = cls(
                plan,
                line,
                tuple(networks),
                trees,
                {name: np.asarray(weights, np.float32) for name, weights in model["weights"].items()},
                under("spread"),
                float(model["level"]),
                calibrations,
            )
            forecast.calibrations[""], [forecast.spread[name] for name in forecast.weights if name != NETWORK]
            for name, weights in forecast.weights.items():
                if weights.shape not in ((), (plan.steps,)) or not np.isfinite(weights).all():
                    raise ValueError(
                        f"{name} has the weights {weights}, expected {plan.steps} finite numbers"
                    )
        return forecast


@dataclass(frozen=True)
class Fitted:
    """What `fit` gives beside the forecaster.

    Attributes:
        forecast: for use.
        baselines: what each baseline says of any windows, scaled: by name, a function of `ForecastWindows`.
        validation: each member's mean absolute error on validation, scaled.
        trained: the networks' settings, history and validation loss.
        notes: what was chosen, and why.
    """

    forecast: Forecast
    baselines: Mapping[str, Callable[[ForecastWindows], np.ndarray]]
    validation: Mapping[str, float]
    trained: tuple[network.Trained, ...]
    notes: tuple[str, ...]


def fit(learnt: Prepared, options: Options, watcher) -> Fitted:
    """A forecaster from the training and validation parts of a table.

    Raises:
        SunhwanError: there are too few windows.
    """
    plan, train, val = learnt.plan, learnt.windows("train"), learnt.windows("val")
    watcher.begin("straight line", 1, 1)
    line = baselines.fit_linear(train, val)
    watcher.begin("gradient boosting", 1, 1)
    boosted = baselines.boosting(train, val)
    said = {
        "last_value": baselines.last_value,
        "same_time_yesterday": baselines.seasonal,
        "ridge": line.predict,
        "gradient_boosting": boosted.predict,
    }
    if not plan.season:
        del said["same_time_yesterday"]

    trained = networks(train, val, line, offsets(train, line, options.level), options, watcher)
    chosen = averaged_of(trained)

    held = baselines.judged(val)
    truth = held.truths()
    forecasts = {name: function(held) for name, function in said.items()}
    network_said = mean([one.predict(held, line) for one in chosen])
    middle = network_said[..., 0]
    errors = {name: mae(forecast, truth) for name, forecast in {**forecasts, NETWORK: middle}.items()}
    weights = mixture.by_step({**forecasts, NETWORK: middle}, truth, WORTH)
    spread = {
        name: quantiles_of(truth - forecasts[name], options.level) for name in weights if name != NETWORK
    }
    forecast = Forecast(
        plan,
        line,
        chosen if NETWORK in weights else (),
        Trees.of(boosted) if "gradient_boosting" in weights else None,
        weights,
        spread,
        options.level,
        {},
    )
    mixed_said = forecast.mixed({**forecasts, NETWORK: network_said})
    forecast = replace(forecast, calibrations=calibrated(forecast, held, mixed_said))
    notes = (mixed(forecast), *([reading(trained)] if NETWORK in weights else []))
    return Fitted(forecast, said, errors, trained, notes)


def networks(train, val, line, offsets, options: Options, watcher) -> tuple[network.Trained, ...]:
    """The networks of all seeds; where both ways to read windows are tried, those after the first seed by the
    better."""

    def one(relative: bool, seed: int) -> network.Trained:
        settings = replace(options.settings, relative=relative)
        return network.train(train, val, line, offsets, options.level, settings, seed, watcher)

    if options.relative is not None:
        return tuple(one(options.relative, seed) for seed in range(options.seeds))
    absolute, relative = one(False, 0), one(True, 0)
    if absolute.loss < (1 - RELATIVE_UNLESS) * relative.loss:
        absolute, relative = relative, absolute
    rest = [one(relative.settings.relative, seed) for seed in range(1, options.seeds)]
    return (absolute, relative, *rest)


def offsets(train: ForecastWindows, line: baselines.Linear, level: float) -> np.ndarray:
    """(outputs, 3) what networks add to the straight line to begin with: quantiles of its errors."""
    seen = train.thinned(10_000)
    around = quantiles_of(seen.truths() - line.predict(seen), level)
    return np.concatenate([np.zeros((len(around), 1)), around], axis=1)


def averaged_of(trained: tuple[network.Trained, ...]) -> tuple[Network, ...]:
    """Those that are averaged: all that read windows in the better way."""
    return tuple(one.network for one in trained if one.settings == trained[-1].settings)


def mean(each: Sequence[np.ndarray]) -> np.ndarray:
    """The mean of what networks say, (windows, steps, targets, 3) each."""
    return sum(each) / np.float32(len(each))


def calibrated(
    forecast: Forecast, val: ForecastWindows, said: np.ndarray
) -> dict[str, tuple[Calibration, ...]]:
    """Margins from validation, for each series and target; under `""` those of all series together.

    Args:
        forecast: without calibrations.
        val: the windows.
        said: (windows, steps, targets, 3) what it says of them, in the targets' units.
    """
    truth = forecast.plan.physical(val.truths())
    names = val.rows.series_names
    series = np.array(names, object)[val.rows.series[val.last]]
    found: dict[str, list[Calibration]] = {name: [] for name in dict.fromkeys(["", *series])}
    evenly = np.linspace(0, len(val) - 1, min(len(val), RECENT)).astype(int)
    for target in range(len(forecast.plan.targets)):
        lower, upper, true = said[:, :, target, 1], said[:, :, target, 2], truth[:, :, target]
        own = Calibration.fit_series(lower, upper, true, list(series), level=forecast.level)
        pool = Calibration.fit(lower[evenly], upper[evenly], true[evenly], level=forecast.level)
        for name in found:
            found[name].append(own.get(name, pool))
    return {name: tuple(states) for name, states in found.items()}


def banded(said: np.ndarray, spread: np.ndarray) -> np.ndarray:
    """A point forecast (windows, steps, targets) with the quantiles of its errors (outputs, 2) around it."""
    band = spread.reshape(*said.shape[1:], 2).astype(np.float32)
    return np.stack([said, said + band[..., 0], said + band[..., 1]], axis=-1)


def within(median: np.ndarray, bounds: Bounds) -> np.ndarray:
    """(..., 3): a median and bounds, the median moved inside where it lies beyond one."""
    return np.stack([np.clip(median, bounds.lower, bounds.upper), *bounds], axis=-1)


def quantiles_of(errors: np.ndarray, level: float) -> np.ndarray:
    """(outputs, 2): the lower and upper quantile of errors (windows, steps, targets) at each step."""
    flat = errors.reshape(len(errors), -1)
    known = ~np.isnan(flat).all(axis=0)
    found = np.zeros((flat.shape[1], 2))
    found[known] = np.nanquantile(flat[:, known], [(1 - level) / 2, (1 + level) / 2], axis=0).T
    return found


def mae(forecast: np.ndarray, truth: np.ndarray) -> float:
    """The mean absolute error where truth was observed."""
    return float(np.nanmean(np.abs(forecast - truth), dtype=np.float64))


def mixed(forecast: Forecast) -> str:
    """What the mixture is made of, in a sentence."""
    shares = sorted(forecast.shares.items(), key=lambda item: -item[1])
    named = {NETWORK: "the network (with its straight line)"}
    if len(shares) == 1:
        return f"validation chose {named.get(shares[0][0], shares[0][0].replace('_', ' '))} alone"
    listed = ", ".join(f"{share:.0%} {named.get(name, name.replace('_', ' '))}" for name, share in shares)
    leading = shares[0][0]
    first, last = (np.broadcast_to(forecast.weights[leading], forecast.plan.steps)[i] for i in (0, -1))
    turn = f"; of the former {first:.0%} at the next step, {last:.0%} at the last" if first != last else ""
    return f"validation mixed {listed}{turn}"


def reading(trained: tuple[network.Trained, ...]) -> str:
    """How the networks read windows, in a sentence."""
    how = "relative to their last row" if trained[-1].settings.relative else "as they are"
    return f"the networks read windows {how}"
