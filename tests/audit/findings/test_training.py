"""Training that failed, each beside training that did not."""

from types import SimpleNamespace

import keras
import numpy as np
import pytest

from sunhwan.audit.findings.case import Case
from sunhwan.audit.findings.training import exploding_gradients
from sunhwan.audit.observe.steps import Steps


def test_a_loss_that_is_no_number_is_reported_with_its_step(findings):
    text = "model = network(optimizer=keras.optimizers.SGD(1e30))\nmodel.fit(x, y, epochs=2, verbose=0)"
    with np.errstate(all="ignore"):
        finding = findings(text)["exploding_gradients"]
    step = finding.evidence["step"]
    assert 1 < step <= 8 and f"from step {step} of epoch 1" in finding.text
    losses = finding.evidence["losses"]
    assert len(losses) == step and np.isfinite(losses[:-1]).all() and not np.isfinite(losses[-1])


@pytest.mark.parametrize(
    ("broken", "values"),
    [("x[3, 2, 0] = np.nan", {"inputs": 1, "targets": 0}), ("y[5:7] = np.nan", {"inputs": 0, "targets": 2})],
)
def test_values_that_are_none_are_not_taken_for_gradients(broken, values, findings):
    by_name = findings(f"{broken}\nmodel = network()\nmodel.fit(x, y, epochs=2, verbose=0)")
    assert values.items() <= by_name["nan_in_arrays"].evidence.items()
    assert not {"exploding_gradients", "broken_loss"} & set(by_name)


def test_a_loss_that_is_none_before_any_step_is_no_gradient_s_doing(findings):
    by_name = findings(
        "weights = np.ones(240)\nmodel = network()\nmodel.fit(x, y, sample_weight=weights, verbose=0)\n"
        "weights[:40] = np.nan\nmodel.fit(x, y, sample_weight=weights, shuffle=False, verbose=0)"
    )
    evidence = by_name["broken_loss"].evidence
    assert (evidence["epoch"], evidence["step"]) == (2, 1)
    assert not {"exploding_gradients", "constant_predictions"} & set(by_name)


@pytest.mark.parametrize(
    ("rate", "options", "expected"),
    [
        (30.0, "", "mean loss rose"),
        (
            1e5,
            ", loss='binary_crossentropy', activation='sigmoid'",
            "norm of all weights grew",
        ),  # a bounded loss
        (0.01, "", ""),
    ],
)
def test_steps_after_which_all_is_orders_larger_are_reported(rate, options, expected, findings):
    by_name = findings(
        f"model = network(optimizer=keras.optimizers.SGD({rate}){options})\n"
        "model.fit(x, (y > 0).astype('float32'), batch_size=60, verbose=0)"
    )
    if not expected:
        assert "exploding_gradients" not in by_name
        return
    finding = by_name["exploding_gradients"]
    assert expected in finding.text
    values = finding.evidence["losses" if expected.startswith("mean") else "weights"]
    assert max(values) > 100 * values[0] and np.isfinite(values).all()


def test_a_model_that_is_built_in_the_first_step_has_not_exploded():
    first = Steps(losses=[1.0, 0.9, 0.8])
    first.before(keras.Sequential([keras.layers.Dense(1)]))  # as on TensorFlow
    assert first.norms == [None]
    first.norms += [2.4, 2.5]
    fit = SimpleNamespace(calls=[SimpleNamespace(first=first)], lines=[1], number=1)
    case = Case(fit, None, None, [fit])
    assert not list(exploding_gradients(case))
    first.norms[2] = 250.0
    (finding,) = exploding_gradients(case)
    assert finding.evidence["step"] == 2 and "weights grew 104 times in step 2" in finding.text


def test_recurrent_weights_that_no_gradient_reaches_are_reported(findings):
    saturated = "keras.layers.SimpleRNN(2, bias_initializer=keras.initializers.Constant(60.0))"
    text = "model = network({})\nmodel.fit(x, y, epochs=3, verbose=0)"
    assert "vanishing_gradients" in findings(text.format(saturated))
    assert "vanishing_gradients" not in findings(text.format(""))


@pytest.mark.parametrize(
    ("layer", "expected"),
    [
        ("keras.layers.SimpleRNN(4, recurrent_initializer=keras.initializers.Orthogonal(0.2))", True),
        ("keras.layers.SimpleRNN(4)", False),
        ("keras.layers.Bidirectional(keras.layers.SimpleRNN(4, recurrent_initializer='zeros'))", False),
    ],
)
def test_beginnings_that_no_answer_depends_on_are_reported(layer, expected, findings):
    by_name = findings(
        f"x = random.normal(size=(240, 24, 1))\nmodel = network({layer})\n"
        "model.fit(x, y, epochs=2, verbose=0)"
    )
    assert ("vanishing_gradients" in by_name) == expected
    if expected:
        finding = by_name["vanishing_gradients"]
        assert finding.level == "note" and "do not depend on the first 12 of 24" in finding.text
        assert (
            finding.evidence["prediction_change_before_training"][1]
            < 1e-5
            < finding.evidence["prediction_change_before_training"][-1]
        )


def test_beginnings_that_are_padding_everywhere_show_nothing(findings):
    by_name = findings(
        "x = random.normal(size=(240, 24, 1))\nx[:, :20] = 0\n"
        "narrow = keras.initializers.Orthogonal(0.2)\n"
        "model = network(keras.layers.SimpleRNN(4, recurrent_initializer=narrow))\n"
        "model.fit(x, y, epochs=2, verbose=0)"
    )
    assert "vanishing_gradients" not in by_name
