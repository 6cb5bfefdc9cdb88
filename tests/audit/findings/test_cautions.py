"""Warnings and notes in small programs, each beside one that deserves none."""

import numpy as np
import pytest

HEAD = """
import keras, numpy as np
from sklearn.preprocessing import MinMaxScaler
keras.utils.set_random_seed(0)
random = np.random.default_rng(0)
x = random.normal(size=(240, 6, 1))
y = x[:, -1, 0] + 0.1 * random.normal(size=240)

def network(*layers, loss="mse", optimizer="adam", metrics=(), **options):
    model = keras.Sequential([*(layers or [keras.layers.GRU(2)]), keras.layers.Dense(1, **options)])
    model.compile(optimizer, loss, metrics=list(metrics))
    return model
"""


@pytest.fixture
def findings(audited):
    """A program's findings by name."""

    def run(text, baselines=False):
        return {finding.name: finding for finding in audited(HEAD + text, baselines=baselines)}

    return run


def test_a_network_that_loses_to_a_baseline_is_told_so_with_the_figures(findings):
    text = (
        "model = network()\nmodel.fit(x[:160], y[:160], verbose=0)\n"
        "model.evaluate(x[160:], y[160:], verbose=0)\n"
    )
    found = findings(text, baselines=True)["worse_than_baseline"]
    assert found.level == "warning"
    assert (
        found.evidence["last_value" if "last_value" in found.evidence else "ridge"]
        < found.evidence["network"]
    )
    assert found.evidence["interval"][0] > 0


def test_of_a_state_that_is_kept_it_is_not_said_that_rows_are_too_few(findings):
    text = (
        "y = x[:, 0, 0]\n"
        "model = network(keras.layers.Input(batch_shape=(20, 6, 1)), keras.layers.GRU(2, stateful=True))\n"
        "model.fit(x, y, batch_size=20, shuffle=False, verbose=0)\n"
    )
    found = findings(text, baselines=True)["worse_than_baseline"]
    assert found.level == "note" and "without its answers row by row" in found.text


def test_a_network_that_says_the_same_of_all_is_told_so(findings):
    text = (
        "model = network({}optimizer=keras.optimizers.SGD(0.0))\n"
        "model.fit(x, y, validation_split=0.3, verbose=0)\n"
    )
    assert "constant_predictions" not in findings(text.format(""))
    found = findings(text.format("kernel_initializer='zeros', "))["constant_predictions"]
    assert found.evidence["spread"] == [0]


def test_accuracy_of_numbers_is_no_metric(findings):
    text = "model = network(metrics=['accuracy'])\nmodel.fit(x, {}, verbose=0)"
    assert findings(text.format("y"))["accuracy_of_numbers"].evidence["different_targets"] == 240
    assert "accuracy_of_numbers" not in findings(text.format("(y > 0).astype(int)"))


@pytest.mark.parametrize(
    ("fit", "after", "level"),
    [
        ("x, y", "", "warning"),
        ("x, y", "model.predict(x, verbose=0)", "warning"),
        ("x, y, validation_split=0.2", "", "note"),
        ("x[:99], y[:99]", "model.evaluate(x[99:], y[99:], verbose=0)", None),
        ("x[:99], y[:99]", "model.predict(x[99:], verbose=0)", None),
    ],
)
def test_where_no_test_part_is_that_is_told(fit, after, level, findings):
    found = findings(f"model = network()\nmodel.fit({fit}, verbose=0)\n{after}")
    assert (found["no_test"].level if "no_test" in found else None) == level


@pytest.mark.parametrize(
    ("validation", "after", "why"),
    [
        ("", "model.evaluate(x[:99], y[:99], verbose=0)", "evaluate was given the 99 training rows"),
        ("", "model.predict(x, verbose=0)", "predict was given 240 rows, all those of training among them"),
        (
            "x[99:], y[99:]",
            "model.evaluate(x[99:], y[99:], verbose=0)",
            "evaluate was given the 141 validation rows",
        ),
        ("x[99:], y[99:]", "", None),
    ],
)
def test_why_what_was_scored_is_no_test_is_told(validation, after, why, findings):
    given = f", validation_data=({validation})" if validation else ""
    text = f"model = network()\nmodel.fit(x[:99], y[:99], verbose=0{given})\n{after}"
    found = findings(text)["no_test"]
    assert found.text.count(f"({why})" if why else "(") == bool(why)
    lines = (HEAD + text).splitlines()
    assert [lines[line - 1] for line in found.lines][1:] == ([after] if why else [])


