"""Settings of the network tried within the training part, by Optuna: what `forecast --search N` does first.

    rows   |-------------- train --------------|----- val -----|---- test ----|
    search  |------- train -------|---- val ---|

Among many settings, the best on the validation part is partly lucky there; epochs, weights and intervals
chosen on the same rows afterwards would look better than they are. So a search sees training rows alone; the
latest of them are its own validation part, in the proportion of the two shares. What it chooses is then
trained like any other settings, and the validation part is as new to it as without a search. The price: the
search has fewer rows, and earlier ones.

Settings are sampled by a tree-structured Parzen estimator with a seed. A trial whose validation loss is worse
than the median of earlier trials, at the same epoch, is stopped. The defaults are tried first, both ways to
read windows, and are used unless another is clearly better.

Sources: Akiba et al., "Optuna", KDD 2019; Bergstra et al., "Algorithms for hyper-parameter optimization",
NIPS 2011.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from sunhwan.baselines.ridge import Ridge
from sunhwan.data.grid import seconds_of
from sunhwan.data.preparation import ForecastSpec, Prepared, layout, longest_run, parts_of, prepare
from sunhwan.data.table import Table
from sunhwan.data.windows import ForecastWindows, WindowPlan
from sunhwan.errors import SunhwanError
from sunhwan.forecast import network
from sunhwan.forecast.fit import FEWEST_WINDOWS, check_enough, offsets
from sunhwan.forecast.options import Options, Settings
from sunhwan.recurrence.cells import CELLS
from sunhwan.training.progress import Watcher, Within
from sunhwan.units import duration

if TYPE_CHECKING:
    import optuna

UNITS = (16, 32, 64, 96)

WORTH = 0.005
"""The share by which settings must lower the loss of the defaults to be used: a smaller gain may be luck."""

UNSTOPPED = 4
"""Trials that are trained to their end before others are compared with them."""


@dataclass(frozen=True)
class Searched:
    """The result of a search.

    Attributes:
        wanted: with the lookback that was chosen.
        options: with the settings that were chosen.
        trials: a row for each setting that was tried, for `search.csv`.
        summary: for JSON: how many were tried and stopped, which was chosen, its loss and the defaults'.
        note: the outcome, in a sentence.
    """

    wanted: ForecastSpec
    options: Options
    trials: tuple[dict, ...]
    summary: dict
    note: str


@dataclass(frozen=True)
class Ground:
    """The windows of one lookback, on which settings are trained and compared.

    Attributes:
        train, validation: windows within the training part; those of `validation` begin where the longest
            lookback's do, so that losses compare.
        ridge: the straight line that networks correct.
        offsets: (outputs, 3), as for `network.train`.
    """

    train: ForecastWindows
    validation: ForecastWindows
    ridge: Ridge
    offsets: np.ndarray


def search(readings: Table, wanted: ForecastSpec, options: Options, watcher: Watcher, count: int) -> Searched:
    """Try settings of the network on training rows, and choose.

    Args:
        readings: all rows, of which only those of the training part are used.
        wanted: the targets, the horizon, ...; a lookback that is named stays as it is.
        options: with the defaults to begin from, the level and the most epochs.
        watcher: of progress.
        count: settings to try, the defaults among them.

    Raises:
        SunhwanError: Optuna is not installed, or the training part has too few rows.
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
        settings = sampled(trial, options.settings)
        ground = grounds[trial.suggest_categorical("lookback", lookbacks)]
        return network.train(
            ground.train,
            ground.validation,
            ground.ridge,
            ground.offsets,
            options.level,
            settings,
            0,
            Pruning(watcher, trial, count),
        ).loss

    # Its own lines would stand between ours.
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(
        sampler=optuna.samplers.TPESampler(seed=0, n_startup_trials=UNSTOPPED),
        pruner=optuna.pruners.MedianPruner(n_startup_trials=UNSTOPPED, n_warmup_steps=2),
    )
    for relative in (False, True):
        study.enqueue_trial({**as_sample(options.settings), "relative": relative, "lookback": usual})
    study.optimize(objective, n_trials=count)
    return chosen(study, wanted, options, next(iter(grounds.values())).train.plan)


def inner(readings: Table, wanted: ForecastSpec) -> Prepared:
    """The training part by itself, cut into a training and a validation part of its own.

    Raises:
        SunhwanError: it has too few rows.
    """
    training = parts_of(readings.series, wanted.split) == 0
    # Defaults that depend on the number of rows are those of the whole training part.
    grid = layout(wanted, readings.interval, longest_run(readings.series, training))[0]
    train, validation = wanted.split[:2]
    share = 100 * train / (train + validation)
    try:
        learnt = prepare(
            readings.take(training),
            replace(wanted, horizon=grid.horizon, lookback=grid.lookback, split=(share, 100 - share)),
        )
        check_enough(learnt)
    except SunhwanError as error:
        raise SunhwanError(
            f"--search tries settings within the training part, and chooses on the latest {100 - share:.0f}% "
            f"of it, but there {error}; or leave out --search"
        ) from None
    return learnt


