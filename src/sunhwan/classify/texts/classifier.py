"""What tells texts apart: recurrent networks and linear models over n-grams, weighed by validation.

    texts --> words --+--> networks -----------------.
                      |                              +--> weighed sum of logits --> softmax --> probabilities
                      '--> n-grams --> NB-SVM, TF-IDF'

`fit` trains each member on the training texts, lets validation choose epochs, penalties and weights, and then
trains them once more on both parts. `TextClassifier` needs no framework to predict.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import polars as pl
from scipy.special import logsumexp

from sunhwan.baselines import ngrams as baselines
from sunhwan.baselines.ngrams import Linear, Ngrams
from sunhwan.classify.ensemble import RECURRENT, Combined, Fitted, KeptNetwork, weigh
from sunhwan.classify.texts import network as text_network
from sunhwan.classify.texts.network import Settings, TextNetwork
from sunhwan.classify.texts.word_vectors import word_vectors
from sunhwan.data.texts.vocabulary import Ragged
from sunhwan.data.texts.words import UNKNOWN, Words, segment
from sunhwan.errors import SunhwanError

NB_SVM, TFIDF = "nb_svm", "tfidf"

LINEAR = {NB_SVM: baselines.nb_svm, TFIDF: baselines.tfidf_logistic}
"""How each linear member is fitted; what is not NB-SVM's counts how often an n-gram occurs."""

WORTH = {TFIDF: 0.01, RECURRENT: 0.005, NB_SVM: 0.005}
"""By how much of the validation loss a member must lower it; see `combined.mixture`."""

PREDICTED_AT_ONCE = 2_000
"""Texts that are held in memory as words and n-grams at once."""

MOST_EXPLAINED = 300
"""Different words of a text that `explain` tries; of a longer one it takes those that come first."""


@dataclass(frozen=True)
class Options:
    """How a classifier is trained.

    Attributes:
        settings: of the networks.
        seeds: networks that are averaged.
        order: n-grams have at most so many words.
    """

    settings: Settings = field(default_factory=Settings)
    seeds: int = 2
    order: int = 3


@dataclass(frozen=True, eq=False)
class Members:
    """Trained models over the same words.

    Attributes:
        words: that they know.
        ngrams: that the linear ones count.
        linear: by name.
        networks: whose logits are averaged, or none.
    """

    words: Words
    ngrams: Ngrams
    linear: Mapping[str, Linear]
    networks: tuple[TextNetwork, ...]

    def logits(self, ids: Ragged) -> dict[str, np.ndarray]:
        """(texts, classes) of each member.

        Args:
            ids: from `words.ids`.
        """
        said = {}
        if self.networks:
            said[RECURRENT] = np.mean([network.logits(ids) for network in self.networks], axis=0)
        for name, model in self.linear.items():
            said[name] = model.logits(self.ngrams.counts(ids, binary=model.idf is None))
        return said

    def as_kept(self) -> tuple[dict, dict[str, np.ndarray]]:
        """See `combined.Members`."""
        model = {
            "words": list(self.words.words),
            "linear": {name: {"strength": one.strength} for name, one in self.linear.items()},
        }
        arrays = {"pairs": self.ngrams.pairs, "triples": self.ngrams.triples} if self.linear else {}
        for name, one in self.linear.items():
            arrays |= {f"{name}_weights": one.weights, f"{name}_bias": one.bias}
            if one.idf is not None:
                arrays[f"{name}_idf"] = one.idf
        return model, arrays

    @classmethod
    def from_kept(
        cls, model: Mapping, arrays: Mapping[str, np.ndarray], networks: Sequence[KeptNetwork], classes: int
    ) -> Members:
        """See `combined.Members`."""
        words, none = Words(tuple(model["words"])), np.empty(0, np.int64)
        ngrams = Ngrams(len(words.words), arrays.get("pairs", none), arrays.get("triples", none))
        linear = {
            name: Linear(
                arrays[f"{name}_weights"],
                arrays[f"{name}_bias"],
                arrays.get(f"{name}_idf"),
                float(kept["strength"]),
            )
            for name, kept in model["linear"].items()
        }
        columns = 1 if classes == 2 else classes
        for name, one in linear.items():
            if one.weights.shape != (ngrams.features, columns) or one.bias.shape != (columns,):
                raise ValueError(f"weights of {name} have shape {one.weights.shape}")
        return cls(words, ngrams, linear, tuple(TextNetwork.from_kept(*one) for one in networks))

    def nothing(self) -> dict[str, np.ndarray]:
        """See `combined.Members`."""
        return self.logits(self.ids([None]))

    def told(self, texts: Sequence[str | None] | pl.Series) -> dict[str, np.ndarray]:
        """(texts, classes) float64 of each member; memory does not grow with the texts."""
        if isinstance(texts, str):
            raise SunhwanError("got a single text; expected a list of texts: put it in brackets")
        parts = [
            self.logits(self.ids(texts[start : start + PREDICTED_AT_ONCE]))
            for start in range(0, max(len(texts), 1), PREDICTED_AT_ONCE)
        ]
        return {name: np.concatenate([part[name] for part in parts]).astype(np.float64) for name in parts[0]}

    def ids(self, texts: Sequence[str | None] | pl.Series) -> Ragged:
        """The ids of each text's words, `UNKNOWN` for those that training did not know."""
        return self.words.ids(segment(texts))

    def only(self, names: Sequence[str]) -> Members:
        """Those of these names."""
        return replace(
            self,
            linear={name: model for name, model in self.linear.items() if name in names},
            networks=self.networks if RECURRENT in names else (),
        )


