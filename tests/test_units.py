"""Units and times as people read them; the other functions' examples are doctests."""

import numpy as np
import pytest

from sunhwan.units import human


@pytest.mark.parametrize("text", ["2024-01-01 00:00", "2024-01-01 00:00:07", "2024-01-01 10:00"])
def test_times_for_people(text):
    assert human(np.datetime64(text)) == text
