"""The network of a text classifier: recurrent layers both ways, and a vote of each word; run by NumPy.

    ids (tokens) --> embedding --> LSTM or GRU, forward and backward --> strongest and mean of tokens --.
        |                                                                                             v
        '--> votes of each word for each class ----------------------------------------- sum --> + --> logits

Words are dropped in training, whole embeddings and votes as well, since texts are few and words many.

Keras is needed to train. `TextNetwork` is what was trained, as plain arrays; it needs the kernels and NumPy.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING

import numpy as np

from sunhwan import rundir
from sunhwan.baselines.ngrams import two_columns
from sunhwan.classify import pooling as pooled
from sunhwan.classify import training
from sunhwan.classify.training import Feed, Routine, Trained
from sunhwan.data.texts.vocabulary import Ragged
from sunhwan.data.texts.words import UNKNOWN
from sunhwan.training.cells import check_cell, recurrent_layer, refuse_unknown_cell

if TYPE_CHECKING:
    import keras

PADDING, OTHER, FIRST = 0, 1, 2
"""The network's ids: nothing, a word that it does not know, and its first word."""

PREDICTION_TOKENS = 100_000
"""Tokens, padding included, that are run at once."""


@dataclass(frozen=True)
class Settings:
    """What a network is, and how it is trained.

    Attributes:
        cell: out of `cells.CELLS`.
        units: of each direction.
        embedding: numbers that stand for a word.
        words: the words that it knows, those of most texts.
        length: tokens that it reads of a text: a quarter from the beginning, the rest from the end.
        dropout: of embeddings (whole dimensions), of what the recurrent layers said, and of votes.
        word_dropout: the share of words that are hidden in training.
        learning_rate: of Adam.
        vectors: the root mean square of the vectors with which words begin; see `word_vectors`.
        averaging: the weight of the past in the average of weights, at each snapshot.
        batch: texts of a training step, fewer where texts are few.
        epochs: at most.
        patience: epochs without a gain after which training ends.
    """

    cell: str = "lstm"
    units: int = 32
    embedding: int = 64
    words: int = 20_000
    length: int = 400
    dropout: float = 0.5
    word_dropout: float = 0.2
    learning_rate: float = 1e-3
    vectors: float = 0.3
    averaging: float = 0.85
    batch: int = 64
    epochs: int = 12
    patience: int = 2

    def __post_init__(self) -> None:
        check_cell(self.cell)


@dataclass(frozen=True, eq=False)
class TextNetwork:
    """A trained network as arrays.

    Attributes:
        cell: of the recurrent layers.
        length: tokens that it reads of a text.
        weights: `embedding` (ids, dimensions); `forward_kernel`, `forward_recurrent_kernel`, `forward_bias`
            and the same of `backward`; `dense_kernel` (4 * units, columns), `dense_bias`; `votes` (ids,
            columns). There is one column for two classes, else one a class.
    """

    cell: str
    length: int
    weights: Mapping[str, np.ndarray]

    @property
    def ids(self) -> int:
        """How many ids there are, `PADDING` and `OTHER` included."""
        return len(self.weights["embedding"])

    @cached_property
    def _directions(self) -> list[list[np.ndarray]]:
        return pooled.sides_of(self.weights)

    def logits(self, texts: Ragged) -> np.ndarray:
        """(texts, classes) float32: their softmax are probabilities.

        Args:
            texts: ids of words, from `segments.Words.ids`.
        """
        rows = clipped(texts, self.length, self.ids)
        lengths = rows.lengths
        said = np.empty((len(rows), self.weights["dense_kernel"].shape[1]), np.float32)
        for index in pooled.groups(lengths, PREDICTION_TOKENS, 1_000):
            said[index] = self._run(padded(rows, index, int(lengths[index[-1]])))
        return two_columns(said)

    def _run(self, tokens: np.ndarray) -> np.ndarray:
        """Tokens (batch, time) to scores (batch, columns)."""
        mask = tokens != PADDING
        there = mask[..., None].astype(np.float32)
        words = self.weights["embedding"][tokens]
        whole = pooled.read(self.cell, self._directions, words, mask)
        votes = (self.weights["votes"][tokens] * there).sum(axis=1)
        return pooled.pooled(whole, there) @ self.weights["dense_kernel"] + self.weights["dense_bias"] + votes

    def as_dict(self) -> dict:
        """For JSON: all but the arrays."""
        return {"cell": self.cell, "length": self.length}

    @classmethod
    def from_kept(cls, kept: Mapping, arrays: Mapping[str, np.ndarray]) -> TextNetwork:
        """What `as_dict` and `weights` gave.

        Raises:
            SunhwanError: something is missing, or of another shape.
        """
        with rundir.reading("network"):
            refuse_unknown_cell(kept)
            network = cls(
                kept["cell"],
                int(kept["length"]),
                {name: np.ascontiguousarray(array, np.float32) for name, array in arrays.items()},
            )
            network.logits(Ragged(np.zeros(2, np.int32), np.array([0, 2])))
        return network


