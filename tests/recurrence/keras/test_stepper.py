"""`Stepper` against `model.predict` of stock Keras, on sequences that grow."""

import copy
import gc
import pickle

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import layers

import sunhwan
from sunhwan import Stepper, native

CELLS = [
    pytest.param(layers.SimpleRNN, {}, id="simple_rnn"),
    pytest.param(layers.GRU, {}, id="gru"),
    pytest.param(layers.GRU, {"reset_after": False}, id="gru reset before"),
    pytest.param(layers.LSTM, {}, id="lstm"),
]


def randomized(model, seed=0):
    """The model with all its weights drawn: as they are at first, biases and statistics have no effect."""
    rng = np.random.default_rng(seed)
    for weight in model.weights:
        value = rng.normal(scale=0.5, size=weight.shape)
        weight.assign(np.abs(value) + 0.1 if "variance" in weight.path else value)
    return model


def sequential(*stack, shape=(None, 5), seed=0):
    return randomized(keras.Sequential([keras.Input(shape), *stack]), seed)


def drawn(batch, time, features=5, seed=0):
    return np.random.default_rng(seed).normal(size=(batch, time, features)).astype(np.float32)


def after(model, x):
    """What Keras puts out for the sequences x, at their last timestep."""
    output = model.predict(x, verbose=0)
    recurrent = [layer for layer in model._flatten_layers() if isinstance(layer, keras.layers.RNN)]
    return output[:, -1] if recurrent[-1].return_sequences else output


def assert_close(got, expected):
    assert got.dtype == np.float32
    assert got.shape == expected.shape
    np.testing.assert_allclose(got, expected, rtol=0, atol=1e-5 * max(1, np.abs(expected).max()))


def assert_follows(model, x, times=None):
    """Stepping through x (batch, time, ...) gives what Keras does for each prefix, or for some `times`."""
    stepper = Stepper(model)
    for time in range(1, x.shape[1] + 1):
        got = stepper.step(x[:, time - 1])
        if times is None or time in times:
            assert_close(got, after(model, x[:, :time]))


# ---- The same numbers as Keras ----


@pytest.mark.parametrize("batch", [1, 20])
@pytest.mark.parametrize(("layer", "options"), CELLS)
def test_cell_on_growing_prefixes(layer, options, batch):
    assert_follows(sequential(layer(7, **options), layers.Dense(2)), drawn(batch, 4))


@pytest.mark.parametrize("sequences", [False, True])
@pytest.mark.parametrize(("layer", "options"), CELLS)
def test_stacked_with_other_activations(layer, options, sequences):
    model = sequential(
        layer(6, return_sequences=True, activation="relu", use_bias=False, **options),
        layers.Dropout(0.5),
        layer(9, return_sequences=sequences, activation="hard_sigmoid", dropout=0.3, **options),
        layers.Dense(3, "softmax"),
    )
    assert_follows(model, drawn(3, 5), times=[1, 5])


def test_head_and_tail_of_many_layers():
    normalization = layers.Normalization()
    normalization.adapt(3 + 2 * drawn(4, 9, seed=1))
    model = keras.Sequential(
        [
            keras.Input((None, 5)),
            normalization,
            layers.Rescaling(0.5, 0.1),
            layers.TimeDistributed(layers.Dense(4, "gelu")),
            layers.GaussianNoise(1.0),
            layers.LSTM(6, return_sequences=True),
            layers.LayerNormalization(),
            layers.SpatialDropout1D(0.5),
            layers.SimpleRNN(8, return_sequences=True),
            layers.BatchNormalization(),
            layers.GRU(7),
            layers.Dense(12),
            layers.LeakyReLU(),
            layers.BatchNormalization(),
            layers.Dropout(0.5),
            layers.Dense(6, "swish"),
            layers.Reshape((3, 2)),
            layers.Dense(4),
            layers.Softmax(),
        ]
    )
    for layer in model.layers[2:]:
        randomized(layer)
    assert_follows(model, drawn(3, 4), times=[1, 4])


