"""The adding problem: its targets, its layout, its variance."""

from dataclasses import replace

import numpy as np
import pytest

from sunhwan.errors import SunhwanError
from sunhwan.studies import adding
from sunhwan.studies.adding import Sums
from sunhwan.studies.study import load


def study(**prepare):
    return load("adding_problem").with_epochs(2).with_prepare(**prepare)


def test_the_target_is_the_sum_of_the_two_marked_numbers():
    sums = Sums.draw(500, 21, seed=5)
    inputs, targets = sums.gather(np.arange(500))
    numbers, marks = inputs[..., 0], inputs[..., 1]
    assert inputs.shape == (500, 21, 2)
    assert inputs.dtype == targets.dtype == np.float32
    assert set(np.unique(marks)) == {0.0, 1.0}
    # One mark in each half; every timestep gets its turn.
    assert (marks[:, :10].sum(axis=1) == 1).all()
    assert (marks[:, 10:].sum(axis=1) == 1).all()
    assert (marks.sum(axis=0) > 0).all()
    assert targets == pytest.approx((numbers * marks).sum(axis=1), abs=1e-6)
    assert 0 <= numbers.min() < 0.01
    assert 0.99 < numbers.max() < 1


def test_gathering_takes_the_numbered_sequences():
    sums = Sums.draw(30, 8, seed=0)
    inputs, targets = sums.gather(np.arange(30))
    some_inputs, some_targets = sums.gather(np.array([7, 3, 7]))
    assert (some_inputs == inputs[[7, 3, 7]]).all()
    assert (some_targets == targets[[7, 3, 7]]).all()
    assert (sums.truth == targets).all()
    assert len(sums) == 30


def test_parts_share_no_sequence():
    problem = adding.problem(study(timesteps=[10]))["10"]
    parts = [part.numbers for part in (problem.train, problem.val, problem.test)]
    together = np.concatenate(parts)
    assert len(np.unique(together, axis=0)) == len(together)
    # Every update trains on sequences of its own.
    assert len(problem.train) == 2 * 100 * 128


def test_who_says_the_mean_scores_the_variance():
    problem = adding.problem(study(timesteps=[12]))["12"]
    for part in ("val", "test"):
        score = problem.score(problem.baselines["mean"][part], part)
        # Of 2,000 sums of two uniform numbers the variance spreads by about 0.004.
        assert score["value"] == pytest.approx(1 / 6, abs=0.013)


def test_a_problem_for_each_length():
    problems = adding.problem(study(timesteps=[10, 20]))
    assert {name: problem.input_shape for name, problem in problems.items()} == {"10": (10, 2), "20": (20, 2)}
    assert problems["10"].fingerprint != problems["20"].fingerprint
    assert problems["10"].fingerprint == adding.problem(study(timesteps=[10]))["10"].fingerprint


@pytest.mark.parametrize(
    "prepare",
    [
        {"timesteps": []},
        {"timesteps": [1]},
        {"timesteps": 50},
        {"timesteps": ["50"]},
        {"timesteps": [50, 50]},
        {"timesteps": [True]},
        {"timesteps": [50], "updates": 3},
    ],
)
def test_lengths_that_are_none(prepare):
    with pytest.raises(SunhwanError, match="expected only timesteps = "):
        adding.problem(study(**prepare))


def test_an_adding_study_needs_an_end_and_knows_one_baseline():
    with pytest.raises(SunhwanError, match="needs steps_per_epoch"):
        adding.problem(replace(study(), steps_per_epoch=None))
    with pytest.raises(SunhwanError, match=r"are \['ridge'\]; expected \[.mean.\] or none"):
        adding.problem(replace(study(), baselines=("ridge",)))
    assert adding.problem(replace(study(timesteps=[5]), baselines=()))["5"].baselines == {}
