"""The network of texts: what NumPy runs is what Keras trained, and only what it should read counts."""

import keras
import numpy as np
import pytest

from sunhwan.classify.texts.network import (
    FIRST,
    PADDING,
    Settings,
    TextNetwork,
    build,
    clipped,
    fed,
    padded,
    taken,
    train,
)
from sunhwan.data.texts.vocabulary import Ragged
from sunhwan.errors import SunhwanError
from sunhwan.training.progress import Nobody

SMALL = Settings(units=5, embedding=6, words=20, length=12, epochs=2)


def ragged(*texts):
    return Ragged(
        np.array([word for text in texts for word in text], np.int32), np.cumsum([0, *map(len, texts)])
    )


def network(cell="lstm", columns=1, length=12):
    keras.utils.set_random_seed(1)
    model = build(22, np.arange(columns, dtype=np.float32) + 0.5, Settings(cell, units=5, embedding=6))
    votes = model.get_layer("votes")
    votes.set_weights([np.random.default_rng(0).normal(size=(22, columns))])
    return model, TextNetwork(cell, length, taken(model))


@pytest.mark.parametrize("cell", ["lstm", "gru", "simple_rnn"])
@pytest.mark.parametrize("columns", [1, 3])
def test_numpy_says_what_keras_says(cell, columns):
    model, ours = network(cell, columns)
    texts = ragged([0, 3, -1, 19], [5], [2] * 12, [])
    rows = clipped(texts, 12, 22)
    said = ours.logits(texts)
    expected = model.predict(padded(rows, np.arange(4), 12), verbose=0)
    # Sums of float32 in another order; both run the same kernels or Keras's own loop.
    np.testing.assert_allclose(said[:, -columns:], expected, atol=1e-5)
    assert said.shape == (4, max(columns, 2))
    if columns == 1:
        assert (said[:, 0] == 0).all()


def test_a_text_is_told_alike_whatever_stands_beside_it():
    _, ours = network()
    texts = [[1, 2, 3], [4] * 11, [5, 6], [7]]
    together = ours.logits(ragged(*texts))
    for text, said in zip(texts, together, strict=True):
        np.testing.assert_allclose(ours.logits(ragged(text))[0], said, atol=1e-6)


def test_order_counts():
    _, ours = network()
    there, back = ours.logits(ragged([1, 2, 3], [3, 2, 1]))[:, 1]
    assert abs(there - back) > 1e-4


def test_of_a_long_text_beginning_and_end_are_read():
    rows = clipped(ragged(list(range(20))), 8, 100)
    assert rows[0].tolist() == [FIRST + i for i in (0, 1, 14, 15, 16, 17, 18, 19)]
    assert clipped(ragged(list(range(8))), 8, 100)[0].tolist() == [FIRST + i for i in range(8)]


def test_every_text_is_fed_once_before_any_is_fed_twice():
    rows = clipped(ragged(*[[i] * (1 + i % 9) for i in range(100)]), 12, 200)
    settings = Settings(word_dropout=0.0, batch=4)
    feed = fed(rows, np.arange(100), settings, 0, [3, 12])
    first = feed.epoch(0)
    assert len(first) == len(feed) == 40 and all(labels.shape == (4, 1) for _, labels in first)
    counts = np.bincount(np.concatenate([labels[:, 0] for _, labels in first]), minlength=100)
    assert set(counts) <= {1, 2}
    for tokens, labels in first:
        assert tokens.shape[1] in (3, 12)
        for row, label in zip(tokens, labels[:, 0], strict=True):
            assert row[row != PADDING].tolist() == [label + FIRST] * (1 + label % 9)
    again = feed.epoch(0)
    assert all((a[0] == b[0]).all() for a, b in zip(first, again, strict=True))
    assert any(
        (a[0].shape != b[0].shape) or (a[0] != b[0]).any() for a, b in zip(first, feed.epoch(1), strict=True)
    )


def test_hidden_words_are_of_the_share_asked_for():
    rows = clipped(ragged(*[[3] * 10] * 64), 12, 22)
    tokens = np.concatenate([t.ravel() for t, _ in fed(rows, np.zeros(64, int), SMALL, 0, [12]).epoch(0)])
    hidden = (tokens == 1).sum() / (tokens != PADDING).sum()
    assert hidden == pytest.approx(0.2, abs=0.03)


def order_of_two(count, seed):
    """Texts in which only the order of two words tells the class."""
    random = np.random.default_rng(seed)
    labels = random.integers(0, 2, count)
    return ragged(*[[0, 1] if label else [1, 0] for label in labels]), labels


@pytest.mark.slow
def test_it_learns_what_only_order_tells_and_keeps_the_best_epoch():
    texts, labels = order_of_two(200, 0)
    held = order_of_two(60, 1)
    settings = Settings(
        units=8, embedding=8, words=2, dropout=0.0, word_dropout=0.0, epochs=8, learning_rate=1e-2
    )
    found = train(texts, labels, 2, settings, 0, Nobody(), held)
    assert (found.network.logits(held[0]).argmax(axis=1) == held[1]).all()
    losses = [row["val_loss"] for row in found.history]
    assert found.epochs == 1 + int(np.argmin(losses))
    logits = found.network.logits(held[0])[:, 1]
    loss = np.logaddexp(0, np.where(held[1] == 1, -logits, logits)).mean()
    assert loss == pytest.approx(min(losses), rel=1e-4), "the kept weights are the best epoch's"


def test_without_a_word_the_network_begins_at_the_shares():
    texts, labels = ragged(*[[0]] * 30, *[[1]] * 10), np.array([0] * 30 + [1] * 10)
    settings = Settings(units=4, embedding=4, epochs=1, learning_rate=1e-9)
    kernel_free = train(texts, labels, 2, settings, 0, Nobody()).network
    assert kernel_free.weights["dense_bias"][0] == pytest.approx(np.log(10 / 30), abs=1e-4)


def test_what_is_kept_is_read_again():
    _, ours = network()
    texts = ragged([1, 2], [3])
    again = TextNetwork.from_kept(ours.as_dict(), ours.weights)
    np.testing.assert_array_equal(again.logits(texts), ours.logits(texts))
    with pytest.raises(SunhwanError, match=r"cannot be read .*make the run again"):
        TextNetwork.from_kept(ours.as_dict(), {k: v for k, v in ours.weights.items() if k != "votes"})
    with pytest.raises(SunhwanError, match="cannot be read"):
        TextNetwork.from_kept({"cell": "elman", "length": 3}, ours.weights)
