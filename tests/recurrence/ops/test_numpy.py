"""The NumPy adapter against the reference in float64, and what it says of arrays that do not fit."""

import ml_dtypes
import numpy as np
import pytest
from configurations import CELL_CHOICES, Configuration, configurations
from hypothesis import given, settings
from hypothesis import strategies as st
from native_calls import native_calls

from sunhwan.recurrence.ops import recurrence
from sunhwan.recurrence.ops.numpy import Gradients, backward, forward
from sunhwan.recurrence.ops.options import Options

ALL = Gradients._fields


def there_and_back(configuration, wanted=ALL, **changed):
    """output, states and gradients by name, of a configuration with some arrays changed."""
    there = forward(configuration.options, **configuration.arrays() | changed)
    gradients = backward(there, *configuration.output_gradients(), wanted=wanted)
    found = {"output": there.output, "states": there.states, **gradients._asdict()}
    return {name: value for name, value in found.items() if value is not None}


@settings(max_examples=300)
@given(configurations())
def test_values_and_gradients_are_those_of_the_reference(configuration):
    with native_calls() as calls:
        found = there_and_back(configuration)
    assert calls[0] == "forward, saving"
    assert calls[1].startswith("backward of inputs, initial_state, kernel, recurrent_kernel")
    assert found.keys() == configuration.expected.keys()
    configuration.check(**found)


@settings(max_examples=50)
@given(configurations())
def test_without_saving_the_values_are_the_same(configuration):
    arrays = configuration.arrays()
    there = forward(configuration.options, **arrays)
    weights = [arrays.pop(name) for name in ("kernel", "recurrent_kernel", "bias") if name in arrays]
    with native_calls() as calls:
        output, states = recurrence(weights=weights, **arrays, **vars_of(configuration.options))
    assert calls == ["forward"]
    np.testing.assert_array_equal(output, there.output)
    np.testing.assert_array_equal(states, there.states)


def vars_of(options):
    return {name: getattr(options, name) for name in options.__dataclass_fields__}


@settings(max_examples=100)
@given(configurations(), st.sets(st.sampled_from(ALL)))
def test_only_the_wanted_gradients_are_computed(configuration, wanted):
    with native_calls() as calls:
        found = there_and_back(configuration, wanted)
    if not configuration.bias:
        wanted = wanted - {"bias"}
    assert found.keys() - {"output", "states"} == wanted
    assert calls[1] == f"backward of {', '.join(name for name in ALL if name in wanted)}"
    configuration.check(**found)


@pytest.mark.parametrize(("cell", "reset_after"), CELL_CHOICES)
def test_either_gradient_may_be_left_out(cell, reset_after):
    configuration = Configuration(Options(cell, reset_after=reset_after), mask="left", initial_state=True)
    there = forward(configuration.options, **configuration.arrays())
    of_output, of_states = configuration.output_gradients()
    for given_, explicit in (
        ((of_output, None), (of_output, np.zeros_like(of_states))),
        ((None, of_states), (np.zeros_like(of_output), of_states)),
        ((None, None), (np.zeros_like(of_output), np.zeros_like(of_states))),
    ):
        for name, gradient in backward(there, *given_)._asdict().items():
            np.testing.assert_array_equal(gradient, getattr(backward(there, *explicit), name), err_msg=name)


# ---- Arrays in other layouts and types ----


def scattered(array):
    """The same numbers, neither contiguous nor in order, nor at an address that a float may have."""
    raw = np.zeros(array.nbytes + 1, np.uint8)[1:].view(array.dtype).reshape(array.shape[::-1])
    raw[:] = array.T
    turned = raw.T
    return np.repeat(turned[::-1], 2, axis=0)[::-2] if array.ndim > 1 else turned


