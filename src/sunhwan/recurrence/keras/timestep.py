"""One timestep of Keras's layers without state, in NumPy, for `Stepper`.

>>> import keras, numpy as np
>>> dense = keras.layers.Dense(2, "relu", kernel_initializer="ones")
>>> dense.build((None, None, 3))
>>> translate(dense, (None, None, 3))(np.float32([[1, 2, 3]]))
array([[6., 6.]], dtype=float32)

Translated layers take and return float32 arrays (batch, features): one timestep of Keras's (batch, time,
features). Weights are copied; Keras is not used again.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NoReturn

import keras
import numpy as np
from scipy.special import erf, expit

from sunhwan.recurrence.keras import seam

Function = Callable[[np.ndarray], np.ndarray]


def translate(layer: Any, shape: tuple, timed: bool = True) -> Function | None:
    """A layer as a function of one timestep, in inference; None if it does nothing.

    Args:
        shape: of the layer's input in Keras: (batch, time, features), or (batch, time) for token ids.
        timed: whether axis 1 is the time; not after a recurrent layer that returns only its last output.

    Raises:
        ValueError: the layer cannot be stepped; the message says why, and what to do.
    """
    refuse_numbers(layer)
    if type(layer) not in LAYERS:
        refuse(layer, _why_unknown(layer))
    if timed and len(shape) == 2 and not isinstance(layer, (keras.layers.Embedding, *WITHOUT_EFFECT)):
        refuse(layer, "its input is (batch, time), expected (batch, time, features)")
    return LAYERS[type(layer)](layer, shape, timed)


def refuse(layer: Any, why: str) -> NoReturn:
    """Raises the ValueError of a layer that cannot be stepped."""
    raise ValueError(
        f"the layer {layer.name!r} ({type(layer).__name__}) cannot be stepped: {why}. "
        "Call model.predict on whole sequences, or train a model without it."
    )


def refuse_numbers(layer: Any) -> None:
    """Raises if a layer's arithmetic cannot be replaced by float32."""
    if mode := getattr(layer, "quantization_mode", None):
        refuse(layer, f"its weights are quantized ({mode})")
    if layer.compute_dtype == "float64":
        refuse(layer, "it computes in float64, a Stepper in float32")


def array(variable: Any) -> np.ndarray:
    """A copy of a Keras variable in float32; a view would change with the model's training."""
    return np.array(keras.ops.convert_to_numpy(variable), np.float32, order="C")


def _why_unknown(layer):
    if isinstance(layer, keras.layers.Bidirectional):
        return "it also reads backwards, so a new timestep would change all earlier outputs"
    if base := next((cls for cls in (*seam.LAYERS, *LAYERS) if isinstance(layer, cls)), None):
        return f"its class is derived from {base.__name__} and may override anything"
    if isinstance(layer, keras.layers.RNN):
        return "only Keras's own SimpleRNN, GRU and LSTM have kernels"
    if isinstance(layer, keras.layers.Lambda):
        return "its Python function may depend on other timesteps"
    return "its single timestep is not implemented"


# ---- Activations, by Keras's names ----


def _softmax(x):
    y = np.exp(x - x.max(-1, keepdims=True))
    return y / y.sum(-1, keepdims=True)


def _log_softmax(x):
    x = x - x.max(-1, keepdims=True)
    return x - np.log(np.exp(x).sum(-1, keepdims=True))


def _glu(x):
    values, gates = np.split(x, 2, axis=-1)
    return values * expit(gates)


def _softplus(x):
    return np.logaddexp(x, 0)


def _elu(x):
    return np.where(x > 0, x, np.expm1(np.minimum(x, 0)))


def _relu6(x):
    return np.clip(x, 0, 6)