def test_rows_that_are_predicted_without_targets_are_named_as_what_is_not_compared(findings):
    text = "model = network()\nmodel.fit(x[:99], y[:99], validation_split=0.2, verbose=0)\n{}"
    found = findings(text.format("model.predict(x[99:], verbose=0)"))["targets_unknown"]
    assert found.evidence == {"rows": [141], "compared": "validation"}
    named = "x_test, y_test = x[99:], y[99:]\nmodel.predict(x_test, verbose=0)"
    assert "targets_unknown" not in findings(text.format(named))


def test_what_says_the_same_of_each_seed_is_told_once(audited):
    text = "for seed in range(3):\n    network().fit(x, y, validation_split=0.2, verbose=0)\n"
    found = audited(HEAD + text + "network().fit(x[:150], y[:150], verbose=0)", baselines=False)
    said = str(found)
    assert said.count("there is no test part") == 1
    shared = said.partition("fits #1 to #3")[2]
    assert "there is no test part" in shared and "learnt from" not in shared
    assert said.partition("fit #4")[2].partition("fits #1")[0].count("the 150 rows that it learnt from") == 1
    assert [one.fit for one in found if one.name == "no_test"] == [1, 2, 3, 4]


def test_an_error_says_in_what_units_it_is(audited):
    scaled = "scaler = MinMaxScaler()\ny = scaler.fit_transform(40 * y[:, None])\n"
    fit = "model = network()\nmodel.fit(x, y, validation_split=0.3, verbose=0)\n"
    (found,) = audited(HEAD + scaled + fit).comparisons
    step = 40 * np.ptp(found.truth) / np.ptp(found.truth)  # of which the test's own scaler tells the rest
    assert found.units.startswith("MSE in squared units of a MinMaxScaler, of which 1 is ")
    told = float(found.units.partition("1 is ")[2].partition(" in ")[0].replace(",", ""))
    there = float(found.units.rpartition("RMSE is ")[2].partition(" ")[0].replace(",", ""))
    assert there == pytest.approx(told * found.network**0.5, rel=0.01) and told > step
    (found,) = audited(HEAD + "y = (y - y.mean()) / y.std()\n" + fit).comparisons
    assert found.units.startswith("MSE in squared units that look scaled: the targets of training have mean ")
    (found,) = audited(HEAD + "y = 7 + 3 * y\n" + fit).comparisons
    assert found.units == "MSE in the targets' units, squared"
    (found,) = audited(HEAD + "y = 7 + 3 * y\n" + fit.replace("network()", "network(loss='mae')")).comparisons
    assert found.units == ""


def test_seeds_are_fits_of_the_same_model_on_the_same_rows(findings):
    assert "one_seed" in findings("network().fit(x, y, verbose=0)")
    assert "one_seed" not in findings("for _ in range(2):\n    network().fit(x, y, verbose=0)")
    assert "one_seed" in findings(
        "for units in (2, 3):\n    network(keras.layers.GRU(units)).fit(x, y, verbose=0)"
    )


@pytest.mark.parametrize(("share", "told"), [(0.9, True), (0.6, False)])
def test_accuracy_beside_a_large_majority_is_told(share, told, findings):
    found = findings(
        f"labels = (random.random(240) > {share}).astype(int)\n"
        "model = network(loss='binary_crossentropy', metrics=['accuracy'], activation='sigmoid')\n"
        "model.fit(x[:160], labels[:160], verbose=0)\nmodel.evaluate(x[160:], labels[160:], verbose=0)\n"
    )
    assert ("class_imbalance" in found) == told


@pytest.mark.parametrize(
    ("padding", "layers", "told"),
    [
        ("post", "keras.layers.Embedding(50, 2), keras.layers.GRU(2)", True),
        ("pre", "keras.layers.Embedding(50, 2), keras.layers.GRU(2)", False),
        ("post", "keras.layers.Embedding(50, 2, mask_zero=True), keras.layers.GRU(2)", False),
        ("post", "keras.layers.Embedding(50, 2), keras.layers.GlobalMaxPooling1D()", False),
    ],
)
def test_padding_behind_without_a_mask_is_told(padding, layers, told, findings):
    found = findings(
        "texts = [random.integers(1, 50, random.integers(3, 20)) for _ in range(240)]\n"
        f"ids = keras.utils.pad_sequences(texts, 20, padding={padding!r})\n"
        f"model = network({layers}, activation='sigmoid',"
        "loss='binary_crossentropy')\nmodel.fit(ids, (y > 0).astype(int), verbose=0)\n"
    )
    assert ("padding_without_mask" in found) == told


