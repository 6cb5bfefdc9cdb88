"""The models of the shipped studies, each in the lines that a tutorial would print.

A builder takes the prepared problem and the model's options, and returns a compiled Keras model. A study
names builders in its `models`; `[model.NAME]` in its TOML file sets options.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable

import keras
from keras import layers

from sunhwan.errors import SunhwanError
from sunhwan.studies.problem import Problem
from sunhwan.studies.study import whole


def dense(problem: Problem, units: int = 32, learning_rate: float = 1e-3) -> keras.Model:
    """No recurrence: the window flattened into one layer, for a network without memory."""
    return forecaster(
        problem, [layers.Flatten(), layers.Dense(units, activation="relu"), layers.Dense(1)], learning_rate
    )


def gru(
    problem: Problem,
    units: int = 32,
    dropout: float = 0.0,
    recurrent_dropout: float = 0.0,
    learning_rate: float = 1e-3,
) -> keras.Model:
    """One GRU; a dense layer maps its last state to one number."""
    cell = layers.GRU(units, dropout=dropout, recurrent_dropout=recurrent_dropout)
    return forecaster(problem, [cell, layers.Dense(1)], learning_rate)


def gru_dropout(
    problem: Problem,
    units: int = 32,
    dropout: float = 0.2,
    recurrent_dropout: float = 0.2,
    learning_rate: float = 1e-3,
) -> keras.Model:
    """A GRU with one dropout mask for all timesteps (Gal and Ghahramani 2016)."""
    return gru(problem, units, dropout, recurrent_dropout, learning_rate)


def gru_stacked(
    problem: Problem,
    units: int = 32,
    top_units: int = 64,
    dropout: float = 0.1,
    recurrent_dropout: float = 0.5,
    learning_rate: float = 1e-3,
) -> keras.Model:
    """Two GRUs, the second (with relu, as in the tutorial) over the whole output of the first."""
    masks = {"dropout": dropout, "recurrent_dropout": recurrent_dropout}
    stack = [
        layers.GRU(units, return_sequences=True, **masks),
        layers.GRU(top_units, activation="relu", **masks),
        layers.Dense(1),
    ]
    return forecaster(problem, stack, learning_rate)


def gru_bidirectional(problem: Problem, units: int = 32, learning_rate: float = 1e-3) -> keras.Model:
    """Two GRUs, one forward and one backward in time, side by side."""
    return forecaster(problem, [layers.Bidirectional(layers.GRU(units)), layers.Dense(1)], learning_rate)


def gru_deep(
    problem: Problem,
    units: int = 32,
    dropout: float = 0.1,
    recurrent_dropout: float = 0.1,
    learning_rate: float = 1e-3,
) -> keras.Model:
    """All of the tutorial at once: two layers of GRUs, each in both directions, with dropout in time."""
    masks = {"dropout": dropout, "recurrent_dropout": recurrent_dropout}
    stack = [
        layers.Bidirectional(layers.GRU(units, return_sequences=True, **masks)),
        layers.Bidirectional(layers.GRU(units, **masks)),
        layers.Dense(1),
    ]
    return forecaster(problem, stack, learning_rate)


def lstm(problem: Problem, units: int = 32, learning_rate: float = 1e-3) -> keras.Model:
    """One LSTM; a dense layer maps its last output to one number."""
    return forecaster(problem, [layers.LSTM(units), layers.Dense(1)], learning_rate)


def gru_linear_skip(
    problem: Problem,
    units: int = 32,
    dropout: float = 0.0,
    recurrent_dropout: float = 0.0,
    learning_rate: float = 1e-3,
    relative: bool = False,
) -> keras.Model:
    """A GRU that corrects a linear forecast.

    The skip path is the ridge baseline as a frozen Dense layer; the GRU's last layer starts at zero. So the
    model begins as ridge, and training can only learn what a straight line misses. With `relative` the GRU
    reads the window relative to its last row, so that levels which did not occur in training do not mislead
    it; the idea of reversible instance normalisation (Kim et al., ICLR 2022).
    """
    ridge = problem.context["ridge"]
    timesteps, _ = problem.input_shape
    window = keras.Input(problem.input_shape)
    recent = layers.Cropping1D((timesteps - ridge.timesteps, 0))(window)
    straight = layers.Dense(1, name="ridge", trainable=False)
    cell = layers.GRU(units, dropout=dropout, recurrent_dropout=recurrent_dropout)
    read = layers.Subtract()([window, window[:, -1:, :]]) if relative else window
    correction = layers.Dense(1, kernel_initializer="zeros", name="correction")(cell(read))
    model = keras.Model(window, layers.Add()([straight(layers.Flatten()(recent)), correction]))
    straight.set_weights([ridge.weights, ridge.bias])
    return compiled(problem, model, keras.optimizers.RMSprop(learning_rate))


def forecaster(problem: Problem, stack: list[layers.Layer], learning_rate: float) -> keras.Model:
    """A sequential model from windows to one number, trained with RMSprop as in the tutorial."""
    model = keras.Sequential([keras.Input(problem.input_shape), *stack])
    return compiled(problem, model, keras.optimizers.RMSprop(learning_rate))


def simple_rnn_sentiment(
    problem: Problem, units: int = 32, embedding: int = 32, learning_rate: float = 1e-3
) -> keras.Model:
    """The tutorial's first classifier: an embedding and a SimpleRNN, trained with Adam."""
    return classifier(problem, [layers.SimpleRNN(units)], embedding, keras.optimizers.Adam(learning_rate))


