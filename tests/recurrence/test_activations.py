"""Activations against Keras's, and their derivatives against finite differences."""

import keras
import numpy as np
import pytest

from sunhwan.recurrence.reference.activations import ACTIVATIONS

NAMES = [name for name in ACTIVATIONS if name is not None]
# Both sides of every kink, the kinks, the saturated ends, and where a careless sigmoid overflows.
POINTS = np.array([-1000.0, -100, -6, -3, -2.9, -1, -1e-3, 0, 1e-3, 1, 2.9, 3, 6, 100, 1000])


@pytest.mark.parametrize("name", NAMES)
def test_values_are_those_of_keras(name):
    points = POINTS.astype("float32")
    expected = np.asarray(keras.activations.get(name)(points))
    # float32 rounds at 6e-8 of a value; XLA's own tanh and exp are good to a few such.
    np.testing.assert_allclose(ACTIVATIONS[name](points), expected, rtol=1e-6, atol=1e-7)
    assert ACTIVATIONS[name](points).dtype == np.float32


@pytest.mark.parametrize("name", NAMES)
def test_derivatives_are_finite_differences(name):
    activation = ACTIVATIONS[name]
    smooth = POINTS[~np.isin(POINTS, [-3, 0, 3])]
    step = 1e-5  # truncation step**2 = 1e-10, rounding 1000 * 1e-16 / step = 1e-8
    differences = (activation(smooth + step) - activation(smooth - step)) / (2 * step)
    np.testing.assert_allclose(activation.derivative(activation(smooth)), differences, rtol=0, atol=1e-7)


@pytest.mark.parametrize("name", NAMES)
def test_derivatives_keep_the_dtype(name):
    assert ACTIVATIONS[name].derivative(np.zeros(2, "float32")).dtype == np.float32


def test_a_derivative_is_zero_at_a_kink():
    relu, hard_sigmoid = ACTIVATIONS["relu"], ACTIVATIONS["hard_sigmoid"]
    assert relu.derivative(relu(np.zeros(1))) == 0
    np.testing.assert_array_equal(hard_sigmoid.derivative(hard_sigmoid(np.array([-3.0, 3.0]))), [0, 0])


def test_none_is_linear():
    assert ACTIVATIONS[None] is ACTIVATIONS["linear"]