def test_readings_that_are_zero_at_night_are_no_padding(findings):
    found = findings("x = np.maximum(x, 0)\nx = np.repeat(x, 4, axis=1)\nnetwork().fit(x, y, verbose=0)")
    assert "padding_without_mask" not in found


@pytest.mark.parametrize(("shuffle", "told"), [("", True), (", shuffle=False", False)])
def test_a_state_that_is_kept_across_shuffled_batches_is_told(shuffle, told, findings):
    found = findings(
        "model = network(keras.layers.Input(batch_shape=(20, 6, 1)), keras.layers.GRU(2, stateful=True))\n"
        f"model.fit(x, y, batch_size=20, verbose=0{shuffle})\n"
    )
    assert ("stateful_shuffled" in found) == told


def test_a_loss_that_is_no_number_is_told_with_its_step(findings):
    text = "model = network(optimizer=keras.optimizers.SGD(1e30))\nmodel.fit(x, y, epochs=2, verbose=0)"
    with np.errstate(all="ignore"):
        found = findings(text)["exploding_gradients"]
    step = found.evidence["step"]
    assert 1 < step <= 8 and f"from step {step} of epoch 1 on" in found.text
    losses = found.evidence["losses"]
    assert len(losses) == step and np.isfinite(losses[:-1]).all() and not np.isfinite(losses[-1])


@pytest.mark.parametrize(
    ("broken", "values"),
    [("x[3, 2, 0] = np.nan", {"inputs": 1, "targets": 0}), ("y[5:7] = np.nan", {"inputs": 0, "targets": 2})],
)
def test_values_that_are_none_are_not_taken_for_gradients(broken, values, findings):
    found = findings(f"{broken}\nmodel = network()\nmodel.fit(x, y, epochs=2, verbose=0)")
    assert values.items() <= found["nan_in_arrays"].evidence.items()
    assert not {"exploding_gradients", "broken_loss"} & set(found)


def test_a_loss_that_is_none_before_any_step_is_no_gradient_s_doing(findings):
    found = findings(
        "weights = np.ones(240)\nmodel = network()\nmodel.fit(x, y, sample_weight=weights, verbose=0)\n"
        "weights[:40] = np.nan\nmodel.fit(x, y, sample_weight=weights, shuffle=False, verbose=0)"
    )
    evidence = found["broken_loss"].evidence
    assert (evidence["epoch"], evidence["step"]) == (2, 1)
    assert not {"exploding_gradients", "constant_predictions"} & set(found)


@pytest.mark.parametrize(
    ("rate", "options", "told"),
    [
        (30.0, "", "mean loss went"),
        (1e5, ", loss='binary_crossentropy', activation='sigmoid'", "made all weights"),  # a bounded loss
        (0.01, "", ""),
    ],
)
def test_steps_after_which_all_is_orders_larger_are_told(rate, options, told, findings):
    found = findings(
        f"model = network(optimizer=keras.optimizers.SGD({rate}){options})\n"
        "model.fit(x, (y > 0).astype('float32'), batch_size=60, verbose=0)"
    )
    if not told:
        assert "exploding_gradients" not in found
        return
    found = found["exploding_gradients"]
    assert told in found.text
    values = found.evidence["losses" if told.startswith("mean") else "weights"]
    assert max(values) > 100 * values[0] and np.isfinite(values).all()


def test_a_model_that_is_built_in_the_first_step_has_not_exploded():
    from types import SimpleNamespace

    import keras

    from sunhwan.audit.findings.cautions import exploding_gradients
    from sunhwan.audit.observe.steps import Steps

    first = Steps(losses=[1.0, 0.9, 0.8])
    first.before(keras.Sequential([keras.layers.Dense(1)]))  # as on TensorFlow
    assert first.norms == [None]
    first.norms += [2.4, 2.5]
    fit = SimpleNamespace(calls=[SimpleNamespace(first=first)], lines=[1])
    assert not list(exploding_gradients(SimpleNamespace(fit=fit)))
    first.norms[2] = 250.0
    (found,) = exploding_gradients(SimpleNamespace(fit=fit))
    assert found.evidence["step"] == 2 and "step 2 made all weights together 104 times" in found.text


