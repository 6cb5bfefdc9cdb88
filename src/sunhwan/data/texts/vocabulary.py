"""From texts to integers: tokens, a vocabulary ranked by frequency, sequences of one length.

The ids are those of `keras.datasets.imdb`, which the tutorial trains on: 0 padding, 1 start of a text, 2 a
word without an id, 3 unused, and r + 3 the word of rank r, the most frequent one having rank 1.

The rule, stated once: a text is brought to Unicode's composed form (NFC, so that both ways of writing é or 한
are one word), to lower case, and ’ to '. A token is then a letter or digit of any script with all letters,
marks and digits that follow, or several such joined by single apostrophes ("don't"). All else (punctuation,
underscores, emoji) separates. In scripts without spaces between words (Japanese, Chinese) a token is all text
between two punctuation marks: segment such texts first.

All of it runs in polars and NumPy; no Python loop sees a text or a token.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import polars as pl

from sunhwan.data.ragged import Ragged
from sunhwan.errors import SunhwanError

PADDING, START, UNKNOWN = 0, 1, 2
FIRST_WORD = 4  # the id of the most frequent word; 3 stays unused, as in keras.datasets.imdb
# In Rust's regex. A bare \w+ would take the underscore for a letter and the invisible variation selectors and
# joiners within emoji for words.
_RUN = r"[\p{Alphabetic}\p{Nd}][\w--_]*"
TOKEN = rf"{_RUN}(?:'{_RUN})*"


def tokenise(texts: Sequence[str]) -> pl.Series:
    """The tokens of each text, by the rule at the top of this file.

    Args:
        texts: n texts.

    Returns:
        n lists of strings, as one polars Series.

    Raises:
        SunhwanError: no texts, or a text without any token (its index, counted from 0, is named).

    Example:
        >>> tokenise(["Don't panic, 다섯 명!", "A\\u0308pfel_2"]).to_list()
        [["don't", 'panic', '다섯', '명'], ['äpfel', '2']]
    """
    if isinstance(texts, str):
        raise SunhwanError("got a single text; expected a list of texts: put it in brackets")
    series = pl.Series("text", list(texts), dtype=pl.String)
    if series.is_empty():
        raise SunhwanError("got no texts; expected at least one")
    tokens = composed(series).str.extract_all(TOKEN)
    without = (tokens.list.len().fill_null(0) == 0).arg_true()
    if len(without):
        first = without[0]
        raise SunhwanError(
            f"{len(without)} of {len(series)} texts have no word, first at index {first}: "
            f"{(series[first] or '')[:40]!r}; remove them or add words"
        )
    return tokens


def composed(texts: pl.Series) -> pl.Series:
    """Texts in Unicode's composed form (NFC), in lower case, with ' for ’."""
    return texts.str.normalize("NFC").str.to_lowercase().str.replace_all("’", "'", literal=True)


@dataclass(frozen=True)
class Vocabulary:
    """The words that have ids, most frequent first; the word words[k] has the id k + 4.

    Args:
        words: at most num_words - 4 words, each once.
        num_words: how many ids there are, those of padding, start, unknown and unused included: all ids are
            less, which is what an embedding of `num_words` rows needs.

    Raises:
        SunhwanError: `num_words` leaves room for no word, or `words` are too many or not distinct.

    Example:
        >>> vocabulary = Vocabulary.fit(["the good", "the bad"], num_words=6)
        >>> vocabulary.words
        ('the', 'bad')
        >>> vocabulary.encode(["The good, the bad"])[0].tolist()
        [1, 4, 2, 4, 5]
    """

    words: tuple[str, ...]
    num_words: int

    def __post_init__(self) -> None:
        if self.num_words <= FIRST_WORD:
            raise SunhwanError(
                f"num_words is {self.num_words}, but the ids 0 to {FIRST_WORD - 1} are taken (padding, "
                f"start, unknown, unused); give at least {FIRST_WORD + 1}"
            )
        room, distinct = self.num_words - FIRST_WORD, len(set(self.words))
        if len(self.words) > room or distinct != len(self.words):
            raise SunhwanError(
                f"got {len(self.words)} words, {distinct} of them distinct, expected at most {room} distinct "
                f"ones for num_words {self.num_words}; fit the vocabulary again"
            )

    @classmethod
    def fit(cls, texts: Sequence[str], num_words: int) -> Vocabulary:
        """The most frequent words of `texts`, which must be training texts; ties are in alphabetical order.

        Args:
            texts: n texts.
            num_words: how many ids to have, 0 to 3 included, so that num_words - 4 words get one.

        Raises:
            SunhwanError: as `tokenise`, or `num_words` is less than 5.
        """
        cls((), num_words)  # refuses a wrong num_words before the work, not after
        words = tokenise(texts).explode().alias("word").value_counts(name="count")
        # Code point order, in which every machine and locale agrees.
        ranked = words.sort(["count", "word"], descending=[True, False])["word"].head(num_words - FIRST_WORD)
        return cls(tuple(ranked.to_list()), num_words)

    def encode(self, texts: Sequence[str]) -> Ragged:
        """The ids of each text: 1, then one for each token, 2 for a word that is not in the vocabulary.

        Args:
            texts: n texts.

        Returns:
            n sequences, of at least two ids each.

        Raises:
            SunhwanError: as `tokenise`.
        """
        tokens = tokenise(texts)
        offsets = np.zeros(len(tokens) + 1, dtype=np.int64)
        np.cumsum(tokens.list.len().to_numpy().astype(np.int64) + 1, out=offsets[1:])
        word_ids = np.arange(FIRST_WORD, FIRST_WORD + len(self.words), dtype=np.int32)
        found = tokens.explode().replace_strict(
            pl.Series(self.words, dtype=pl.String),
            pl.Series(word_ids),
            default=UNKNOWN,
            return_dtype=pl.Int32,
        )
        ids = np.full(offsets[-1], START, dtype=np.int32)
        is_word = np.ones(len(ids), dtype=bool)
        is_word[offsets[:-1]] = False
        ids[is_word] = found.to_numpy()
        return Ragged(ids, offsets)

    def to_json(self) -> str:
        """This vocabulary as JSON text, with the token rule that it holds for.

        Example:
            >>> Vocabulary.from_json(Vocabulary(("the",), 5).to_json())
            Vocabulary(words=('the',), num_words=5)
        """
        value = {"token": TOKEN, "num_words": self.num_words, "words": list(self.words)}
        return json.dumps(value, ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> Vocabulary:
        """The vocabulary that `to_json` wrote.

        Raises:
            SunhwanError: `text` is no such JSON, or was written under another token rule.
        """
        try:
            value = json.loads(text)
            token, num_words, words = value["token"], value["num_words"], value["words"]
        except (ValueError, KeyError, TypeError) as error:
            raise SunhwanError(
                f"got {text[:40]!r}, expected the JSON of a vocabulary with token, num_words and words; take "
                "the file from the run that made it"
            ) from error
        if token != TOKEN:
            raise SunhwanError(
                f"the vocabulary was made with the token rule {token!r}, but this version has {TOKEN!r}; fit "
                "it again or use the version that made it"
            )
        return cls(tuple(words), num_words)


def pad(
    ragged: Ragged,
    length: int,
    *,
    padding: Literal["pre", "post"] = "pre",
    truncating: Literal["pre", "post"] = "pre",
) -> np.ndarray:
    """All sequences at one length, as `keras.utils.pad_sequences` makes them, but without a loop over them.

    Args:
        ragged: n sequences of ids.
        length: timesteps of each result.
        padding: where zeros go in a shorter sequence, before it or after it.
        truncating: where a longer sequence loses ids, at its beginning (start id included) or its end.

    Returns:
        (n, length) int32.

    Raises:
        SunhwanError: `length` is less than 1, or `padding` or `truncating` is neither "pre" nor "post".

    Example:
        >>> pad(Ragged.of([[1, 4], [1, 5, 6, 7]]), 3)
        array([[0, 1, 4],
               [5, 6, 7]], dtype=int32)
    """
    if length < 1:
        raise SunhwanError(f"the length of padded sequences is {length}, expected at least 1")
    for name, side in (("padding", padding), ("truncating", truncating)):
        if side not in ("pre", "post"):
            raise SunhwanError(f"{name} is {side!r}, expected 'pre' or 'post'")
    lengths = np.minimum(ragged.lengths, length)[:, np.newaxis]
    columns = np.arange(length)
    filled = columns >= length - lengths if padding == "pre" else columns < lengths
    position = ragged.places
    if truncating == "pre":
        taken = position >= np.repeat(ragged.lengths - lengths[:, 0], ragged.lengths)
    else:
        taken = position < length
    padded = np.full((len(ragged), length), PADDING, dtype=np.int32)
    # Both masks run over the same ids in the same order: row by row, from left to right.
    padded[filled] = ragged.values[taken]
    return padded
