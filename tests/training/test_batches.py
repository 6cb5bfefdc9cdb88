"""Batches: which examples they contain, and how Keras trains on them."""

from dataclasses import replace

import keras
import numpy as np
from hypothesis import given
from hypothesis import strategies as some

from sunhwan.studies.problem import Examples
from sunhwan.training.batches import Batches, Prepared, Schedule, Ticker, fit
from sunhwan.training.progress import Nobody

schedules = some.builds(
    Schedule,
    epochs=some.just(1),
    batch_size=some.integers(1, 7),
    steps_per_epoch=some.none() | some.integers(1, 9),
    seed=some.integers(0, 3),
)


@given(schedules, some.integers(1, 30), some.integers(0, 5))
def test_an_epoch_has_whole_batches_of_examples_that_are_there(schedule, examples, epoch):
    order = schedule.order(examples, epoch)
    assert order.shape == (schedule.batches(examples), schedule.batch_size)
    assert order.min() >= 0
    assert order.max() < examples


@given(schedules, some.integers(1, 30))
def test_every_example_comes_once_before_any_comes_twice(schedule, examples):
    needed = schedule.batches(examples) * schedule.batch_size
    epochs = max(examples // needed, 1)
    for first in (0, epochs):
        seen = np.concatenate([schedule.order(examples, first + epoch).ravel() for epoch in range(epochs)])
        counts = np.bincount(seen, minlength=examples)
        assert counts.max() - counts.min() <= 1


@given(schedules, some.integers(1, 30), some.integers(0, 5))
def test_the_order_depends_on_seed_and_epoch_alone(schedule, examples, epoch):
    assert (schedule.order(examples, epoch) == replace(schedule).order(examples, epoch)).all()


def test_epochs_and_seeds_have_orders_of_their_own():
    schedule = Schedule(epochs=2, batch_size=8, steps_per_epoch=None, seed=0)
    first = schedule.order(80, 0)
    assert (first != schedule.order(80, 1)).any()
    assert (first != replace(schedule, seed=1).order(80, 0)).any()
    assert (first.ravel() != np.arange(80)).any()


def test_batches_an_epoch():
    assert Schedule(1, 8, None, 0).batches(44) == 5
    assert Schedule(1, 8, None, 0).batches(5) == 1
    assert Schedule(1, 8, 500, 0).batches(44) == 500


def part(count=8):
    inputs = np.random.default_rng(0).normal(size=(count, 2)).astype(np.float32)
    return Examples(inputs, inputs.sum(axis=1))


def test_batches_are_gathered_by_their_numbers():
    examples = part()
    batches = Batches(examples, np.array([[3, 1], [0, 2]]))
    inputs, targets = batches[1]
    assert len(batches) == 2
    assert (inputs == examples.inputs[[0, 2]]).all()
    assert (targets == examples.truth[[0, 2]][:, None]).all()


def test_gathered_and_prepared_batches_train_alike_and_are_counted():
    class Counted(Nobody):
        def __init__(self):
            self.batches = []

        def batch(self, epoch, batch):
            self.batches.append((epoch, batch))

    examples, order = part(), np.array([[3, 1], [0, 2], [5, 4]])
    gathered = Batches(examples, order)
    results = []
    for batches in (gathered, Prepared([gathered[i] for i in range(3)])):
        keras.utils.set_random_seed(0)
        model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
        model.compile("sgd", loss="mse", metrics=["mae"])
        watcher = Counted()
        results.append((fit(model, batches, Ticker(watcher, 7)), model.get_weights()[0].tolist()))
        assert watcher.batches == [(7, 1), (7, 2), (7, 3)]
    assert results[0] == results[1] and set(results[0][0]) == {"loss", "mae"}
