"""The cases: shapes and options by name, for tests, gradient checks and timings.

`WORKLOADS` are typical models, named after the tutorial's tasks; `KERNELS` are single recurrences that show
the speed of the arithmetic; `GRID` varies units, batch and timesteps; `drawn` draws more from a seed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from sunhwan.recurrence.cells import CELLS


@dataclass(frozen=True)
class Layer:
    """One recurrent layer, in Keras's terms."""

    cell: str
    units: int
    activation: str = "tanh"
    dropout: float = 0.0
    recurrent_dropout: float = 0.0
    bidirectional: bool = False


@dataclass(frozen=True)
class Case:
    """A small model of stacked recurrent layers, and the shape of a batch for it.

    Attributes:
        features: of a timestep; with `vocabulary`, the size of the embedding.
        vocabulary: the number of token ids of an Embedding before the layers; 0 for numeric inputs.
        classifies: whether the head is a sigmoid unit with cross-entropy, or else linear with squared error.
    """

    name: str
    batch: int
    timesteps: int
    features: int
    layers: tuple[Layer, ...]
    vocabulary: int = 0
    classifies: bool = False

    def inputs(self, rng: np.random.Generator, batches: int) -> tuple[np.ndarray, np.ndarray]:
        """Batches of random inputs (rows, timesteps[, features]) and targets (rows, 1)."""
        rows = self.batch * batches
        if self.vocabulary:
            inputs = rng.integers(0, self.vocabulary, (rows, self.timesteps), dtype=np.int32)
        else:
            inputs = rng.standard_normal((rows, self.timesteps, self.features), dtype=np.float32)
        if self.classifies:
            return inputs, rng.integers(0, 2, (rows, 1)).astype(np.float32)
        return inputs, rng.standard_normal((rows, 1), dtype=np.float32)

    def model(self, seed: int = 0) -> Any:
        """The compiled Keras model, its weights drawn from the seed."""
        import keras

        keras.utils.set_random_seed(seed)
        classes = {"simple_rnn": keras.layers.SimpleRNN, "gru": keras.layers.GRU, "lstm": keras.layers.LSTM}
        if self.vocabulary:
            stack = [keras.Input((self.timesteps,), dtype="int32")]
            stack.append(keras.layers.Embedding(self.vocabulary, self.features))
        else:
            stack = [keras.Input((self.timesteps, self.features))]
        for index, layer in enumerate(self.layers):
            recurrent = classes[layer.cell](
                layer.units,
                activation=layer.activation,
                dropout=layer.dropout,
                recurrent_dropout=layer.recurrent_dropout,
                return_sequences=index + 1 < len(self.layers),
            )
            stack.append(keras.layers.Bidirectional(recurrent) if layer.bidirectional else recurrent)
        stack.append(keras.layers.Dense(1, activation="sigmoid" if self.classifies else None))
        model = keras.Sequential(stack, name=self.name)
        model.compile("adam", "binary_crossentropy" if self.classifies else "mse")
        return model

    @property
    def row_steps(self) -> int:
        return self.batch * self.timesteps

    def flops(self) -> float:
        """Floating-point operations, forward and backward: 6 B T (D + H) G H for each layer."""
        total, features = 0.0, self.features
        for layer in self.layers:
            ways = 2 if layer.bidirectional else 1
            gates = len(CELLS[layer.cell].gates)
            total += 6.0 * self.row_steps * (features + layer.units) * gates * layer.units * ways
            features = layer.units * ways
        return total


def _imdb(name, *layers):
    return Case(name, 128, 500, 32, layers, vocabulary=10_000, classifies=True)


def _weather(name, *layers):
    return Case(name, 128, 240, 14, layers)


def _notebook(name, features):
    return Case(name, 32, 60, features, (Layer("lstm", 50), Layer("lstm", 50)))


WORKLOADS: dict[str, Case] = {
    case.name: case
    for case in (
        _imdb("imdb_simple_rnn", Layer("simple_rnn", 32)),
        _imdb("imdb_lstm", Layer("lstm", 32)),
        _weather("weather_gru", Layer("gru", 32)),
        _weather("weather_gru_dropout", Layer("gru", 32, dropout=0.2, recurrent_dropout=0.2)),
        _weather(
            "weather_gru_stacked_relu",
            Layer("gru", 32, dropout=0.1, recurrent_dropout=0.5),
            Layer("gru", 64, activation="relu", dropout=0.1, recurrent_dropout=0.5),
        ),
        _weather("weather_gru_bidirectional", Layer("gru", 32, bidirectional=True)),
        _notebook("notebook_lstm_1_feature", 1),
        _notebook("notebook_lstm_8_features", 8),
    )
}
"""The tutorial's models at its sizes, and the most common notebook: two LSTM(50) over 60 steps."""


