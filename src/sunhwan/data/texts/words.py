"""From texts of any language to words, and to the ids of words that a classifier knows.

A text is brought to Unicode's composed form (NFC), to lower case, and ’ to '. A token is then one of

- a character, with its marks, of a script that puts no spaces between words (Han, kana, Thai, Lao, Khmer,
  Myanmar): words of such scripts come out of pairs and triples of tokens, without a dictionary;
- a run of letters, marks and digits of any other script, or several joined by single apostrophes ("don't");
- a pictograph (an emoji, a heart), which says more about a mood than most words.

Everything else separates. A text may have no token at all, and is classified nevertheless. This rule is for
classifiers of users' files; `vocabulary` has that of the tutorial, whose ids are those of Keras.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import polars as pl

from sunhwan.data.ragged import Ragged
from sunhwan.data.texts.vocabulary import composed

_UNSPACED = r"\p{Han}\p{Hiragana}\p{Katakana}ー\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}"
_RUN = rf"[\p{{Alphabetic}}\p{{Nd}}--[{_UNSPACED}]][\w--[_{_UNSPACED}]]*"
TOKEN = rf"[{_UNSPACED}&&[\p{{Alphabetic}}\p{{Nd}}]]\p{{M}}*|{_RUN}(?:'{_RUN})*|\p{{Extended_Pictographic}}"

UNKNOWN = -1
"""The id of an unknown word."""


def segment(texts: Sequence[str | None] | pl.Series) -> pl.Series:
    """The tokens of each text, by the rule at the top of this file; None has no tokens.

    Args:
        texts: n texts.

    Returns:
        n lists of strings, as one polars Series.

    Example:
        >>> segment(["Don't panic, 다섯 명!", "東京タワー 2", "ดีมาก ❤", None]).to_list()
        [["don't", 'panic', '다섯', '명'], ['東', '京', 'タ', 'ワ', 'ー', '2'], ['ดี', 'ม', 'า', 'ก', '❤'], []]
    """
    series = texts if isinstance(texts, pl.Series) else pl.Series("text", list(texts), dtype=pl.String)
    return composed(series).str.extract_all(TOKEN).fill_null([])


@dataclass(frozen=True)
class Words:
    """The words that a classifier knows; words[k] has the id k, all others `UNKNOWN`.

    Args:
        words: each once, those of most texts first.

    Example:
        >>> words = Words.fit(segment(["the good", "the bad"]), least=1)
        >>> words.words
        ('the', 'bad', 'good')
        >>> words.ids(segment(["The bad good, awful bad"])).values.tolist()
        [0, 1, 2, -1, 1]
    """

    words: tuple[str, ...]

    @classmethod
    def fit(cls, tokens: pl.Series, least: int, most: int = 200_000) -> Words:
        """The words that occur in at least `least` texts: those of most texts first, ties by the alphabet.

        Args:
            tokens: from `segment`, of training texts only.
            least: texts that a word must occur in.
            most: how many words there may be.
        """
        counts = tokens.list.unique().explode().drop_nulls().alias("word").value_counts(name="texts")
        kept = counts.filter(pl.col("texts") >= least).sort(["texts", "word"], descending=[True, False])
        return cls(tuple(kept["word"].head(most).to_list()))

    @cached_property
    def _table(self) -> pl.DataFrame:
        return pl.DataFrame(
            {"word": pl.Series(self.words, dtype=pl.String), "id": np.arange(len(self.words), dtype=np.int32)}
        )

    @cached_property
    def _by_word(self) -> dict[str, int]:
        return {word: number for number, word in enumerate(self.words)}

    def ids(self, tokens: pl.Series) -> Ragged:
        """The ids of each text's tokens, `UNKNOWN` for other words.

        Args:
            tokens: from `segment`.
        """
        offsets = np.zeros(len(tokens) + 1, dtype=np.int64)
        np.cumsum(tokens.list.len().to_numpy(), out=offsets[1:])
        flat = tokens.filter(tokens.list.len() > 0).explode()
        if len(flat) < len(self.words):
            # A few texts are looked up word by word: polars would first build a table of all known words.
            known = self._by_word
            ids = np.fromiter((known.get(word, UNKNOWN) for word in flat), np.int32, len(flat))
            return Ragged(ids, offsets)
        found = flat.alias("word").to_frame().join(self._table, on="word", how="left", maintain_order="left")
        return Ragged(found["id"].fill_null(UNKNOWN).to_numpy().astype(np.int32), offsets)
