"""The models are the tutorial's, number for number, and options reach the layers that they are for."""

import keras
import numpy as np
import pytest
from keras import layers

from sunhwan.errors import SunhwanError
from sunhwan.studies import forecasting, models, texts
from sunhwan.studies.problem import Examples, Metric, Problem
from sunhwan.studies.study import load

NOTHING = Examples(np.empty((0, 6, 14), np.float32), np.empty(0, np.float32))
# The tutorial's 14 features; its 240 timesteps would only make the recurrent layers slower to build.
JENA = Problem(NOTHING, NOTHING, NOTHING, (6, 14), Metric("mae", "degC", "mae"))
SUMS = Problem(NOTHING, NOTHING, NOTHING, (6, 2), Metric("mse", "squared error", "mse"))
REVIEWS = texts.outline(load("imdb_sentiment"))

# Orthogonal matrices are compiled once a shape: the tests below keep to these sizes.
GRU_32 = 3 * 32 * (14 + 32 + 2)  # kernel, recurrent kernel, and the two biases of reset_after
GRU_64 = 3 * 64 * (32 + 64 + 2)  # over the 32 outputs of the first
LSTM_32 = 4 * 32 * (14 + 32 + 1)


def counts(model):
    """The parameters of each layer that has some."""
    return [layer.count_params() for layer in model.layers if layer.count_params()]


@pytest.mark.parametrize(
    ("kind", "name", "problem", "parameters"),
    [
        ("forecast", "dense", JENA, [6 * 14 * 32 + 32, 33]),
        ("forecast", "gru", JENA, [GRU_32, 33]),
        ("forecast", "gru_dropout", JENA, [GRU_32, 33]),
        ("forecast", "gru_stacked", JENA, [GRU_32, GRU_64, 65]),
        ("forecast", "gru_bidirectional", JENA, [2 * GRU_32, 65]),
        ("forecast", "gru_deep", JENA, [2 * GRU_32, 2 * 3 * 32 * (64 + 32 + 2), 65]),
        ("forecast", "lstm", JENA, [LSTM_32, 33]),
        ("text", "simple_rnn", REVIEWS, [320_000, 2_080, 33]),
        ("text", "lstm", REVIEWS, [320_000, 4 * 32 * (32 + 32 + 1), 33]),
        ("text", "bilstm_pooled", REVIEWS, [320_000, 2 * 4 * 32 * (32 + 32 + 1), 10_000, 65]),
        ("adding", "simple_rnn", SUMS, [64 * (2 + 64 + 1), 65]),
        ("adding", "gru", SUMS, [3 * 64 * (2 + 64 + 2), 65]),
        ("adding", "lstm", SUMS, [4 * 64 * (2 + 64 + 1), 65]),
    ],
)
def test_layers_are_of_the_tutorial_s_size(kind, name, problem, parameters):
    model = models.build(kind, name, problem, {})
    assert counts(model) == parameters
    assert model.output_shape == (None, 1)
    assert model.input_shape == (None, *problem.input_shape)
    assert model.loss == problem.metric.loss


def test_every_builder_is_tested_above_or_below():
    built = {(kind, name) for kind, builders in models.BUILDERS.items() for name in builders}
    assert built == {
        *(("forecast", name) for name in ("dense", "gru", "gru_dropout", "gru_stacked")),
        *(("forecast", name) for name in ("gru_bidirectional", "gru_deep", "lstm", "gru_linear_skip")),
        *(("text", name) for name in ("simple_rnn", "lstm", "bilstm_pooled")),
        *(("adding", name) for name in ("simple_rnn", "gru", "lstm")),
    }


def test_dropout_is_the_tutorial_s():
    dropped = models.build("forecast", "gru_dropout", JENA, {}).layers[0]
    first, second = models.build("forecast", "gru_stacked", JENA, {}).layers[:2]
    assert (dropped.dropout, dropped.recurrent_dropout) == (0.2, 0.2)
    assert [(cell.dropout, cell.recurrent_dropout) for cell in (first, second)] == [(0.1, 0.5)] * 2
    assert (first.units, second.units, first.return_sequences, second.return_sequences) == (
        32,
        64,
        True,
        False,
    )
    assert (first.activation, second.activation) == (keras.activations.tanh, keras.activations.relu)


@pytest.mark.parametrize(
    ("kind", "name", "problem", "optimizer"),
    [
        ("forecast", "gru", JENA, keras.optimizers.RMSprop),
        ("text", "simple_rnn", REVIEWS, keras.optimizers.Adam),
        ("text", "lstm", REVIEWS, keras.optimizers.RMSprop),
        ("adding", "gru", SUMS, keras.optimizers.Adam),
    ],
)
def test_the_optimizer_is_the_tutorial_s(kind, name, problem, optimizer):
    model = models.build(kind, name, problem, {"learning_rate": 0.25})
    assert type(model.optimizer) is optimizer
    assert float(model.optimizer.learning_rate) == 0.25


