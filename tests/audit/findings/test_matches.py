"""Hashes of rows."""

import numpy as np

from sunhwan.audit.findings.matches import hashes


def test_hashes_tell_rows_apart_and_zeros_not():
    rows = np.random.default_rng(0).normal(size=(5000, 3)).astype(np.float32)
    assert len(np.unique(hashes(rows))) == 5000
    assert hashes(np.array([[0.0]])) == hashes(np.array([[-0.0]]))
    swapped = hashes(np.array([[1.0, 2.0], [2.0, 1.0]]))
    assert swapped[0] != swapped[1]