def test_no_head_puts_out_what_does_not_change_any_more():
    model = sequential(layers.GRU(4))
    stepper, x = Stepper(model), drawn(2, 2)
    first = stepper.step(x[:, 0])
    kept = first.copy()
    stepper.step(x[:, 1])
    np.testing.assert_array_equal(first, kept)
    first[:] = 7
    stepper.reset()
    np.testing.assert_array_equal(stepper.step(x[:, 0]), kept)


def test_sequence_to_sequence_model():
    model = sequential(layers.LSTM(4, return_sequences=True), layers.TimeDistributed(layers.Dense(2)))
    assert_follows(model, drawn(3, 3))


@pytest.mark.parametrize("unroll", [False, True])
def test_unrolled_stateful_and_state_returning_layers(unroll):
    inputs = keras.Input(batch_shape=(2, 3, 5))
    x = layers.GRU(4, return_sequences=True, stateful=True, unroll=unroll)(inputs)
    x, _, _ = layers.LSTM(4, return_state=True, unroll=unroll)(x)
    model = keras.Model(inputs, layers.Dense(1)(x))
    for layer in model.layers:
        if not getattr(layer, "stateful", False):
            randomized(layer)
    x = drawn(2, 3)
    expected = model.predict(x, batch_size=2, verbose=0)  # leaves a state in the layer
    assert_close(Stepper(model).step(x), expected)


def test_models_within_models():
    encoder = keras.Sequential([layers.Dense(4, "tanh"), layers.GRU(6, return_sequences=True)])
    inputs = keras.Input((None, 5))
    head_inputs = keras.Input((3,))
    head = keras.Model(head_inputs, layers.Dense(2)(layers.ReLU()(head_inputs)))
    model = randomized(keras.Model(inputs, head(layers.LSTM(3)(encoder(inputs)))))
    assert_follows(model, drawn(2, 3))


def test_layer_that_is_called_twice_has_a_state_for_each():
    twice = layers.GRU(5, return_sequences=True)
    inputs = keras.Input((None, 5))
    model = randomized(keras.Model(inputs, twice(twice(inputs))))
    assert_follows(model, drawn(2, 3))
    assert len(Stepper(model).state) == 2


def test_model_that_was_built_by_its_first_call_and_trained():
    model = keras.Sequential([layers.GRU(4), layers.Dense(1)])
    model.compile("adam", "mse")
    model.fit(drawn(8, 3), drawn(8, 1, 1)[:, 0], epochs=2, verbose=0)
    assert_follows(model, drawn(2, 4), times=[4])


def test_functional_model_of_a_class_of_ones_own():
    class Net(keras.Model):
        def train_step(self, *args):
            return {}

    inputs = keras.Input((None, 5))
    assert_follows(randomized(Net(inputs, layers.SimpleRNN(3)(inputs))), drawn(2, 3), times=[3])


def test_loaded_model(tmp_path):
    model = sequential(layers.LSTM(4), layers.Dense(2, "gelu"))
    model.save(tmp_path / "model.keras")
    assert_follows(keras.saving.load_model(tmp_path / "model.keras"), drawn(2, 3), times=[3])


def test_mixed_precision_is_computed_in_float32():
    model = sequential(layers.GRU(6, dtype="mixed_bfloat16"), layers.Dense(1, dtype="mixed_bfloat16"))
    exact = sequential(layers.GRU(6), layers.Dense(1))
    exact.set_weights(model.get_weights())
    x = drawn(2, 4)
    assert_close(Stepper(model).step(x), after(exact, x))


RECURRENT = [layers.SimpleRNN, layers.GRU, layers.LSTM]
WIDTHS = st.one_of(st.integers(1, 40), st.sampled_from([15, 16, 17, 31, 32, 33, 64, 65]))


# Keras compiles its usual initializers anew for each shape, which takes longer than the rest.
ZEROS = {"kernel_initializer": "zeros"}


