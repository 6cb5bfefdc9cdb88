"""Scores on the test part: in order, with their numbers; and whether probabilities come true."""

from __future__ import annotations

import numpy as np
import pytest

from sunhwan.report import style


def test_results_stand_in_order_with_their_numbers_and_spread(write_run, score_table, pictures, said):
    models = {"gru": (2.5, 2.516, 0.031), "lstm": (2.6, 2.604, 0.05)}
    metrics = score_table("degC", models, {"ridge": (2.3, 2.351), "last_value": (3.0, 3.1)})
    picture = pictures(write_run(facts={"seeds": 3}, metrics=metrics))["results"]
    figure = picture.figure
    (axes,) = figure.axes
    rows = [label.get_text() for label in axes.get_yticklabels()]
    assert rows == ["ridge", "gru", "lstm", "last_value"]
    assert [text.get_text() for text in axes.texts] == ["2.35", "2.52 ± 0.03", "2.60 ± 0.05", "3.10"]
    assert [text.get_weight() for text in axes.texts] == ["bold", "normal", "normal", "normal"]
    dots = {line.get_ydata()[0]: line for line in axes.lines if line.get_marker() in "os"}
    assert {rows[place]: line.get_xdata()[0] for place, line in dots.items()} == {
        "ridge": 2.351, "gru": 2.516, "lstm": 2.604, "last_value": 3.1,
    }  # fmt: skip
    assert [dots[place].get_color() for place in range(4)] == [
        style.BASELINE.color, style.NETWORK.color, style.NETWORK.color, style.BASELINE.color,
    ]  # fmt: skip
    bars = [line for line in axes.lines if line.get_marker() == "|"]
    assert [list(bar.get_xdata()) for bar in bars] == [
        pytest.approx([2.485, 2.547]), pytest.approx([2.554, 2.654]),
    ]  # fmt: skip
    written = said(figure)
    assert "ridge has the lowest test error, 2.35 °C; best network gru, 2.52 °C" in written
    assert "test mean absolute error (°C)" in written
    assert "mean ± standard deviation over 3 seeds" in written
    assert picture.alt == (
        "Mean absolute error (°C) on the test part of parts, best first: ridge (baseline) 2.35, "
        "gru (network) 2.52 ± 0.03, lstm (network) 2.60 ± 0.05, last_value (baseline) 3.10."
    )


def test_of_accuracies_the_highest_is_best(case):
    (axes,) = case("text")[1]["results"].figure.axes
    assert [label.get_text() for label in axes.get_yticklabels()] == [
        "nb_svm",
        "lstm",
        "simple_rnn",
        "majority",
    ]
    assert axes.texts[0].get_text() == "0.916"


def test_one_seed_has_no_spread_and_says_so(case, said):
    figure = case("forecast, one epoch")[1]["results"].figure
    assert not [text for text in figure.axes[0].texts if "±" in text.get_text()]
    assert "the spread is not known" in said(figure)
    assert not [line for line in figure.axes[0].lines if line.get_marker() == "|"]


def test_a_diverged_network_is_off_the_scale_with_its_number(write_run, score_table, figure_of):
    models = {"gru": (2.5, 2.5, None), "bad": (400.0, 412.0, None), "worse": (None, None, None)}
    run = write_run(metrics=score_table("degC", models, {"ridge": (2.3, 2.4), "last_value": (3.0, 3.0)}))
    (axes,) = figure_of(run, "results").axes
    assert axes.get_xlim()[1] < 4
    assert [text.get_text() for text in axes.texts][-2:] == ["412.00", "diverged"]
    assert len([line for line in axes.lines if line.get_marker() == ">"]) == 1


def test_reliability_sets_shares_against_probabilities(write_run, score_table, figure_of, line_like):
    probability = np.repeat([0.05, 0.35, 0.95], [100, 200, 100])
    truth = np.concatenate([np.arange(100) < 10, np.arange(200) < 50, np.arange(100) < 90]).astype(int)
    run = write_run(
        "text",
        metrics=score_table("accuracy", {"gru": (0.9, 0.9, None)}, {}),
        predictions={"truth": truth, "probability:gru": probability},
    )
    above, below = figure_of(run, "reliability").axes
    assert line_like(above, [0.05, 0.35, 0.95], [0.1, 0.25, 0.9])
    (steps,) = below.patches
    np.testing.assert_allclose(steps.get_data().values, [0.25, 0, 0, 0.5, 0, 0, 0, 0, 0, 0.25])


def test_a_predictor_of_one_bin_has_no_reliability(write_run, pictures):
    truth = np.arange(100) % 2
    constant, mixed = np.full(100, 0.5), np.where(np.arange(100) < 95, 0.5, 0.9)
    alone = {"truth": truth, "probability:majority": constant}
    assert not pictures(write_run("text", predictions=alone)), "one bin"
    beside = {**alone, "probability:majority": mixed}
    assert not pictures(write_run("text", predictions=beside)), "a second bin of five texts"
    both = {"probability:nb_svm": np.where(truth, 0.8, 0.2), **alone}
    metrics = {
        "baselines": {
            "nb_svm": {"validation": 0.9, "test": 0.9},
            "majority": {"validation": 0.5, "test": 0.5},
        }
    }
    drawn = pictures(write_run("text", metrics=metrics, predictions=both), "reliability")["reliability"]
    assert drawn.alt.endswith(": nb_svm: 0.20 predicted, 0.00 positive, 0.80 predicted, 1.00 positive.")
