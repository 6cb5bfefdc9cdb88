"""The table of results."""

import io

import pytest
from rich.console import Console

from sunhwan.cli.tables import results

FIGURES = {"seconds_per_epoch": 1.25, "parameters": 4641, "best_epochs": [3]}


def entry(test, val, std=None, **more):
    return {"test": {"mean": test, "std": std}, "validation": {"mean": val, "std": std}, **FIGURES, **more}


def printed(metrics):
    page = io.StringIO()
    Console(file=page, width=100).print(results(metrics))
    return [line.strip() for line in page.getvalue().splitlines() if line.strip()]


def metrics(models, baselines, **more):
    return {
        "metric": "mae",
        "unit": "degC",
        "higher_is_better": False,
        "models": models,
        "baselines": {name: {"test": test, "validation": val} for name, (test, val) in baselines.items()},
        **more,
    }


def test_the_best_on_test_comes_first_networks_and_baselines_alike():
    models = {"gru": entry(2.3, 2.2), "lstm": entry(2.5, 2.1, std=0.05, best_epochs=[3, 12])}
    lines = printed(metrics(models, {"ridge": (2.4, 2.6), "last_value": (2.7, 2.0)}))
    assert lines[0] == "mean absolute error, °C (= baseline)"
    assert lines[1].split() == ["test", "validation", "best", "epoch", "s/epoch", "parameters"]
    assert [line.split() for line in lines[3:]] == [
        ["gru", "2.3000", "2.2000", "3", "1.2", "4,641"],
        ["=", "ridge", "2.4000", "2.6000"],
        ["lstm", "2.5000", "±", "0.0500", "2.1000", "±", "0.0500", "3,", "12", "1.2", "4,641"],
        ["=", "last_value", "2.7000", "2.0000"],
    ]


def test_the_highest_accuracy_comes_first():
    models = {"lstm": entry(0.87, 0.9), "rnn": entry(0.91, 0.8)}
    lines = printed(
        metrics(models, {"nb_svm": (0.89, 0.88)}, metric="accuracy", unit="accuracy", higher_is_better=True)
    )
    assert lines[0] == "accuracy (= baseline)"
    assert [line.split()[0] for line in lines[3:]] == ["rnn", "=", "lstm"]


def test_the_adding_problem_s_errors_stand_by_length():
    models = {"gru_100": entry(0.002, 0.002), "gru_50": entry(0.003, 0.003), "rnn_50": entry(None, None)}
    baselines = {"mean_50": (0.167, 0.167), "mean_100": (0.166, 0.166)}
    lines = printed(metrics(models, baselines, metric="mse", unit="squared error"))
    assert lines[0] == "mean squared error (= baseline)"
    assert [line.removeprefix("= ").split()[0] for line in lines[3:]] == [
        *("gru_50", "mean_50", "rnn_50"),
        *("gru_100", "mean_100"),
    ]


def test_a_unit_that_nobody_knows_is_left_out():
    assert printed(metrics({"gru": entry(2.3, 2.2)}, {}, unit=""))[0] == "mean absolute error (= baseline)"


@pytest.mark.parametrize("higher", [False, True])
def test_what_diverged_comes_last(higher):
    broken = entry(None, None, best_epochs=[None, 2])
    lines = printed(metrics({"wild": broken, "gru": entry(2.3, 2.2)}, {}, higher_is_better=higher))
    assert [line.split()[0] for line in lines[3:]] == ["gru", "wild"]
    assert lines[-1].split()[1:5] == ["diverged", "diverged", "-,", "2"]


def test_names_and_units_are_no_markup():
    models = {"gru [red]": entry(2.3, 2.2)}
    lines = printed(metrics(models, {"ridge": (2.4, 2.6)}, unit="[/bold]"))
    assert lines[0] == "mean absolute error, [/bold] (= baseline)"
    assert lines[3].startswith("gru [red]")
