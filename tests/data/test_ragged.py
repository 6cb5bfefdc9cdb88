"""Ragged arrays: each sequence as if it were alone."""

import numpy as np
import pytest

from sunhwan.data.ragged import Ragged

IDS = [[4, 5, 6], [], [7], [8, 9]]


def test_sequences_come_back_with_their_places_and_owners():
    ragged = Ragged.of(IDS)
    assert [sequence.tolist() for sequence in ragged] == IDS
    assert ragged.values.dtype == np.int32 and ragged.offsets.tolist() == [0, 3, 3, 4, 6]
    assert ragged.owners.tolist() == [0, 0, 0, 2, 3, 3]
    assert ragged.places.tolist() == [0, 1, 2, 0, 0, 1]
    assert [sequence.tolist() for sequence in ragged.part(1, 3)] == IDS[1:3]
    for index in (-1, 4):
        with pytest.raises(IndexError, match=f"sequence {index} of 4"):
            ragged[index]


def test_padding_follows_and_long_sequences_lose_their_end():
    values, mask = Ragged.of(IDS).padded(np.array([3, 0, 1]), 2)
    assert values.tolist() == [[8, 9], [4, 5], [0, 0]]
    assert mask.tolist() == [[True, True], [True, True], [False, False]]
    readings, mask = Ragged.of([np.ones((1, 3)), np.ones((2, 3))], np.float32).padded(np.array([0, 1]), 4)
    assert readings.shape == (2, 4, 3) and readings.dtype == np.float32
    assert (readings.any(axis=2) == mask).all() and mask.sum(axis=1).tolist() == [1, 2]


def test_means_of_rows_stay_within_a_sequence():
    random = np.random.default_rng(0)
    readings = [random.normal(size=(rows, 2)) for rows in (1, 4, 7)]
    ragged = Ragged.of(readings, float)
    thinned = ragged.thinned(3)
    assert thinned.lengths.tolist() == [1, 2, 3]
    for mean, rows in zip(thinned, readings, strict=True):
        expected = [rows[start : start + 3].mean(axis=0) for start in range(0, len(rows), 3)]
        np.testing.assert_allclose(mean, expected)
    assert ragged.thinned(1) is ragged