@settings(max_examples=20)
@given(data=st.data())
def test_any_size_and_stack(data):
    depth = data.draw(st.integers(1, 3))
    stack = []
    for level in range(depth):
        if data.draw(st.booleans()):
            stack.append(
                layers.Dense(data.draw(WIDTHS), data.draw(st.sampled_from(["tanh", "elu"])), **ZEROS)
            )
        cell = data.draw(st.sampled_from(RECURRENT))
        sequences = level < depth - 1 or data.draw(st.booleans())
        stack.append(
            cell(data.draw(WIDTHS), return_sequences=sequences, recurrent_initializer="zeros", **ZEROS)
        )
    if data.draw(st.booleans()):
        stack.append(layers.Dense(data.draw(st.integers(1, 5)), **ZEROS))
    features, batch, time = data.draw(WIDTHS), data.draw(st.integers(1, 20)), data.draw(st.integers(1, 6))
    model = keras.Sequential([keras.Input((None, features)), *stack])
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    for weight in model.weights:  # so that wide layers do not saturate
        weight.assign(rng.normal(size=weight.shape) / np.sqrt(weight.shape[0]))
    assert_follows(model, drawn(batch, time, features), times=[time])


# ---- Masks ----

TOKENS = np.array([[3, 1, 0, 2, 0], [0, 0, 4, 0, 1], [0, 0, 0, 0, 0], [1, 2, 3, 4, 0], [2, 2, 2, 2, 2]])


@pytest.mark.parametrize("sequences", [False, True])
@pytest.mark.parametrize(("layer", "options"), CELLS)
def test_padding_is_no_step(layer, options, sequences):
    model = sequential(
        layers.Embedding(5, 3, mask_zero=True),
        layers.Dropout(0.2),
        layer(6, return_sequences=True, **options),
        layers.LayerNormalization(),
        layer(4, return_sequences=sequences, **options),
        layers.Dense(2),
        shape=(None,),
    )
    assert_follows(model, TOKENS, times=[1, 3, 5])


def test_padding_leaves_state_and_output_as_they_were():
    model = sequential(layers.Embedding(5, 3, mask_zero=True), layers.LSTM(4), shape=(None,))
    stepper = Stepper(model)
    first, state = stepper.step(3), stepper.state
    np.testing.assert_array_equal(stepper.step(0), first)
    for part, before in zip(stepper.state, state, strict=True):
        np.testing.assert_array_equal(part, before)
    assert not np.array_equal(stepper.step(3), first)


def test_tokens_without_a_mask():
    model = sequential(layers.Embedding(5, 3), layers.GRU(4), layers.Dense(1), shape=(None,))
    assert_follows(model, TOKENS, times=[1, 4])


@pytest.mark.parametrize("unroll", [False, True])
@pytest.mark.parametrize("zero", [False, True])
def test_masking(zero, unroll):
    x = drawn(5, 4)
    x[TOKENS[:, :4] == 0] = -1
    model = sequential(
        layers.Masking(-1.0),
        layers.GRU(4, return_sequences=True, zero_output_for_mask=zero, unroll=unroll),
        layers.Dense(3),
        layers.LSTM(4, return_sequences=True, zero_output_for_mask=zero, unroll=unroll),
        layers.Dense(2),
        shape=(4, 5) if unroll else (None, 5),
    )
    # An unrolled model takes only sequences of its own length.
    assert_follows(model, x, times=[4] if unroll else None)


@pytest.mark.filterwarnings("ignore:Layer 'ends' .* destroy the mask information")
def test_mask_that_ends_at_a_layer():
    ends = layers.Dense(3, name="ends")
    ends.supports_masking = False
    model = sequential(
        layers.Embedding(5, 3, mask_zero=True),
        layers.GRU(4, return_sequences=True),
        ends,
        layers.LSTM(4),
        shape=(None,),
    )
    assert_follows(model, TOKENS, times=[3, 5])


