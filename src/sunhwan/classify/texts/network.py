"""The network of a text classifier: recurrent layers both ways, and a vote of each word.

    ids (tokens) --> embedding --> LSTM or GRU, forward and backward --> maximum and mean of tokens --.
        |                                                                                             v
        '--> votes of each word for each class ----------------------------------------- sum --> + --> logits

In training words are dropped, whole embeddings and votes as well, since texts are few and words many.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sunhwan.classify import training
from sunhwan.classify.network import Network, recurrent_scores
from sunhwan.classify.texts.word_vectors import word_vectors
from sunhwan.data.ragged import Ragged
from sunhwan.data.texts.words import UNKNOWN

if TYPE_CHECKING:
    import keras

PADDING, OTHER, FIRST = 0, 1, 2
"""The network's ids: padding, a word that it does not know, and its first word."""


@dataclass(frozen=True)
class Settings(training.Settings):
    """What a network of texts is, and how it is trained.

    Attributes:
        embedding: dimensions of a word's vector.
        words: the words that it knows, those that occur in most texts.
        length: tokens that it reads of a text: a quarter from the beginning, the rest from the end.
        word_dropout: the share of words that are hidden in training.
        vectors: the root mean square of the vectors with which words begin; see `word_vectors`.
    """

    embedding: int = 64
    words: int = 20_000
    length: int = 400
    word_dropout: float = 0.2
    vectors: float = 0.3


@dataclass(frozen=True, eq=False)
class TextNetwork(Network):
    """A trained network of texts as arrays.

    Attributes:
        ids: how many ids there are, `PADDING` and `OTHER` included.
        weights: besides those of `Network`, `embedding` (ids, dimensions) and `votes` (ids, columns).
    """

    ids: int

    steps_at_once = 100_000
    examples_at_once = 1_000

    def read(self, examples: Ragged) -> Ragged:
        """The network's ids of at most `length` tokens of each text; one `OTHER` for a text of no words.

        Args:
            examples: ids of words, or `UNKNOWN`, from `Words.ids`; unknown words become `OTHER`.

        Example:
            >>> texts = Ragged.of([[0, 1, 2, 3, 4, -1], []])
            >>> steps = TextNetwork("lstm", 4, {}, ids=6).read(texts)
            >>> steps[0].tolist(), steps[1].tolist()
            ([2, 5, 1, 1], [1])
        """
        lengths, place = examples.lengths, examples.places
        whole = np.repeat(lengths, lengths)
        head = self.length // 4
        read = (whole <= self.length) | (place < head) | (place >= whole - (self.length - head))
        ids = examples.values[read].astype(np.int32) + FIRST
        ids[(ids < FIRST) | (ids >= self.ids)] = OTHER
        offsets = np.zeros(len(examples) + 1, np.int64)
        np.cumsum(np.maximum(np.minimum(lengths, self.length), 1), out=offsets[1:])
        empty = lengths == 0
        if empty.any():
            filled = np.ones(offsets[-1], bool)
            filled[offsets[:-1][empty]] = False
            whole = np.full(offsets[-1], OTHER, np.int32)
            whole[filled] = ids
            ids = whole
        return Ragged(ids, offsets)

    def scores(self, values, mask):
        votes = (self.weights["votes"][values] * mask[..., None].astype(np.float32)).sum(axis=1)
        return self.recurrent_scores(self.weights["embedding"][values], mask) + votes


class TextTrainer(training.Trainer):
    """Trains networks of texts, whose words all begin with the same vectors."""

    least_batches = 16

    def __init__(self, examples: Ragged, settings: Settings):
        known = min(int(examples.values.max(initial=UNKNOWN)) + 1, settings.words)
        length = training.reach(examples.lengths, settings.length)
        super().__init__(TextNetwork(settings.cell, length, {}, known + FIRST), examples, settings)
        self.vectors = word_vectors(examples, known, settings.embedding, settings.vectors)

    def build(self, prior: np.ndarray) -> keras.Model:
        model = build(self.outline.ids, prior, self.settings)
        embedding = model.get_layer("embedding")
        vectors = np.array(embedding.get_weights()[0])
        vectors[FIRST:] = self.vectors
        embedding.set_weights([vectors])
        return model

    def batch(self, index, width, random) -> np.ndarray:
        tokens, mask = self.steps.padded(index, width)
        tokens[(random.random(tokens.shape) < self.settings.word_dropout) & mask] = OTHER
        return tokens


def build(ids: int, prior: np.ndarray, settings: Settings) -> keras.Model:
    """The network for training: tokens (batch, time) to scores (batch, columns), which begin at the prior."""
    import keras
    from keras import layers, ops

    tokens = keras.Input((None,), dtype="int32")
    embedding = layers.Embedding(ids, settings.embedding, mask_zero=True, name="embedding")
    words = layers.SpatialDropout1D(settings.dropout)(embedding(tokens))
    mask = embedding.compute_mask(tokens)
    scores = recurrent_scores(words, mask, prior, settings, 1)
    votes = layers.Embedding(ids, len(prior), embeddings_initializer="zeros", name="votes")(tokens)
    present = ops.expand_dims(ops.cast(mask, "float32"), -1)
    return keras.Model(tokens, scores + ops.sum(layers.Dropout(settings.dropout)(votes) * present, axis=1))