def by_lookback(
    learnt: Prepared, wanted: ForecastSpec, level: float, watcher: Watcher
) -> Iterator[tuple[int, Ground]]:
    """The ground of each lookback: the usual one, and if none is named half and twice as long."""
    plan, grid = learnt.plan, learnt.plan.grid
    lookbacks = [grid.lookback]
    if wanted.lookback is None:
        lookbacks += [length for length in (grid.lookback // 2, 2 * grid.lookback) if length]
    windows = {}
    for lookback in lookbacks:
        rows = replace(wanted, lookback=lookback, horizon=grid.horizon)
        other = replace(plan, grid=layout(rows, plan.interval, len(learnt.rows))[0])
        laid = replace(learnt, plan=other, rows=replace(learnt.rows, plan=other))
        train, validation = laid.windows("train"), laid.windows("val")
        if len(train) and len(validation) >= FEWEST_WINDOWS:
            windows[other.grid.lookback] = train, validation
    common = windows[max(windows)][1].last
    for lookback, (train, validation) in windows.items():
        watcher.begin(f"ridge regression from {lookback:,} rows", 1, 1)
        validation = validation.take(np.flatnonzero(np.isin(validation.last, common)))
        ridge = Ridge.fit(train, validation)
        yield lookback, Ground(train, validation, ridge, offsets(train, ridge, level))


def sampled(trial: optuna.Trial, usual: Settings) -> Settings:
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


def as_sample(settings: Settings) -> dict:
    """Settings as the trial from which `sampled` would read them."""
    names = ("cell", "units", "layers", "dropout", "recurrent_dropout", "learning_rate")
    return {name: getattr(settings, name) for name in names}


class Pruning(Within):
    """Watches one trial, and ends it where it falls behind."""

    def __init__(self, watcher: Watcher, trial: optuna.Trial, count: int):
        trials = trial.study.get_trials(deepcopy=False)
        losses = [other.value for other in trials if other.state.name == "COMPLETE"]
        best = f", best so far {min(losses):.4f}" if losses else ""
        super().__init__(watcher, f"setting {trial.number + 1} of {count}{best}")
        self.trial, self.epoch = trial, self.measured

    def measured(self, row: dict) -> None:
        """An epoch's validation loss."""
        import optuna

        self.watcher.epoch(row)
        self.trial.report(row["val_loss"], row["epoch"])
        if self.trial.should_prune():
            raise optuna.TrialPruned


def chosen(study: optuna.Study, wanted: ForecastSpec, options: Options, plan: WindowPlan) -> Searched:
    """The settings to use after a finished study."""
    trials = tuple(as_row(trial) for trial in study.get_trials(deepcopy=False))
    finished = [row for row in trials if row["state"] == "complete"]
    best = min(finished, key=lambda row: row["val_loss"])
    usual = min(row["val_loss"] for row in finished if row["setting"] <= 2)
    better = best["val_loss"] < (1 - WORTH) * usual
    gain = f"{100 * (1 - best['val_loss'] / usual):.1f}%"
    stopped = len(trials) - len(finished)
    tried = f"{len(trials)} settings were tried within the training part ({stopped} stopped early)"
    if better:
        settings = {key: best[key] for key in ("relative", *as_sample(options.settings))}
        options = replace(
            options, settings=replace(options.settings, **settings), relative=bool(best["relative"])
        )
        wanted = replace(wanted, lookback=best["lookback"], horizon=plan.steps)
        back = duration(best["lookback"] * seconds_of(plan.interval))
        how = "read relative to their last row" if best["relative"] else "read as they are"
        note = (
            f"{tried}; the best has a {gain} lower loss there than the defaults and is used: "
            f"{best['layers']} x {best['cell']} of {best['units']} units, windows of {back} {how}, "
            f"dropout {best['dropout']:g}, recurrent dropout {best['recurrent_dropout']:g}, "
            f"learning rate {best['learning_rate']:.2g}"
        )
    else:
        note = (
            f"{tried}; the best has a {gain} lower loss than the defaults, less than {100 * WORTH:g}%, "
            "so the defaults are used"
        )
    summary = {
        "tried": len(trials),
        "stopped": stopped,
        "loss": best["val_loss"],
        "default_loss": usual,
        "chosen": best["setting"] if better else None,
    }
    return Searched(wanted, options, trials, summary, note)


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
