"""The options of training."""

import pytest

from sunhwan.errors import SunhwanError
from sunhwan.forecast.options import Settings


def test_an_unknown_cell_is_refused():
    with pytest.raises(SunhwanError, match="the cell is 'transformer'; expected one of"):
        Settings(cell="transformer")
