"""One timestep of the layers around the recurrent ones, against Keras's own on a whole sequence."""

import keras
import numpy as np
import pytest
from keras import layers

from sunhwan.recurrence.keras.timestep import ACTIVATIONS, LAYERS, Masker, array, translate

X = np.random.default_rng(0).normal(scale=3, size=(5, 4, 6)).astype(np.float32)
"""(batch, time, features)"""


def built(layer):
    """The layer, with all its weights drawn: as they are at first, many have no effect."""
    layer.build((None, None, X.shape[-1]))
    rng = np.random.default_rng(1)
    # Positive, since variances are.
    layer.set_weights([rng.uniform(0.3, 1.5, weight.shape) for weight in layer.get_weights()])
    return layer


def assert_same(layer, x=X):
    """Each timestep of `x` by itself comes out as Keras has it; to roundings of values of their size."""
    expected = keras.ops.convert_to_numpy(layer(x))
    function = translate(layer, (None, None, x.shape[-1]))
    for time in range(x.shape[1]):
        got = function(x[:, time])
        assert got.dtype == np.float32
        np.testing.assert_allclose(got, expected[:, time], rtol=2e-6, atol=2e-6)


NAMES = sorted(ACTIVATIONS)


def test_every_activation_of_keras_is_there():
    # `threshold` has arguments without defaults, so no layer can have it by name.
    of_keras = {function.__name__ for function in keras.src.activations.ALL_OBJECTS}
    assert of_keras - {"threshold", "sparsemax"} <= set(ACTIVATIONS)


@pytest.mark.parametrize("name", NAMES)
def test_activation(name):
    wide = np.concatenate([X, X * 10, np.zeros_like(X), np.float32([-3, -1, -0.5, 0.5, 1, 3]) + 0 * X])
    if name == "linear":
        assert translate(layers.Activation(name), (None, None, 6)) is None
    else:
        assert_same(layers.Activation(name), wide)


@pytest.mark.parametrize("name", sorted(set(NAMES) - {"linear", "exponential"}))
def test_activation_far_out_neither_warns_nor_overflows(name):
    x = np.float32([[-1e4, -200, -90, 90, 200, 1e4]])
    expected = keras.ops.convert_to_numpy(getattr(keras.activations, name)(x))
    got = ACTIVATIONS[name](x)
    assert np.isfinite(got).all()
    np.testing.assert_allclose(got, expected, rtol=2e-6, atol=2e-6)


@pytest.mark.parametrize("name", sorted(set(NAMES) - {"linear", "hard_shrink"}))
def test_activation_of_nan_is_nan(name):
    with np.errstate(all="ignore"):
        assert np.isnan(ACTIVATIONS[name](np.full((1, 2), np.nan, np.float32))).all()


@pytest.mark.parametrize(
    "layer",
    [
        layers.Dense(3),
        layers.Dense(3, use_bias=False),
        layers.Dense(4, "softmax"),
        layers.Dense(4, "glu"),
        layers.Dense(4, activation=layers.LeakyReLU(0.4)),
        layers.Dense(3, lora_rank=2),
        layers.TimeDistributed(layers.Dense(3, "tanh")),
        layers.BatchNormalization(),
        layers.BatchNormalization(axis=2, scale=False),
        layers.BatchNormalization(center=False, epsilon=0.1),
        layers.TimeDistributed(layers.BatchNormalization(axis=1)),
        layers.LayerNormalization(),
        layers.LayerNormalization(axis=[2], center=False),
        layers.LayerNormalization(axis=2, scale=False, epsilon=0.1),
        layers.Normalization(mean=[1, 2, 3, 4, 5, 6], variance=[1, 2, 3, 4, 5, 0]),
        layers.Normalization(axis=None, mean=2.0, variance=3.0),
        layers.Rescaling(0.1, 2),
        layers.Rescaling([1, 2, 3, 4, 5, 6], offset=-1.0),
        layers.ReLU(),
        layers.ReLU(max_value=2, negative_slope=0.3),
        layers.ReLU(max_value=6, threshold=1),
        layers.ReLU(negative_slope=0.3, threshold=1),
        layers.LeakyReLU(0.05),
        layers.ELU(0.7),
        layers.Softmax(),
        layers.Softmax(axis=2),
        layers.Masking(X[0, 0, 0]),
    ],
    ids=lambda layer: layer.name,
)
def test_layer(layer):
    assert_same(built(layer))


