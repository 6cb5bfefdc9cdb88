"""Words of any language, and their ids."""

import numpy as np
import polars as pl
import pytest

from sunhwan.data.texts.words import UNKNOWN, Words, segment


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("It's GOOD, isn’t it?", ["it's", "good", "isn't", "it"]),
        ("서울은 10월에 좋다.", ["서울은", "10월에", "좋다"]),
        ("我喜欢NumPy。", ["我", "喜", "欢", "numpy"]),
        ("カッパは良い", ["カ", "ッ", "パ", "は", "良", "い"]),
        ("กำลังดี", ["ก", "ำ", "ลั", "ง", "ดี"]),
        ("Привет мир", ["привет", "мир"]),
        ("مرحبا بالعالم", ["مرحبا", "بالعالم"]),
        ("नमस्ते दुनिया", ["नमस्ते", "दुनिया"]),
        ("so sad 😢😢 snake_case", ["so", "sad", "😢", "😢", "snake", "case"]),
        ("... !!!", []),
        ("", []),
        (None, []),
    ],
)
def test_tokens(text, tokens):
    assert segment([text])[0].to_list() == tokens


def test_both_ways_of_writing_an_accent_are_one_word():
    assert segment(["cafe\u0301"]).to_list() == segment(["caf\u00e9"]).to_list() == [["café"]]


def test_words_are_those_of_enough_texts_most_first():
    tokens = segment(["b a a a", "b c", "b c", "d"])
    assert Words.fit(tokens, least=2).words == ("b", "c"), "a occurs often, but in one text"
    assert Words.fit(tokens, least=1, most=3).words == ("b", "c", "a")
    assert Words.fit(segment(["...", "!"]), least=1).words == ()


@pytest.mark.parametrize("repeats", [1, 40], ids=["a few texts", "many texts"])
def test_ids_are_the_same_by_either_way_of_looking_up(repeats):
    words = Words(("good", "bad", *(f"w{i}" for i in range(50))))
    found = words.ids(segment(["Bad, good", "", "never good"] * repeats))
    assert found.values.dtype == np.int32
    assert found.values.tolist() == [1, 0, UNKNOWN, 0] * repeats
    assert found.lengths.tolist() == [2, 0, 2] * repeats


def test_no_texts_have_no_ids():
    assert len(Words(("a",)).ids(segment(pl.Series([], dtype=pl.String)))) == 0
