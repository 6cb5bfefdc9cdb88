"""Options are checked once, and the shapes of a call against each other."""

import pytest

from sunhwan.recurrence.cells import CELLS
from sunhwan.recurrence.ops.options import ACTIVATIONS, Options

GRU = {"inputs": (4, 5, 2), "kernel": (2, 9), "recurrent_kernel": (3, 9)}


def test_equal_options_are_one_key():
    assert {Options("gru"), Options("gru", "tanh", "sigmoid"), Options("lstm")} == {
        Options("lstm"),
        Options("gru"),
    }
    assert Options("gru", activation=None) == Options("gru", activation="linear")


@pytest.mark.parametrize("cell", CELLS)
def test_sizes_of_a_call_with_everything(cell):
    options = Options(cell, return_sequences=True)
    gates, states = len(CELLS[cell].gates), len(CELLS[cell].states)
    kernel, recurrent_kernel, bias = CELLS[cell].weight_shapes(2, 3)
    sizes = options.sizes(
        (4, 5, 2), kernel, recurrent_kernel, bias, (states, 4, 3), (4, 5), (1, 4, 2), (gates, 4, 3)
    )
    assert sizes == (4, 5, 2, 3, 1, gates)
    assert options.output_shape(sizes) == (4, 5, 3)
    assert options.states_shape(sizes) == (states, 4, 3)
    assert Options(cell).output_shape(sizes) == (4, 3)


def test_a_batch_may_be_empty():
    assert Options("gru").sizes(**GRU | {"inputs": (0, 5, 2)}).batch == 0


@pytest.mark.parametrize(
    "changed, message",
    [
        ({"inputs": (5, 2)}, "inputs has shape (5, 2), expected (batch, time, features)."),
        (
            {"inputs": (4, 0, 2)},
            "time is 0, features are 2 and units are 3; expected 1 or more of each.",
        ),
        (
            {"recurrent_kernel": (0, 0)},
            "time is 5, features are 2 and units are 0; expected 1 or more of each.",
        ),
        ({"recurrent_kernel": (9,)}, "recurrent_kernel has shape (9,), expected (units, columns)."),
        ({"recurrent_kernel": (3, 8)}, "recurrent_kernel has shape (3, 8), expected (units=3, columns=9)."),
        (
            {"kernel": (9, 2)},
            "kernel has shape (9, 2), expected (features=2, columns=9).",
        ),
        ({"bias": (9,)}, "bias has shape (9,), expected (rows=2, columns=9)."),
        (
            {"initial_state": (4, 3)},
            "initial_state has shape (4, 3), expected (states=1, batch=4, units=3).",
        ),
        ({"mask": (5, 4)}, "mask has shape (5, 4), expected (batch=4, time=5)."),
        (
            {"dropout_mask": (2, 4, 2)},
            "dropout_mask has shape (2, 4, 2), expected (gates=1 or 3, batch=4, features=2).",
        ),
        (
            {"recurrent_dropout_mask": (4, 3)},
            "recurrent_dropout_mask has shape (4, 3), expected (gates=1 or 3, batch=4, units=3).",
        ),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_a_shape_that_does_not_fit_is_said_in_one_sentence(changed, message):
    assert Options("gru").sizes(**GRU).units == 3
    with pytest.raises(ValueError) as raised:
        Options("gru").sizes(**GRU | changed)
    assert str(raised.value) == message


def test_the_bias_has_the_rows_that_reset_after_asks_for():
    assert Options("gru", reset_after=False).sizes(**GRU, bias=(9,)).units == 3
    with pytest.raises(ValueError, match=r"bias has shape \(2, 9\), expected \(columns=9\)"):
        Options("gru", reset_after=False).sizes(**GRU, bias=(2, 9))


@pytest.mark.parametrize("role", ["activation", "recurrent_activation"])
def test_an_unknown_name_is_said_in_one_sentence(role):
    with pytest.raises(ValueError) as raised:
        Options("gru", **{role: "swish"})
    assert str(raised.value) == f"{role} is 'swish', expected one of {', '.join(ACTIVATIONS)}, None."
    with pytest.raises(ValueError, match="cell is 'rnn', expected one of simple_rnn, gru, lstm"):
        Options("rnn")
    with pytest.raises(ValueError, match=r"cell is \['lstm'\], expected one of simple_rnn, gru, lstm"):
        Options(["lstm"])
