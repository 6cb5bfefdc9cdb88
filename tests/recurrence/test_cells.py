"""The table of cells says what stock Keras does: shapes, and which block of columns is which gate."""

import keras
import numpy as np
import pytest

from sunhwan.recurrence.cells import CELLS

LAYERS = {"simple_rnn": keras.layers.SimpleRNN, "gru": keras.layers.GRU, "lstm": keras.layers.LSTM}


@pytest.mark.parametrize("cell", LAYERS)
@pytest.mark.parametrize("features, units", [(1, 1), (3, 5)])
def test_shapes_are_those_of_the_keras_layer(cell, features, units):
    layer = LAYERS[cell](units, recurrent_initializer="zeros")
    layer.build((None, None, features))
    shapes = [weight.shape for weight in layer.weights]
    assert list(CELLS[cell].weight_shapes(features, units)) == shapes
    assert len(CELLS[cell].states) == len(layer.state_size)


def test_a_gru_that_resets_before_the_product_has_one_row_of_bias():
    layer = keras.layers.GRU(5, reset_after=False, recurrent_initializer="zeros")
    layer.build((None, None, 3))
    shapes = [weight.shape for weight in layer.weights]
    assert list(CELLS["gru"].weight_shapes(3, 5, reset_after=False)) == shapes


def one_keras_step(cell, saturated, state_seed=0, features=2, units=3):
    """The states (states, batch, units) before and after one step of the stock layer.

    Each gate in `saturated` is given a bias that forces its sigmoid (or tanh) open or shut. Everything else
    is the same at each call; `state_seed` draws the states before.
    """
    rng = np.random.default_rng(0)
    layer = LAYERS[cell](units, return_state=True, recurrent_initializer="zeros")
    layer.build((None, None, features))
    weights = [rng.normal(size=weight.shape).astype("float32") for weight in layer.weights]
    blocks = weights[2].reshape(-1, len(CELLS[cell].gates), units)  # a view on the bias
    for gate, opened in saturated.items():
        blocks[:, CELLS[cell].gates.index(gate)] = 50 if opened else -50
    layer.set_weights(weights)
    inputs = rng.normal(size=(4, 1, features)).astype("float32")
    states_shape = (len(CELLS[cell].states), 4, units)
    before = np.random.default_rng(state_seed).normal(size=states_shape).astype("float32")
    _, *after = layer(inputs, initial_state=list(before))
    return before, np.stack([np.asarray(state) for state in after])


# A bias of 50 leaves 2e-22 of a sigmoid shut, so nothing but float32's rounding of numbers near 1 remains.
EXACT = {"rtol": 0, "atol": 1e-6}


def test_the_update_gate_of_the_gru_keeps_the_state():
    before, after = one_keras_step("gru", {"z": True})
    np.testing.assert_allclose(after, before, **EXACT)


def test_the_reset_gate_of_the_gru_hides_the_state_from_the_candidate():
    # With the update gate shut the new state is the candidate.
    shut = [one_keras_step("gru", {"z": False, "r": False}, state_seed)[1] for state_seed in (1, 2)]
    np.testing.assert_allclose(shut[0], shut[1], **EXACT)
    opened = [one_keras_step("gru", {"z": False, "r": True}, state_seed)[1] for state_seed in (1, 2)]
    assert np.abs(opened[0] - opened[1]).max() > 0.1


def test_the_last_block_of_the_gru_is_its_candidate():
    _, after = one_keras_step("gru", {"z": False, "r": False, "h": False})
    np.testing.assert_allclose(after, -np.ones_like(after), **EXACT)


def test_the_gates_of_the_lstm_are_where_the_table_has_them():
    (_, c), (_, new_c) = one_keras_step("lstm", {"i": False, "f": True})
    np.testing.assert_allclose(new_c, c, **EXACT)
    _, (_, new_c) = one_keras_step("lstm", {"i": True, "f": False, "c": False})
    np.testing.assert_allclose(new_c, -np.ones_like(new_c), **EXACT)
    _, (h, _) = one_keras_step("lstm", {"o": False})
    np.testing.assert_allclose(h, np.zeros_like(h), **EXACT)
    _, (h, new_c) = one_keras_step("lstm", {"o": True})
    np.testing.assert_allclose(h, np.tanh(new_c), **EXACT)
