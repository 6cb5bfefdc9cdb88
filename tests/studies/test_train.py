"""Training that can be stopped anywhere: the order of batches, the checkpoint, the epoch that is kept."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest

from sunhwan.studies import models, train
from sunhwan.studies.problem import Examples, Problem
from sunhwan.training.batches import Batches, Schedule
from sunhwan.training.progress import Nobody

DROPOUT = {"units": 32, "dropout": 0.5, "recurrent_dropout": 0.5}
SCHEDULE = Schedule(epochs=4, batch_size=8, steps_per_epoch=None, seed=3)


class Watching(Nobody):
    """Notes what it is told; `act` is called with it before each epoch's row is passed on."""

    def __init__(self, act=lambda row: None):
        self.begun, self.batches, self.rows, self.act = [], [], [], act

    def begin(self, member, epochs, batches):
        self.begun.append((member, epochs, batches))

    def batch(self, epoch, batch):
        self.batches.append((epoch, batch))

    def epoch(self, row):
        self.act(row)
        self.rows.append(row)


class Stopped(BaseException):
    """Ends training as Ctrl-C does."""


def stop_after(epoch):
    def act(row):
        if row["epoch"] == epoch:
            raise Stopped

    return act


def fit(problem, folder, *, name="gru", options=DROPOUT, schedule=SCHEDULE, watcher=None):
    """Train under the member's name "it" in `folder`."""
    return train.fit(name, "it", "forecast", problem, options, schedule, folder, watcher or Nobody())


def figures(progress):
    """The rows without the time that they took."""
    return [{key: value for key, value in row.items() if key != "seconds"} for row in progress.rows]


def same(one, other):
    return all((a == b).all() for a, b in zip(one.get_weights(), other.get_weights(), strict=True))


# ---- forecasts --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [1, 7, 8, 9, 20])
def test_forecasts_are_the_model_s_of_every_example_in_order(count, tiny, monkeypatch):
    monkeypatch.setattr(train, "PREDICTION_BATCH", 8)
    model = models.build("forecast", "dense", tiny, {})
    part = Examples(tiny.train.inputs[:count], tiny.train.truth[:count])
    said = train.forecast(model, part)
    assert said.shape == (count,)
    # The same float32 products, summed over batches of another size.
    np.testing.assert_allclose(said, model.predict(part.inputs, verbose=0)[:, 0], rtol=1e-5, atol=1e-6)


# ---- training ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def undisturbed(tiny, tmp_path_factory):
    """(model of the best epoch, progress, folder, what the watcher was told)."""
    folder, watching = tmp_path_factory.mktemp("undisturbed"), Watching()
    model, progress = fit(tiny, folder, watcher=watching)
    return model, progress, folder, watching


def test_each_epoch_is_scored_on_the_whole_validation_part(undisturbed, tiny):
    model, progress, _, watching = undisturbed
    assert [row["epoch"] for row in progress.rows] == [1, 2, 3, 4]
    assert watching.rows == progress.rows
    assert watching.begun == [("it", 4, 5)]
    assert watching.batches == [(epoch, batch) for epoch in range(1, 5) for batch in range(1, 6)]
    assert set(progress.rows[0]) == {"epoch", "seconds", "loss", "val_loss"}
    losses = [row["val_loss"] for row in progress.rows]
    assert progress.best_epoch == 1 + int(np.argmin(losses))
    assert progress.best == min(losses)
    score = tiny.score(train.forecast(model, tiny.val), "val")
    assert score["loss"] == pytest.approx(min(losses), rel=1e-6)


def test_the_training_loss_is_that_of_the_epoch_s_own_batches(undisturbed, tiny):
    """Dropout makes it another than the validation's measure; so it is checked on a network without."""
    model, progress = fit(
        tiny,
        undisturbed[2] / "dense",
        name="dense",
        options={"learning_rate": 1e-9},
        schedule=replace(SCHEDULE, epochs=1),
    )
    seen = SCHEDULE.order(len(tiny.train), 0).ravel()
    said = train.forecast(model, tiny.train)[seen]
    expected = np.abs(said - tiny.train.truth[seen]).mean()
    # The tiny steps move the weights by about 1e-8.
    assert progress.rows[0]["loss"] == pytest.approx(expected, rel=1e-4)


class Scripted(Problem):
    """A problem in which the epochs' scores on validation are known beforehand."""

    def score(self, forecast, part):
        value = next(self.context["values"])
        return {"loss": value, "value": value}


