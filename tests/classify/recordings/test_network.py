"""The network of recordings: NumPy computes what Keras does, and padding changes nothing."""

import keras
import numpy as np
import pytest

from sunhwan.classify.network import weights_of
from sunhwan.classify.recordings.network import RecordingNetwork, RecordingTrainer, Settings, build
from sunhwan.classify.training import Feed
from sunhwan.data.ragged import Ragged
from sunhwan.training.progress import Nobody


def sequences(*lengths, seed=0):
    offsets = np.append(0, np.cumsum(lengths))
    return Ragged(np.random.default_rng(seed).normal(size=(offsets[-1], 3)).astype(np.float32), offsets)


def network(cell="lstm", columns=1, layers=2):
    keras.utils.set_random_seed(1)
    settings = Settings(cell, units=4, layers=layers)
    model = build(3, np.arange(columns, dtype=np.float32) + 0.5, settings)
    return model, RecordingNetwork(cell, 12, weights_of(model), 1)


@pytest.mark.parametrize(("cell", "columns", "layers"), [("lstm", 1, 2), ("gru", 3, 2), ("simple_rnn", 3, 1)])
def test_numpy_computes_what_keras_does(cell, columns, layers):
    model, ours = network(cell, columns, layers)
    some = sequences(4, 1, 12, 7)
    logits = ours.logits(some)
    expected = model.predict(list(some.padded(np.arange(4), 12)), verbose=0)
    # Sums of float32 in another order; both run the same kernels or Keras's own loop.
    np.testing.assert_allclose(logits[:, -columns:], expected, atol=1e-5)
    assert logits.shape == (4, max(columns, 2))


def test_a_prediction_does_not_depend_on_the_other_recordings():
    _, ours = network()
    some = sequences(3, 11, 2, 1)
    together = ours.logits(some)
    for i in range(4):
        np.testing.assert_allclose(ours.logits(some.part(i, i + 1))[0], together[i], atol=1e-6)


def test_of_a_long_recording_the_beginning_is_read():
    _, ours = network()
    some = sequences(20)
    np.testing.assert_allclose(ours.logits(some), ours.logits(Ragged(some.values[:12], np.array([0, 12]))))


def test_batches_hold_whole_recordings_with_noise_where_they_are():
    some, labels = sequences(*range(1, 41)), np.arange(40)
    trainer = RecordingTrainer(some, Settings(noise=0.0))
    feed = Feed(some.lengths, labels, 2, 0, [16, 40], trainer.batch)
    for (values, mask), numbers in feed.epoch(0):
        assert values.shape[1] in (16, 40)
        for one, there, i in zip(values, mask, numbers[:, 0], strict=True):
            assert there.sum() == i + 1 and there[: i + 1].all()
            np.testing.assert_array_equal(one[there], some.part(i, i + 1).values)
            assert not one[~there].any()
    (noisy, mask), _ = RecordingTrainer(some, Settings(noise=0.5, batch=2)).feed(labels, 0).epoch(0)[0]
    assert not noisy[~mask].any() and noisy[mask].any()


@pytest.mark.slow
def test_it_learns_the_order_of_readings():
    random = np.random.default_rng(0)
    labels = np.arange(120) % 2
    lengths = random.integers(4, 12, 120)
    # Rising or falling: the same numbers in another order.
    parts = [np.sort(random.normal(size=n))[:: 1 if k else -1] for n, k in zip(lengths, labels, strict=True)]
    some = Ragged.of([part[:, None] for part in parts], np.float32)
    settings = Settings(units=6, layers=1, epochs=6, dropout=0.0, learning_rate=1e-2)
    trainer, validation = RecordingTrainer(some.part(0, 90), settings), (some.part(90, 120), labels[90:])
    found = trainer.train(labels[:90], 2, 0, Nobody(), validation)
    assert (found.network.logits(some.part(90, 120)).argmax(axis=1) == labels[90:]).mean() > 0.9
    assert found.epochs == 1 + int(np.argmin([row["val_loss"] for row in found.history]))


def test_a_saved_network_is_loaded_again():
    _, ours = network()
    some = sequences(4, 2)
    again = RecordingNetwork.from_dict(ours.to_dict(), ours.weights)
    np.testing.assert_array_equal(again.logits(some), ours.logits(some))
