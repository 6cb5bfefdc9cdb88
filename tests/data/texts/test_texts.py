"""What every dataset of labelled texts is checked for."""

import numpy as np
import pytest

from sunhwan.data.texts.texts import Texts
from sunhwan.errors import SunhwanError


def texts(**changes):
    fields = {
        "texts": ("good", "bad"),
        "labels": np.array([1, 0]),
        "classes": ("neg", "pos"),
        "stars": np.array([0, 0]),
        "part": np.array(["", ""]),
        "ids": ("a", "b"),
        "source": "",
    }
    return Texts(**fields | changes)


def test_texts_of_any_dataset_are_checked():
    assert len(texts()) == 2
    with pytest.raises(SunhwanError, match="the text b is empty"):
        texts(texts=("good", " \n"))
    with pytest.raises(SunhwanError, match="there are only texts of the class 'pos'"):
        texts(labels=np.array([1, 1]))
    for changes in (
        {"ids": ("a",)},
        {"ids": ("a", "a")},
        {"labels": np.array([0, 2])},
        {"labels": np.array([-1, 0])},
    ):
        with pytest.raises(ValueError):
            texts(**changes)