class TextClassifier(Combined):
    """A trained classifier of texts.

    A text without a word that training knew gets what the members say of nothing, about the classes' shares.
    """

    members: Members
    kind = Members

    def explain(self, text: str, top: int = 10) -> list[tuple[str, float]]:
        """The words that moved a prediction: how much the likeliest class's log-odds fall without each.

        All of a word's places are hidden at once, and the whole classifier is asked again; so pairs of words
        and order count. A negative figure is of a word that spoke against the class.

        Args:
            text: one text.
            top: how many words, those that moved most first.

        Returns:
            Words as `segments.segment` gives them, and their figures in nats.
        """
        tokens = segment([text])
        ids = self.members.words.ids(tokens).ids
        words = tokens[0].to_list()
        # The first place of each word that is known, in order: dictionaries keep it.
        first = dict(zip(words[::-1], range(len(words) - 1, -1, -1), strict=True))
        tried = sorted(place for place in first.values() if ids[place] != UNKNOWN)[:MOST_EXPLAINED]
        whole = self.combined(self.members.logits(Ragged(ids, np.array([0, len(ids)]))))
        said = int(whole.argmax())
        effects = []
        for place in tried:
            without = np.where(ids == ids[place], np.int32(UNKNOWN), ids)
            effects.append(self.combined(self.members.logits(Ragged(without, np.array([0, len(ids)])))))
        if not effects:
            return []
        moved = odds(whole, said)[0] - odds(np.concatenate(effects), said)
        order = np.argsort(-np.abs(moved), kind="stable")[:top]
        return [(words[tried[i]], float(moved[i])) for i in order]


def odds(logits: np.ndarray, k: int) -> np.ndarray:
    """(texts,) the log-odds of class k by logits (texts, classes).

    Example:
        >>> odds(np.array([[0.0, 1.5]]), 1).tolist()
        [1.5]
    """
    return logits[:, k] - logsumexp(np.delete(logits, k, axis=1), axis=1)


def fit(
    texts: pl.Series, labels: np.ndarray, classes: Sequence[str], held: np.ndarray, options: Options, watcher
) -> Fitted:
    """Train a classifier.

    Args:
        texts: n strings.
        labels: (n,) integers, an index into `classes`.
        classes: two or more; every one is among the texts that are held and those that are not.
        held: (n,) bool, which texts are validation.
        options: of training.
        watcher: told how it goes.

    Raises:
        SunhwanError: the training texts hold no word that occurs often enough.
    """
    count = len(classes)
    tokens = segment(texts)
    watcher.begin("baselines", 1, 1)
    words = known_words(tokens.filter(~held))
    ids, held_ids = words.ids(tokens.filter(~held)), words.ids(tokens.filter(held))
    truth = labels[held]
    ngrams = Ngrams.fit(ids, len(words.words), least_texts(len(ids)), options.order)
    linear = {}
    for name, fitter in LINEAR.items():
        binary = name == NB_SVM
        counts, held_counts = (ngrams.counts(some, binary=binary) for some in (ids, held_ids))
        linear[name] = baselines.chosen(fitter, counts, labels[~held], held_counts, truth, count)
    vectors = begun(ids, options.settings)
    trained = [
        text_network.train(
            ids,
            labels[~held],
            count,
            options.settings,
            seed,
            watcher,
            (held_ids, truth),
            vectors,
            f"network {seed + 1}",
        )
        for seed in range(options.seeds)
    ]
    said = Members(words, ngrams, linear, tuple(one.network for one in trained)).logits(held_ids)
    weighed = weigh(said, truth, WORTH)
    # Once more on all texts: a quarter more of them is worth more than what validation could still tell.
    watcher.begin("baselines on all texts", 1, 1)
    words = known_words(tokens)
    ids = words.ids(tokens)
    ngrams = Ngrams.fit(ids, len(words.words), least_texts(len(ids)), options.order)
    linear = {
        name: LINEAR[name](ngrams.counts(ids, binary=name == NB_SVM), labels, count, one.strength)
        for name, one in linear.items()
    }
    vectors = begun(ids, options.settings)
    networks = tuple(
        text_network.train(
            ids,
            labels,
            count,
            replace(options.settings, epochs=one.epochs),
            seed,
            watcher,
            vectors=vectors,
            name=f"network {seed + 1} on all texts",
        ).network
        for seed, one in enumerate(trained)
    )
    members = Members(words, ngrams, linear, networks)
    lengths = ids.lengths
    notes = [
        f"{len(words.words):,} words, {len(ngrams.pairs):,} pairs and {len(ngrams.triples):,} triples of "
        f"words occur in {least_texts(len(ids))} texts or more"
    ]
    cut = float((lengths > networks[0].length).mean())
    if cut > 0:
        notes.append(
            f"of the {cut:.1%} of texts with more than {networks[0].length} words the network reads the "
            "beginning and the end; n-grams are counted in all of them"
        )
    return Fitted(
        TextClassifier(tuple(classes), members.only(list(weighed.weights)), weighed.weights),
        members,
        weighed,
        np.bincount(labels, minlength=count) / len(labels),
        tuple({"network": seed, **row} for seed, one in enumerate(trained) for row in one.history),
        tuple(notes),
    )


def begun(ids: Ragged, settings: Settings) -> np.ndarray:
    """The vectors with which a network's words begin."""
    return word_vectors(ids, text_network.known(ids, settings), settings.embedding, settings.vectors)


def known_words(tokens: pl.Series) -> Words:
    """The words of training texts that occur often enough."""
    words = Words.fit(tokens, least_texts(len(tokens)))
    if not words.words:
        raise SunhwanError(
            f"the {len(tokens):,} training texts hold no word often enough to count; expected texts of words"
        )
    return words


def least_texts(count: int) -> int:
    """Words of a single text teach nothing, unless there are very few texts."""
    return 2 if count >= 1_000 else 1
