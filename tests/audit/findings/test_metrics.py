"""Scores that mean little, each beside one that means what it says."""

import pytest


def test_a_network_that_loses_to_a_baseline_is_reported_so_with_the_figures(findings):
    text = (
        "model = network()\nmodel.fit(x[:160], y[:160], verbose=0)\n"
        "model.evaluate(x[160:], y[160:], verbose=0)\n"
    )
    finding = findings(text, baselines=True)["worse_than_baseline"]
    assert finding.level == "warning"
    assert (
        finding.evidence["last_value" if "last_value" in finding.evidence else "ridge"]
        < finding.evidence["network"]
    )
    assert finding.evidence["interval"][0] > 0


def test_of_a_state_that_is_kept_it_is_not_said_that_rows_are_too_few(findings):
    text = (
        "y = x[:, 0, 0]\n"
        "model = network(keras.layers.Input(batch_shape=(20, 6, 1)), keras.layers.GRU(2, stateful=True))\n"
        "model.fit(x, y, batch_size=20, shuffle=False, verbose=0)\n"
    )
    finding = findings(text, baselines=True)["worse_than_baseline"]
    assert finding.level == "note" and "without its predictions row by row" in finding.text


def test_a_network_that_says_the_same_of_all_is_reported(findings):
    text = (
        "model = network({}optimizer=keras.optimizers.SGD(0.0))\n"
        "model.fit(x, y, validation_split=0.3, verbose=0)\n"
    )
    assert "constant_predictions" not in findings(text.format(""))
    finding = findings(text.format("kernel_initializer='zeros', "))["constant_predictions"]
    assert finding.evidence["spread"] == [0]


def test_accuracy_of_numbers_is_no_metric(findings):
    text = "model = network(metrics=['accuracy'])\nmodel.fit(x, {}, verbose=0)"
    assert findings(text.format("y"))["accuracy_of_numbers"].evidence["different_targets"] == 240
    assert "accuracy_of_numbers" not in findings(text.format("(y > 0).astype(int)"))


@pytest.mark.parametrize(("share", "expected"), [(0.9, True), (0.6, False)])
def test_accuracy_beside_a_large_majority_is_reported(share, expected, findings):
    by_name = findings(
        f"labels = (random.random(240) > {share}).astype(int)\n"
        "model = network(loss='binary_crossentropy', metrics=['accuracy'], activation='sigmoid')\n"
        "model.fit(x[:160], labels[:160], verbose=0)\nmodel.evaluate(x[160:], labels[160:], verbose=0)\n"
    )
    assert ("class_imbalance" in by_name) == expected
