"""The network of texts: NumPy computes what Keras does, and the network reads only what it should."""

import keras
import numpy as np
import pytest

from sunhwan.classify.network import weights_of
from sunhwan.classify.texts.network import (
    FIRST,
    PADDING,
    Settings,
    TextNetwork,
    TextTrainer,
    build,
)
from sunhwan.classify.training import Feed
from sunhwan.data.ragged import Ragged
from sunhwan.training.progress import Nobody

SMALL = Settings(units=5, embedding=6, words=20, length=12, epochs=2)


def ragged(*texts):
    return Ragged.of(texts)


def network(cell="lstm", columns=1, length=12):
    keras.utils.set_random_seed(1)
    model = build(22, np.arange(columns, dtype=np.float32) + 0.5, Settings(cell, units=5, embedding=6))
    votes = model.get_layer("votes")
    votes.set_weights([np.random.default_rng(0).normal(size=(22, columns))])
    return model, TextNetwork(cell, length, weights_of(model), 22)


@pytest.mark.parametrize("cell", ["lstm", "gru", "simple_rnn"])
@pytest.mark.parametrize("columns", [1, 3])
def test_numpy_computes_what_keras_does(cell, columns):
    model, ours = network(cell, columns)
    texts = ragged([0, 3, -1, 19], [5], [2] * 12, [])
    tokens, _ = ours.read(texts).padded(np.arange(4), 12)
    logits = ours.logits(texts)
    expected = model.predict(tokens, verbose=0)
    # Sums of float32 in another order; both run the same kernels or Keras's own loop.
    np.testing.assert_allclose(logits[:, -columns:], expected, atol=1e-5)
    assert logits.shape == (4, max(columns, 2))
    if columns == 1:
        assert (logits[:, 0] == 0).all()


def test_a_prediction_does_not_depend_on_the_other_texts():
    _, ours = network()
    texts = [[1, 2, 3], [4] * 11, [5, 6], [7]]
    together = ours.logits(ragged(*texts))
    for text, logits in zip(texts, together, strict=True):
        np.testing.assert_allclose(ours.logits(ragged(text))[0], logits, atol=1e-6)


def test_order_counts():
    _, ours = network()
    there, back = ours.logits(ragged([1, 2, 3], [3, 2, 1]))[:, 1]
    assert abs(there - back) > 1e-4


def test_of_a_long_text_beginning_and_end_are_read():
    read = TextNetwork("lstm", 8, {}, 100).read
    assert read(ragged(list(range(20))))[0].tolist() == [FIRST + i for i in (0, 1, 14, 15, 16, 17, 18, 19)]
    assert read(ragged(list(range(8))))[0].tolist() == [FIRST + i for i in range(8)]


def test_every_text_is_read_once_before_any_is_read_twice():
    trainer = TextTrainer(ragged(*[[i] * (1 + i % 9) for i in range(100)]), Settings(word_dropout=0.0))
    feed = Feed(trainer.steps.lengths, np.arange(100), 4, 0, [3, 12], trainer.batch)
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
    feed = TextTrainer(ragged(*[[3] * 10] * 64), SMALL).feed(np.zeros(64, int), seed=0)
    tokens = np.concatenate([tokens.ravel() for tokens, _ in feed.epoch(0)])
    hidden = (tokens == 1).sum() / (tokens != PADDING).sum()
    assert hidden == pytest.approx(0.2, abs=0.03)


def order_of_two(count, seed):
    """Texts whose class depends only on the order of two words."""
    random = np.random.default_rng(seed)
    labels = random.integers(0, 2, count)
    return ragged(*[[0, 1] if label else [1, 0] for label in labels]), labels


@pytest.mark.slow
def test_it_learns_the_order_of_words_and_returns_the_best_epoch():
    texts, labels = order_of_two(200, 0)
    validation = order_of_two(60, 1)
    settings = Settings(
        units=8, embedding=8, words=2, dropout=0.0, word_dropout=0.0, epochs=8, learning_rate=1e-2
    )
    found = TextTrainer(texts, settings).train(labels, 2, 0, Nobody(), validation)
    assert (found.network.logits(validation[0]).argmax(axis=1) == validation[1]).all()
    losses = [row["val_loss"] for row in found.history]
    assert found.epochs == 1 + int(np.argmin(losses))
    logits = found.network.logits(validation[0])[:, 1]
    loss = np.logaddexp(0, np.where(validation[1] == 1, -logits, logits)).mean()
    assert loss == pytest.approx(min(losses), rel=1e-4), "the returned weights are the best epoch's"


def test_without_a_word_the_network_begins_at_the_shares():
    texts, labels = ragged(*[[0]] * 30, *[[1]] * 10), np.array([0] * 30 + [1] * 10)
    settings = Settings(units=4, embedding=4, epochs=1, learning_rate=1e-9)
    network = TextTrainer(texts, settings).train(labels, 2, 0, Nobody()).network
    assert network.weights["dense_bias"][0] == pytest.approx(np.log(10 / 30), abs=1e-4)


def test_a_saved_network_is_loaded_again():
    _, ours = network()
    texts = ragged([1, 2], [3])
    again = TextNetwork.from_dict(ours.to_dict(), ours.weights)
    np.testing.assert_array_equal(again.logits(texts), ours.logits(texts))
    with pytest.raises(ValueError, match="cell 'elman'"):
        TextNetwork.from_dict({**ours.to_dict(), "cell": "elman"}, ours.weights)
