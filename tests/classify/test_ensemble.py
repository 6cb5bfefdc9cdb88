"""The weights of an ensemble, on logits of known distributions."""

import numpy as np
import pytest

from sunhwan.baselines.names import NETWORK
from sunhwan.classify.ensemble import mixture
from sunhwan.classify.texts.classifier import TextClassifier


def test_weights_calibrate():
    """Two members of independent errors are both used, and the whole is calibrated."""
    random = np.random.default_rng(0)
    labels = random.integers(0, 2, 4000)
    sign = 2.0 * labels - 1

    def member(strength, confidence):
        score = confidence * (sign * strength + random.normal(size=4000))
        return np.stack([np.zeros(4000), score], axis=1)

    logits = {NETWORK: member(1.0, 5.0), "nb_svm": member(1.2, 0.5), "tfidf": member(0.0, 1.0)}
    weights = mixture(logits, labels, TextClassifier.worth)
    assert set(weights) == {NETWORK, "nb_svm"}
    # The log-likelihood ratio of a normal score of mean +-m and unit variance is 2 m times it.
    assert weights[NETWORK] == pytest.approx(2 * 1.0 / 5.0, rel=0.1)
    assert weights["nb_svm"] == pytest.approx(2 * 1.2 / 0.5, rel=0.1)
