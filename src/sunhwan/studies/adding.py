"""The adding problem: over how many timesteps a recurrent layer can carry information.

Of two numbers a timestep, the first is drawn from 0 .. 1 and the second marks two timesteps, one in each
half, with 1. The target is the sum of the two marked numbers. Its variance is 1/6 = 0.1667: the error of a
network that predicts the mean.

Source: Hochreiter and Schmidhuber, "Long Short-Term Memory", Neural Computation 9 (1997), experiment 4, with
the numbers drawn from 0 .. 1 as in Le, Jaitly and Hinton, arXiv:1504.00941.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np

from sunhwan.errors import SunhwanError
from sunhwan.studies.problem import Metric, Problem
from sunhwan.studies.study import Study, whole

HELD_OUT = 2_000
"""Sequences in the validation part, and in the test part."""


@dataclass(frozen=True)
class Sums:
    """Numbered sequences of the adding problem; inputs are laid out when a batch is gathered.

    Attributes:
        numbers: (sequences, timesteps) float32.
        marked: (sequences, 2) the two timesteps whose numbers are added.
    """

    numbers: np.ndarray
    marked: np.ndarray

    @classmethod
    def draw(cls, count: int, timesteps: int, seed: int) -> Sums:
        """`count` sequences.

        Example:
            >>> sums = Sums.draw(3, 10, seed=0)
            >>> inputs, targets = sums.gather(np.arange(3))
            >>> inputs.shape, bool(np.allclose((inputs[..., 0] * inputs[..., 1]).sum(axis=1), targets))
            ((3, 10, 2), True)
        """
        random = np.random.default_rng([seed, timesteps])
        numbers = random.random((count, timesteps), dtype=np.float32)
        half = timesteps // 2
        marked = np.stack([random.integers(0, half, count), random.integers(half, timesteps, count)], axis=1)
        return cls(numbers, marked)

    def __len__(self) -> int:
        return len(self.numbers)

    @property
    def truth(self) -> np.ndarray:
        return np.take_along_axis(self.numbers, self.marked, axis=1).sum(axis=1)

    def gather(self, index: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Inputs (batch, timesteps, 2) and targets (batch,)."""
        numbers, marked = self.numbers[index], self.marked[index]
        marks = np.zeros_like(numbers)
        np.put_along_axis(marks, marked, 1, axis=1)
        return np.stack([numbers, marks], axis=2), np.take_along_axis(numbers, marked, axis=1).sum(axis=1)


def problem(study: Study) -> dict[str, Problem]:
    """A problem for each length in the study's `timesteps`, under the length's name."""
    lengths = study.prepare.get("timesteps")
    if (
        study.prepare.keys() != {"timesteps"}
        or not isinstance(lengths, list | tuple)
        or not all(whole(length) and length >= 2 for length in lengths)
        or not 0 < len(lengths) == len(set(lengths))
    ):
        raise SunhwanError(
            f"[prepare] of an adding study is {study.prepare}; "
            "expected only timesteps = [..], different whole numbers of at least 2"
        )
    if not study.steps_per_epoch:
        raise SunhwanError("an adding study needs steps_per_epoch, since its data is unlimited; 100 is usual")
    if set(study.baselines) - {"mean"}:
        raise SunhwanError(
            f'baselines of an adding study are {list(study.baselines)}; expected ["mean"] or none'
        )
    problems = {}
    for length in lengths:
        # As many sequences as all updates take, so that none is seen twice (see `Schedule.order`).
        train = Sums.draw(study.epochs * study.steps_per_epoch * study.batch_size, length, seed=0)
        val, test = Sums.draw(HELD_OUT, length, seed=1), Sums.draw(HELD_OUT, length, seed=2)
        mean = {"mean": {"val": np.ones(HELD_OUT, np.float32), "test": np.ones(HELD_OUT, np.float32)}}
        problems[str(length)] = Problem(
            train=train,
            val=val,
            test=test,
            input_shape=(length, 2),
            metric=Metric("mse", "squared error", "mse"),
            baselines=mean if "mean" in study.baselines else {},
            notes=(f"{length} timesteps: {len(train):,} sequences to train, each seen once",),
            fingerprint=hashlib.sha256(test.numbers.tobytes()).hexdigest(),
        )
    return problems
