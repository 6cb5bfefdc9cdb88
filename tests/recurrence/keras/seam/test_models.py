"""Models: trained, loaded, cloned, nested and stateful ones are as stock."""

import keras
import numpy as np
import pytest
from fused_and_stock import agree, paths, sequential, series

import sunhwan


def bidirectional():
    rnn = keras.layers.LSTM(5, return_sequences=True)
    return sequential(keras.layers.Bidirectional(rnn), keras.layers.Bidirectional(keras.layers.GRU(4))), 4


def time_distributed():
    inputs = keras.Input((2, 3, 3))
    outputs = keras.layers.TimeDistributed(keras.layers.GRU(4))(keras.layers.Reshape((2, 3, 3))(inputs))
    return keras.Model(inputs, keras.layers.SimpleRNN(1)(outputs)), 2


def two_inputs_and_states():
    past, future = keras.Input((6, 3), name="past"), keras.Input((None, 2), name="future")
    output, *states = keras.layers.LSTM(5, return_state=True)(past)
    decoded = keras.layers.LSTM(5, return_sequences=True)(future, initial_state=states)
    encoded = keras.layers.RepeatVector(6)(output)
    both = keras.layers.Concatenate()([decoded, encoded])
    return keras.Model([past, future], keras.layers.GRU(1)(both)), 3


def masking():
    rnn = keras.layers.LSTM(4, return_sequences=True)
    return sequential(keras.layers.Masking(mask_value=0.0), rnn, keras.layers.GRU(3)), 2


def embedding():
    return keras.Sequential(
        [
            keras.Input((None,), dtype="int32"),
            keras.layers.Embedding(9, 4, mask_zero=True),
            keras.layers.Bidirectional(keras.layers.LSTM(4, return_sequences=True)),
            keras.layers.SimpleRNN(3),
            keras.layers.Dense(1),
        ]
    ), 3


def nested():
    inner = keras.Sequential([keras.layers.GRU(4, return_sequences=True), keras.layers.Dense(3)])
    return sequential(inner, keras.layers.SimpleRNN(4)), 2


@keras.saving.register_keras_serializable("tests")
class Subclassed(keras.Model):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.encoder = keras.layers.GRU(4, return_sequences=True, dropout=0.2, seed=2)
        self.decoder = keras.layers.SimpleRNN(1)

    def call(self, inputs, training=False):
        return self.decoder(self.encoder(inputs, training=training))


def subclassed():
    return Subclassed(), 2


MODELS = [bidirectional, time_distributed, two_inputs_and_states, masking, embedding, nested, subclassed]


def inputs_for(make):
    inputs, targets = series()
    if make is two_inputs_and_states:
        return [inputs, inputs[:, ::-1, :2].copy()], targets
    if make is embedding:
        tokens = np.random.default_rng(2).integers(1, 9, (32, 6)).astype("int32")
        tokens[np.arange(6) >= np.random.default_rng(3).integers(1, 7, (32, 1))] = 0
        return tokens, targets
    if make is masking:
        inputs[::2, :2] = 0
        inputs[1::2, 3:] = 0
    if make is time_distributed:
        return inputs.reshape(32, 2, 3, 3), targets
    return inputs, targets


@pytest.mark.parametrize("make", MODELS)
def test_models_train_and_predict_as_stock(make, tmp_path):
    inputs, targets = inputs_for(make)

    def study():
        keras.utils.set_random_seed(4)
        model, recurrent = make()
        model.compile("adam", "mse")
        # Of embedded words there is a last, smaller batch.
        batch_size = 20 if make is embedding else 16
        losses = model.fit(inputs, targets, batch_size=batch_size, verbose=0).history["loss"]
        return model, recurrent, losses, model.predict(inputs, verbose=0)

    _, _, losses, predictions = study()
    with sunhwan.accelerated():
        model, recurrent, fused_losses, fused_predictions = study()
        assert paths(model) == ["fused"] * recurrent
        path = tmp_path / "model.keras"
        model.save(path)
        others = [keras.models.load_model(path)]
        if make is nested:
            others.append(keras.models.clone_model(model))
            others[-1].set_weights(model.get_weights())
        for other in others:
            assert np.array_equal(other.predict(inputs, verbose=0), fused_predictions)
            assert paths(other) == ["fused"] * recurrent
    agree({"": fused_losses}, {"": losses})
    agree({"": fused_predictions}, {"": predictions}, tolerance=1e-4)  # what Adam made of rounding errors


@pytest.mark.parametrize("rates", [{}, {"dropout": 0.2, "recurrent_dropout": 0.3}])
@pytest.mark.parametrize("layer", ["SimpleRNN", "GRU", "LSTM"])
def test_200_steps_of_adam_leave_losses_equal_in_four_digits(layer, rates):
    inputs, targets = series(batch=320, timesteps=5)

    def losses():
        keras.utils.set_random_seed(6)
        model = sequential(getattr(keras.layers, layer)(6, **rates), timesteps=5)
        model.compile(keras.optimizers.Adam(0.01), "mse")
        return model, model.fit(inputs, targets, batch_size=16, epochs=10, verbose=0).history["loss"]

    _, stock = losses()
    with sunhwan.accelerated():
        model, fused = losses()
        assert paths(model) == ["fused"]
    assert len(stock) * 320 / 16 == 200  # few epochs, each of which costs as much as its steps
    assert stock[-1] < stock[0] / 2
    np.testing.assert_allclose(fused, stock, rtol=1e-4)


def test_states_are_kept_across_batches():
    inputs, _ = series(batch=4, timesteps=6)

    def outputs():
        keras.utils.set_random_seed(5)
        model = keras.Sequential(
            [
                keras.Input(batch_shape=(4, 3, 3)),
                keras.layers.LSTM(4, stateful=True, return_sequences=True),
                keras.layers.GRU(3, stateful=True),
            ]
        )
        first, second = (model.predict(part, verbose=0) for part in (inputs[:, :3], inputs[:, 3:]))
        states = [keras.ops.convert_to_numpy(state) for layer in model.layers for state in layer.states]
        model.layers[0].reset_state()
        model.layers[1].reset_state()
        again = model.predict(inputs[:, :3], verbose=0)
        return model, dict(first=first, second=second, again=again, **dict(zip("hcs", states, strict=True)))

    _, stock = outputs()
    with sunhwan.accelerated():
        model, fused = outputs()
        assert paths(model) == ["fused"] * 2
    agree(fused, stock)
    assert np.array_equal(fused["first"], fused["again"])
    assert not np.allclose(fused["first"], fused["second"], atol=0.01)
