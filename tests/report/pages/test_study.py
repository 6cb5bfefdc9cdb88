"""The page of a study: what it shows is what the run has, as far as the run went."""

import json
import math

import numpy as np
import pytest

from sunhwan import rundir
from sunhwan.errors import SunhwanError
from sunhwan.files import write_json
from sunhwan.report import study as studies
from sunhwan.report.page.page import Chart, Table
from sunhwan.report.pages import pages


def sections(run):
    return {section.title: section.blocks for section in pages.of([run]).sections}


def charts(run):
    return {
        block.title: block
        for blocks in sections(run).values()
        for block in blocks
        if isinstance(block, Chart)
    }


@pytest.mark.parametrize(
    ("kind", "titles"),
    [
        ("forecast", ["Scores", "Forecasts", "Training", "Data", "Reproduce"]),
        ("text", ["Scores", "Probabilities", "Training", "Data", "Reproduce"]),
        ("adding", ["Scores", "Training", "Data", "Reproduce"]),
    ],
)
def test_the_page_of_each_kind_has_its_verdict_and_sections(kind, titles, write_case):
    run = write_case(kind)
    page = pages.of([run])
    assert page.answer == "The verdict, with 1 number."
    assert [section.title for section in page.sections] == titles
    assert page.title.endswith(": Which is best?")
    assert json.dumps([chart.views for chart in charts(run).values()], allow_nan=False)
    assert all(chart.alt.endswith(".") and any(map(str.isdigit, chart.alt)) for chart in charts(run).values())
    assert "sunhwan study run" in page.html()


def test_scores_are_those_of_the_run_the_best_first(write_case):
    run = write_case("text")
    table, chart = sections(run)["Scores"]
    assert isinstance(table, Table) and table.strong == 0
    assert [row[0] for row in table.rows] == ["nb_svm", "lstm", "simple_rnn", "majority"]
    assert table.rows[1][1:] == ["network", "0.874 ± 0.004", "0.880", "0.874, 0.874", "5, 6", "1.5", "1,000"]
    assert table.rows[0][1:4] == ["baseline", "0.916", "0.910"]
    assert chart.alt.startswith("The best first: nb_svm 0.916, lstm 0.874")


def test_names_come_with_the_run(write_case):
    run = write_case("text")
    metrics = json.loads((run / "metrics.json").read_text())
    write_json(run / "metrics.json", metrics | {"names": {"nb_svm": "NB-SVM"}})
    assert sections(run)["Scores"][0].rows[0][0] == "NB-SVM"
    assert "NB-SVM (best baseline)" in str(
        charts(run)["Share of positive texts by predicted probability"].views
    )


def test_a_model_that_diverged_is_named(write_case):
    run = write_case("forecast", models=("gru", "wild"), days=30)
    metrics = json.loads((run / "metrics.json").read_text())
    nothing = {"mean": None, "std": None, "values": [None, None]}
    metrics["models"]["wild"] |= {"validation": nothing, "test": nothing, "best_epochs": [None, None]}
    write_json(run / "metrics.json", metrics)
    table, chart = sections(run)["Scores"]
    assert table.rows[-1][:6] == ["wild", "network", "diverged", "diverged", "diverged, diverged", "–, –"]
    assert "wild" not in chart.alt


def test_charts_of_forecasts_have_the_errors_of_the_run(write_case):
    run = write_case("forecast")
    study = studies.read(run)
    network = study.best()[0]
    error = np.abs(network.values - study.predictions["truth"])
    drawn = charts(run)
    over_time = drawn["T (°C): forecast and actual values over time"]
    assert list(over_time.views) == ["north", "south"]
    assert f"gru {error.mean():.2f}" in over_time.alt
    hours = drawn["Mean absolute error (°C) by hour of day"].table
    hour = study.predictions["time"].astype("datetime64[h]").astype(int) % 24
    assert float(hours.rows[7][1]) == pytest.approx(error[hour == 7].mean(), abs=0.006)
    assert list(drawn["Forecast against actual value"].views) == [each.label for each in study.best()]


def test_probabilities_come_as_true_as_they_do(write_case):
    run = write_case("text")
    table = charts(run)["Share of positive texts by predicted probability"].table
    truth = rundir.load(run).read("predictions")["truth"]
    assert sum(int(row[3].replace(",", "")) for row in table.rows) <= 2 * len(truth)
    assert {row[0] for row in table.rows} == {"lstm", "nb_svm"}


def test_curves_of_every_model_and_seed_are_drawn(write_case):
    run = write_case("text")
    drawn = charts(run)
    for title in ("Cross-entropy (nats) by epoch", "Accuracy by epoch"):
        assert list(drawn[title].views) == ["simple_rnn", "lstm"]
        names = [trace["name"] for trace in drawn[title].views["lstm"]["data"]]
        assert names == [f"seed {seed}, {part}" for seed in (0, 1) for part in ("training", "validation")]


def test_errors_of_the_adding_problem_are_by_length(write_case):
    chart = charts(write_case("adding"))["Test error by sequence length"]
    assert [trace["name"] for trace in chart.views["all"]["data"]] == [
        "always predicting 1",
        "gru",
        "simple_rnn",
    ]
    assert math.isclose(float(chart.alt.split("predicting 1 has ")[1][:5]), 1 / 6, abs_tol=1e-3)


def test_a_run_that_is_not_finished_says_how_to_continue(write_case):
    run = write_case("forecast", days=30)
    record = json.loads((run / "run.json").read_text())
    write_json(run / "run.json", record | {"state": "running"})
    for name in ("metrics.json", "predictions.npz"):
        (run / name).unlink()
    page = pages.of([run])
    assert page.answer.startswith("This study is not finished; to continue it, run `sunhwan study run ")
    assert [section.title for section in page.sections] == ["Training", "Data", "Reproduce"]
    (run / "history.csv").unlink()
    assert [section.title for section in pages.of([run]).sections] == ["Data", "Reproduce"]


def test_studies_are_not_compared_on_one_page(write_case, tmp_path):
    run = write_case("forecast", days=30)
    other = rundir.load(run).folder.rename(tmp_path / "other")
    with pytest.raises(SunhwanError, match="runs are of study; several runs of `forecast`"):
        pages.of([other, write_case("forecast", days=30)])
