"""Recurrent layers that are fed wrongly, each beside layers that are not."""

import pytest


@pytest.mark.parametrize(
    ("padding", "layers", "expected"),
    [
        ("post", "keras.layers.Embedding(50, 2), keras.layers.GRU(2)", True),
        ("pre", "keras.layers.Embedding(50, 2), keras.layers.GRU(2)", False),
        ("post", "keras.layers.Embedding(50, 2, mask_zero=True), keras.layers.GRU(2)", False),
        ("post", "keras.layers.Embedding(50, 2), keras.layers.GlobalMaxPooling1D()", False),
    ],
)
def test_padding_behind_without_a_mask_is_reported(padding, layers, expected, findings):
    by_name = findings(
        "texts = [random.integers(1, 50, random.integers(3, 20)) for _ in range(240)]\n"
        f"ids = keras.utils.pad_sequences(texts, 20, padding={padding!r})\n"
        f"model = network({layers}, activation='sigmoid',"
        "loss='binary_crossentropy')\nmodel.fit(ids, (y > 0).astype(int), verbose=0)\n"
    )
    assert ("padding_without_mask" in by_name) == expected


def test_readings_that_are_zero_at_night_are_no_padding(findings):
    by_name = findings("x = np.maximum(x, 0)\nx = np.repeat(x, 4, axis=1)\nnetwork().fit(x, y, verbose=0)")
    assert "padding_without_mask" not in by_name


@pytest.mark.parametrize(("shuffle", "expected"), [("", True), (", shuffle=False", False)])
def test_a_state_that_is_kept_across_shuffled_batches_is_reported(shuffle, expected, findings):
    by_name = findings(
        "model = network(keras.layers.Input(batch_shape=(20, 6, 1)), keras.layers.GRU(2, stateful=True))\n"
        f"model.fit(x, y, batch_size=20, verbose=0{shuffle})\n"
    )
    assert ("stateful_shuffled" in by_name) == expected