@pytest.mark.parametrize(
    ("values", "kept"),
    [([0.5, 0.3, 0.4, 0.3], 2), ([0.5, math.nan, 0.4, 0.6], 3), ([math.nan, 0.5, 0.6, 0.7], 2)],
)
def test_the_best_epoch_is_kept_not_the_last(values, kept, tiny, tmp_path):
    def trained(epochs, values):
        problem = Scripted(
            tiny.train, tiny.val, tiny.test, (5, 2), tiny.metric, context={"values": iter(values)}
        )
        schedule, folder = replace(SCHEDULE, epochs=epochs), tmp_path / str(epochs)
        return fit(problem, folder, name="dense", options={}, schedule=schedule)

    model, progress = trained(4, values)
    assert (progress.best_epoch, progress.best) == (kept, values[kept - 1])
    # Its weights are those of a training that ended there with the best figure.
    until_then, _ = trained(kept, [0.9] * (kept - 1) + [0.1])
    assert same(model, until_then)


def test_seeds_give_other_networks_and_one_seed_the_same(tiny, tmp_path):
    def trained(name, seed):
        return fit(tiny, tmp_path / name, name="dense", options={}, schedule=replace(SCHEDULE, seed=seed))

    model, progress = trained("one", 0)
    again, repeated = trained("again", 0)
    other, _ = trained("other", 1)
    assert same(model, again)
    assert figures(repeated) == figures(progress)
    assert not same(model, other)


def test_stopped_within_an_epoch_it_goes_on_with_the_same_bits(undisturbed, tiny, tmp_path):
    model, progress, _, _ = undisturbed
    watching = Watching()

    def batch(epoch, batch):
        if (epoch, batch) == (3, 2):
            raise Stopped

    watching.batch = batch
    with pytest.raises(Stopped):
        fit(tiny, tmp_path, watcher=watching)
    watching = Watching()
    resumed, repeated = fit(tiny, tmp_path, watcher=watching)
    assert same(model, resumed)
    assert figures(repeated) == figures(progress)
    assert repeated.best_epoch == progress.best_epoch
    # Epochs that were done are told again, but not trained again.
    assert [row["epoch"] for row in watching.rows] == [1, 2, 3, 4]
    assert {epoch for epoch, _ in watching.batches} == {3, 4}


def test_stopped_between_the_best_model_and_the_checkpoint_too(undisturbed, tiny, tmp_path, monkeypatch):
    model, progress, _, _ = undisturbed
    save = train.save

    def interrupted(model, progress, path):
        if progress.epoch == 2:
            # The network of epoch 2 was better, so it is kept already; its checkpoint will not be.
            assert progress.best_epoch == 2
            raise Stopped
        save(model, progress, path)

    with monkeypatch.context() as patch, pytest.raises(Stopped):
        patch.setattr(train, "save", interrupted)
        fit(tiny, tmp_path)
    resumed, repeated = fit(tiny, tmp_path)
    assert same(model, resumed)
    assert figures(repeated) == figures(progress)


def test_without_the_seed_generators_the_bits_would_be_others(undisturbed, tiny, tmp_path, monkeypatch):
    """The tests above can fail: dropout goes on with other masks if the generators' states are not kept."""
    model, _, _, _ = undisturbed

    def without(model):
        return [*model.trainable_variables, *model.optimizer.variables]

    monkeypatch.setattr(train, "variables", without)
    with pytest.raises(Stopped):
        fit(tiny, tmp_path, watcher=Watching(stop_after(1)))
    resumed, _ = fit(tiny, tmp_path)
    assert not same(model, resumed)


def test_a_checkpoint_holds_all_that_decides_what_comes_next(tiny, tmp_path):
    model = models.build("forecast", "gru", tiny, DROPOUT)
    model.optimizer.build(model.trainable_variables)
    names = [variable.path for variable in train.variables(model)]
    assert len(names) == len(set(names))
    assert sum("seed_generator_state" in name for name in names) >= 1
    assert {"kernel", "recurrent_kernel", "bias", "iteration"} <= {name.rpartition("/")[2] for name in names}

    progress = train.Progress(epoch=1, best_epoch=1, best=0.5, rows=[{"epoch": 1, "loss": 0.1 + 0.2}])
    train.save(model, progress, tmp_path / "c.npz")
    kept = [np.array(variable) for variable in train.variables(model)]
    model.fit(Batches(tiny.train, SCHEDULE.order(44, 0)), verbose=0)
    assert any((np.array(now) != then).any() for now, then in zip(train.variables(model), kept, strict=True))
    assert train.restore(model, tmp_path / "c.npz") == progress
    for now, then in zip(train.variables(model), kept, strict=True):
        assert (np.array(now) == then).all()


def test_a_model_that_diverges_has_no_best_epoch(tiny, tmp_path):
    _, progress = fit(tiny, tmp_path, name="dense", options={"learning_rate": 1e30})
    assert progress.best_epoch == 0
    assert len(progress.rows) == 4
    assert not (tmp_path / "models").exists()
    # It is resumed like any other: NaN goes through the checkpoint.
    _, again = fit(tiny, tmp_path, name="dense", options={"learning_rate": 1e30})
    assert json.dumps(again.rows) == json.dumps(progress.rows)