def test_mask_that_begins_behind_a_recurrent_layer():
    model = sequential(
        layers.GRU(4, activation="relu", return_sequences=True), layers.Masking(), layers.GRU(3)
    )
    gru = model.layers[0]
    gru.set_weights([0 * gru.get_weights()[0], 0 * gru.get_weights()[1], gru.get_weights()[2]])
    for bias in (-10, 10):  # relu puts out nothing, or something
        kernel, recurrent_kernel, biases = gru.get_weights()
        gru.set_weights([kernel, recurrent_kernel, np.full_like(biases, bias)])
        assert_follows(model, drawn(2, 3), times=[3])


# ---- What a step takes ----


def test_one_sequence_many_and_a_few_timesteps_agree():
    stepper, x = Stepper(sequential(layers.LSTM(6), layers.Dense(2))), drawn(1, 4)
    together = stepper.step(x)
    assert together.shape == (1, 2)
    stepper.reset()
    alone = [stepper.step(timestep) for timestep in x[0]]
    assert alone[-1].shape == (2,)
    np.testing.assert_array_equal(alone[-1], together[0])
    stepper.reset()
    stepper.step(x[:, :3])
    np.testing.assert_array_equal(stepper.step(x[:, 3]), together)


def test_one_token_many_and_a_few_timesteps_agree():
    stepper = Stepper(sequential(layers.Embedding(5, 3), layers.GRU(4), shape=(None,)))
    together = stepper.step([[3, 4]])
    stepper.reset()
    stepper.step(3)
    alone = stepper.step(4)
    assert alone.shape == (4,)
    np.testing.assert_array_equal(alone, together[0])
    stepper.reset()
    stepper.step(np.uint8([3]))
    np.testing.assert_array_equal(stepper.step(np.int64([4])), together)


@pytest.mark.parametrize("dtype", ["float16", "float64", "int32", "bool", ">f4"])
def test_other_numbers_and_layouts_are_taken(dtype):
    stepper = Stepper(sequential(layers.GRU(4)))
    x = drawn(6, 2, 10)[::2, :, ::-2].astype(dtype)
    expected = stepper.step(np.ascontiguousarray(x, np.float32))
    stepper.reset()
    np.testing.assert_array_equal(stepper.step(x), expected)
    stepper.reset()
    np.testing.assert_array_equal(stepper.step(x.tolist()), expected)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e300])
def test_nan_and_infinity_propagate_in_silence(value):
    model = sequential(layers.LayerNormalization(), layers.GRU(4), layers.Dense(3), layers.Softmax())
    stepper, x = Stepper(model), drawn(2, 2).astype(float)
    x[1, 0, 2] = value
    got = stepper.step(x)
    assert np.isnan(got[1]).all()
    assert_close(got[:1], after(model, x[:1]))
    stepper.reset([1])
    assert np.isfinite(stepper.step(x[:, 1])).all()


@pytest.mark.parametrize("shape", [(), (4,), (1,), (2, 4), (5, 1), (2, 3, 4), (2, 0, 5), (1, 2, 3, 5)])
def test_shapes_that_do_not_fit(shape):
    stepper = Stepper(sequential(layers.GRU(4)))
    with pytest.raises(
        ValueError, match=r"x has the shape .*, expected \(5,\) for one sequence, \(batch, 5\) for"
    ):
        stepper.step(np.zeros(shape, np.float32))


def test_token_shapes_that_do_not_fit():
    stepper = Stepper(sequential(layers.Embedding(5, 3), layers.GRU(4), shape=(None,)))
    with pytest.raises(ValueError, match=r"\(1, 2, 1\), expected \(\) for one sequence, \(batch,\) for"):
        stepper.step([[[1], [2]]])


@pytest.mark.parametrize("x", [["a"] * 5, [None] * 5, [1j] * 5, np.zeros(5, "datetime64[s]")])
def test_what_is_no_number(x):
    with pytest.raises(TypeError, match=r"x has dtype .*, expected numbers"):
        Stepper(sequential(layers.GRU(4))).step(x)