def clipped(texts: Ragged, length: int, ids: int) -> Ragged:
    """The network's ids of what it reads of each text: at most `length`, one `OTHER` for a text of no words.

    Args:
        texts: ids of words, or `UNKNOWN`.
        length: tokens at most: a quarter from the beginning, the rest from the end.
        ids: how many ids the network has; words beyond are `OTHER`.

    Example:
        >>> texts = Ragged(np.array([0, 1, 2, 3, 4, -1], np.int32), np.array([0, 6, 6]))
        >>> short = clipped(texts, length=4, ids=6)
        >>> short[0].tolist(), short[1].tolist()
        ([2, 5, 1, 1], [1])
    """
    lengths = texts.lengths
    place = np.arange(len(texts.ids)) - np.repeat(texts.offsets[:-1], lengths)
    whole = np.repeat(lengths, lengths)
    head = length // 4
    kept = (whole <= length) | (place < head) | (place >= whole - (length - head))
    new = texts.ids[kept].astype(np.int32) + FIRST
    new[(new < FIRST) | (new >= ids)] = OTHER
    empty = np.flatnonzero(lengths == 0)
    offsets = np.zeros(len(texts) + 1, np.int64)
    np.cumsum(np.maximum(np.minimum(lengths, length), 1), out=offsets[1:])
    if len(empty):
        filled = np.ones(offsets[-1], bool)
        filled[offsets[:-1][empty]] = False
        out = np.full(offsets[-1], OTHER, np.int32)
        out[filled] = new
        new = out
    return Ragged(new, offsets)


def padded(rows: Ragged, index: np.ndarray, width: int) -> np.ndarray:
    """(len(index), width) int32: some of the rows, with `PADDING` after them."""
    lengths = rows.lengths[index]
    columns = np.arange(width)
    filled = columns < lengths[:, None]
    out = np.full((len(index), width), PADDING, np.int32)
    out[filled] = rows.ids[(rows.offsets[index][:, None] + columns)[filled]]
    return out


def train(
    texts: Ragged,
    labels: np.ndarray,
    classes: int,
    settings: Settings,
    seed: int,
    watcher,
    held: tuple[Ragged, np.ndarray] | None = None,
    vectors: np.ndarray | None = None,
    name: str = "network",
) -> Trained:
    """Train one network; validation chooses the epoch, or all of `settings.epochs` are trained.

    Args:
        texts: ids of words, `settings.words` of which the network learns.
        labels: (texts,) 0 to classes - 1.
        classes: how many there are.
        settings, seed: what network.
        watcher: told of each batch and epoch.
        held: texts and labels of validation.
        vectors: (words, `settings.embedding`) with which words begin, or None for random ones.
        name: what the watcher calls it.
    """
    import keras

    from sunhwan.recurrence.keras.accelerate import accelerated

    keras.utils.set_random_seed(seed)
    ids = known(texts, settings) + FIRST
    length = training.reach(texts.lengths, settings.length)
    rows = clipped(texts, length, ids)
    feed = fed(rows, labels, settings, seed, training.widths(length))
    watcher.begin(name, settings.epochs, len(feed))
    routine = Routine(settings.learning_rate, settings.averaging, settings.epochs, settings.patience)
    with accelerated():
        model = build(ids, training.prior(labels, classes), settings)
        if vectors is not None:
            embedding = model.get_layer("embedding")
            begin = np.array(embedding.get_weights()[0])
            begin[FIRST:] = vectors
            embedding.set_weights([begin])
        network = partial(TextNetwork, settings.cell, length)
        return training.train(model, feed, classes, routine, taken, network, watcher, held)


def fed(rows: Ragged, labels: np.ndarray, settings: Settings, seed: int, to: Sequence[int]) -> Feed:
    """The batches of each epoch: tokens (batch, width), some of them hidden."""

    def made(index: np.ndarray, width: int, random: np.random.Generator) -> np.ndarray:
        tokens = padded(rows, index, width)
        tokens[(random.random(tokens.shape) < settings.word_dropout) & (tokens != PADDING)] = OTHER
        return tokens

    size = max(1, min(settings.batch, len(rows) // 16))
    return Feed(rows.lengths, labels, size, seed, to, made)


def known(texts: Ragged, settings: Settings) -> int:
    """How many words a network learns of training texts: those with the lowest ids."""
    return min(int(texts.ids.max(initial=UNKNOWN)) + 1, settings.words)


def build(ids: int, prior: np.ndarray, settings: Settings) -> keras.Model:
    """The network for training: tokens (batch, time) to scores (batch, columns), which begin at the prior."""
    import keras
    from keras import layers, ops

    cell = recurrent_layer(settings.cell)
    tokens = keras.Input((None,), dtype="int32")
    embedding = layers.Embedding(ids, settings.embedding, mask_zero=True, name="embedding")
    words = layers.SpatialDropout1D(settings.dropout)(embedding(tokens))
    both = layers.Bidirectional(cell(settings.units, return_sequences=True), name="read")
    read = both(words, mask=embedding.compute_mask(tokens))
    there = ops.expand_dims(ops.cast(ops.not_equal(tokens, PADDING), "float32"), -1)
    said = pooled.scores(read, there, prior, settings.dropout)
    votes = layers.Embedding(ids, len(prior), embeddings_initializer="zeros", name="votes")(tokens)
    counted = ops.sum(layers.Dropout(settings.dropout)(votes) * there, axis=1)
    return keras.Model(tokens, said + counted)


def taken(model: keras.Model) -> dict[str, np.ndarray]:
    """A Keras model's weights as `TextNetwork` names them."""
    found = {"embedding": model.get_layer("embedding").get_weights()[0]}
    found |= pooled.of_bidirectional(model.get_layer("read"))
    kernel, bias = model.get_layer("dense").get_weights()
    found |= {"dense_kernel": kernel, "dense_bias": bias, "votes": model.get_layer("votes").get_weights()[0]}
    return {name: np.array(array, np.float32) for name, array in found.items()}
