"""The account of which layers ran where: its rows, and how people get to see them."""

import io

import keras
import numpy as np
import pytest
import rich.console

import sunhwan
from sunhwan.recurrence.keras.dispatch_log import Row, recorded
from sunhwan.recurrence.keras.explain import Explanation


@pytest.fixture
def model():
    inner = keras.Sequential([keras.layers.GRU(3, return_sequences=True, name="memory")], name="inner")
    return keras.Sequential(
        [
            keras.Input((4, 2)),
            keras.layers.Bidirectional(keras.layers.LSTM(4, return_sequences=True, name="lstm"), name="both"),
            inner,
            keras.layers.TimeDistributed(keras.layers.Dense(3), name="each"),
            keras.layers.RNN(keras.layers.SimpleRNNCell(2), name="loop"),
        ],
        name="model",
    )


NOT_SWITCHED = "only SimpleRNN, GRU and LSTM are fused"
ROWS = [
    ("model/both/forward_lstm", "LSTM(4)"),
    ("model/both/backward_lstm", "LSTM(4)"),
    ("model/inner/memory", "GRU(3)"),
    ("model/loop", "RNN"),
]


def of_model(*paths):
    names = [(layer.rpartition("/")[2], kind) for layer, kind in ROWS]
    return [(*name, *path) for name, path in zip(names, paths, strict=True)]


def rows(model):
    return [
        (row.layer.rpartition("/")[2], row.kind, row.path, row.reason) for row in sunhwan.explain(model).rows
    ]


def test_layers_are_found_at_any_depth_and_are_as_they_were_traced(model):
    off, no_rnn = ("Keras", "sunhwan.accelerate() is not on"), ("Keras", NOT_SWITCHED)
    assert rows(model) == of_model(off, off, off, off)
    with sunhwan.accelerated():
        waiting = ("not run yet", "")
        assert rows(model) == of_model(waiting, waiting, waiting, no_rnn)
        model.predict(np.ones((1, 4, 2)), verbose=0)
        fused = ("fused", "")
        assert rows(model) == of_model(fused, fused, fused, no_rnn)
    assert rows(model) == of_model(off, off, off, off)


def test_a_layer_that_took_both_paths_has_a_row_for_each_and_only_one():
    layer = keras.layers.GRU(2)
    with sunhwan.accelerated():
        for mask in (None, np.ones((1, 4, 1), bool), None):
            layer(np.ones((1, 4, 2), "float32"), mask=mask)
        reason = "its mask has the shape (1, 4, 1); the kernels take (1, 4)"
        assert [row[2:] for row in rows(layer)] == [("fused", ""), ("Keras", reason)]


def test_a_layer_that_is_used_twice_is_one():
    shared, first, second = keras.layers.GRU(2), keras.Input((4, 2)), keras.Input((4, 2))
    model = keras.Model([first, second], keras.layers.Add()([shared(first), shared(second)]))
    assert len(sunhwan.explain(model).rows) == 1


def test_a_class_that_can_never_be_fused_needs_no_run_to_say_so():
    class Own(keras.layers.LSTM):
        def inner_loop(self, *args, **kwargs):
            return super().inner_loop(*args, **kwargs)

    with sunhwan.accelerated():
        assert rows(Own(3, name="own")) == [("own", "Own(3)", "Keras", "its class Own overrides inner_loop")]


def test_what_is_no_model_is_refused():
    with pytest.raises(TypeError, match="explain takes a Keras model or layer, received a list"):
        sunhwan.explain([])


def test_a_model_of_keras_2_is_refused_with_what_to_do():
    model = type("LSTM", (), {"__module__": "tf_keras.src.layers.rnn.lstm"})
    with pytest.raises(TypeError, match=r"received a Own of Keras 2 \(tf_keras\), .* TF_USE_LEGACY_KERAS"):
        sunhwan.explain(type("Own", (model,), {})())


def test_rows_are_recorded_as_they_come_and_outlive_their_models():
    with sunhwan.accelerated(), recorded() as ran:
        keras.layers.GRU(2, name="gone")(np.ones((1, 4, 2), "float32"))
        assert ran == [[Row("gone", "GRU(2)", "fused")]]
        for mask in (None, np.ones((1, 4, 1), bool)):
            keras.layers.GRU(2, name="gone")(np.ones((1, 4, 2), "float32"), mask=mask)
        both = keras.layers.GRU(2, name="both")
        for mask in (None, np.ones((1, 4, 1), bool)):
            both(np.ones((1, 4, 2), "float32"), mask=mask)
    assert [[row.path for row in rows] for rows in ran] == [
        ["fused"], ["fused"], ["Keras"], ["fused", "Keras"]
    ]  # fmt: skip
    with sunhwan.accelerated():
        keras.layers.GRU(2)(np.ones((1, 4, 2), "float32"))
    assert len(ran) == 4


FUSED = Row("a/b", "LSTM(4)", "fused")
KERAS = Row("<c>", "GRU(12)", "Keras", "it is [so] & so")


def test_the_text_is_a_table():
    assert str(Explanation((FUSED, KERAS))) == (
        "layer  kind     path   reason\na/b    LSTM(4)  fused\n<c>    GRU(12)  Keras  it is [so] & so"
    )
    assert repr(Explanation((FUSED,))) == "layer  kind     path\na/b    LSTM(4)  fused"
    assert str(Explanation(())) == "There is no recurrent layer."


def test_a_notebook_shows_a_table():
    shown = Explanation((FUSED, KERAS))._repr_html_()
    assert shown.startswith("<table><tr><th")
    assert shown.count("<tr>") == 3
    assert "&lt;c&gt;</td>" in shown
    assert "it is [so] &amp; so</td></tr></table>" in shown
    assert Explanation(())._repr_html_() == "There is no recurrent layer."


def test_rich_shows_a_table():
    def printed(explanation):
        console = rich.console.Console(file=io.StringIO(), width=80)
        console.print(explanation)
        return console.file.getvalue()

    long = Row("sequential_12/bidirectional/backward_lstm", "LSTM(256)", "Keras", "it is so " * 9)
    text = printed(Explanation((long,)))
    assert "…" not in text
    cells = [line.split("│")[1:-1] for line in text.splitlines() if line.startswith("│")]
    names, kinds, *_ = ("".join(part.strip() for part in column) for column in zip(*cells, strict=True))
    assert (names, kinds) == (long.layer, long.kind)
    assert "│ <c>   │ GRU(12) │ Keras │ it is [so] & so │\n" in printed(Explanation((FUSED, KERAS)))
    assert printed(Explanation(())) == "There is no recurrent layer.\n"