@pytest.mark.parametrize(
    ("tokens", "error", "message"),
    [
        ([[1, 5]], ValueError, "token ids from 1 to 5, expected 0 to 4"),
        ([[1, -1]], ValueError, "token ids from -1 to 1, expected 0 to 4"),
        (np.uint64([[1, 2**64 - 1]]), ValueError, "expected 0 to 4"),
        (1.0, TypeError, "x has dtype float64, expected integers: token ids"),
    ],
)
def test_bad_tokens_leave_the_state_alone(tokens, error, message):
    stepper = Stepper(sequential(layers.Embedding(5, 3), layers.GRU(4), shape=(None,)))
    stepper.step([1])
    before = stepper.state
    with pytest.raises(error, match=message):
        stepper.step(tokens)
    np.testing.assert_array_equal(stepper.state, before)


def test_number_of_sequences_changes_only_after_reset():
    stepper = Stepper(sequential(layers.GRU(4)))
    stepper.step(drawn(3, 1))
    before = stepper.state
    for batch in (2, 0):
        with pytest.raises(ValueError, match=rf"x has {batch} sequences, but the state has 3; call"):
            stepper.step(drawn(batch, 1))
    np.testing.assert_array_equal(stepper.state, before)
    stepper.reset()
    assert stepper.step(drawn(2, 1)).shape == (2, 4)


def test_no_sequences():
    assert Stepper(sequential(layers.GRU(4), layers.Dense(2))).step(drawn(0, 3)).shape == (0, 2)


# ---- State ----


def test_reset_of_rows_begins_only_those_anew():
    model, x = sequential(layers.GRU(4, return_sequences=True), layers.LSTM(3)), drawn(4, 3)
    stepper = Stepper(model)
    for rows in (1, [1], np.array([False, True, False, False])):
        stepper.reset()
        stepper.step(x[:, :2])
        stepper.reset(rows)
        got = stepper.step(x[:, 2])
        assert_close(got[[0, 2, 3]], after(model, x)[[0, 2, 3]])
        assert_close(got[1:2], after(model, x[1:2, 2:]))
    with pytest.raises(IndexError):
        stepper.reset(4)
    stepper.reset()
    with pytest.raises(ValueError, match=r"rows is \[1\], but no sequence has begun"):
        stepper.reset([1])


def test_state_is_a_copy_and_can_be_restored():
    model = sequential(layers.GRU(4, return_sequences=True), layers.LSTM(3), layers.Dense(2))
    stepper, x = Stepper(model), drawn(3, 4)
    assert [part.shape for part in stepper.state] == [(1, 0, 4), (2, 0, 3)]
    stepper.step(x[:, :2])
    state = stepper.state
    assert [part.shape for part in state] == [(1, 3, 4), (2, 3, 3)]
    assert all(part.dtype == np.float32 for part in state)
    kept = copy.deepcopy(state)
    expected = stepper.step(x[:, 2])
    np.testing.assert_array_equal(state[0], kept[0])
    np.testing.assert_array_equal(state[1], kept[1])
    other = Stepper(model)
    other.restore(state)
    np.testing.assert_array_equal(other.step(x[:, 2]), expected)
    state[0][:] = 9
    other.restore(kept)
    np.testing.assert_array_equal(other.step(x[:, 2]), expected)


def test_state_is_that_of_keras():
    inputs = keras.Input((None, 5))
    _, h, c = layers.LSTM(4, return_state=True)(inputs)
    model = randomized(keras.Model(inputs, [h, c]))
    stepper, x = Stepper(keras.Model(inputs, model.layers[1].output[0])), drawn(3, 4)
    stepper.step(x)
    assert_close(stepper.state[0], np.stack(model.predict(x, verbose=0)))


@pytest.mark.parametrize(
    "state",
    [
        [],
        [np.zeros((1, 2, 4))],
        [np.zeros((1, 2, 4)), np.zeros((2, 2, 4))],
        [np.zeros((1, 2, 4)), np.zeros((2, 1, 3))],
        [np.zeros((1, 2, 4)), np.zeros((1, 2, 3))],
        [np.zeros((2, 4)), np.zeros((2, 3))],
    ],
)
def test_state_that_does_not_fit(state):
    stepper = Stepper(sequential(layers.GRU(4, return_sequences=True), layers.LSTM(3)))
    stepper.step(drawn(2, 1))
    before = stepper.state
    with pytest.raises(
        ValueError, match=r"the state has the shapes .*, expected \[\(1, \d, 4\), \(2, \d, 3\)\]"
    ):
        stepper.restore(state)
    np.testing.assert_array_equal(stepper.state[1], before[1])