@pytest.mark.parametrize("options", [{}, {"axis": None}, {"axis": 2}, {"invert": True}])
def test_normalization_that_was_adapted(options):
    layer = layers.Normalization(**options)
    layer.adapt(2 + 3 * X)
    assert_same(layer)


@pytest.mark.parametrize(
    "layer",
    [
        layers.Dropout(0.5),
        layers.SpatialDropout1D(0.5),
        layers.GaussianDropout(0.5),
        layers.GaussianNoise(1.0),
        layers.AlphaDropout(0.5),
        layers.ActivityRegularization(1.0),
        layers.Identity(),
        layers.Activation(None),
        layers.TimeDistributed(layers.Dropout(0.5)),
    ],
    ids=lambda layer: layer.name,
)
def test_layer_without_effect(layer):
    assert translate(layer, (None, None, 6)) is None
    np.testing.assert_array_equal(layer(X), X)


def test_embedding_and_its_mask():
    layer = layers.Embedding(7, 3, mask_zero=True)
    tokens = np.array([[0, 6], [2, 0]])
    expected, mask = layer(tokens), layer.compute_mask(tokens)
    function = translate(layer, (None, None))
    for time in (0, 1):
        np.testing.assert_array_equal(function(tokens[:, time]), expected[:, time])
        np.testing.assert_array_equal(function.mask, mask[:, time])


def test_embedding_without_a_mask():
    layer = layers.Embedding(7, 3)
    expected = layer(np.array([[4]]))
    function = translate(layer, (None, None))
    assert not isinstance(function, Masker)
    np.testing.assert_array_equal(function(np.array([4])), expected[:, 0])


def test_masking_and_its_mask():
    layer = layers.Masking(-1.0)
    x = np.float32([[[-1, -1], [-1, 2]], [[0, 0], [-1, -1]], [[np.nan, -1], [-1, np.nan]]])
    function = translate(layer, (None, None, 2))
    for time in (0, 1):
        np.testing.assert_array_equal(function(x[:, time]), layer(x)[:, time])
        np.testing.assert_array_equal(function.mask, layer.compute_mask(x)[:, time])


def test_flatten_and_reshape_after_the_sequence():
    x = X[:, 0]
    reshaped = translate(layers.Reshape((-1, 2)), (None, 6), timed=False)(x)
    np.testing.assert_array_equal(reshaped, layers.Reshape((-1, 2))(x))
    flat = translate(layers.Flatten(), (None, 3, 2), timed=False)(reshaped)
    np.testing.assert_array_equal(flat, x)


def test_weights_are_copied():
    layer = built(layers.Dense(3))
    function = translate(layer, (None, None, 6))
    before = function(X[:, 0])
    layer.set_weights([0 * weight for weight in layer.get_weights()])
    np.testing.assert_array_equal(function(X[:, 0]), before)


def test_weights_are_contiguous():
    # PyTorch keeps some of what initializers draw transposed; the native library reads rows.
    transposed = np.arange(6.0, dtype=np.float32).reshape(2, 3).T
    assert array(transposed).flags.c_contiguous
    np.testing.assert_array_equal(array(transposed), transposed)


class OwnDense(layers.Dense):
    """May do anything."""