@pytest.mark.parametrize(("cell", "reset_after"), CELL_CHOICES)
@pytest.mark.parametrize("layout", ["scattered", "Fortran", "another byte order", "read-only", "lists"])
def test_any_layout_will_do(cell, reset_after, layout):
    gates = len(Options(cell).row.gates)
    configuration = Configuration(
        Options(cell, reset_after=reset_after),
        initial_state=True,
        mask="anywhere",
        dropout_masks=gates,
        recurrent_dropout_masks=gates,
    )
    arrays = configuration.arrays()

    def changed(array):
        if layout == "scattered":
            return scattered(array)
        if layout == "Fortran":
            return np.asfortranarray(array)
        if layout == "another byte order":
            return array.astype(array.dtype.newbyteorder())
        if layout == "read-only":
            array = array.copy()
            array.flags.writeable = False
        return array

    expected = there_and_back(configuration)
    found = there_and_back(configuration, **{name: changed(array) for name, array in arrays.items()})
    if layout == "lists":
        found = there_and_back(configuration, mask=arrays["mask"].tolist())
    for name, value in expected.items():
        np.testing.assert_array_equal(found[name], value, err_msg=name)
    gradients = [changed(gradient) for gradient in configuration.output_gradients()]
    back = backward(forward(configuration.options, **arrays), *gradients)
    for name, value in back._asdict().items():
        np.testing.assert_array_equal(value, expected[name], err_msg=name)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_smaller_floats_are_computed_in_float32_and_returned_as_they_came(dtype):
    dtype = np.dtype(getattr(ml_dtypes, dtype, dtype))
    configuration = Configuration(Options("lstm", return_sequences=True), initial_state=True)
    small = {name: array.astype(dtype) for name, array in configuration.arrays().items()}
    found = there_and_back(configuration, **small)
    exact = there_and_back(configuration, **{name: a.astype(np.float32) for name, a in small.items()})
    for name, value in found.items():
        assert value.dtype == dtype
        np.testing.assert_array_equal(value, exact[name].astype(dtype), err_msg=name)


def test_neither_direction_changes_what_it_is_given():
    configuration = Configuration(Options("gru"), initial_state=True, mask="anywhere", dropout_masks=3)
    arrays, before = configuration.arrays(), configuration.arrays()
    gradients = configuration.output_gradients()
    backward(forward(configuration.options, **arrays), *gradients)
    for name, array in arrays.items():
        np.testing.assert_array_equal(array, before[name], err_msg=name)
    for array, copy in zip(gradients, configuration.output_gradients(), strict=True):
        np.testing.assert_array_equal(array, copy)


# ---- What does not fit ----

FITTING = Configuration(Options("gru"), batch=4, timesteps=5, features=2, units=3)