def test_saved_state(tmp_path):
    model, x = sequential(layers.GRU(4, return_sequences=True), layers.LSTM(3)), drawn(2, 3)
    stepper = Stepper(model)
    stepper.step(x[:, :2])
    stepper.save(tmp_path / "state")
    expected = stepper.step(x[:, 2])
    model.save(tmp_path / "model.keras")
    other = Stepper(keras.saving.load_model(tmp_path / "model.keras"))
    other.load(str(tmp_path / "state"))
    np.testing.assert_array_equal(other.step(x[:, 2]), expected)
    assert {path.name for path in tmp_path.iterdir()} == {"state", "model.keras"}


def test_saved_state_of_a_stateful_model_does_not_depend_on_its_own_states(tmp_path):
    inputs = keras.Input(batch_shape=(2, None, 5))
    model = keras.Model(inputs, layers.GRU(4, stateful=True)(inputs))
    Stepper(model).save(tmp_path / "state.npz")
    for state in model.layers[1].states:
        state.assign(np.ones((2, 4)))
    Stepper(model).load(tmp_path / "state.npz")


def test_saved_state_of_another_model(tmp_path):
    model = sequential(layers.GRU(4), layers.Dense(1))
    stepper = Stepper(model)
    stepper.step(drawn(2, 1))
    stepper.save(tmp_path / "state.npz")
    weight = model.layers[1].kernel
    weight.assign(weight + 0.1)
    other = Stepper(model)
    other.step(drawn(3, 1))
    with pytest.raises(sunhwan.SunhwanError, match=r"state\.npz.* has the state of another model"):
        other.load(tmp_path / "state.npz")
    assert other.state[0].shape == (1, 3, 4)


def test_saved_state_of_a_model_with_other_options_or_other_names(tmp_path):
    def stepper_of(**options):
        mask_value, activation = options.pop("mask_value", 0.0), options.pop("activation", "tanh")
        model = sequential(
            layers.Masking(mask_value), layers.GRU(4, activation=activation, **options), layers.Dense(1)
        )
        model.set_weights([np.full(weight.shape, 0.1) for weight in model.weights])
        return Stepper(model)

    stepper_of().save(tmp_path / "state.npz")
    stepper_of(name="other", kernel_initializer="zeros", trainable=False).load(tmp_path / "state.npz")
    for options in ({"activation": "relu"}, {"mask_value": 1.0}, {"zero_output_for_mask": True}):
        with pytest.raises(sunhwan.SunhwanError, match="another model, or of this one with other options"):
            stepper_of(**options).load(tmp_path / "state.npz")


