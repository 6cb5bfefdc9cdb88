"""The verdict of a study: which model is best, in a sentence."""

import pytest

from sunhwan.baselines.names import words
from sunhwan.studies import verdict
from sunhwan.studies.study import load


def result(networks, baselines, metric="mae", unit="degC", higher=False):
    return {
        "metric": metric,
        "unit": unit,
        "higher_is_better": higher,
        "models": {name: {"test": {"mean": mean}} for name, mean in networks.items()},
        "baselines": {name: {"test": figure} for name, figure in baselines.items()},
        "names": {name: words(name) for name in baselines},
    }


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (
            result({"gru": 2.24, "lstm": 2.5}, {"ridge": 2.28, "last_value": 2.7}),
            "On the test part, gru is best with a mean absolute error of 2.24 °C; "
            "the best baseline, ridge regression, has 2.28 °C.",
        ),
        (
            result({"gru": 2.42, "lstm": 2.59}, {"last_value": 2.7, "ridge": 2.28}),
            "On the test part, no network beats the baselines: ridge regression is best with "
            "a mean absolute error of 2.28 °C; the best network, gru, has 2.42 °C.",
        ),
        (
            result(
                {"lstm": 0.877, "rnn": 0.85}, {"majority": 0.5, "nb_svm": 0.916}, "accuracy", "accuracy", True
            ),
            "On the test part, no network beats the baselines: NB-SVM is best with "
            "an accuracy of 0.916; the best network, lstm, has 0.877.",
        ),
        (
            result({"lstm": 0.92, "rnn": None}, {"nb_svm": 0.916}, "accuracy", "accuracy", True),
            "On the test part, lstm is best with an accuracy of 0.920; "
            "the best baseline, NB-SVM, has 0.916. Training diverged: rnn.",
        ),
        (
            result({"gru": None, "lstm": None}, {"ridge": 2.28}),
            "On the test part, ridge regression is best with a mean absolute error of 2.28 °C. "
            "Training diverged: gru, lstm.",
        ),
        (result({"gru": 2.5}, {}), "On the test part, gru is best with a mean absolute error of 2.5 °C."),
        (result({"gru": None}, {}), "No model gave finite predictions. Training diverged: gru."),
    ],
)
def test_the_first_sentence_says_who_won(given, said, study):
    assert verdict.verdict(study(), given) == said


def test_the_adding_problem_s_sentence_counts_up_to_the_first_failure():
    networks = {"gru_50": 0.001, "gru_200": 0.002, "gru_100": 0.003, "lstm_50": 0.002, "lstm_100": 0.0101}
    networks |= {"lstm_200": 0.001, "simple_rnn_50": None, "simple_rnn_100": 0.16}
    said = verdict.verdict(
        load("adding_problem"), result(networks, {"mean_50": 0.167}, "mse", "squared error")
    )
    assert said == (
        "Solved (mean squared error below 0.01; predicting the mean gives 0.167): gru up to 200 timesteps, "
        "lstm up to 50 timesteps, simple_rnn at no length. Training diverged: simple_rnn_50."
    )
