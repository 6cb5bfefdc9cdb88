"""Tokens, ids and padding: the tutorial's contract, Unicode, and that no unseen text gives a word an id."""

import collections
import json
import re
import unicodedata

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sunhwan.data.ragged import Ragged
from sunhwan.data.texts.vocabulary import Vocabulary, pad, tokenise
from sunhwan.errors import SunhwanError

# The same examples each time, and no deadline: a busy machine is no bug.
REPEATABLE = settings(derandomize=True, deadline=None)
# Words of one token, of which some are equal but for case; few enough to repeat.
WORDS = st.sampled_from(["the", "The", "film", "don't", "한국", "映画", "été", "ÉTÉ", "2", "naïve", "zz"])
SENTENCES = st.lists(st.lists(WORDS, min_size=1, max_size=12).map(" ".join), min_size=1, max_size=12)


def ragged(sequences):
    offsets = np.cumsum([0, *map(len, sequences)])
    return Ragged(np.array([token for row in sequences for token in row], dtype=np.int32), offsets)


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("Don't STOP -- it's 1999!", ["don't", "stop", "it's", "1999"]),
        ("'quoted' rock'n'roll o''clock", ["quoted", "rock'n'roll", "o", "clock"]),
        ("it’s the same as it's", ["it's", "the", "same", "as", "it's"]),
        ("an _underlined_ snake_case", ["an", "underlined", "snake", "case"]),
        ("well-made,film\nnext\tline", ["well", "made", "film", "next", "line"]),
        ("영화가 정말 좋았다!", ["영화가", "정말", "좋았다"]),
        ("映画は最高。また見たい", ["映画は最高", "また見たい"]),
        ("great 😀👍🏽 film❤", ["great", "film"]),
        ("love ❤️ 👨‍👩‍👧 it", ["love", "it"]),  # selectors and joiners within emoji are no words
        ("a\u0308 and \u0308b", ["ä", "and", "b"]),  # nor is a mark on its own
        ("ÄPFEL straße ΣΊΓΜΑ Ещё", ["äpfel", "straße", "σίγμα", "ещё"]),
        ("हिन्दी में", ["हिन्दी", "में"]),  # vowel signs are marks, not letters
        ("a\u200bb <br /> &amp;", ["a", "b", "br", "amp"]),
    ],
)
def test_the_token_rule(text, tokens):
    assert tokenise([text]).to_list() == [tokens]


def test_both_ways_of_writing_a_letter_are_one_word():
    composed = "한국 été"
    decomposed = unicodedata.normalize("NFD", composed)
    assert decomposed != composed
    first, second = tokenise([composed, decomposed]).to_list()
    assert first == second == ["한국", "été"]


def test_ids_are_those_of_the_tutorials_data():
    texts = ["b b b c c a", "c b"]
    vocabulary = Vocabulary.fit(texts, num_words=6)
    assert vocabulary.words == ("b", "c")  # ranks 1 and 2 have the ids 4 and 5; 6 would not be less than 6
    encoded = vocabulary.encode(["a b c never", "c"])
    assert encoded.values.dtype == np.int32
    assert encoded.offsets.dtype == np.int64
    assert [encoded[i].tolist() for i in range(len(encoded))] == [[1, 2, 4, 5, 2], [1, 5]]
    assert encoded.lengths.tolist() == [5, 2]


def test_ties_are_broken_by_the_alphabet_whatever_the_order():
    assert Vocabulary.fit(["pear apple fig", "zoo zoo"], 7).words == ("zoo", "apple", "fig")
    assert Vocabulary.fit(["zoo fig pear", "apple zoo"], 7).words == ("zoo", "apple", "fig")


def test_room_for_more_words_than_there_are():
    vocabulary = Vocabulary.fit(["two words"], num_words=10_000)
    assert vocabulary.words == ("two", "words")
    assert vocabulary.num_words == 10_000


def test_ids_agree_with_keras_own_data():
    """keras.datasets.imdb.load_data: rank r becomes r + index_from (3), and from num_words on 2."""
    num_words, rank = 50, np.arange(1, 101)
    texts = [" ".join(f"w{r:03d}" for r in rank for _ in range(101 - r))]
    encoded = Vocabulary.fit(texts, num_words).encode([" ".join(f"w{r:03d}" for r in rank)])
    shifted = rank + 3
    assert encoded[0].tolist() == [1, *np.where(shifted >= num_words, 2, shifted)]


@settings(REPEATABLE)
@given(SENTENCES, SENTENCES)
def test_unseen_texts_give_no_word_an_id(training, validation):
    vocabulary = Vocabulary.fit(training, num_words=100)
    seen = {token for text in training for token in text.lower().split()}
    assert set(vocabulary.words) == seen
    before = vocabulary.to_json()
    encoded = vocabulary.encode(validation)
    assert vocabulary.to_json() == before
    for text, ids in zip(validation, (encoded[i] for i in range(len(encoded))), strict=True):
        known = [token in seen for token in text.lower().split()]
        assert ids[0] == 1
        assert ((ids[1:] != 2) == known).all()


