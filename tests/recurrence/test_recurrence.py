"""The NumPy reference against stock Keras, against finite differences and against JAX's own gradient.

A case is declared once; values and gradients are both tested on it.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import product

import jax
import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sunhwan.reference import CELLS, backward, forward

LAYERS = {"simple_rnn": keras.layers.SimpleRNN, "gru": keras.layers.GRU, "lstm": keras.layers.LSTM}
# (cell, reset_after)
VARIANTS = (("simple_rnn", True), ("gru", True), ("gru", False), ("lstm", True))
# Every activation serves once in each of the two places.
ACTIVATIONS = (
    ("tanh", "sigmoid"),
    ("relu", "hard_sigmoid"),
    ("linear", "tanh"),
    ("sigmoid", "relu"),
    ("hard_sigmoid", "linear"),
)
# Two sequences of four steps. "middle" also has a sequence without any data.
MASKS = {
    "none": None,
    "left": [[0, 0, 1, 1], [0, 1, 1, 1]],
    "right": [[1, 1, 0, 0], [1, 1, 1, 0]],
    "middle": [[1, 0, 0, 1], [0, 0, 0, 0]],
}


@dataclass(frozen=True)
class Case:
    cell: str
    reset_after: bool = True
    activation: str = "tanh"
    recurrent_activation: str = "sigmoid"
    mask: str = "none"
    bias: bool = True
    initial_state: bool = True
    go_backwards: bool = False
    return_sequences: bool = True
    zero_output_for_mask: bool = False
    zero_before_data: bool = False
    dropout_masks: int = 0  # on the input: none, one, or one a gate
    recurrent_dropout_masks: int = 0
    sizes: dict[str, int] = field(
        default_factory=lambda: {"batch": 2, "time": 4, "features": 2, "units": 3}, hash=False
    )

    def __str__(self):
        stock = Case(self.cell)
        return "-".join(
            [self.cell]
            + [f"{name}={value}" for name, value in vars(self).items() if value != getattr(stock, name)]
        ).replace(" ", "")


def cases():
    """Every cell, mask, direction and kind of output with each other; what else there is takes turns."""
    found = []
    for variant, mask, go_backwards, return_sequences in product(
        VARIANTS, MASKS, (False, True), (False, True)
    ):
        turn = len(found)
        activation, recurrent_activation = ACTIVATIONS[turn % 5]
        found.append(
            Case(
                *variant,
                activation,
                recurrent_activation,
                mask,
                bias=turn // 5 % 2 == 0,
                initial_state=turn // 10 % 2 == 0,
                go_backwards=go_backwards,
                return_sequences=return_sequences,
            )
        )
    for variant in VARIANTS:
        cell, _ = variant
        stock = Case(*variant, bias=True)
        found.append(stock)
        found.append(replace(stock, mask="middle", zero_output_for_mask=True))
        found.append(replace(stock, mask="right", zero_output_for_mask=True, return_sequences=False))
        found.append(replace(stock, mask="left", zero_before_data=True))
        found.append(
            replace(stock, mask="middle", zero_before_data=True, go_backwards=True, return_sequences=False)
        )
        found.append(replace(stock, sizes={"batch": 1, "time": 1, "features": 1, "units": 1}))
        gates = len(CELLS[cell].gates)
        found.append(replace(stock, dropout_masks=1))
        found.append(replace(stock, dropout_masks=gates, recurrent_dropout_masks=gates, mask="left"))
        found.append(replace(stock, recurrent_dropout_masks=gates, go_backwards=True))
    return found


CASES = cases()


def arguments(case, dtype, seed=0):
    """Positional and keyword arguments of `forward` for a case. Weights are small enough that linear and relu
    gates do not make the states explode."""
    rng = np.random.default_rng(seed)
    size, row = case.sizes, CELLS[case.cell]
    batch, time, features, units = (size[name] for name in ("batch", "time", "features", "units"))
    shapes = row.weight_shapes(features, units, reset_after=case.reset_after)
    weights = [rng.normal(scale=0.5, size=shape).astype(dtype) for shape in shapes][: 2 + case.bias]
    inputs = rng.normal(size=(batch, time, features)).astype(dtype)
    names = (
        "activation", "recurrent_activation", "reset_after", "go_backwards", "return_sequences",
        "zero_output_for_mask", "zero_before_data",
    )  # fmt: skip
    options = {name: getattr(case, name) for name in names}
    if MASKS[case.mask] is not None:
        options["mask"] = np.array(MASKS[case.mask], bool)
    if case.initial_state:
        options["initial_state"] = rng.normal(size=(len(row.states), batch, units)).astype(dtype)
    for name, masks, width in (
        ("dropout_mask", case.dropout_masks, features),
        ("recurrent_dropout_mask", case.recurrent_dropout_masks, units),
    ):
        if masks:
            kept = rng.random((masks, batch, width)) < 0.6
            options[name] = (kept / 0.6).astype(dtype)
    return inputs, weights, options


def keras_layer(case, weights):
    """The stock layer of a case. Its dropout rates only say that there is dropout."""
    gru_only = {"reset_after": case.reset_after} if case.cell == "gru" else {}
    gated = {} if case.cell == "simple_rnn" else {"recurrent_activation": case.recurrent_activation}
    layer = LAYERS[case.cell](
        case.sizes["units"],
        activation=case.activation,
        use_bias=case.bias,
        go_backwards=case.go_backwards,
        return_sequences=case.return_sequences,
        return_state=True,
        zero_output_for_mask=case.zero_output_for_mask,
        dropout=0.4 if case.dropout_masks else 0,
        recurrent_dropout=0.4 if case.recurrent_dropout_masks else 0,
        unroll=case.zero_before_data,  # Keras's unrolled loop begins with an output of zeros
        seed=1,
        recurrent_initializer="zeros",  # to be set; the stock orthogonal matrices take time to draw
        **gated,
        **gru_only,
    )
    layer.build((case.sizes["batch"], case.sizes["time"], case.sizes["features"]))
    layer.set_weights(weights)
    return layer


def keras_call(case, layer, inputs, options):
    """Output and states of the stock layer, and the options of `forward` with the dropout masks it drew."""
    cell = layer.cell
    options = dict(options)
    # A cell draws its masks when first asked and keeps them until its layer was called.
    zeros = np.zeros((case.sizes["batch"], case.sizes["units"]), "float32")
    for name, draw, step_input in (
        ("dropout_mask", cell.get_dropout_mask, inputs[:, 0]),
        ("recurrent_dropout_mask", cell.get_recurrent_dropout_mask, zeros),
    ):
        drawn = draw(keras.ops.convert_to_tensor(step_input))
        if name in options:
            given = options[name]
            options[name] = np.stack(
                [np.asarray(mask) for mask in drawn] if isinstance(drawn, list) else [drawn]
            )
            assert options[name].shape == given.shape  # as many masks as the case says
        else:
            assert drawn is None
    initial_state = options.get("initial_state")
    output, *states = layer(
        inputs,
        mask=options.get("mask"),
        initial_state=None if initial_state is None else list(initial_state),
        training=True,
    )
    return np.asarray(output), np.stack([np.asarray(state) for state in states]), options


# float32 on both sides: sums of some ten products of size 1, each rounded at 6e-8, over four steps.
FLOAT32 = {"rtol": 1e-5, "atol": 2e-6}


@pytest.mark.parametrize("case", CASES, ids=str)
def test_values_are_those_of_keras(case):
    inputs, weights, options = arguments(case, "float32")
    output, states, options = keras_call(case, keras_layer(case, weights), inputs, options)
    ours = forward(case.cell, inputs, weights, **options)
    assert ours.output.dtype == ours.states.dtype == np.float32
    np.testing.assert_allclose(ours.output, output, **FLOAT32)
    np.testing.assert_allclose(ours.states, states, **FLOAT32)


# NumPy 2 asks __array__ of Keras's variables for a keyword that Keras has not taken up; nothing is wrong.
@pytest.mark.filterwarnings(
    "ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning"
)
@pytest.mark.parametrize("cell", LAYERS)
def test_the_weights_of_a_new_layer_move_over_unchanged(cell):
    layer = LAYERS[cell](5, seed=0, kernel_initializer=keras.initializers.GlorotUniform(seed=0))
    inputs = np.random.default_rng(0).normal(size=(3, 6, 2)).astype("float32")
    expected = np.asarray(layer(inputs))
    np.testing.assert_allclose(forward(cell, inputs, layer.get_weights()).output, expected, **FLOAT32)


def gradient_problem(case, seed=0):
    """(loss, arrays, gradients): a loss of all that `forward` puts out, the arrays that it is a function of,
    and what `backward` says of them. The loss weighs each output and state with a random number."""
    inputs, weights, options = arguments(case, "float64", seed)
    rng = np.random.default_rng(seed + 1)
    first = forward(case.cell, inputs, weights, **options)
    of_output, of_states = rng.normal(size=first.output.shape), rng.normal(size=first.states.shape)
    initial_state = options.pop("initial_state", np.zeros_like(first.states))
    arrays = {"inputs": inputs, "initial_state": initial_state, "kernel": weights[0]}
    arrays |= {"recurrent_kernel": weights[1]} | ({"bias": weights[2]} if case.bias else {})

    def loss(arrays):
        inputs, initial_state, *weights = arrays.values()
        there = forward(case.cell, inputs, weights, initial_state=initial_state, **options)
        return (there.output * of_output).sum() + (there.states * of_states).sum()

    gradients = backward(first, of_output, of_states)
    assert (gradients.bias is None) == (not case.bias)
    return loss, arrays, {name: getattr(gradients, name) for name in arrays}


# Central differences in float64. The loss is near 10, so rounding it costs 10 * 1e-16 / 1e-5 = 1e-10; the
# third derivative, 1 to 100 here, times step**2 / 6 costs 2e-11 to 2e-9.
STEP = 1e-5
NEAR = {"rtol": 1e-7, "atol": 2e-8}


@pytest.mark.parametrize("case", CASES, ids=str)
def test_gradients_are_finite_differences(case):
    loss, arrays, gradients = gradient_problem(case)
    for name, array in arrays.items():
        if name == "initial_state" and not case.initial_state and case.activation == "relu":
            continue  # zeros are the kink of relu(c), where a difference sees half a slope
        differences = np.empty_like(array)
        for entry in np.ndindex(array.shape):
            above, below = array.copy(), array.copy()
            above[entry] += STEP
            below[entry] -= STEP
            differences[entry] = (loss(arrays | {name: above}) - loss(arrays | {name: below})) / (2 * STEP)
        np.testing.assert_allclose(gradients[name], differences, **NEAR, err_msg=name)


SIZES = st.fixed_dictionaries({name: st.integers(1, 6) for name in ("batch", "time", "features", "units")})


@settings(max_examples=200, derandomize=True, deadline=None)
@given(st.data())
def test_gradients_of_any_size_along_a_random_direction(data):
    variant = data.draw(st.sampled_from(VARIANTS))
    gates = len(CELLS[variant[0]].gates)
    boolean = st.booleans()
    case = Case(
        *variant,
        # no kinks: a step across one would be no fault of the gradient
        *data.draw(st.sampled_from([("tanh", "sigmoid"), ("sigmoid", "tanh"), ("linear", "sigmoid")])),
        bias=data.draw(boolean),
        initial_state=data.draw(boolean),
        go_backwards=data.draw(boolean),
        return_sequences=data.draw(boolean),
        zero_output_for_mask=data.draw(boolean),
        dropout_masks=data.draw(st.sampled_from([0, 1, gates])),
        recurrent_dropout_masks=data.draw(st.sampled_from([0, 1, gates])),
        sizes=data.draw(SIZES),
    )
    seed = data.draw(st.integers(0, 2**16))
    loss, arrays, gradients = gradient_problem(case, seed)
    rng = np.random.default_rng(seed + 2)
    for name, array in arrays.items():
        direction = rng.normal(size=array.shape)
        direction /= np.linalg.norm(direction)
        difference = loss(arrays | {name: array + STEP * direction}) - loss(
            arrays | {name: array - STEP * direction}
        )
        np.testing.assert_allclose(
            (gradients[name] * direction).sum(), difference / (2 * STEP), **NEAR, err_msg=name
        )


@pytest.mark.parametrize(
    "case",
    [
        case
        for variant in VARIANTS
        for gates in [len(CELLS[variant[0]].gates)]
        for case in (
            Case(*variant, mask="middle", go_backwards=True),
            Case(
                *variant,
                mask="left",
                dropout_masks=gates,
                recurrent_dropout_masks=gates,
                return_sequences=False,
            ),
        )
    ],
    ids=str,
)
def test_gradients_are_those_of_jax_through_keras(case):
    inputs, weights, options = arguments(case, "float32")
    # Two layers of one seed draw the same dropout masks: one tells us them, the other is differentiated.
    output, states, options = keras_call(case, keras_layer(case, weights), inputs, options)
    layer = keras_layer(case, weights)
    rng = np.random.default_rng(1)
    of_output, of_states = (rng.normal(size=array.shape).astype("float32") for array in (output, states))

    def loss(inputs, initial_state, *weights):
        (output, *states), _ = layer.stateless_call(
            list(weights),
            [variable.value for variable in layer.non_trainable_variables],
            inputs,
            mask=options.get("mask"),
            initial_state=list(initial_state),
            training=True,
        )
        return (output * of_output).sum() + (jax.numpy.stack(states) * of_states).sum()

    taken = (inputs, options["initial_state"], *weights)
    expected = jax.grad(loss, argnums=tuple(range(len(taken))))(*taken)
    ours = backward(forward(case.cell, inputs, weights, **options), of_output, of_states)
    for name, gradient in zip(vars(ours), expected, strict=True):
        # float32 on both sides; a gradient of the weights adds up 2 sequences of 4 steps
        np.testing.assert_allclose(getattr(ours, name), gradient, rtol=1e-5, atol=5e-6, err_msg=name)


def test_either_gradient_may_be_left_out():
    inputs, weights, options = arguments(Case("lstm", mask="right"), "float64")
    there = forward("lstm", inputs, weights, **options)
    rng = np.random.default_rng(0)
    of_output, of_states = rng.normal(size=there.output.shape), rng.normal(size=there.states.shape)
    both = backward(there, of_output, of_states)
    output_only, states_only = backward(there, of_output), backward(there, states_gradient=of_states)
    for name in vars(both):
        # backward is linear in what it is given; what is left is the rounding of sums near 10
        np.testing.assert_allclose(
            getattr(output_only, name) + getattr(states_only, name), getattr(both, name), rtol=0, atol=1e-13
        )


def test_neither_direction_changes_what_it_is_given():
    inputs, weights, options = arguments(Case("gru", mask="middle", dropout_masks=3), "float64")
    given = [inputs, *weights, *(option for option in options.values() if isinstance(option, np.ndarray))]
    before = [array.copy() for array in given]
    there = forward("gru", inputs, weights, **options)
    of_output, of_states = np.ones_like(there.output), np.ones_like(there.states)
    backward(there, of_output, of_states)
    for array, copy in zip([*given, of_output, of_states], [*before, 1, 1], strict=True):
        np.testing.assert_array_equal(array, np.broadcast_to(copy, array.shape))


def test_the_loop_of_the_tutorial_where_no_unit_saturates():
    # The doctest has the tutorial's own numbers, all positive; around zero, every unit stays in play.
    rng = np.random.default_rng(0)
    inputs = rng.uniform(-1, 1, (100, 32))
    W, U, b = rng.uniform(-0.2, 0.2, (64, 32)), rng.uniform(-0.2, 0.2, (64, 64)), rng.uniform(-1, 1, 64)
    state, outputs = np.zeros(64), []
    for x in inputs:
        state = np.tanh(W @ x + U @ state + b)
        outputs.append(state)
    ours = forward("simple_rnn", inputs[np.newaxis], [W.T, U.T, b], return_sequences=True).output[0]
    assert np.abs(ours).mean() < 0.9
    # The same sums, perhaps in another order: 1e-16 a step, carried on through a hundred steps
    np.testing.assert_allclose(ours, outputs, rtol=0, atol=1e-12)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "longdouble"])
def test_arithmetic_is_in_the_dtype_of_what_is_given(dtype):
    case = Case("lstm", mask="left", dropout_masks=4, recurrent_dropout_masks=4)
    inputs, weights, options = arguments(case, dtype)
    there = forward("lstm", inputs, weights, **options)
    gradients = backward(there, np.ones(there.output.shape))
    assert {array.dtype for array in [there.output, there.states, *vars(gradients).values()]} == {
        np.dtype(dtype)
    }


def test_whole_numbers_are_computed_with_as_float64():
    there = forward("simple_rnn", [[[1], [2]]], [[[1]], [[-1]]], activation=None)
    assert there.output.dtype == np.float64
    np.testing.assert_array_equal(there.output, [[1]])  # 2 - (1 - 0)


WEIGHTS = [np.zeros((2, 9)), np.zeros((3, 9)), np.zeros((2, 9))]


@pytest.mark.parametrize(
    "changed, message",
    [
        ({"cell": "rnn"}, "cell is 'rnn', expected one of simple_rnn, gru, lstm."),
        ({"inputs": np.zeros((5, 2))}, "inputs has shape (5, 2), expected (batch, time, features)."),
        (
            {"inputs": np.zeros((4, 0, 2))},
            "time is 0, features are 2 and units are 3; expected 1 or more of each.",
        ),
        ({"weights": WEIGHTS[:1]}, "weights holds 1 arrays, expected 2, or 3 with a bias."),
        (
            {"weights": [WEIGHTS[0].T, *WEIGHTS[1:]]},
            "kernel has shape (9, 2), expected (features=2, columns=9).",
        ),
        (
            {"weights": [WEIGHTS[0], np.zeros((3, 8))]},
            "recurrent_kernel has shape (3, 8), expected (units=3, columns=9).",
        ),
        (
            {"weights": [*WEIGHTS[:2], np.zeros(9)]},
            "bias has shape (9,), expected (rows=2, columns=9).",
        ),
        ({"reset_after": False}, "bias has shape (2, 9), expected (columns=9)."),
        (
            {"initial_state": np.zeros((4, 3))},
            "initial_state has shape (4, 3), expected (states=1, batch=4, units=3).",
        ),
        ({"mask": np.ones((5, 4))}, "mask has shape (5, 4), expected (batch=4, time=5)."),
        (
            {"dropout_mask": np.ones((2, 4, 2))},
            "dropout_mask has shape (2, 4, 2), expected (gates=1 or 3, batch=4, features=2).",
        ),
        (
            {"recurrent_dropout_mask": np.ones((4, 3))},
            "recurrent_dropout_mask has shape (4, 3), expected (gates=1 or 3, batch=4, units=3).",
        ),
        (
            {"activation": "swish"},
            "activation is 'swish', expected one of linear, relu, tanh, sigmoid, hard_sigmoid, None.",
        ),
        (
            {"recurrent_activation": "elu"},
            "recurrent_activation is 'elu', expected one of linear, relu, tanh, sigmoid, hard_sigmoid, None.",
        ),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_what_does_not_fit_is_said_in_one_sentence(changed, message):
    fitting = {"cell": "gru", "inputs": np.zeros((4, 5, 2)), "weights": WEIGHTS}
    assert forward(**fitting).output.shape == (4, 3)
    with pytest.raises(ValueError) as raised:
        forward(**fitting | changed)
    assert str(raised.value) == message


def test_a_gradient_of_another_shape_is_said_in_one_sentence():
    there = forward("gru", np.zeros((4, 5, 2)), WEIGHTS)
    for name, shape in (("output_gradient", (4, 5, 3)), ("states_gradient", (4, 3))):
        expected = {"output_gradient": (4, 3), "states_gradient": (1, 4, 3)}[name]
        with pytest.raises(ValueError) as raised:
            backward(there, **{name: np.zeros(shape)})
        assert str(raised.value) == f"{name} has shape {shape}, expected {expected}."