def test_options_reach_the_layers_and_a_name_may_be_one_s_own():
    model = models.build(
        "forecast", "wide", JENA, {"builder": "gru", "units": 64, "dropout": 0.3, "epochs": 9}
    )
    cell = model.layers[0]
    assert isinstance(cell, layers.GRU)
    assert (cell.units, cell.dropout, cell.recurrent_dropout) == (64, 0.3, 0.0)
    stacked = models.build("forecast", "gru_stacked", JENA, {"units": 64, "top_units": 32})
    assert [cell.units for cell in stacked.layers[:2]] == [64, 32]
    assert models.build("adding", "gru", SUMS, {"clipnorm": 0.5}).optimizer.clipnorm == 0.5


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        ("grru", {}, "there is no model 'grru' for a forecast study; there are dense, gru, "),
        ("mine", {"builder": "transformer"}, "there is no model 'transformer'"),
        ("gru", {"unit": 3}, "model 'gru' has no option 'unit'; it has builder, epochs, units, dropout"),
        ("gru", {"problem": 3}, "no option 'problem'"),
        ("gru", {"units": 0}, "units of model 'gru' is 0; expected a whole number, at least 1"),
        ("gru", {"units": "32"}, "units of model 'gru' is '32'; expected a whole number"),
        ("gru", {"units": True}, "units of model 'gru' is True"),
        (
            "gru_linear_skip",
            {"relative": 1},
            "relative of model 'gru_linear_skip' is 1; expected true or false",
        ),
        ("gru", {"dropout": 1.0}, "dropout of model 'gru' is 1.0; expected a share from 0 to below 1"),
        ("gru", {"recurrent_dropout": -0.1}, "recurrent_dropout of model 'gru' is -0.1; expected a share"),
        ("gru", {"dropout": "much"}, "dropout of model 'gru' is 'much'"),
        ("gru", {"learning_rate": 0}, "learning_rate of model 'gru' is 0; expected a number above 0"),
        ("gru", {"learning_rate": float("inf")}, "learning_rate of model 'gru' is inf"),
        ("gru", {"learning_rate": float("nan")}, "learning_rate of model 'gru' is nan"),
    ],
)
def test_options_that_no_layer_can_take_are_refused(name, options, said):
    with pytest.raises(SunhwanError, match=said):
        models.build("forecast", name, JENA, options)


@pytest.fixture(scope="module")
def readings(station):
    """The station prepared with a calendar, as a study with a linear skip wants it; 12 timesteps."""
    study = load("table_temperature").with_data(path=str(station))
    study = study.with_prepare(target="T (degC)", lookback="12h", horizon="3h").with_models(
        ["gru_linear_skip"]
    )
    return forecasting.problem(study)[""]


def test_a_relative_skip_s_correction_does_not_see_the_level(readings):
    keras.utils.set_random_seed(0)
    model = models.build("forecast", "gru_linear_skip", readings, {"relative": True})
    model.get_layer("correction").set_weights([np.ones((32, 1)), np.zeros(1)])
    correction = keras.Model(model.input, model.get_layer("correction").output)
    inputs, _ = readings.val.gather(np.arange(8))
    # A level of 3 cancels to float32's rounding of sums of size 10, through 12 steps of a GRU.
    np.testing.assert_allclose(correction(inputs + 3), correction(inputs), atol=1e-4)
    assert np.abs(correction(inputs * 2) - correction(inputs)).max() > 1e-2


def test_the_linear_skip_begins_as_the_ridge_baseline(readings):
    keras.utils.set_random_seed(0)
    model = models.build("forecast", "gru_linear_skip", readings, {})
    for part in ("val", "test"):
        windows = getattr(readings, part)
        inputs, _ = windows.gather(np.arange(len(windows)))
        said = np.asarray(model(inputs))[:, 0]
        # Both sum some hundred float32 products of size one, in another order.
        np.testing.assert_allclose(said, readings.baselines["ridge"][part], rtol=0, atol=2e-5)


def test_the_linear_skip_trains_the_correction_alone(readings):
    model = models.build("forecast", "gru_linear_skip", readings, {})
    straight = [weight.copy() for weight in model.get_layer("ridge").get_weights()]
    correction = model.get_layer("correction").get_weights()
    assert all((weight == 0).all() for weight in correction)
    inputs, targets = readings.train.gather(np.arange(32))
    model.train_on_batch(inputs, targets[:, None])
    for before, after in zip(straight, model.get_layer("ridge").get_weights(), strict=True):
        assert (before == after).all()
    assert any((weight != 0).any() for weight in model.get_layer("correction").get_weights())


@pytest.mark.parametrize("name", ["gru_stacked", "gru_deep", "gru_linear_skip", "gru_dropout"])
def test_a_kept_model_says_the_same(name, readings, tmp_path):
    keras.utils.set_random_seed(0)
    model = models.build("forecast", name, readings, {})
    inputs, _ = readings.test.gather(np.arange(5))
    model.optimizer.build(model.trainable_variables)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert (np.asarray(again(inputs)) == np.asarray(model(inputs))).all()
    assert again.count_params() == model.count_params()
