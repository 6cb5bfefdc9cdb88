"""Settings of the network tried within the training part, by Optuna: what `forecast --search N` does first.

    rows   |-------------- train --------------|----- val -----|---- test ----|
    search  |------- train -------|---- val ---|

A search that looks for the best of many on the validation part finds some of its luck there; epochs, weights
and intervals that are chosen on the same rows afterwards would be too sure of themselves. So a search sees
training rows alone, of which the latest are its own validation part, as large a share of them as validation
is of both. What is chosen is then trained like any other, and the validation part is as new as without a
search. The price: what is searched on are the rows before, and fewer of them.

Settings are drawn by a tree-structured Parzen estimator with a seed; one whose validation loss is worse than
the median of those before, at the same epoch, is stopped. The defaults are tried first, both ways to read
windows, and stay where nothing is clearly better.

Sources: Akiba et al., "Optuna", KDD 2019; Bergstra et al., "Algorithms for hyper-parameter optimization",
NIPS 2011.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from sunhwan.baselines.paths import Linear, fit_linear
from sunhwan.data.grid import seconds_of
from sunhwan.data.preparation import ForecastSpec, Prepared, layout, longest_run, parts_of, prepare
from sunhwan.data.table import Table
from sunhwan.data.windows import ForecastWindows, WindowPlan
from sunhwan.errors import SunhwanError
from sunhwan.forecast import model as forecaster
from sunhwan.forecast import network
from sunhwan.forecast.model import Options
from sunhwan.forecast.network import Settings
from sunhwan.forecast.run import FIRST_CALIBRATED, check_enough
from sunhwan.recurrence.cells import CELLS
from sunhwan.training.progress import Watcher, Within
from sunhwan.units import duration

if TYPE_CHECKING:
    import optuna

UNITS = (16, 32, 64, 96)

WORTH = 0.005
"""By how much settings must lower the loss of the defaults to be taken: what is less is luck."""

UNSTOPPED = 4
"""Settings that are trained to their end before others are measured by them."""


@dataclass(frozen=True)
class Found:
    """What a search gives.

    Attributes:
        wanted: with the lookback that was chosen.
        options: with the settings that were chosen.
        trials: a row for each setting that was tried, for `search.csv`.
        summary: for JSON: how many were tried and stopped, which was chosen, its loss and the defaults'.
        note: what came of it, in a sentence.
    """

    wanted: ForecastSpec
    options: Options
    trials: tuple[dict, ...]
    summary: dict
    note: str


@dataclass(frozen=True)
class Ground:
    """What settings of one lookback are trained and measured on.

    Attributes:
        train, val: windows within the training part; those of `val` begin where the longest lookback's do, so
            that losses compare.
        line: the straight line.
        offsets: (outputs, 3), as for `network.train`.
    """

    train: ForecastWindows
    val: ForecastWindows
    line: Linear
    offsets: np.ndarray


def search(readings: Table, wanted: ForecastSpec, options: Options, watcher: Watcher, count: int) -> Found:
    """Try settings of the network on training rows, and choose.

    Args:
        readings: all rows, of which those of the training part are used.
        wanted: the targets, the horizon, ...; a lookback that is named stays as it is.
        options: with the defaults to begin from, the level and the most epochs.
        watcher: told how it goes.
        count: settings to try, the defaults among them.

    Raises:
        SunhwanError: Optuna is not there, or the training part has too few rows.
    """
    try:
        import optuna
    except ImportError:
        raise SunhwanError(
            "--search needs Optuna, which is not installed: pip install 'sunhwan[search]'"
        ) from None
    grounds = dict(by_lookback(inner(readings, wanted), wanted, options.level, watcher))
    usual = next(iter(grounds))
    lookbacks = sorted(grounds)

    def objective(trial: optuna.Trial) -> float:
        settings = drawn(trial, options.settings)
        ground = grounds[trial.suggest_categorical("lookback", lookbacks)]
        told = Pruning(watcher, trial, count)
        return network.train(
            ground.train, ground.val, ground.line, ground.offsets, options.level, settings, 0, told
        ).loss

    # Its own lines would stand between ours.
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(
        sampler=optuna.samplers.TPESampler(seed=0, n_startup_trials=UNSTOPPED),
        pruner=optuna.pruners.MedianPruner(n_startup_trials=UNSTOPPED, n_warmup_steps=2),
    )
    for relative in (False, True):
        study.enqueue_trial({**as_drawn(options.settings), "relative": relative, "lookback": usual})
    study.optimize(objective, n_trials=count)
    return chosen(study, wanted, options, next(iter(grounds.values())).train.plan)


def inner(readings: Table, wanted: ForecastSpec) -> Prepared:
    """The training part by itself, cut into a training and a validation part of its own.

    Raises:
        SunhwanError: it has too few rows.
    """
    training = parts_of(readings.series, wanted.split) == 0
    # What is drawn from the number of rows is what it will be when all of them train.
    grid, _ = layout(wanted, readings.interval, longest_run(readings.series, training))
    train, val = wanted.split[:2]
    share = 100 * train / (train + val)
    try:
        learnt = prepare(
            readings.take(training),
            replace(wanted, horizon=grid.horizon, lookback=grid.lookback, split=(share, 100 - share)),
        )
        check_enough(learnt)
    except SunhwanError as error:
        raise SunhwanError(
            f"--search tries settings within the training part, and chooses on its latest {100 - share:.0f} "
            f"%, but there {error}; or leave out --search"
        ) from None
    return learnt


def by_lookback(
    learnt: Prepared, wanted: ForecastSpec, level: float, watcher: Watcher
) -> Iterator[tuple[int, Ground]]:
    """What is trained on, by lookback: the usual one, and where none is named half and twice as long."""
    plan, grid = learnt.plan, learnt.plan.grid
    lookbacks = [grid.lookback]
    if wanted.lookback is None:
        lookbacks += [length for length in (grid.lookback // 2, 2 * grid.lookback) if length]
    found = {}
    for lookback in lookbacks:
        rows = replace(wanted, lookback=lookback, horizon=grid.horizon)
        other = replace(plan, grid=layout(rows, plan.interval, len(learnt.rows))[0])
        laid = replace(learnt, plan=other, rows=replace(learnt.rows, plan=other))
        train, val = laid.windows("train"), laid.windows("val")
        if len(train) and len(val) >= FIRST_CALIBRATED:
            found[other.grid.lookback] = train, val
    common = found[max(found)][1].last
    for lookback, (train, val) in found.items():
        watcher.begin(f"straight line from {lookback:,} rows", 1, 1)
        val = val.take(np.flatnonzero(np.isin(val.last, common)))
        line = fit_linear(train, val)
        yield lookback, Ground(train, val, line, forecaster.offsets(train, line, level))


def drawn(trial: optuna.Trial, usual: Settings) -> Settings:
    """The settings of a trial."""
    return replace(
        usual,
        cell=trial.suggest_categorical("cell", list(CELLS)),
        units=trial.suggest_categorical("units", sorted({*UNITS, usual.units})),
        layers=trial.suggest_int("layers", 1, 2),
        relative=trial.suggest_categorical("relative", [False, True]),
        dropout=trial.suggest_float("dropout", 0.0, 0.5, step=0.1),
        recurrent_dropout=trial.suggest_float("recurrent_dropout", 0.0, 0.5, step=0.1),
        learning_rate=trial.suggest_float("learning_rate", 2e-4, 5e-3, log=True),
    )


def as_drawn(settings: Settings) -> dict:
    """Settings as the trial that `drawn` would read them from."""
    names = ("cell", "units", "layers", "dropout", "recurrent_dropout", "learning_rate")
    return {name: getattr(settings, name) for name in names}


class Pruning(Within):
    """Tells of one trial, and ends it where it falls behind."""

    def __init__(self, watcher: Watcher, trial: optuna.Trial, count: int):
        known = [one.value for one in trial.study.get_trials(deepcopy=False) if one.state.name == "COMPLETE"]
        best = f", best so far {min(known):.4f}" if known else ""
        super().__init__(watcher, f"setting {trial.number + 1} of {count}{best}")
        self.trial, self.epoch = trial, self.measured

    def measured(self, row: dict) -> None:
        """An epoch's validation loss."""
        import optuna

        self.watcher.epoch(row)
        self.trial.report(row["val_loss"], row["epoch"])
        if self.trial.should_prune():
            raise optuna.TrialPruned