def test_recurrent_weights_that_no_gradient_reaches_are_told(findings):
    saturated = "keras.layers.SimpleRNN(2, bias_initializer=keras.initializers.Constant(60.0))"
    text = "model = network({})\nmodel.fit(x, y, epochs=3, verbose=0)"
    assert "vanishing_gradients" in findings(text.format(saturated))
    assert "vanishing_gradients" not in findings(text.format(""))


@pytest.mark.parametrize(
    ("layer", "told"),
    [
        ("keras.layers.SimpleRNN(4, recurrent_initializer=keras.initializers.Orthogonal(0.2))", True),
        ("keras.layers.SimpleRNN(4)", False),
        ("keras.layers.Bidirectional(keras.layers.SimpleRNN(4, recurrent_initializer='zeros'))", False),
    ],
)
def test_beginnings_that_no_answer_depends_on_are_told(layer, told, findings):
    found = findings(
        f"x = random.normal(size=(240, 24, 1))\nmodel = network({layer})\n"
        "model.fit(x, y, epochs=2, verbose=0)"
    )
    assert ("vanishing_gradients" in found) == told
    if told:
        found = found["vanishing_gradients"]
        assert found.level == "note" and "do not depend on the first 12 of 24" in found.text
        assert (
            found.evidence["answers_moved_at_first"][1] < 1e-5 < found.evidence["answers_moved_at_first"][-1]
        )


def test_beginnings_that_are_padding_everywhere_show_nothing(findings):
    found = findings(
        "x = random.normal(size=(240, 24, 1))\nx[:, :20] = 0\n"
        "narrow = keras.initializers.Orthogonal(0.2)\n"
        "model = network(keras.layers.SimpleRNN(4, recurrent_initializer=narrow))\n"
        "model.fit(x, y, epochs=2, verbose=0)"
    )
    assert "vanishing_gradients" not in found


@pytest.mark.parametrize(("used", "told"), [("of_inputs", True), ("of_target", False)])
def test_predictions_scaled_back_by_another_scaler_are_told(used, told, findings):
    found = findings(
        "of_inputs, of_target = MinMaxScaler(), MinMaxScaler()\n"
        "x = of_inputs.fit_transform(x.reshape(-1, 1)).reshape(x.shape)\n"
        "y = of_target.fit_transform(40 * y[:, None])\nmodel = network()\n"
        "model.fit(x[:160], y[:160], verbose=0)\n"
        f"{used}.inverse_transform(model.predict(x[160:], verbose=0))\n"
    )
    assert ("inverse_scaling" in found) == told
    if told:
        assert found["inverse_scaling"].evidence["unit"] < found["inverse_scaling"].evidence["expected_unit"]


def test_many_models_that_are_told_on_one_test_are_told(findings):
    text = (
        "for units in {}:\n    model = network(keras.layers.GRU(units))\n"
        "    model.fit(x[:99], y[:99], verbose=0)\n"
        "    model.evaluate(x[99:], y[99:], verbose=0)\n"
    )
    assert findings(text.format("(1, 2, 3)"))["many_models"].evidence == {"models": 3, "rows": 141}
    assert "many_models" not in findings(text.format("(1, 2)"))


def test_what_the_budget_left_out_is_said_by_fit(audited, monkeypatch):
    """Leaks come before baselines; when time is up in the second fit, what was not looked for is named."""
    from sunhwan.audit import session as auditing
    from sunhwan.audit.findings import leaks

    looked = []

    def window_overlap(case):
        looked.append(case.fit.number)
        if case.fit.number == 2:
            monkeypatch.setattr("sunhwan.audit.baselines.Budget.left", 0)
        return ()

    monkeypatch.setattr(leaks, "FINDERS", (window_overlap, leaks.duplicates))
    finders = (*leaks.FINDERS, auditing.cautions.no_test)
    monkeypatch.setattr(auditing.fill, "__defaults__", (finders,))
    found = audited(HEAD + "for units in (2, 3):\n    network(keras.layers.GRU(units)).fit(x, y, verbose=0)")
    assert looked == [1, 2] and not found.findings
    assert found.remarks == [
        "the budget of 10 min was spent before fit #2 could be looked through for duplicates",
        "the budget of 10 min was spent before fits #1 and #2 could be looked through for no_test",
    ]
    assert all(skipped == "the budget is spent" for skipped in found.comparisons[1].skipped.values())
