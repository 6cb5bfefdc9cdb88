"""What the baselines of classifiers share."""

from dataclasses import dataclass

import numpy as np

from sunhwan.baselines.classifiers import Baseline, majority, most_accurate, two_columns


@dataclass(frozen=True, eq=False)
class Constant(Baseline):
    """Predicts the same scores for every example."""

    scores: np.ndarray
    strength: float

    def logits(self, inputs):
        return two_columns(np.tile(self.scores, (len(inputs), 1)))


def test_the_majority_is_training_s():
    assert majority(np.array([1, 1, 0, 1]), 2, 3).tolist() == [[0.25, 0.75]] * 3


def test_arrays_and_numbers_come_back():
    model = Constant(np.array([1.0, 3.0]), 0.1)
    again = Constant.from_arrays(model.to_arrays())
    np.testing.assert_array_equal(again.scores, model.scores)
    assert again.strength == 0.1 and isinstance(again.strength, float)
    assert Constant.missing() == ""


def test_validation_chooses_the_most_accurate_and_of_equals_the_first():
    labels = np.array([0, 1, 1, 2])
    models = [Constant(np.eye(3)[k], strength) for strength, k in enumerate((0, 1, 2, 1))]
    chosen = most_accurate(models, lambda model: model.logits(labels), labels)
    assert chosen.strength == 1
