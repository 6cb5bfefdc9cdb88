"""Plots of the adding problem: errors by updates and by length, beside chance."""

from __future__ import annotations

import csv


def test_validation_error_counts_updates_and_shows_chance(case, line_like):
    run, pictures = case("adding, four lengths")
    panels = pictures["validation_error"].figure.axes
    assert [axes.get_title(loc="left") for axes in panels] == [
        f"{steps} steps" for steps in (50, 100, 200, 400)
    ]
    with open(run / "history.csv", newline="", encoding="utf-8") as file:
        gru = [float(row["val_loss"]) for row in csv.DictReader(file) if row["model"] == "gru_100"]
    assert line_like(panels[1], [50, 100, 150, 200, 250, 300, 350, 400], gru)
    for axes in panels:
        assert line_like(axes, [0, 1], [1 / 6, 1 / 6]), "chance, across the axes"
        assert axes.get_yscale() == "log"


def test_final_error_says_how_far_each_cell_comes(write_run, score_table, figure_of):
    models = {
        "gru_50": 0.002,
        "gru_100": 0.004,
        "gru_200": 0.05,
        "simple_rnn_50": 0.16,
        "simple_rnn_100": 0.17,
    }
    metrics = score_table("mse", {name: (error, error, None) for name, error in models.items()}, {})
    figure = figure_of(write_run("adding", metrics=metrics), "final_error")
    assert figure.texts[0].get_text().replace("\n", " ") == (
        "parts: error under 0.01 by gru up to 100 steps, simple_rnn at no length"
    )
    heights = [list(line.get_ydata()) for line in figure.axes[0].lines]
    assert [0.002, 0.004, 0.05] in heights
    assert [0.16, 0.17] in heights


def test_a_spread_wider_than_its_mean_stays_on_the_logarithmic_axis(write_run, score_table, pictures):
    models = {"gru_50": (0.01, 0.01, 0.02), "lstm_50": (0.16, 0.16, 0.001)}
    drawn = pictures(write_run("adding", metrics=score_table("mse", models, {})))
    assert 0.001 < drawn["results"].figure.axes[0].get_xlim()[0] < 0.01
    assert 0.001 < drawn["final_error"].figure.axes[0].get_ylim()[0] < 0.01
