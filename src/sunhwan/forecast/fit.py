"""Training: two parts of a table -> a `ForecastModel`.

training rows --> ridge --> networks that correct it --.
     |                                                 |
     '----------> the other baselines -----------------+--> weights by validation --> quantiles
                                                                                          |
                                               validation errors, series by series --> margins
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from sunhwan.baselines.names import NETWORK, words
from sunhwan.baselines.predictors import PREDICTORS, Predictor, reloaded
from sunhwan.baselines.ridge import Ridge
from sunhwan.baselines.windows import scored
from sunhwan.data.preparation import Prepared
from sunhwan.data.windows import ForecastWindows
from sunhwan.errors import SunhwanError
from sunhwan.forecast import mixture, network
from sunhwan.forecast.calibrations import Calibrations
from sunhwan.forecast.exact import ExactPredictor, Network
from sunhwan.forecast.model import ForecastModel
from sunhwan.forecast.options import Options
from sunhwan.training.progress import Watcher

NETWORK_WORTH = 0.005
"""The share of the mixture's validation error that networks must save to be used, as `Predictor.worth`."""

RELATIVE_UNLESS = 0.01
"""Windows are read relative to their last row unless absolute ones have a loss lower by this share."""

FEWEST_WINDOWS = 50
"""Validation windows that training needs; fewer can choose neither epochs nor intervals."""


@dataclass(frozen=True)
class Fitted:
    """A trained model, and what training learnt besides.

    Attributes:
        model: for use.
        baselines: every baseline, by key.
        networks: those that are averaged, whether or not the mixture uses them.
        validation: each member's mean absolute error on validation, scaled.
        trained: the networks' settings, history and validation loss.
        notes: what was chosen, and why.
    """

    model: ForecastModel
    baselines: Mapping[str, Predictor]
    networks: tuple[Network, ...]
    validation: Mapping[str, float]
    trained: tuple[network.Trained, ...]
    notes: tuple[str, ...]


def check_enough(learnt: Prepared) -> None:
    """Refuse a validation part of too few windows to choose anything on."""
    count = len(learnt.windows("val"))
    if count < FEWEST_WINDOWS:
        rows = int((learnt.part == 1).sum())
        raise SunhwanError(
            f"the validation part ({rows:,} rows) has {count:,} windows; at least {FEWEST_WINDOWS} are "
            "needed to choose epochs and intervals: give more rows, a shorter --horizon or --lookback, or a "
            "larger validation share (--split)"
        )


def fit(learnt: Prepared, options: Options, watcher: Watcher) -> Fitted:
    """Train baselines and networks, and mix them.

    Raises:
        SunhwanError: there are too few windows.
    """
    plan, train, validation = learnt.plan, learnt.windows("train"), learnt.windows("val")
    baselines: dict[str, Predictor] = {}
    for key, predictor in PREDICTORS.items():
        watcher.begin(words(key), 1, 1)
        fitted = predictor.fit(train, validation)
        if fitted is not None:
            baselines[key] = fitted
    ridge = baselines["ridge"]
    trained = networks(train, validation, ridge, offsets(train, ridge, options.level), options, watcher)
    averaged = averaged_of(trained)

    validation = scored(validation)
    actual = validation.truths()
    predictions = {key: predictor.predict(validation) for key, predictor in baselines.items()}
    quantiles = ExactPredictor(plan, ridge, averaged).predict(validation)
    members = {**predictions, NETWORK: quantiles[..., 0]}
    errors = {key: mae(prediction, actual) for key, prediction in members.items()}
    # Of baselines that must save as much, the later one in the table is the first to be left out.
    worth = {key: baselines[key].worth for key in reversed(baselines) if baselines[key].worth}
    weights = mixture.by_step(members, actual, {**worth, NETWORK: NETWORK_WORTH})
    model = ForecastModel(
        plan,
        reloaded({key: baselines[key] for key in baselines if key in weights or key == "ridge"}),
        averaged if NETWORK in weights else (),
        weights,
        {key: quantiles_of(actual - predictions[key], options.level) for key in weights if key != NETWORK},
        options.level,
        None,
    )
    bounds = model.mixed({**predictions, NETWORK: quantiles})[..., 1:]
    model = replace(model, calibrations=Calibrations.fit(validation, bounds, options.level))
    notes = (mixture_note(model), *([reading_note(trained)] if NETWORK in weights else []))
    return Fitted(model, baselines, averaged, errors, trained, notes)


def networks(
    train: ForecastWindows,
    validation: ForecastWindows,
    ridge: Ridge,
    offsets: np.ndarray,
    options: Options,
    watcher: Watcher,
) -> tuple[network.Trained, ...]:
    """The networks of all seeds; where windows are read both ways, those after the first seed read them the
    better way."""

    def trained(relative: bool, seed: int) -> network.Trained:
        settings = replace(options.settings, relative=relative)
        return network.train(train, validation, ridge, offsets, options.level, settings, seed, watcher)

    if options.relative is not None:
        return tuple(trained(options.relative, seed) for seed in range(options.seeds))
    absolute, relative = trained(False, 0), trained(True, 0)
    if absolute.loss < (1 - RELATIVE_UNLESS) * relative.loss:
        absolute, relative = relative, absolute
    rest = [trained(relative.settings.relative, seed) for seed in range(1, options.seeds)]
    return (absolute, relative, *rest)


def offsets(train: ForecastWindows, ridge: Ridge, level: float) -> np.ndarray:
    """(outputs, 3) what networks add to ridge before training: quantiles of its errors."""
    some = train.thinned(10_000)
    around = quantiles_of(some.truths() - ridge.predict(some), level)
    return np.concatenate([np.zeros((len(around), 1)), around], axis=1)


def averaged_of(trained: tuple[network.Trained, ...]) -> tuple[Network, ...]:
    """The networks that are averaged: all that read windows in the better way."""
    return tuple(member.network for member in trained if member.settings == trained[-1].settings)


def quantiles_of(errors: np.ndarray, level: float) -> np.ndarray:
    """(outputs, 2): the lower and upper quantile of errors (windows, steps, targets) at each step."""
    flat = errors.reshape(len(errors), -1)
    known = ~np.isnan(flat).all(axis=0)
    quantiles = np.zeros((flat.shape[1], 2))
    quantiles[known] = np.nanquantile(flat[:, known], [(1 - level) / 2, (1 + level) / 2], axis=0).T
    return quantiles


def mae(prediction: np.ndarray, actual: np.ndarray) -> float:
    """The mean absolute error where the actual value is known."""
    return float(np.nanmean(np.abs(prediction - actual), dtype=np.float64))


def mixture_note(model: ForecastModel) -> str:
    """The members of the mixture and their weights, in a sentence."""
    shares = sorted(model.shares.items(), key=lambda item: -item[1])
    names = {key: predictor.words for key, predictor in model.baselines.items()}
    names[NETWORK] = "the network (which corrects ridge)"
    if len(shares) == 1:
        return f"validation chose {names[shares[0][0]]} alone"
    listed = ", ".join(f"{share:.0%} {names[key]}" for key, share in shares)
    leading = shares[0][0]
    first, last = (np.broadcast_to(model.weights[leading], model.plan.steps)[i] for i in (0, -1))
    turn = (
        f" ({names[leading]}: {first:.0%} at the first step, {last:.0%} at the last)" if first != last else ""
    )
    return f"validation mixed {listed}{turn}"


def reading_note(trained: tuple[network.Trained, ...]) -> str:
    """How the networks read windows, in a sentence."""
    how = "relative to their last row" if trained[-1].settings.relative else "as they are"
    return f"the networks read windows {how}"