@pytest.mark.parametrize(
    ("layer", "why"),
    [
        (layers.Bidirectional(layers.GRU(2), name="both"), "'both' .Bidirectional. .*reads backwards"),
        (layers.RNN(layers.GRUCell(2)), "Keras's own SimpleRNN, GRU and LSTM"),
        (layers.ConvLSTM1D(2, 1), "Keras's own SimpleRNN, GRU and LSTM"),
        (layers.Lambda(lambda x: x, name="own"), "'own' .Lambda. .*may depend on other"),
        (layers.Conv1D(2, 3), "Conv1D. cannot be stepped: its single timestep is not implemented"),
        (layers.GlobalAveragePooling1D(), "GlobalAveragePooling1D"),
        (layers.Attention(), "Attention"),
        (OwnDense(2), "OwnDense. cannot be stepped: its class is derived from Dense and may"),
        (layers.Flatten(), "all timesteps at once"),
        (layers.Reshape((3, 2)), "all timesteps at once"),
        (layers.TimeDistributed(layers.Conv1D(2, 1)), "Conv1D"),
        (layers.TimeDistributed(layers.Embedding(3, 2)), r"input has the shape \(None, 6\)"),
        (layers.TimeDistributed(layers.Masking()), r"input has the shape \(None, 6\)"),
        (layers.Embedding(3, 2), r"input has the shape \(None, None, 6\)"),
        (layers.BatchNormalization(axis=1), "axis 1, expected the last"),
        (layers.LayerNormalization(axis=[1, 2]), r"axis \[1, 2\], expected the last"),
        (layers.Softmax(axis=1), "axis 1, expected the last"),
        (layers.Rescaling(np.ones((2, 6))), r"shape \(2, 6\)"),
        (
            layers.Dense(2, keras.ops.gelu),
            r"activation is keras\..*gelu, expected one of keras\.activations",
        ),
        (layers.Activation("sparsemax"), "activation is .*sparsemax, expected one of"),
        (layers.Dense(2, lambda x: x), "activation is .*<lambda>, expected one of"),
        (layers.Dense(2, dtype="float64"), "computes in float64"),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_refused_layers(layer, why):
    if type(layer) is layers.Dense and layer.compute_dtype == "float32":
        layer.build((None, None, 6))
    with pytest.raises(ValueError, match=rf"{why}.*Call model\.predict on whole sequences"):
        translate(layer, (None, None, 6))


def test_refuses_statistics_of_each_timestep():
    layer = layers.Normalization(axis=(1, 2))
    layer.adapt(X)
    with pytest.raises(ValueError, match=r"shape \(1, 4, 6\), expected one for each feature"):
        translate(layer, (None, 4, 6))
    one_a_timestep = layers.Normalization(axis=1)
    one_a_timestep.adapt(X[:, :, :4])
    with pytest.raises(ValueError, match=r"shape \(1, 4, 1\), expected one for each feature"):
        translate(one_a_timestep, (None, 4, 4))


def test_refuses_quantized_weights():
    layer = built(layers.Dense(4))
    layer.quantize("int8")
    with pytest.raises(ValueError, match=r"quantized \(int8\)"):
        translate(layer, (None, None, 6))


def test_refuses_what_has_no_axis_of_features():
    with pytest.raises(ValueError, match=r"its input is \(batch, time\), expected \(batch, time, features\)"):
        translate(layers.Dense(2), (None, 6))


def test_refuses_time_where_there_is_none():
    with pytest.raises(ValueError, match="axis 1 of its input is not the time"):
        translate(layers.TimeDistributed(layers.Dense(2)), (None, 3, 2), timed=False)
    with pytest.raises(ValueError, match="channels_first"):
        translate(layers.Flatten(data_format="channels_first"), (None, 3, 2), timed=False)


def test_every_layer_of_the_table_is_tested():
    tested = {
        case.__class__
        for test in (test_layer, test_layer_without_effect)
        for mark in test.pytestmark
        for case in mark.args[1]
    }
    assert set(LAYERS) - tested == {layers.Embedding, layers.Flatten, layers.Reshape}
