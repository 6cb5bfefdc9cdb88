"""`sunhwan summary`: Keras's table of layers, with the tutorial's counts."""

import pytest


def test_the_tutorial_s_first_classifier(sunhwan):
    ended = sunhwan("summary", "imdb_sentiment", "simple_rnn")
    assert (ended.status, ended.err) == (0, "")
    assert "(None, 500, 32)" in ended.out
    assert "320,000" in ended.out
    assert "2,080" in ended.out
    assert "322,113" in ended.out


def test_a_table_s_model_is_built_for_its_columns(sunhwan, station):
    given = [
        "--data",
        station,
        "--target",
        "T (degC)",
        "--lookback",
        "5h",
        "--time",
        "time",
        "--split",
        "2/1/1",
    ]
    ended = sunhwan("summary", "table_temperature", "gru", *given)
    assert (ended.status, ended.err) == (0, "")
    # Temperature, pressure, and sine and cosine of hour and day: 6 features.
    assert f"{3 * 32 * (6 + 32 + 2):,}" in ended.out
    linear = sunhwan("summary", "table_temperature", "gru_linear_skip", *given)
    assert linear.status == 0
    assert "ridge (Dense)" in linear.out


def test_nothing_is_written(sunhwan, tmp_path):
    assert sunhwan("summary", "adding_problem", "lstm").status == 0
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["imdb", "lstm"], "there is no study 'imdb'; there are adding_problem, "),
        (["imdb_sentiment", "gru"], "there is no model 'gru'; there are simple_rnn, lstm, bilstm_pooled"),
        (["table_temperature", "gru"], "needs a file of yours; name it with --data"),
        (["table_temperature", "gru", "--data", "none.csv"], "none.csv"),
        (["imdb_sentiment", "lstm", "--target", "T"], "--target is for forecasts"),
        (["imdb_sentiment", "lstm", "--time", "T"], "[data] has 'time', but the data imdb takes path"),
    ],
)
def test_what_cannot_be_built(arguments, said, refuses):
    assert said in refuses("summary", *arguments)
