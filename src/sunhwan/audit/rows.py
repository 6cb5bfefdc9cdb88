"""Rows that a call of Keras was given: copied within a bound, whatever they came as."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from types import GeneratorType
from typing import Any

import numpy as np

MOST_BYTES = 256 * 2**20
"""Of one array so much is copied: its first and its last rows, since splits meet there."""

MOST_STREAMED = 64 * 2**20
"""Of batches that come one by one (generators, datasets) the first so many bytes are kept."""


@dataclass(eq=False)
class Rows:
    """Inputs and targets of one part.

    Attributes:
        x: (rows, ...) inputs that are kept, or None.
        y: (rows, ...) their targets, or None where there are none.
        count: how many rows there were; more than are kept where the bound was reached.
        streamed: whether they came in batches, one by one.
        declined: why they cannot be audited, in one sentence; "" where they can.
    """

    x: np.ndarray | None = None
    y: np.ndarray | None = None
    count: int = 0
    streamed: bool = False
    declined: str = ""

    @property
    def whole(self) -> bool:
        return self.x is not None and len(self.x) == self.count

    def __len__(self) -> int:
        return 0 if self.x is None else len(self.x)


class Declined(Exception):
    """Why rows cannot be audited."""


def plain(value: Any) -> np.ndarray:
    """An array of NumPy's, from that of any framework; not a copy where it is one already."""
    if isinstance(value, (list, tuple, dict)) and not _numbers(value):
        if len(value) == 1:
            return plain(next(iter(value.values() if isinstance(value, dict) else value)))
        raise Declined(f"{len(value)} arrays were given where one is audited: several inputs or outputs")
    if hasattr(value, "to_tensor") and hasattr(value, "row_lengths"):
        raise Declined("the rows are ragged; pad them to be audited")
    if hasattr(value, "detach"):
        value = value.detach().cpu()
    array = value.to_numpy() if hasattr(value, "to_numpy") else np.asarray(value)
    if array.dtype == object:
        try:
            array = array.astype(np.float32)
        except (TypeError, ValueError):
            raise Declined("the rows are ragged, or no numbers; pad them to be audited") from None
    if array.dtype.kind not in "fiub":
        if array.dtype.name != "bfloat16":
            raise Declined(f"the rows are of type {array.dtype}, not numbers")
        array = array.astype(np.float32)
    if array.ndim == 0:
        raise Declined("a single number was given where rows are expected")
    return array


def _numbers(value):
    """Whether a list is one array: of numbers, or of lists of them."""
    while isinstance(value, (list, tuple)) and value:
        value = value[0]
    return np.isscalar(value)


def keep(x: Any, y: Any = None, start: int = 0, stop: int | None = None) -> Rows:
    """A copy of rows `start` to `stop` of arrays, of the first and the last where they are many."""
    try:
        x, y = plain(x)[start:stop], None if y is None else plain(y)[start:stop]
    except Declined as why:
        return Rows(declined=str(why))
    if y is not None and len(y) != len(x):
        return Rows(count=len(x), declined=f"there are {len(x):,} inputs and {len(y):,} targets")
    count = len(x)
    most = MOST_BYTES // max(x.nbytes // max(count, 1), 1)
    return Rows(ends(x, most), None if y is None else ends(y, most), count)


def ends(array: np.ndarray, most: int) -> np.ndarray:
    """A copy of an array, or of its first and last rows, `most` in all."""
    if len(array) <= most:
        return np.array(array)
    half = max(most // 2, 1)
    return np.concatenate([array[:half], array[-half:]])


class Stream:
    """Batches that are kept as they pass, or read once the script has ended.

    Args:
        source: a generator, of which `tee` is given to Keras in its place; or anything that can be read
            again (PyDataset, tf.data, a DataLoader).
        steps: batches of an epoch, or None for all there are.
    """

    def __init__(self, source: Any, steps: int | None):
        self.source, self.steps, self.batches, self.bytes = source, steps, [], 0

    @property
    def is_generator(self) -> bool:
        return isinstance(self.source, GeneratorType)

    def tee(self) -> Iterator[Any]:
        # Not `yield from`, which would close the source with this one.
        for batch in self.source:
            self.take(batch)
            yield batch

    def take(self, batch: Any) -> bool:
        """Keeps a batch; False where no more are wanted."""
        if self.bytes > MOST_STREAMED or (self.steps and len(self.batches) >= self.steps):
            return False
        kept = tuple(
            None if part is None else _copied(part)
            for part in (batch if isinstance(batch, (tuple, list)) else (batch,))
        )
        self.batches.append(kept)
        self.bytes += sum(part.nbytes for part in kept if isinstance(part, np.ndarray))
        return True

    def rows(self) -> Rows:
        """What passed, or what the source gives once more."""
        if not self.is_generator and not self.batches:
            for batch in self._again():
                if not self.take(batch):
                    break
        if not self.batches:
            return Rows(declined="no batch was seen")
        try:
            for part in itertools.chain.from_iterable(self.batches):
                if isinstance(part, Declined):
                    raise part
            x = np.concatenate([batch[0] for batch in self.batches])
            has_targets = all(len(batch) > 1 and batch[1] is not None for batch in self.batches)
            y = np.concatenate([batch[1] for batch in self.batches]) if has_targets else None
        except Declined as why:
            return Rows(declined=str(why))
        except ValueError:
            return Rows(declined="the batches have different shapes; pad them alike to be audited")
        return Rows(x, y, len(x), streamed=True)

    def _again(self) -> Iterable:
        if hasattr(self.source, "num_batches") and self.source.num_batches is not None:  # PyDataset
            return (self.source[index] for index in range(self.source.num_batches))
        return self.source


def _copied(part):
    try:
        array = plain(part)
        # Models compute in float32 too, and twice as many rows are kept.
        return np.array(array, np.float32 if array.dtype == np.float64 else array.dtype)
    except Declined as why:
        return why