def lstm_sentiment(
    problem: Problem, units: int = 32, embedding: int = 32, learning_rate: float = 1e-3
) -> keras.Model:
    """The tutorial's second classifier: the same with an LSTM, trained with RMSprop."""
    return classifier(problem, [layers.LSTM(units)], embedding, keras.optimizers.RMSprop(learning_rate))


def bilstm_pooled_sentiment(
    problem: Problem,
    units: int = 32,
    embedding: int = 32,
    dropout: float = 0.5,
    learning_rate: float = 5e-4,
) -> keras.Model:
    """An LSTM in each direction, beside a vote of each word for itself.

    The LSTMs' outputs are pooled by their maximum over all tokens, so none is far away. The votes are
    a linear classifier of word counts within the network; the LSTMs learn what it misses. Words are dropped
    from both, since the reviews are few and the words many.
    """
    vocabulary = problem.context["vocabulary"]
    tokens = keras.Input(problem.input_shape, dtype="int32")
    words = layers.SpatialDropout1D(dropout)(layers.Embedding(vocabulary, embedding)(tokens))
    read = layers.Bidirectional(layers.LSTM(units, return_sequences=True))(words)
    maximum = layers.Dropout(dropout)(layers.GlobalMaxPooling1D()(read))
    votes = layers.Embedding(vocabulary, 1, embeddings_initializer="zeros", name="votes")(tokens)
    counted = keras.ops.sum(layers.Dropout(dropout)(votes), axis=1)
    probability = layers.Activation("sigmoid")(layers.Add()([layers.Dense(1)(maximum), counted]))
    return compiled(problem, keras.Model(tokens, probability), keras.optimizers.Adam(learning_rate))


def classifier(
    problem: Problem, stack: list[layers.Layer], embedding: int, optimizer: keras.Optimizer
) -> keras.Model:
    """Token ids through an embedding and `stack` to the probability of class 1."""
    words = layers.Embedding(problem.context["vocabulary"], embedding)
    model = keras.Sequential(
        [
            keras.Input(problem.input_shape, dtype="int32"),
            words,
            *stack,
            layers.Dense(1, activation="sigmoid"),
        ]
    )
    return compiled(problem, model, optimizer)


def adding(cell: type[layers.Layer]) -> Callable[..., keras.Model]:
    """A builder for the adding problem with `cell`: its last output to one number, trained with Adam."""

    def build(
        problem: Problem, units: int = 64, learning_rate: float = 2e-3, clipnorm: float = 1.0
    ) -> keras.Model:
        model = keras.Sequential([keras.Input(problem.input_shape), cell(units), layers.Dense(1)])
        return compiled(problem, model, keras.optimizers.Adam(learning_rate, clipnorm=clipnorm))

    return build


def compiled(problem: Problem, model: keras.Model, optimizer: keras.Optimizer) -> keras.Model:
    """`model`, compiled with the problem's loss."""
    metrics = ["accuracy"] if problem.metric.name == "accuracy" else None
    model.compile(optimizer=optimizer, loss=problem.metric.loss, metrics=metrics)
    return model


BUILDERS: dict[str, dict[str, Callable[..., keras.Model]]] = {
    "forecast": {
        "dense": dense,
        "gru": gru,
        "gru_dropout": gru_dropout,
        "gru_stacked": gru_stacked,
        "gru_bidirectional": gru_bidirectional,
        "gru_deep": gru_deep,
        "lstm": lstm,
        "gru_linear_skip": gru_linear_skip,
    },
    "text": {
        "simple_rnn": simple_rnn_sentiment,
        "lstm": lstm_sentiment,
        "bilstm_pooled": bilstm_pooled_sentiment,
    },
    "adding": {
        "simple_rnn": adding(layers.SimpleRNN),
        "gru": adding(layers.GRU),
        "lstm": adding(layers.LSTM),
    },
}
"""Builders by kind of study and name."""


def check(kind: str, name: str, options: dict) -> Callable[..., keras.Model]:
    """The builder that a study names.

    Raises:
        SunhwanError: there is no such model, it has no such option, or an option's value is out of range.
    """
    builder = BUILDERS[kind].get(options.get("builder", name))
    if builder is None:
        raise SunhwanError(
            f"there is no model {options.get('builder', name)!r} for a {kind} study; "
            f"there are {', '.join(BUILDERS[kind])}"
        )
    known = {item.name: item.default for item in inspect.signature(builder).parameters.values()}
    del known["problem"]
    for option, value in own(options).items():
        if option not in known:
            raise SunhwanError(
                f"model {name!r} has no option {option!r}; it has builder, epochs, {', '.join(known)}"
            )
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if isinstance(known[option], bool):
            fits, expected = isinstance(value, bool), "true or false"
        elif isinstance(known[option], int):
            fits, expected = whole(value), "a whole number, at least 1"
        elif "dropout" in option:
            fits, expected = number and 0 <= value < 1, "a share from 0 to below 1"
        else:
            fits, expected = number and 0 < value < math.inf, "a number above 0"
        if not fits:
            raise SunhwanError(f"{option} of model {name!r} is {value!r}; expected {expected}")
    return builder


def own(options: dict) -> dict:
    """The options that are the builder's own."""
    return {key: value for key, value in options.items() if key not in ("builder", "epochs")}


def build(kind: str, name: str, problem: Problem, options: dict) -> keras.Model:
    """The compiled model that a study names, for a prepared problem."""
    return check(kind, name, options)(problem, **own(options))
