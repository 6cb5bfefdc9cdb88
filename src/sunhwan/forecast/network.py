"""The network of a forecast: recurrent layers that correct a straight line, built and trained by Keras.

    window (timesteps, features) --> GRU or LSTM, one on the other --> last state ---.
        |                                                                            |
        |---> last row --------------------------------------------------------> Dense(relu) --> correction
        |                                                                            |               |
        '---> straight line (ridge) -------------------------------------------------'               v
                     '----------------------------------------------------------------------> + --> path

The last layer begins as zeros: before training, the network predicts what the straight line predicts, and it
can only learn what that misses. It predicts three numbers for each step and target: the median, and a lower
and an upper quantile that begin where the straight line's training errors lie.

Keras is needed to train. `exact.Network` is the result as plain arrays, so that prediction loads no
framework.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sunhwan.baselines.ridge import Ridge
from sunhwan.data.windows import ForecastWindows, WindowPlan
from sunhwan.forecast.exact import Network, relative_features
from sunhwan.forecast.options import Settings
from sunhwan.training import loop
from sunhwan.training.cells import recurrent_layer

if TYPE_CHECKING:
    import keras

    from sunhwan.training.progress import Watcher

BATCH = 128
"""Windows of a training step."""

MOST_STEPS = 300
"""Training steps of an epoch; with more windows, each epoch uses others."""

MOST_SCORED = 6_000
"""Validation windows that choose the epoch, evenly spaced."""


@dataclass(frozen=True)
class Trained:
    """The result of training.

    Attributes:
        network: of the best epoch.
        settings: it was trained with.
        loss: its pinball loss on validation, in scaled units.
        mae: its mean absolute error on validation, in scaled units.
        history: a row for each epoch.
    """

    network: Network
    settings: Settings
    loss: float
    mae: float
    history: tuple[dict, ...]


def train(
    train: ForecastWindows,
    val: ForecastWindows,
    line: Ridge,
    offsets: np.ndarray,
    level: float,
    settings: Settings,
    seed: int,
    watcher: Watcher,
) -> Trained:
    """Train one network with one seed; validation chooses the epoch.

    Args:
        train, val: the windows.
        line: the straight line that it corrects.
        offsets: (outputs, 3) what is added to the straight line before training: zeros for the median, and
            quantiles of its errors.
        level: the share between the lower and the upper quantile.
        settings, seed: what network.
        watcher: of each batch and epoch.
    """
    import keras

    from sunhwan.recurrence.keras.accelerate import accelerated
    from sunhwan.training.batches import Batches, Schedule, Ticker, fit

    keras.utils.set_random_seed(seed)
    plan = train.plan
    size = min(BATCH, len(train))
    steps = min(len(train) // size, MOST_STEPS)
    schedule = Schedule(settings.epochs, size, steps, seed)
    name = f"{settings.cell} {'relative' if settings.relative else 'absolute'}, seed {seed}"
    watcher.begin(name, settings.epochs, steps)
    val = val.thinned(MOST_SCORED)
    truth = val.truths()

    class Fitting(loop.Fitting):
        best = None

        def train(self, epoch: int) -> dict[str, float]:
            return fit(model, Batches(train, schedule.order(len(train), epoch)), Ticker(watcher, epoch + 1))

        def validate(self) -> dict[str, float]:
            self.network = taken(model, settings, level, plan)
            predictions = self.network.predict(val, line)
            mae = float(np.nanmean(np.abs(predictions[..., 0] - truth)))
            return {"val_loss": pinball_mean(predictions, truth, level), "val_mae": mae}

        def improved(self) -> None:
            self.best = self.network

        def stalled(self) -> None:
            model.optimizer.learning_rate.assign(model.optimizer.learning_rate / 2)

    with accelerated():
        model = build(plan, line, offsets, settings)
        model.compile(keras.optimizers.Adam(settings.learning_rate), loss=pinball(level))
        fitting = Fitting()
        progress = loop.run(fitting, settings.epochs, watcher, patience=settings.patience)
    # Where no epoch had a finite loss, the last stands for the best.
    best = progress.rows[progress.best_epoch - 1]
    network = fitting.best or fitting.network
    return Trained(network, settings, best["val_loss"], best["val_mae"], tuple(progress.rows))


def build(plan: WindowPlan, line: Ridge, offsets: np.ndarray, settings: Settings) -> keras.Model:
    """The network for training: from windows (and known future values) to (outputs, 3) numbers."""
    import keras
    from keras import layers

    cell = recurrent_layer(settings.cell)
    timesteps, features = plan.grid.timesteps, len(plan.names)
    window = keras.Input((timesteps, features))
    inputs, ahead = window, None
    if len(plan.known_features):
        ahead = keras.Input((plan.steps, len(plan.known_features)))
        inputs = [window, ahead]
    last = window[:, -1]
    recent = layers.Flatten()(window[:, timesteps - line.timesteps :])
    straight = layers.Dense(plan.outputs, trainable=False, name="line")(recent)
    if ahead is not None:
        known = layers.Flatten()(ahead)
        straight = layers.Add()(
            [straight, layers.Dense(plan.outputs, use_bias=False, trainable=False, name="ahead")(known)]
        )
    x = window
    if settings.relative:
        x = x - keras.ops.expand_dims(last, 1) * relative_features(plan)
    for i in range(settings.layers):
        x = cell(
            settings.units,
            return_sequences=i < settings.layers - 1,
            dropout=settings.dropout,
            recurrent_dropout=settings.recurrent_dropout,
            name=f"recurrent_{i}",
        )(x)
    read = [x, last, straight] if ahead is None else [x, last, straight, known]
    read = layers.Concatenate()(read)
    hidden = layers.Dense(settings.dense, activation="relu", name="dense")(read)
    hidden = layers.Dropout(settings.dropout)(hidden)
    correction = layers.Dense(plan.outputs * 3, kernel_initializer="zeros", name="correction")(hidden)
    quantiles = layers.Reshape((plan.outputs, 3))(correction) + keras.ops.expand_dims(straight, -1)
    model = keras.Model(inputs, quantiles)
    model.get_layer("line").set_weights([line.weights, line.bias])
    if ahead is not None:
        model.get_layer("ahead").set_weights([line.ahead])
    kernel, _ = model.get_layer("correction").get_weights()
    model.get_layer("correction").set_weights([kernel, offsets.astype(np.float32).ravel()])
    return model


def pinball(level: float):
    """The loss: pinball loss of the median, counted double, and of both quantiles, without missing values.

    Source: Koenker and Bassett, "Regression quantiles", Econometrica 46 (1978).
    """
    from keras import ops

    quantiles = np.array([0.5, (1 - level) / 2, (1 + level) / 2], np.float32)
    share = np.array([2.0, 1.0, 1.0], np.float32)

    def loss(actual, prediction):
        actual = ops.expand_dims(actual, -1)
        error = ops.where(ops.isnan(actual), 0.0, actual) - prediction
        error = ops.where(ops.isnan(actual), 0.0, error)
        return ops.mean(ops.maximum(quantiles * error, (quantiles - 1) * error) * share, axis=(-2, -1))

    return loss


def pinball_mean(prediction: np.ndarray, actual: np.ndarray, level: float) -> float:
    """The same loss over a whole part, of predictions (windows, steps, targets, 3)."""
    quantiles, share = np.array([0.5, (1 - level) / 2, (1 + level) / 2]), np.array([2.0, 1.0, 1.0])
    error = actual[..., None].astype(np.float64) - prediction
    return float(np.nanmean(np.maximum(quantiles * error, (quantiles - 1) * error) * share))


def taken(model: keras.Model, settings: Settings, level: float, plan: WindowPlan) -> Network:
    """The trained arrays of a model that `build` made."""
    weights = {}
    for i in range(settings.layers):
        for variable in model.get_layer(f"recurrent_{i}").cell.weights:
            weights[f"recurrent_{i}_{variable.name}"] = np.array(variable.numpy(), np.float32)
    for name in ("dense", "correction"):
        kernel, bias = model.get_layer(name).get_weights()
        weights |= {f"{name}_kernel": np.array(kernel), f"{name}_bias": np.array(bias)}
    return Network(settings.cell, settings.relative, level, relative_features(plan), weights)