def chosen(study: optuna.Study, wanted: ForecastSpec, options: Options, plan: WindowPlan) -> Found:
    """What a finished study says is to be used."""
    trials = tuple(as_row(one) for one in study.get_trials(deepcopy=False))
    finished = [row for row in trials if row["state"] == "complete"]
    best = min(finished, key=lambda row: row["val_loss"])
    usual = min(row["val_loss"] for row in finished if row["setting"] <= 2)
    better = best["val_loss"] < (1 - WORTH) * usual
    gain = f"{100 * (1 - best['val_loss'] / usual):.1f} %"
    stopped = len(trials) - len(finished)
    tried = f"{len(trials)} settings were tried within the training part ({stopped} stopped early)"
    if better:
        settings = {key: best[key] for key in ("relative", *as_drawn(options.settings))}
        options = replace(
            options, settings=replace(options.settings, **settings), relative=bool(best["relative"])
        )
        wanted = replace(wanted, lookback=best["lookback"], horizon=plan.steps)
        back = duration(best["lookback"] * seconds_of(plan.interval))
        how = "relative to their last row" if best["relative"] else "as they are"
        note = (
            f"{tried}: chosen, with {gain} less loss than the defaults there, were {best['layers']} x "
            f"{best['cell']} of {best['units']} units over {back} {how}, dropout {best['dropout']:g}, "
            f"recurrent dropout {best['recurrent_dropout']:g}, learning rate {best['learning_rate']:.2g}"
        )
    else:
        note = f"{tried}: none had {100 * WORTH:g} % less loss than the defaults ({gain}), which are kept"
    summary = {
        "tried": len(trials),
        "stopped": stopped,
        "loss": best["val_loss"],
        "default_loss": usual,
        "chosen": best["setting"] if better else None,
    }
    return Found(wanted, options, trials, summary, note)


def as_row(trial: optuna.trial.FrozenTrial) -> dict:
    """A trial for CSV; of one that was stopped, the loss is that of its last epoch."""
    losses = trial.intermediate_values
    return {
        "setting": trial.number + 1,
        "state": "complete" if trial.state.name == "COMPLETE" else "stopped",
        "val_loss": trial.value,
        "epochs": len(losses),
        "seconds": round(trial.duration.total_seconds(), 1),
        **trial.params,
    }
