"""The network in Keras, and what it becomes as arrays."""

import numpy as np
import pytest

from sunhwan.baselines.ridge import Ridge
from sunhwan.data.preparation import prepare
from sunhwan.forecast import network
from sunhwan.forecast.exact import Network
from sunhwan.forecast.options import Settings
from sunhwan.recurrence.cells import CELLS


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("relative", [False, True])
def test_arrays_predict_what_keras_predicts(tabled, station, wanted, cell, relative):
    learnt = prepare(tabled(station()), wanted(known=("plan",)))
    train, validation = learnt.windows("train"), learnt.windows("val")
    ridge = Ridge.fit(train, validation)
    settings = Settings(cell=cell, units=6, layers=2, dense=8, relative=relative)
    import keras

    keras.utils.set_random_seed(0)
    model = network.build(learnt.plan, ridge, np.zeros((learnt.plan.outputs, 3)), settings)
    random = np.random.default_rng(0)
    for layer in model.layers:
        if layer.name not in ("line", "ahead"):
            layer.set_weights([0.3 * random.normal(size=w.shape) for w in layer.get_weights()])
    trained = network.taken(model, settings, 0.8, learnt.plan)
    index = np.arange(40)
    theirs = np.asarray(model((validation.windows(index), validation.ahead(index))))
    ours = trained.predict(validation.take(index), ridge).reshape(theirs.shape)
    np.testing.assert_allclose(ours, theirs, atol=2e-5)
    again = Network.from_saved(learnt.plan, trained.to_dict(), trained.weights)
    np.testing.assert_array_equal(again.predict(validation.take(index), ridge).reshape(theirs.shape), ours)


def test_an_untrained_network_predicts_what_ridge_predicts(tabled, station, wanted):
    learnt = prepare(tabled(station()), wanted())
    ridge = Ridge.fit(learnt.windows("train"), learnt.windows("val"))
    offsets = np.tile([0.0, -1.0, 2.0], (learnt.plan.outputs, 1))
    model = network.build(learnt.plan, ridge, offsets, Settings(units=4))
    trained = network.taken(model, Settings(units=4), 0.8, learnt.plan)
    test = learnt.windows("test")
    prediction = trained.predict(test, ridge)
    np.testing.assert_allclose(
        prediction - ridge.predict(test)[..., None],
        np.tile([0, -1, 2], (*prediction.shape[:3], 1)),
        atol=1e-5,
    )


def test_the_loss_is_least_at_the_quantiles():
    truth = np.random.default_rng(0).normal(size=(4000, 1, 1)).astype(np.float32)
    truth[::7] = np.nan
    quantiles = np.nanquantile(truth, [0.5, 0.1, 0.9])

    def loss(prediction):
        return network.pinball_mean(np.tile(np.float32(prediction), (4000, 1, 1, 1)), truth, 0.8)

    least = loss(quantiles)
    for column in range(3):
        for change in (-0.2, 0.2):
            assert loss(quantiles + change * np.eye(3)[column]) > least + 1e-4
    in_keras = network.pinball(0.8)(truth[:, 0], np.tile(np.float32(quantiles), (4000, 1, 1)))
    counted = float(np.asarray(in_keras).mean()) * 4000 / np.isfinite(truth).sum()
    assert counted == pytest.approx(least, rel=1e-5)