@pytest.mark.parametrize(
    "changed, message",
    [
        ({"inputs": np.zeros((5, 2))}, "inputs has shape (5, 2), expected (batch, time, features)."),
        (
            {"inputs": np.zeros((4, 0, 2))},
            "time is 0, features are 2 and units are 3; expected 1 or more of each.",
        ),
        (
            {"kernel": np.zeros((3, 9))},
            "kernel has shape (3, 9), expected (features=2, columns=9).",
        ),
        ({"bias": np.zeros(9)}, "bias has shape (9,), expected (rows=2, columns=9)."),
        ({"mask": np.ones((4, 6))}, "mask has shape (4, 6), expected (batch=4, time=5)."),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_a_shape_that_does_not_fit(changed, message):
    arrays = FITTING.arrays() | {name: array.astype(np.float32) for name, array in changed.items()}
    with pytest.raises(ValueError) as raised:
        forward(FITTING.options, **arrays)
    assert str(raised.value) == message


@pytest.mark.parametrize("dtype", ["float64", "int32", "complex64", "U1"])
@pytest.mark.parametrize("name", ["inputs", "recurrent_kernel"])
def test_a_type_that_the_kernels_do_not_have(name, dtype):
    arrays = FITTING.arrays()
    with pytest.raises(TypeError) as raised:
        forward(FITTING.options, **arrays | {name: arrays[name].astype(dtype)})
    assert str(raised.value) == (
        f'{name} is {np.dtype(dtype)}, expected float32, float16 or bfloat16; call .astype("float32").'
    )


def test_what_is_no_array_or_no_mask():
    with pytest.raises(TypeError, match=r"^kernel is None, expected an array\.$"):
        forward(FITTING.options, **FITTING.arrays() | {"kernel": None})
    with pytest.raises(TypeError, match=r"^mask is <U2, expected bool, true where there is data\.$"):
        forward(FITTING.options, **FITTING.arrays(), mask=np.full((4, 5), "no"))


def test_what_backward_cannot_do():
    there = forward(FITTING.options, **FITTING.arrays())
    with pytest.raises(ValueError, match=r"output_gradient has shape \(4, 5, 3\), expected \(4, 3\)\."):
        backward(there, np.zeros((4, 5, 3), np.float32))
    with pytest.raises(ValueError, match=r"states_gradient has shape \(4, 3\), expected \(1, 4, 3\)\."):
        backward(there, states_gradient=np.zeros((4, 3), np.float32))
    with pytest.raises(ValueError, match="wanted has 'weights', expected some of inputs, initial_state, "):
        backward(there, wanted=["weights"])
    with pytest.raises(ValueError, match="save=False"):
        backward(forward(FITTING.options, **FITTING.arrays(), save=False))


def test_what_the_public_function_cannot_take():
    weights = [np.zeros((2, 9), np.float32), np.zeros((3, 9), np.float32)]
    with pytest.raises(TypeError, match="inputs is of type list, expected an array of NumPy"):
        recurrence("gru", [[[0.0, 0.0]]], weights)
    for some in ([None] * 3, [weights[0], None]):
        with pytest.raises(TypeError, match="kernel is None, expected an array; only the bias may be"):
            recurrence("gru", np.zeros((1, 1, 2), np.float32), some)
    with pytest.raises(ValueError, match="weights holds 1 arrays, expected 2, or 3 with a bias"):
        recurrence("gru", np.zeros((1, 1, 2), np.float32), weights[:1])


@pytest.mark.parametrize(("cell", "reset_after"), CELL_CHOICES)
def test_a_batch_of_none(cell, reset_after):
    found = there_and_back(
        Configuration(Options(cell, reset_after=reset_after, return_sequences=True), batch=0, mask="anywhere")
    )
    assert found["output"].shape == (0, 5, 7)
    assert found["states"].shape[1:] == (0, 7)
    assert found["inputs"].shape == (0, 5, 4)
    for name in ("kernel", "recurrent_kernel", "bias"):
        assert found[name].size > 0
        assert not found[name].any()


def test_arrays_beyond_all_memory_are_an_error():
    arrays = FITTING.arrays()
    with pytest.raises(MemoryError):  # 4 petabytes, by stride 0
        forward(
            FITTING.options,
            **arrays | {"inputs": np.broadcast_to(np.float32(0), (2**20, 2**28, 4))[..., :2]},
        )


# ---- NaN and infinity go where they go in the reference, and nowhere else ----


@pytest.mark.parametrize(("cell", "reset_after"), CELL_CHOICES)
@pytest.mark.parametrize("activation", ["linear", "relu", "tanh", "sigmoid", "hard_sigmoid"])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.filterwarnings("ignore:invalid value encountered:RuntimeWarning")
def test_nan_and_infinity_propagate(cell, reset_after, activation, value):
    options = Options(cell, activation, activation, reset_after=reset_after, return_sequences=True)
    plain = Configuration(options, batch=9, units=19, gain=0.3)
    undisturbed = there_and_back(plain)
    inputs = plain.arrays()["inputs"]
    inputs[4, 2, 1] = value
    found = there_and_back(plain, inputs=inputs)
    expected = plain.reference(np.float64, inputs=inputs)
    others = np.arange(9) != 4
    for name in ("output", "inputs"):  # no other sequence has heard of it
        np.testing.assert_array_equal(found[name][others], undisturbed[name][others])
    np.testing.assert_array_equal(found["output"][:, :2], undisturbed["output"][:, :2])  # nor an earlier step
    if np.isnan(value):
        for name, array in found.items():
            np.testing.assert_array_equal(np.isnan(array), np.isnan(expected[name]), err_msg=name)
        return
    finite = np.isfinite(found["output"])
    # Which of NaN and infinity comes of infinities that meet hangs on how a sum is written.
    np.testing.assert_array_equal(finite, np.isfinite(expected["output"]))
    # Of float32 near 1 (linear ones: near 10), over five steps
    np.testing.assert_allclose(found["output"][finite], expected["output"][finite], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("cell", "reset_after"), CELL_CHOICES)
def test_what_stands_at_steps_without_data_is_not_read(cell, reset_after):
    options = Options(cell, reset_after=reset_after, return_sequences=True)
    configuration = Configuration(options, batch=9, units=19, mask="anywhere")
    arrays = configuration.arrays()
    expected = there_and_back(configuration)
    arrays["inputs"][~arrays["mask"]] = np.nan
    found = there_and_back(configuration, inputs=arrays["inputs"])
    for name, value in expected.items():
        np.testing.assert_array_equal(found[name], value, err_msg=name)
