"""The declared cases: what they say of themselves holds, and the kernels are right at each one's sizes."""

import numpy as np
import pytest

from sunhwan import reference
from sunhwan.recurrence import cases
from sunhwan.recurrence.cells import CELLS
from sunhwan.recurrence.ops import numpy as native
from sunhwan.recurrence.ops.options import Options


def test_the_grid_spans_what_it_is_said_to():
    assert len(cases.GRID) == 60
    grid = cases.GRID.values()
    units = [case.layers[0].units for case in grid]
    assert (min(units), max(units)) == (1, 512)
    assert {min(case.batch for case in grid), max(case.batch for case in grid)} == {1, 512}
    assert {min(case.timesteps for case in grid), max(case.timesteps for case in grid)} == {1, 2000}
    assert {case.layers[0].cell for case in grid} == set(CELLS)


def test_cases_are_drawn_from_the_seed_alone():
    assert cases.drawn(3, 20) == cases.drawn(3, 20)
    assert cases.drawn(3, 20) != cases.drawn(4, 20)
    assert len(cases.drawn(3, 20)) == 20


def test_operations_are_those_of_the_products():
    # GRU(32) of 14 features: 2 (14 + 32) 3 * 32 a step forward, three times that with backward
    assert cases.WORKLOADS["weather_gru"].flops() == 3 * 2 * 128 * 240 * (14 + 32) * 3 * 32
    one, two = (cases.WORKLOADS[name].flops() for name in ("weather_gru", "weather_gru_bidirectional"))
    assert two == 2 * one


@pytest.mark.parametrize("case", cases.WORKLOADS.values(), ids=lambda case: case.name)
def test_a_workload_is_a_model_that_takes_its_inputs(case):
    inputs, targets = case.inputs(np.random.default_rng(0), batches=1)
    assert len(inputs) == len(targets) == case.batch
    model = case.model()
    assert model.input_shape == (None, *inputs.shape[1:])
    assert model.output_shape == (None, 1)


SINGLE = {
    (case.layers[0].cell, case.features, case.layers[0].units)
    for case in (*cases.KERNELS.values(), *cases.GRID.values(), *cases.drawn(0, 20).values())
}


@pytest.mark.parametrize(("cell", "features", "units"), sorted(SINGLE))
def test_kernels_are_right_at_the_sizes_of_every_case(cell, features, units):
    rng = np.random.default_rng(0)
    weights = [
        rng.standard_normal(shape) / np.sqrt(shape[0] if len(shape) > 1 else 4)
        for shape in CELLS[cell].weight_shapes(features, units)
    ]
    inputs, d_output = rng.standard_normal((9, 7, features)), rng.standard_normal((9, units))
    single = [array.astype(np.float32) for array in (inputs, *weights)]
    exact = reference.forward(cell, *(single[0].astype(float), [w.astype(float) for w in single[1:]]))
    passed = native.forward(Options(cell), *single)
    # float32 rounds each of the 7 steps' sums, which are of order 1, in the 7th digit.
    np.testing.assert_allclose(passed.output, exact.output, rtol=0, atol=3e-6)
    wanted = reference.backward(exact, d_output.astype(np.float32).astype(float))
    gradients = native.backward(passed, d_output.astype(np.float32))
    for name in ("inputs", "kernel", "recurrent_kernel", "bias", "initial_state"):
        right = getattr(wanted, name)
        np.testing.assert_allclose(
            getattr(gradients, name), right, rtol=0, atol=1e-5 * np.abs(right).max(), err_msg=name
        )