def test_files_that_hold_no_state(tmp_path):
    stepper = Stepper(sequential(layers.GRU(4)))
    stepper.step(drawn(2, 1))
    stepper.save(tmp_path / "state.npz")
    whole = (tmp_path / "state.npz").read_bytes()
    path = tmp_path / "bad.npz"
    for content in (b"", b"text", whole[: len(whole) // 2], whole[:-30]):
        path.write_bytes(content)
        with pytest.raises(sunhwan.SunhwanError, match=r"bad\.npz' is not a complete state of") as raised:
            stepper.load(path)
        assert str(raised.value).endswith("give a file that Stepper.save wrote.")
    np.savez(path, other=np.zeros(3))
    with pytest.raises(sunhwan.SunhwanError, match="is not a complete state"):
        stepper.load(path)
    np.save(tmp_path / "one.npy", np.zeros(3))
    with pytest.raises(sunhwan.SunhwanError, match="is not a complete state"):
        stepper.load(tmp_path / "one.npy")
    with pytest.raises(FileNotFoundError):
        stepper.load(tmp_path / "none.npz")


# ---- What runs ----


def test_a_step_asks_keras_nothing_and_the_library_once_for_each_recurrent_layer(monkeypatch):
    model = sequential(layers.Dense(3), layers.GRU(4, return_sequences=True), layers.LSTM(3), layers.Dense(1))
    x = drawn(2, 3)
    expected = after(model, x)
    calls = []
    stock = native.load().sunhwan_stepper_step
    monkeypatch.setattr(
        native.load(),
        "sunhwan_stepper_step",
        lambda *arguments: calls.append(arguments) or stock(*arguments),
    )
    stepper = Stepper(model)

    def forbidden(*_, **__):
        raise AssertionError("Keras was asked")

    for owner in (keras.Layer, keras.Operation):
        monkeypatch.setattr(owner, "__call__", forbidden)
    monkeypatch.setattr(keras.ops, "convert_to_numpy", forbidden)
    for time in range(3):
        got = stepper.step(x[:, time])
    assert len(calls) == 3 * 2
    assert_close(got, expected)


@pytest.mark.parametrize(
    "head",
    [
        [],
        [layers.Reshape((2, 2)), layers.Flatten()],
        [layers.Dense(2)],
        [layers.Dropout(0.5), layers.ReLU()],
        [layers.Activation("softmax")],
        [layers.LayerNormalization()],
        [layers.BatchNormalization(), layers.Flatten()],
    ],
)
@pytest.mark.parametrize("batch", [1, 3])
def test_an_output_is_the_callers_own_and_no_head_changes_the_state(head, batch):
    stepper, x = Stepper(sequential(layers.GRU(4), *head)), drawn(batch, 3)
    headless = Stepper(sequential(layers.GRU(4)))  # with the same weights
    for time in range(3):
        state = headless.step(x[:, time])
        output = stepper.step(x[:, time])
        np.testing.assert_array_equal(stepper.state[0][0], state)
        output[...] = np.nan
        np.testing.assert_array_equal(stepper.state[0][0], state)


def test_failure_of_the_library_is_an_error(monkeypatch):
    stepper, x = Stepper(sequential(layers.GRU(4))), drawn(2, 1)
    stepper.step(x)
    layer = stepper._recurrent[0]
    monkeypatch.setattr(layer, "_run", lambda: layer._step(layer._handle, -1, None, None))
    with pytest.raises(ValueError, match="batch is -1, expected"):
        stepper.step(x)


def test_training_on_does_not_change_it():
    model = sequential(layers.GRU(4), layers.Dense(1))
    stepper, x = Stepper(model), drawn(2, 3)
    expected = after(model, x)
    for weight in model.weights:
        weight.assign(0 * weight)
    assert_close(stepper.step(x), expected)


def test_native_handles_are_freed(monkeypatch):
    freed = []
    library = native.load()
    stock = library.sunhwan_stepper_free
    monkeypatch.setattr(
        library, "sunhwan_stepper_free", lambda handle: freed.append(handle.value) or stock(handle)
    )
    stepper = Stepper(sequential(layers.GRU(4, return_sequences=True), layers.LSTM(3)))
    handles = {layer._handle.value for layer in stepper._recurrent}
    assert len(handles) == 2
    del stepper
    gc.collect()
    assert set(freed) == handles


@pytest.mark.parametrize("act", [pickle.dumps, copy.copy, copy.deepcopy])
def test_is_not_pickled_or_copied(act):
    with pytest.raises(TypeError, match=r"a Stepper cannot be pickled or copied; create another"):
        act(Stepper(sequential(layers.GRU(4))))


# ---- Models that are refused ----


def functional(build, shape=(None, 5)):
    inputs = keras.Input(shape)
    return keras.Model(inputs, build(inputs))


class OwnGRU(layers.GRU):
    """May do anything."""


class OwnCell(layers.GRUCell):
    """May do anything."""


def with_own_cell(inputs):
    layer = layers.GRU(3)
    layer.cell = OwnCell(3)
    return layer(inputs)


def with_two_inputs():
    one, other = keras.Input((None, 5)), keras.Input((4,))
    return keras.Model([one, other], layers.GRU(4)(one, initial_state=other))


def with_states_of_another(inputs):
    x, state = layers.GRU(4, return_state=True)(inputs)
    return layers.GRU(4)(layers.RepeatVector(3)(x), initial_state=state)


@pytest.mark.parametrize(
    ("build", "why"),
    [
        (lambda x: layers.Bidirectional(layers.GRU(3), name="both")(x), "'both' .*also reads backwards"),
        (lambda x: layers.LSTM(3, go_backwards=True, name="back")(x), "'back' .*go_backwards=True"),
        (lambda x: layers.RNN(layers.GRUCell(3))(x), "SimpleRNN, GRU and LSTM"),
        (lambda x: OwnGRU(3, name="own")(x), "'own' .OwnGRU. .*its class is derived from GRU and may"),
        (with_own_cell, "its cell is a OwnCell, not Keras's own"),
        (lambda x: layers.GRU(3, activation="swish")(x), "activation is 'silu'; the kernels have linear"),
        (lambda x: layers.LSTM(3, recurrent_activation="elu")(x), "its recurrent_activation is 'elu'"),
        (lambda x: layers.GRU(3, dtype="float64")(x), "computes in float64"),
        (lambda x: layers.Lambda(lambda x: 2 * x, name="twice")(layers.GRU(3)(x)), "'twice' .Lambda"),
        (lambda x: layers.Flatten()(layers.GRU(3, return_sequences=True)(x)), "Flatten.*all timesteps"),
        (lambda x: layers.GRU(3)(layers.Reshape((2, 3))(layers.GRU(6)(x))), "not the sequence of timesteps"),
        (lambda x: layers.GRU(3)(layers.RepeatVector(2)(layers.GRU(3)(x))), "RepeatVector"),
        (lambda x: layers.GRU(3)(x * 2), "the operation '.*' .Multiply. between its layers"),
        (lambda x: layers.GRU(3, return_sequences=True)(x)[:, -1], "the operation '.*' .GetItem."),
        (
            lambda x: layers.Add()([layers.GRU(3)(x), layers.GRU(3)(x)]),
            "Add.* with more or other than one tensor",
        ),
        (lambda x: layers.GRU(4, return_state=True)(x)[1], "uses another than the first"),
        (with_states_of_another, "called with initial_state=..."),
        (lambda x: layers.Dropout(0.5)(layers.GRU(3)(x), training=True), "called with training=True"),
        (lambda x: layers.GRU(3)(x, mask=keras.ops.any(x > 0, axis=-1)), "called with mask=..."),
        (lambda x: layers.GRU(3)(sequences=x), "GRU.* with more or other than one tensor"),
        (lambda x: layers.Dense(2)(x), "has no recurrent layer"),
    ],
)
@pytest.mark.filterwarnings("ignore:Explicitly requested dtype float64")
def test_refused_models(build, why):
    with pytest.raises(ValueError, match=why):
        Stepper(functional(build, shape=(6, 5)))


def test_refuses_several_inputs():
    with pytest.raises(
        ValueError, match="has 2 inputs and 1 outputs; a Stepper takes a model with one of each"
    ):
        Stepper(with_two_inputs())


def test_refuses_a_model_without_weights():
    with pytest.raises(ValueError, match=r"has no weights yet; call model\.build"):
        Stepper(keras.Sequential([layers.GRU(3)]))


def test_refuses_a_model_with_a_call_of_its_own():
    class Net(keras.Model):
        def call(self, x):
            return x

    with pytest.raises(ValueError, match=r"overrides `call`"):
        Stepper(Net())


@pytest.mark.parametrize("model", [None, "model.keras", layers.GRU(3)])
def test_takes_a_model(model):
    with pytest.raises(TypeError, match="Stepper takes a Keras model, received a"):
        Stepper(model)
