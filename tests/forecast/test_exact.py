"""Trained networks as arrays: the same bits alone and in a batch, and each seed beside the mean."""

from dataclasses import replace

import numpy as np
import pytest

from sunhwan.errors import SunhwanError
from sunhwan.forecast.exact import ExactPredictor, Network


@pytest.fixture
def exact(run):
    fitted = run.result.fitted
    first = fitted.networks[0]
    second = replace(first, weights={name: 0.9 * array for name, array in first.weights.items()})
    return ExactPredictor(fitted.model.plan, fitted.model.baselines["ridge"], (first, second))


@pytest.fixture
def windows(run):
    from sunhwan.data.windows import encode

    return encode(run.readings, run.result.fitted.model.plan).windows().take(np.arange(0, 1500, 7))


def test_a_window_has_the_same_bits_alone_and_in_a_batch(exact, windows):
    together = exact.predict(windows)
    for number in (0, 3, len(windows) - 1):
        alone = windows.take(np.array([number]))
        np.testing.assert_array_equal(exact.predict(alone)[0], together[number])
        index = np.arange(1)
        members = exact.members(alone.windows(index), alone.ahead(index))
        np.testing.assert_array_equal(members["network"][0], together[number])
        np.testing.assert_array_equal(members["ridge"], exact.ridge.predict(alone))


def test_the_mean_is_that_of_the_seeds(exact, windows):
    mean, medians = exact.predict_each(windows)
    np.testing.assert_allclose(mean[..., 0], sum(medians) / 2, atol=1e-5)
    for network, median in zip(exact.networks, medians, strict=True):
        np.testing.assert_allclose(network.predict(windows, exact.ridge)[..., 0], median, atol=1e-5)
    assert np.abs(medians[0] - medians[1]).max() > 1e-3


@pytest.mark.parametrize("harm", ["cell", "dense_bias", "recurrent_0_kernel"])
def test_saved_networks_that_lack_something_are_refused(run, harm):
    network, plan = run.result.fitted.networks[0], run.result.fitted.model.plan
    saved, arrays = network.to_dict(), dict(network.weights)
    del (saved if harm in saved else arrays)[harm]
    with pytest.raises(SunhwanError, match=r"network cannot be read .*make the run again"):
        Network.from_saved(plan, saved, arrays)