MEMORY: dict[str, Case] = {
    case.name: case
    for timesteps in (500, 2000)
    for case in (
        Case(f"imdb_lstm_t{timesteps}", 128, timesteps, 32, (Layer("lstm", 32),), 10_000, classifies=True),
        Case(f"weather_gru_t{timesteps}", 128, timesteps, 14, (Layer("gru", 32),)),
    )
}
"""Models whose training steps save much for backward."""


def _kernel(cell, batch, timesteps, features, units):
    return Case(f"{cell}_{units}", batch, timesteps, features, (Layer(cell, units),))


KERNELS: dict[str, Case] = {
    case.name: case
    for case in (
        _kernel("simple_rnn", 128, 500, 32, 32),
        _kernel("gru", 128, 240, 14, 16),
        _kernel("gru", 128, 240, 14, 20),
        _kernel("gru", 128, 240, 14, 32),
        _kernel("gru", 128, 240, 14, 33),
        _kernel("gru", 128, 240, 32, 128),
        _kernel("lstm", 128, 500, 32, 16),
        _kernel("lstm", 128, 500, 32, 20),
        _kernel("lstm", 128, 500, 32, 32),
        _kernel("lstm", 128, 500, 32, 33),
        _kernel("lstm", 128, 240, 32, 128),
    )
}
"""Single recurrences for the share of the processor's peak, some with units that are no multiple of 16."""


_BREADTH = (
    # units, batch, timesteps, features
    (1, 128, 240, 14), (1, 1, 2000, 1), (2, 512, 30, 4), (4, 32, 60, 1), (8, 128, 240, 14),
    (12, 8, 500, 8), (16, 64, 100, 16), (20, 32, 60, 8), (32, 1, 240, 14), (32, 128, 1, 14),
    (32, 128, 10, 14), (32, 512, 60, 14), (33, 128, 120, 14), (50, 32, 60, 1), (64, 16, 500, 32),
    (100, 32, 2000, 1), (128, 8, 100, 64), (128, 128, 60, 64), (256, 32, 30, 32), (512, 64, 20, 64),
)  # fmt: skip

GRID: dict[str, Case] = {
    f"{cell}_h{units}_b{batch}_t{timesteps}": Case(
        f"{cell}_h{units}_b{batch}_t{timesteps}", batch, timesteps, features, (Layer(cell, units),)
    )
    for cell in CELLS
    for units, batch, timesteps, features in _BREADTH
}
"""Breadth: every cell over units 1 to 512, batch 1 to 512, timesteps 1 to 2000."""


def drawn(seed: int, count: int) -> dict[str, Case]:
    """Cases with shapes and options drawn from a seed: log-uniform sizes, of a few GFLOP at most.

    Example:
        >>> list(drawn(seed=0, count=2)) == list(drawn(seed=0, count=2))
        True
    """
    rng = np.random.default_rng(seed)
    cases: dict[str, Case] = {}
    while len(cases) < count:
        cell = str(rng.choice(list(CELLS)))
        units, batch, timesteps, features = (
            round(float(np.exp(rng.uniform(0, np.log(most))))) for most in (256, 256, 500, 64)
        )
        layer = Layer(
            cell,
            units,
            activation=str(rng.choice(["tanh", "relu"], p=[0.8, 0.2])),
            dropout=float(rng.choice([0, 0.2], p=[0.7, 0.3])),
            recurrent_dropout=float(rng.choice([0, 0.2], p=[0.7, 0.3])),
            bidirectional=bool(rng.random() < 0.2),
        )
        options = [
            "relu" * (layer.activation == "relu"), "dropout" * (layer.dropout > 0),
            "recurrent_dropout" * (layer.recurrent_dropout > 0), "bidirectional" * layer.bidirectional,
        ]  # fmt: skip
        name = "_".join([cell, f"h{units}_b{batch}_t{timesteps}_d{features}", *filter(None, options)])
        case = Case(name, batch, timesteps, features, (layer,))
        if case.flops() < 5e9:
            cases[name] = case
    return cases
