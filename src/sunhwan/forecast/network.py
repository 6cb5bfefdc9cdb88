"""The network of a forecast: recurrent layers that correct a straight line, trained by Keras, run by NumPy.

    window (timesteps, features) --> GRU or LSTM, one on the other --> last state ---.
        |                                                                            |
        |---> last row --------------------------------------------------------> Dense(relu) --> correction
        |                                                                            |               |
        '---> straight line (ridge) -------------------------------------------------'               v
                     '----------------------------------------------------------------------> + --> path

The last layer begins as zeros: before it has learnt anything the network says what the straight line says,
and it can only learn what that misses. It says three numbers for each step and target: the median, and a
lower and an upper quantile that begin where the straight line's training errors lie.

Keras is needed to train. `Network` is what was trained, as plain arrays; it runs on the kernels and NumPy, so
that prediction loads no framework.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from sunhwan import rundir
from sunhwan.baselines.paths import Linear, batches
from sunhwan.data.windows import ForecastWindows, WindowPlan
from sunhwan.recurrence.ops.numpy import Options, forward
from sunhwan.training.cells import check_cell, recurrent_layer, refuse_unknown_cell

if TYPE_CHECKING:
    import keras

    from sunhwan.training.progress import Watcher

NETWORK = "network"
"""What a mixture calls the mean of its networks."""

BATCH = 128
"""Windows of a training step."""

MOST_STEPS = 300
"""Training steps of an epoch; of more windows each epoch sees others."""

MOST_SCORED = 6_000
"""Validation windows that choose the epoch, evenly spaced."""


@dataclass(frozen=True)
class Settings:
    """What a network is, and how it is trained.

    Attributes:
        cell: out of `cells.CELLS`.
        units: of each recurrent layer; there are `layers` of them.
        relative: whether the window is read relative to its last row, so that levels which training never
            held do not mislead (the idea of reversible instance normalisation, Kim et al., ICLR 2022).
        dropout: of each recurrent layer's inputs, one mask for all timesteps, and of the dense layer's.
        recurrent_dropout: of its states (Gal and Ghahramani 2016).
        dense: units of the layer before the last.
        learning_rate: of Adam, halved when validation no longer gains.
        epochs: at most.
        patience: epochs without a gain after which training ends.
    """

    cell: str = "gru"
    units: int = 32
    layers: int = 1
    relative: bool = False
    dropout: float = 0.1
    recurrent_dropout: float = 0.0
    dense: int = 64
    learning_rate: float = 1e-3
    epochs: int = 20
    patience: int = 3

    def __post_init__(self) -> None:
        check_cell(self.cell)


@dataclass(frozen=True)
class Network:
    """A trained network as arrays.

    Attributes:
        cell: of the recurrent layers.
        relative: whether windows are read relative to their last row.
        level: that lies between the lower and the upper quantile.
        relative_features: (features,) 1 where a feature is made relative, 0 where it stays.
        weights: by name: `recurrent_0_kernel`, `.._recurrent_kernel`, `.._bias`, ..., `dense_kernel`,
            `dense_bias`, `correction_kernel`, `correction_bias`.
    """

    cell: str
    relative: bool
    level: float
    relative_features: np.ndarray
    weights: Mapping[str, np.ndarray]

    @cached_property
    def layers(self) -> list[list[np.ndarray]]:
        count = sum(name.endswith("_recurrent_kernel") for name in self.weights)
        parts = ("kernel", "recurrent_kernel", "bias")
        return [[self.weights[f"recurrent_{i}_{part}"] for part in parts] for i in range(count)]

    def __call__(self, window: np.ndarray, ahead: np.ndarray, line: np.ndarray) -> np.ndarray:
        """What is added to the straight line.

        Args:
            window: (batch, timesteps, features) float32.
            ahead: (batch, steps, known) float32.
            line: (batch, outputs) float32, what the straight line says.

        Returns:
            (batch, outputs, 3) float32: median, lower and upper.
        """
        last = window[:, -1]
        x = window - last[:, None] * self.relative_features if self.relative else window
        for i, weights in enumerate(self.layers):
            whole = i < len(self.layers) - 1
            x = forward(Options(self.cell, return_sequences=whole), x, *weights, save=False).output
        read = np.concatenate([x, last, line, ahead.reshape(len(ahead), -1)], axis=1)
        hidden = np.maximum(read @ self.weights["dense_kernel"] + self.weights["dense_bias"], 0)
        said = hidden @ self.weights["correction_kernel"] + self.weights["correction_bias"]
        return said.reshape(len(said), -1, 3)

    def predict(self, paths: ForecastWindows, line: Linear) -> np.ndarray:
        """The whole forecast, straight line and all: (windows, steps, targets, 3) scaled."""
        plan = paths.plan
        said = np.empty((len(paths), plan.outputs, 3), np.float32)
        for index in batches(paths):
            window, ahead = paths.windows(index), paths.ahead(index)
            straight = line(window, ahead)
            said[index] = straight[..., None] + self(window, ahead, straight)
        return said.reshape(len(paths), plan.steps, len(plan.targets), 3)

    def as_dict(self) -> dict:
        """For JSON: all but the arrays."""
        return {"cell": self.cell, "relative": self.relative, "level": self.level}

    @classmethod
    def from_kept(cls, kept: dict, arrays: Mapping[str, np.ndarray], plan: WindowPlan) -> Network:
        """What `as_dict` and `weights` gave.

        Raises:
            SunhwanError: something is missing, or of another shape.
        """
        with rundir.kept("network"):
            refuse_unknown_cell(kept)
            network = cls(
                kept["cell"],
                bool(kept["relative"]),
                float(kept["level"]),
                changing(plan),
                {name: np.ascontiguousarray(array, np.float32) for name, array in arrays.items()},
            )
            window, ahead = (plan.grid.timesteps, len(plan.names)), (plan.steps, len(plan.known_features))
            shapes = (window, ahead, (plan.outputs,))
            network(*(np.zeros((1, *shape), np.float32) for shape in shapes))
        return network


def changing(plan: WindowPlan) -> np.ndarray:
    """(features,) float32: 1 where a feature may be made relative: numbers, but not categories or masks."""
    return plan.encoder.scaled.astype(np.float32)


@dataclass(frozen=True)
class Trained:
    """What training gave.

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
    line: Linear,
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
        offsets: (outputs, 3) what is added to the straight line to begin with: zeros for the median, and
            quantiles of its errors.
        level: that lies between the lower and the upper quantile.
        settings, seed: what network.
        watcher: told of each batch and epoch.
    """
    import keras

    from sunhwan.recurrence.keras.accelerate import accelerated
    from sunhwan.training.batches import Batches, Schedule, Ticker

    keras.utils.set_random_seed(seed)
    plan = train.plan
    size = min(BATCH, len(train))
    steps = min(len(train) // size, MOST_STEPS)
    schedule = Schedule(settings.epochs, size, steps, seed)
    name = f"{settings.cell} {'relative' if settings.relative else 'absolute'}, seed {seed}"
    watcher.begin(name, settings.epochs, steps)
    val = val.thinned(MOST_SCORED)
    truth = val.truths()
    best, history, waited = None, [], 0
    with accelerated():
        model = build(plan, line, offsets, settings)
        model.compile(keras.optimizers.Adam(settings.learning_rate), loss=pinball(level))
        for epoch in range(settings.epochs):
            began = time.perf_counter()
            fitted = model.fit(
                Batches(train, schedule.order(len(train), epoch)),
                initial_epoch=epoch,
                epochs=epoch + 1,
                shuffle=False,
                verbose=0,
                callbacks=[Ticker(watcher, epoch + 1)],
            )
            network = taken(model, settings, level, plan)
            said = network.predict(val, line)
            loss = pinball_mean(said, truth, level)
            mae = float(np.nanmean(np.abs(said[..., 0] - truth)))
            row = {
                "epoch": epoch + 1,
                "seconds": round(time.perf_counter() - began, 3),
                "loss": float(fitted.history["loss"][0]),
                "val_loss": loss,
                "val_mae": mae,
            }
            history.append(row)
            watcher.epoch(row)
            if best is None or loss < best.loss:
                best, waited = Trained(network, settings, loss, mae, ()), 0
            else:
                waited += 1
                model.optimizer.learning_rate.assign(model.optimizer.learning_rate / 2)
                if waited >= settings.patience:
                    break
    return Trained(best.network, settings, best.loss, best.mae, tuple(history))


def build(plan: WindowPlan, line: Linear, offsets: np.ndarray, settings: Settings) -> keras.Model:
    """The network for training: from windows (and what is ahead) to (outputs * 3) numbers."""
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
        x = x - keras.ops.expand_dims(last, 1) * changing(plan)
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
    said = layers.Reshape((plan.outputs, 3))(correction) + keras.ops.expand_dims(straight, -1)
    model = keras.Model(inputs, said)
    model.get_layer("line").set_weights([line.weights, line.bias])
    if ahead is not None:
        model.get_layer("ahead").set_weights([line.ahead])
    kernel, _ = model.get_layer("correction").get_weights()
    model.get_layer("correction").set_weights([kernel, offsets.astype(np.float32).ravel()])
    return model


def pinball(level: float):
    """The loss: pinball loss of the median, counted double, and of both quantiles, where truth was observed.

    Source: Koenker and Bassett, "Regression quantiles", Econometrica 46 (1978).
    """
    from keras import ops

    quantiles = np.array([0.5, (1 - level) / 2, (1 + level) / 2], np.float32)
    share = np.array([2.0, 1.0, 1.0], np.float32)

    def loss(truth, said):
        truth = ops.expand_dims(truth, -1)
        error = ops.where(ops.isnan(truth), 0.0, truth) - said
        error = ops.where(ops.isnan(truth), 0.0, error)
        return ops.mean(ops.maximum(quantiles * error, (quantiles - 1) * error) * share, axis=(-2, -1))

    return loss


def pinball_mean(said: np.ndarray, truth: np.ndarray, level: float) -> float:
    """The same loss over a whole part: said (windows, steps, targets, 3), truth (windows, steps, targets)."""
    quantiles, share = np.array([0.5, (1 - level) / 2, (1 + level) / 2]), np.array([2.0, 1.0, 1.0])
    error = truth[..., None].astype(np.float64) - said
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
    return Network(settings.cell, settings.relative, level, changing(plan), weights)