ACTIVATIONS: dict[str, Function | None] = {
    "celu": _elu,
    "elu": _elu,
    "exponential": np.exp,
    "gelu": lambda x: x * (0.5 + 0.5 * erf(x / math.sqrt(2))),
    "glu": _glu,
    "hard_shrink": lambda x: np.where(np.abs(x) > 0.5, x, 0),
    "hard_sigmoid": lambda x: _relu6(x + 3) / 6,
    "hard_silu": lambda x: x * _relu6(x + 3) / 6,
    "hard_tanh": lambda x: np.clip(x, -1, 1),
    "leaky_relu": lambda x: np.where(x > 0, x, 0.2 * x),
    "linear": None,
    "log_sigmoid": lambda x: -_softplus(-x),
    "log_softmax": _log_softmax,
    "mish": lambda x: x * np.tanh(_softplus(x)),
    "relu": lambda x: np.maximum(x, 0),
    "relu6": _relu6,
    "selu": lambda x: 1.0507009873554805 * np.where(x > 0, x, 1.6732632423543772 * _elu(x)),
    "sigmoid": expit,
    "silu": lambda x: x * expit(x),
    "soft_shrink": lambda x: x - np.clip(x, -0.5, 0.5),
    "softmax": _softmax,
    "softplus": _softplus,
    "softsign": lambda x: x / (np.abs(x) + 1),
    "sparse_plus": lambda x: np.where(x <= -1, 0, np.where(x < 1, (x + 1) ** 2 / 4, x)),
    "sparse_sigmoid": lambda x: np.clip((x + 1) / 2, 0, 1),
    "squareplus": lambda x: (x + np.sqrt(x * x + 4)) / 2,
    "tanh": np.tanh,
    "tanh_shrink": lambda x: x - np.tanh(x),
}
"""Over the last axis, with Keras's default arguments; None is no activation.

`sparsemax` is missing: that of Keras 3.15 is not the published function (its outputs need not sum to 1). A
later Keras may fix it, and a model's numbers are those of the Keras that it was trained with.
"""


def _activation(layer, shape, timed):
    chosen = layer.activation
    if isinstance(chosen, keras.Layer):
        return translate(chosen, shape, timed)
    # By identity: a function of the same name may have other defaults, such as keras.ops.gelu.
    for name, function in ACTIVATIONS.items():
        if chosen is getattr(keras.activations, name, None):
            return function
    refuse(
        layer,
        f"its activation is {seam.full_name(chosen)}, expected one of keras.activations except sparsemax",
    )


# ---- Layers ----


def _without_effect(layer, shape, timed):
    return None


def _dense(layer, shape, timed):
    kernel = array(layer.kernel)
    # In the shape of one sequence's output: broadcasting would cost NumPy 0.5 us.
    bias = None if layer.bias is None else array(layer.bias)[np.newaxis]
    activation = _activation(layer, (*shape[:-1], layer.units), timed)

    def dense(x):
        y = x.dot(kernel)
        if bias is not None:
            y = y + bias
        return y if activation is None else activation(y)

    return dense


def _relu(layer, shape, timed):
    slope, most, threshold = layer.negative_slope, layer.max_value, layer.threshold

    def relu(x):
        y = np.where(x <= threshold, slope * (x - threshold) if slope else 0, x)
        return y if most is None else np.minimum(y, most)

    return relu


def _leaky_relu(layer, shape, timed):
    slope = layer.negative_slope
    return lambda x: np.where(x > 0, x, slope * x)


def _elu_layer(layer, shape, timed):
    alpha = layer.alpha
    return lambda x: np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0)))


def _softmax_layer(layer, shape, timed):
    _over_last_axis(layer, shape)
    return _softmax


def _batch_normalization(layer, shape, timed):
    _over_last_axis(layer, shape)
    mean = array(layer.moving_mean)
    scale = 1 / np.sqrt(array(layer.moving_variance) + np.float32(layer.epsilon))
    if layer.gamma is not None:
        scale *= array(layer.gamma)
    beta = 0 if layer.beta is None else array(layer.beta)
    return lambda x: (x - mean) * scale + beta


def _layer_normalization(layer, shape, timed):
    _over_last_axis(layer, shape)
    if layer.rms_scaling:
        refuse(layer, "it has the deprecated rms_scaling=True")
    epsilon = layer.epsilon
    gamma = 1 if layer.gamma is None else array(layer.gamma)
    beta = 0 if layer.beta is None else array(layer.beta)

    def layer_normalization(x):
        centered = x - x.mean(-1, keepdims=True)
        variance = np.square(centered).mean(-1, keepdims=True)
        return centered / np.sqrt(variance + epsilon) * gamma + beta

    return layer_normalization