@settings(REPEATABLE)
@given(SENTENCES, st.integers(5, 12))
def test_ranks_follow_counts(texts, num_words):
    vocabulary = Vocabulary.fit(texts, num_words)
    counts = collections.Counter(token for text in texts for token in text.lower().split())
    expected = sorted(counts, key=lambda word: (-counts[word], word))[: num_words - 4]
    assert list(vocabulary.words) == expected
    encoded = vocabulary.encode(texts)
    assert encoded.values.max() < num_words
    assert encoded.offsets.tolist() == np.cumsum([0] + [1 + len(text.split()) for text in texts]).tolist()
    for text, ids in zip(texts, (encoded[i] for i in range(len(encoded))), strict=True):
        decoded = [vocabulary.words[token - 4] if token >= 4 else None for token in ids[1:]]
        assert decoded == [token if token in expected else None for token in text.lower().split()]


@settings(REPEATABLE)
@given(SENTENCES)
def test_a_vocabulary_survives_json(texts):
    vocabulary = Vocabulary.fit(texts, num_words=9)
    again = Vocabulary.from_json(vocabulary.to_json())
    assert again == vocabulary
    assert (again.encode(texts).values == vocabulary.encode(texts).values).all()


@settings(REPEATABLE)
@given(st.text(max_size=40))
def test_any_text_is_tokens_or_an_error(text):
    """Tokenising twice changes nothing, and no token holds a separator."""
    try:
        tokens = tokenise([text]).to_list()[0]
    except SunhwanError:
        assert not any(character.isalpha() or character.isdecimal() for character in text)
        return
    except UnicodeEncodeError:
        assert re.search("[\ud800-\udfff]", text)
        return
    assert tokens
    assert not any(re.search(r"[\s_,.!?’]", token) for token in tokens)
    assert tokenise([" ".join(tokens)]).to_list() == [tokens]


@pytest.mark.parametrize("empty", ["", "  \n", "?!", "😀", "__", "👨‍👩‍👧❤️", None])
def test_a_text_without_words_is_named(empty):
    vocabulary = Vocabulary(("word",), 5)
    for call in (vocabulary.encode, lambda texts: Vocabulary.fit(texts, 10)):
        with pytest.raises(SunhwanError, match="2 of 4 texts have no word, first at index 1"):
            call(["a word", empty, "words", empty])


def test_no_texts_or_one_bare_text():
    with pytest.raises(SunhwanError, match="got no texts"):
        Vocabulary.fit([], 10)
    with pytest.raises(SunhwanError, match="a single text"):
        Vocabulary.fit("the whole text", 10)


@pytest.mark.parametrize("num_words", [-1, 0, 3, 4])
def test_no_room_for_any_word(num_words):
    with pytest.raises(SunhwanError, match=f"num_words is {num_words}, .*give at least 5"):
        Vocabulary.fit(["a text"], num_words)


@pytest.mark.parametrize(
    ("words", "message"), [(("a", "b"), "2 words, 2 of them"), (("a", "a"), "1 of them")]
)
def test_words_that_do_not_fit(words, message):
    with pytest.raises(SunhwanError, match=message):
        Vocabulary(words, 5 if words[0] != words[1] else 6)


@pytest.mark.parametrize("text", ["", "[]", "3", '{"words": []}', "{'token': 1}"])
def test_json_that_is_no_vocabulary(text):
    with pytest.raises(SunhwanError, match="expected the JSON of a vocabulary"):
        Vocabulary.from_json(text)


def test_a_vocabulary_of_another_token_rule_is_refused():
    value = json.loads(Vocabulary(("word",), 5).to_json())
    value["token"] = r"\S+"
    with pytest.raises(SunhwanError, match=r"made with the token rule .*fit it again"):
        Vocabulary.from_json(json.dumps(value))


def test_a_sequence_outside_is_an_error():
    sequences = ragged([[1, 4], [1, 5]])
    assert [row.tolist() for row in sequences] == [[1, 4], [1, 5]]
    for index in (-1, 2):
        with pytest.raises(IndexError):
            sequences[index]


SEQUENCES = st.lists(st.lists(st.integers(1, 9999), max_size=20), min_size=1, max_size=10)
SIDES = st.sampled_from(["pre", "post"])


@settings(
    REPEATABLE, max_examples=300
)  # four combinations of sides, lengths below, at and above each sequence's own
@given(SEQUENCES, st.integers(1, 25), SIDES, SIDES)
def test_padding_is_that_of_keras(sequences, length, padding, truncating):
    ours = pad(ragged(sequences), length, padding=padding, truncating=truncating)
    theirs = keras.utils.pad_sequences(sequences, length, padding=padding, truncating=truncating)
    assert ours.dtype == theirs.dtype == np.int32
    assert ours.shape == (len(sequences), length)
    assert (ours == theirs).all()


def test_padding_defaults_are_those_of_keras():
    sequences = [[1, 4], [1, 5, 6, 7], [1]]
    assert (pad(ragged(sequences), 3) == keras.utils.pad_sequences(sequences, 3)).all()


def test_padding_does_not_touch_the_ids():
    sequences = ragged([[1, 4, 5], [1]])
    padded = pad(sequences, 3)
    padded[:] = 9
    assert sequences.values.tolist() == [1, 4, 5, 1]


def test_padding_that_cannot_be():
    sequences = ragged([[1, 4]])
    with pytest.raises(SunhwanError, match="is 0, expected at least 1"):
        pad(sequences, 0)
    with pytest.raises(SunhwanError, match="padding is 'left', expected 'pre' or 'post'"):
        pad(sequences, 3, padding="left")
    with pytest.raises(SunhwanError, match="truncating is 'both'"):
        pad(sequences, 3, truncating="both")
