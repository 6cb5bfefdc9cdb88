"""A classifier of texts: networks and linear models over n-grams, weighted by validation.

    texts --> words --> ids --+--> networks
                              '--> n-grams --> NB-SVM, TF-IDF

Prediction needs no framework.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar

import numpy as np
import polars as pl
from scipy.special import logsumexp

from sunhwan.baselines import ngrams
from sunhwan.baselines.names import NETWORK
from sunhwan.baselines.ngrams import NbSvm, Ngrams, NgramTexts, TfIdf
from sunhwan.classify.ensemble import Ensemble, Members
from sunhwan.classify.texts.network import Settings, TextNetwork, TextTrainer
from sunhwan.data.ragged import Ragged
from sunhwan.data.texts.words import UNKNOWN, Words, segment
from sunhwan.errors import SunhwanError

PREDICTED_AT_ONCE = 2_000
"""Texts that are in memory as words and n-grams at once."""

MOST_EXPLAINED = 300
"""Different words of a text that `explain` tries; of a longer text, the first ones."""


@dataclass(frozen=True)
class Options:
    """How a classifier is trained.

    Attributes:
        settings: of the networks.
        seeds: networks that are averaged.
        order: words of the longest n-grams.
    """

    settings: Settings = field(default_factory=Settings)
    seeds: int = 2
    order: int = 3


class TextEncoder(ngrams.TextEncoder):
    """The words and n-grams that all members know; see `ensemble.Encoder`."""

    @classmethod
    def learn(
        cls, examples: pl.Series, training: np.ndarray, options: Options
    ) -> tuple[TextEncoder, NgramTexts, list[str]]:
        encoder, inputs = cls.fit(examples.filter(training), options.order)
        pairs, triples = len(encoder.ngrams.pairs), len(encoder.ngrams.triples)
        note = (
            f"{len(encoder.words.words):,} words, {pairs:,} pairs and {triples:,} triples of words occur in "
            f"{ngrams.least_texts(len(inputs))} texts or more"
        )
        return encoder, inputs, [note]

    def select(self, examples: pl.Series, chosen: np.ndarray) -> NgramTexts:
        return self.encode(examples.filter(chosen))

    def portions(self, examples: Sequence[str | None] | pl.Series) -> Iterator[NgramTexts]:
        if isinstance(examples, str):
            raise SunhwanError("got a single text; expected a list of texts: put it in brackets")
        for start in range(0, max(len(examples), 1), PREDICTED_AT_ONCE):
            yield self.encode(examples[start : start + PREDICTED_AT_ONCE])

    def empty(self) -> NgramTexts:
        return self.encode([None])

    def to_dict(self) -> dict:
        return {"words": list(self.words.words)}

    def to_arrays(self) -> dict[str, np.ndarray]:
        return {"pairs": self.ngrams.pairs, "triples": self.ngrams.triples}

    @classmethod
    def from_dict(cls, saved: Mapping, arrays: Mapping[str, np.ndarray]) -> TextEncoder:
        words, none = Words(tuple(saved["words"])), np.empty(0, np.int64)
        return cls(words, Ngrams(len(words.words), arrays.get("pairs", none), arrays.get("triples", none)))


class TextClassifier(Ensemble):
    """A trained classifier of texts.

    A text without a word that occurred in training gets about the classes' shares.
    """

    noun = "texts"
    encoder, network, trainer = TextEncoder, TextNetwork, TextTrainer
    baselines: ClassVar = {"nb_svm": NbSvm, "tfidf": TfIdf}
    worth: ClassVar = {"tfidf": 0.01, NETWORK: 0.005, "nb_svm": 0.005}

    @staticmethod
    def notes(members: Members, inputs: Ragged) -> list[str]:
        length = members.networks[0].length
        longer = float((inputs.lengths > length).mean())
        if not longer:
            return []
        return [
            f"the network reads only the beginning and the end of the {longer:.1%} of texts with more than "
            f"{length} words; n-grams are counted in all of them"
        ]

    def explain(self, text: str, top: int = 10) -> list[tuple[str, float]]:
        """The words that moved a prediction: how much the log-odds of the likeliest class fall without each.

        All occurrences of a word are hidden at once, and the whole classifier predicts again; so pairs of
        words and their order count. A negative figure means that the word speaks against the class.

        Args:
            text: one text.
            top: how many words, those that moved most first.

        Returns:
            Words as `words.segment` gives them, and their figures in nats.
        """
        tokens = segment([text])
        inputs = self.members.encoder.inputs(self.members.encoder.words.ids(tokens))
        ids, words = inputs.values, tokens[0].to_list()
        # The first place of each known word, in order: dictionaries keep it.
        first = dict(zip(words[::-1], range(len(words) - 1, -1, -1), strict=True))
        tried = sorted(place for place in first.values() if ids[place] != UNKNOWN)[:MOST_EXPLAINED]
        whole = self.logits_of(inputs)
        k = int(whole.argmax())
        effects = []
        for place in tried:
            without = replace(inputs, values=np.where(ids == ids[place], np.int32(UNKNOWN), ids))
            effects.append(self.logits_of(without))
        if not effects:
            return []
        moved = odds(whole, k)[0] - odds(np.concatenate(effects), k)
        order = np.argsort(-np.abs(moved), kind="stable")[:top]
        return [(words[tried[i]], float(moved[i])) for i in order]


def odds(logits: np.ndarray, k: int) -> np.ndarray:
    """(texts,) the log-odds of class k by logits (texts, classes).

    Example:
        >>> odds(np.array([[0.0, 1.5]]), 1).tolist()
        [1.5]
    """
    return logits[:, k] - logsumexp(np.delete(logits, k, axis=1), axis=1)