def _normalization(layer, shape, timed):
    mean, spread = array(layer.mean), np.sqrt(array(layer.variance))
    if mean.size not in (1, shape[-1]) or mean.shape[-1:] not in ((), (mean.size,)):
        refuse(layer, f"its means have the shape {mean.shape}, expected one for each feature")
    mean = mean.reshape(-1)
    spread = np.maximum(spread.reshape(-1), np.float32(keras.config.epsilon()))
    if layer.invert:
        return lambda x: x * spread + mean
    return lambda x: (x - mean) / spread


def _rescaling(layer, shape, timed):
    scale, offset = np.asarray(layer.scale, np.float32), np.asarray(layer.offset, np.float32)
    if scale.ndim > 1 or offset.ndim > 1:
        refuse(layer, f"its scale has the shape {scale.shape}, its offset {offset.shape}; expected numbers")
    return lambda x: x * scale + offset


def _time_distributed(layer, shape, timed):
    if not timed:
        refuse(layer, "axis 1 of its input is not the time")
    return translate(layer.layer, (shape[0], *shape[2:]), timed=False)


def _flatten(layer, shape, timed):
    if timed or layer.data_format == "channels_first":
        refuse(layer, "it needs all timesteps at once" if timed else "its data_format is 'channels_first'")
    return lambda x: x.reshape(len(x), -1)


def _reshape(layer, shape, timed):
    if timed:
        refuse(layer, "it needs all timesteps at once")
    target = layer.target_shape
    return lambda x: x.reshape(len(x), *target)


class Masker:
    """A layer that provides the mask of the recurrent layers after it.

    Attributes:
        mask: (batch,) true for rows of data in the last call, false for padding.
    """

    def __init__(self, function: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]):
        self._function = function

    def __call__(self, x: np.ndarray) -> np.ndarray:
        y, self.mask = self._function(x)
        return y


def _embedding(layer, shape, timed):
    if not timed or len(shape) != 2:
        refuse(layer, f"its input has the shape {shape}, expected (batch, time)")
    table = array(layer.embeddings)
    if layer.mask_zero:
        return Masker(lambda tokens: (table[tokens], tokens != 0))
    return lambda tokens: table[tokens]


def _masking(layer, shape, timed):
    if not timed or len(shape) != 3:
        refuse(layer, f"its input has the shape {shape}, expected (batch, time, features)")
    value = np.float32(layer.mask_value)

    def masking(x):
        mask = (x != value).any(-1)
        return np.where(mask[:, np.newaxis], x, np.float32(0)), mask

    return Masker(masking)


def _over_last_axis(layer, shape):
    axes = layer.axis if isinstance(layer.axis, (list, tuple)) else [layer.axis]
    if [axis % len(shape) for axis in axes] != [len(shape) - 1]:
        refuse(layer, f"it works along axis {layer.axis}, expected the last only")


WITHOUT_EFFECT = (
    keras.layers.ActivityRegularization,
    keras.layers.AlphaDropout,
    keras.layers.Dropout,
    keras.layers.GaussianDropout,
    keras.layers.GaussianNoise,
    keras.layers.Identity,
    keras.layers.SpatialDropout1D,
)
"""Layers that do nothing in inference."""

LAYERS: dict[type, Callable[[Any, tuple, bool], Function | None]] = {
    **dict.fromkeys(WITHOUT_EFFECT, _without_effect),
    keras.layers.Activation: _activation,
    keras.layers.BatchNormalization: _batch_normalization,
    keras.layers.Dense: _dense,
    keras.layers.ELU: _elu_layer,
    keras.layers.Embedding: _embedding,
    keras.layers.Flatten: _flatten,
    keras.layers.LayerNormalization: _layer_normalization,
    keras.layers.LeakyReLU: _leaky_relu,
    keras.layers.Masking: _masking,
    keras.layers.Normalization: _normalization,
    keras.layers.ReLU: _relu,
    keras.layers.Rescaling: _rescaling,
    keras.layers.Reshape: _reshape,
    keras.layers.Softmax: _softmax_layer,
    keras.layers.TimeDistributed: _time_distributed,
}
"""By a layer's exact class: derived classes may override anything."""
