"""Which calls are fused, and what is said of the others."""

from dataclasses import replace

import pytest

from sunhwan import native
from sunhwan.recurrence.ops.options import ACTIVATIONS
from sunhwan.recurrence.ops.support import CONDITIONS, Call, reason, weights_are_reused

USUAL = Call(batch=128, timesteps=240, features=14, units=32)


def test_usual_calls_are_fused():
    assert reason(USUAL) is None
    assert reason(replace(USUAL, batch=None, timesteps=None)) is None
    for name in (*ACTIVATIONS, None):
        assert reason(replace(USUAL, activation=name, recurrent_activation=name)) is None
    for dtype in ("float16", "bfloat16"):
        assert reason(replace(USUAL, dtype=dtype)) is None


@pytest.mark.parametrize(
    "changed, said",
    [
        ({"device": "cuda:0"}, "it runs on the device 'cuda:0'; the kernels run on the CPU"),
        ({"device": "gpu"}, "it runs on the device 'gpu'; the kernels run on the CPU"),
        ({"dtype": "float64"}, "it computes in float64; the kernels compute in float32"),
        (
            {"activation": "swish"},
            "the activation is 'swish'; the kernels have linear, relu, tanh, sigmoid and hard_sigmoid",
        ),
        (
            {"recurrent_activation": "a"},
            "the recurrent activation is 'a'; the kernels have linear, relu, tanh, sigmoid and hard_sigmoid",
        ),
        ({"timesteps": 0}, "it has no timesteps"),
        ({"features": 0}, "its inputs have no features"),
        (
            {"batch": 1, "timesteps": 1, "units": 4096},
            "a batch of 1 with 1 timesteps is too small for 4096 units to gain anything",
        ),
        (
            {"batch": 1, "units": 1, "gates": 4, "framework": "jax"},
            "XLA compiles Keras's loop over a state of 1 x 1 into one piece, which is faster",
        ),
    ],
    ids=str,
)
def test_a_call_that_is_not_fused_has_a_reason(changed, said):
    assert reason(replace(USUAL, **changed)) == said


def test_without_the_library_nothing_is_fused(monkeypatch):
    monkeypatch.setattr(native, "reason", lambda: "The library is not there.")
    assert reason(USUAL) == "The library is not there."


def test_every_condition_has_its_case():
    changed = test_a_call_that_is_not_fused_has_a_reason.pytestmark[0].args[1]
    for condition, why in CONDITIONS[1:]:
        assert any(condition(replace(USUAL, **change)) for change, _ in changed), why


def test_small_states_are_fused_elsewhere_and_larger_ones_everywhere():
    small = replace(USUAL, batch=1, units=1, gates=4)
    assert reason(replace(small, framework="torch")) is None
    assert reason(replace(small, framework="jax", batch=None)) is None
    assert reason(replace(small, framework="jax", units=2)) is None


def test_wide_layers_want_more_than_a_few_timesteps():
    wide = replace(USUAL, units=1024)
    assert not weights_are_reused(replace(wide, batch=1, timesteps=1))
    assert weights_are_reused(replace(wide, batch=1, timesteps=100))
    assert weights_are_reused(replace(wide, batch=100, timesteps=1))
    assert weights_are_reused(replace(USUAL, batch=1, timesteps=1))
