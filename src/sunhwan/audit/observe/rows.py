"""The rows passed to a call of Keras: copied within bounds, whatever type they have."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from types import GeneratorType
from typing import Any

import numpy as np

MOST_BYTES = 256 * 2**20
"""This much of an array is copied: its first and its last rows, since splits meet there."""

MOST_STREAMED = 64 * 2**20
"""Bytes that are copied of batches that come one by one (generators, datasets)."""


@dataclass(frozen=True)
class Joined:
    """Several inputs of a model joined into one array, for baselines and for comparing windows.

    Sequences must have equally many timesteps; inputs without timesteps (a place, a kind) are repeated at
    each. Where no input is a sequence of several numbers, columns are put side by side.

    Attributes:
        names: of the inputs where they are a dictionary, else None.
        shapes, dtypes: of a row of each.
        timesteps: of the sequences, or None.
    """

    names: tuple[Any, ...] | None
    shapes: tuple[tuple[int, ...], ...]
    dtypes: tuple[np.dtype, ...]
    timesteps: int | None

    @classmethod
    def of(cls, value: Any) -> tuple[np.ndarray, Joined]:
        """The array and how it was joined.

        Example:
            >>> array, joined = Joined.of({"past": np.zeros((4, 7, 2)), "place": np.ones((4, 3))})
            >>> array.shape, joined.apart(array)["place"].shape
            ((4, 7, 5), (4, 3))
        """
        names = tuple(value) if isinstance(value, dict) else None
        arrays = [plain(array) for array in (value.values() if names else value)]
        sequences = {array.shape[1] for array in arrays if array.ndim > 2}
        if len(sequences) > 1 or any(array.ndim > 3 for array in arrays):
            shapes = " and ".join(" x ".join(map(str, array.shape[1:])) for array in arrays)
            raise Declined(
                f"the inputs have {shapes} numbers per row, which cannot be joined into one window"
            )
        timesteps = sequences.pop() if sequences else None
        shapes = tuple(array.shape[1:] for array in arrays)
        joined = cls(names, shapes, tuple(array.dtype for array in arrays), timesteps)
        return joined.together(arrays), joined

    def together(self, arrays: list[np.ndarray]) -> np.ndarray:
        flat = []
        for array in arrays:
            if array.ndim == 3:
                flat.append(array)
                continue
            rows = array.reshape(len(array), -1)
            if self.timesteps:
                rows = np.broadcast_to(rows[:, None], (len(rows), self.timesteps, rows.shape[1]))
            flat.append(rows)
        return np.concatenate(flat, axis=-1)

    def apart(self, x: np.ndarray) -> Any:
        inputs, at = [], 0
        for shape, dtype in zip(self.shapes, self.dtypes, strict=True):
            width = shape[-1] if shape else 1
            part = x[..., at : at + width]
            if self.timesteps and len(shape) < 2:
                part = part[:, 0]
            inputs.append(part.reshape(len(x), *shape).astype(dtype))
            at += width
        return dict(zip(self.names, inputs, strict=True)) if self.names else inputs


@dataclass(eq=False)
class ObservedRows:
    """Inputs and targets of one part.

    Attributes:
        x: (rows, ...) the copied inputs, or None.
        y: (rows, ...) their targets, or None.
        count: how many rows there were; more than were copied where the bound was reached.
        streamed: whether they came in batches, one by one.
        joined: how `x` was joined from several inputs, or None for a single input.
        declined: why they cannot be audited, in one sentence; "" where they can.
    """

    x: np.ndarray | None = None
    y: np.ndarray | None = None
    count: int = 0
    streamed: bool = False
    declined: str = ""
    joined: Joined | None = None

    def inputs(self, x: np.ndarray) -> Any:
        """Rows of `x` in the form that the model takes: for several inputs a list or a dictionary."""
        return self.joined.apart(x) if self.joined else x

    @property
    def whole(self) -> bool:
        return self.x is not None and len(self.x) == self.count

    def __len__(self) -> int:
        return 0 if self.x is None else len(self.x)


class Declined(Exception):
    """Why rows cannot be audited."""


def plain(value: Any) -> np.ndarray:
    """A NumPy array from an array of any framework; not a copy where it is one already."""
    if isinstance(value, (list, tuple, dict)) and not _numbers(value):
        if len(value) == 1:
            return plain(next(iter(value.values() if isinstance(value, dict) else value)))
        raise Declined(f"the model has {len(value)} outputs; only models with one output are audited")
    if hasattr(value, "to_tensor") and hasattr(value, "row_lengths"):
        raise Declined("the rows have different lengths: pad them to one length")
    if hasattr(value, "detach"):
        value = value.detach().cpu()
    array = value.to_numpy() if hasattr(value, "to_numpy") else np.asarray(value)
    if array.dtype == object:
        try:
            array = array.astype(np.float32)
        except (TypeError, ValueError):
            raise Declined(
                "the rows have different lengths, or are not numbers: pad or convert them"
            ) from None
    if array.dtype.kind not in "fiub":
        if array.dtype.name != "bfloat16":
            raise Declined(f"the rows are of type {array.dtype}, not numbers")
        array = array.astype(np.float32)
    if array.ndim == 0:
        raise Declined("a single number was given where rows are expected")
    return array


def inputs_of(value: Any, start: int = 0, stop: int | None = None) -> tuple[np.ndarray, Joined | None, int]:
    """A model's inputs as one array, within bounds; how it was joined; how many rows there were."""
    if isinstance(value, (list, tuple, dict)) and len(value) > 1 and not _numbers(value):
        names = list(value) if isinstance(value, dict) else range(len(value))
        parts = [plain(value[name])[start:stop] for name in names]
        counts = sorted({len(part) for part in parts})
        if len(counts) > 1:
            raise Declined(f"the inputs have {' and '.join(map(str, counts))} rows")
        timesteps = max(part.shape[1] if part.ndim > 2 else 1 for part in parts)
        bytes_of_row = sum(
            part.nbytes * (1 if part.ndim > 2 else timesteps) // max(len(part), 1) for part in parts
        )
        parts = [ends(part, MOST_BYTES // max(bytes_of_row, 1)) for part in parts]
        array, joined = Joined.of(dict(zip(names, parts, strict=True)) if isinstance(value, dict) else parts)
        return array, joined, counts[0]
    array = plain(value)[start:stop]
    return ends(array, MOST_BYTES // max(array.nbytes // max(len(array), 1), 1)), None, len(array)


def _numbers(value):
    """Whether a list is one array: of numbers, or of lists of them."""
    while isinstance(value, (list, tuple)) and value:
        value = value[0]
    return np.isscalar(value)


def copied(x: Any, y: Any = None, start: int = 0, stop: int | None = None) -> ObservedRows:
    """A copy of rows `start` to `stop` of arrays, or of their first and last rows where there are many."""
    try:
        array, joined, count = inputs_of(x, start, stop)
        y = None if y is None else plain(y)[start:stop]
    except Declined as why:
        return ObservedRows(declined=str(why))
    if y is not None and len(y) != count:
        return ObservedRows(count=count, declined=f"there are {count:,} inputs and {len(y):,} targets")
    return ObservedRows(array, None if y is None else ends(y, len(array)), count, joined=joined)


def ends(array: np.ndarray, most: int) -> np.ndarray:
    """A copy of an array, or of its first and last rows, `most` in all."""
    if len(array) <= most:
        return np.array(array)
    half = max(most // 2, 1)
    return np.concatenate([array[:half], array[-half:]])


class Stream:
    """Batches that are copied as they pass, or read once the script has ended.

    Args:
        source: a generator, in place of which Keras gets `tee`; or anything that can be read again
            (PyDataset, tf.data, a DataLoader).
        steps: batches of an epoch, or None for all.
    """

    def __init__(self, source: Any, steps: int | None):
        self.source, self.steps, self.batches, self.bytes = source, steps, [], 0
        self.joined: Joined | None = None

    @property
    def is_generator(self) -> bool:
        return isinstance(self.source, GeneratorType)

    def tee(self, batches: Callable[[], Iterable] | None = None) -> Iterator[Any]:
        """The batches, copied as they pass: those of the source, or of what Keras made from it."""
        # Not `yield from`, which would close the source with this one.
        for batch in batches() if batches else self.source:
            self.copy(batch)
            yield batch

    def copy(self, batch: Any) -> bool:
        """Copies a batch; False where no more are wanted."""
        if self.bytes > MOST_STREAMED or (self.steps and len(self.batches) >= self.steps):
            return False
        x, *others = batch if isinstance(batch, (tuple, list)) else (batch,)
        arrays = (self._inputs(x), *(None if part is None else _float32(part) for part in others))
        self.batches.append(arrays)
        self.bytes += sum(part.nbytes for part in arrays if isinstance(part, np.ndarray))
        return True

    def rows(self) -> ObservedRows:
        """The batches that passed, or those that the source yields again."""
        if not self.is_generator and not self.batches:
            try:
                for batch in self._again():
                    if not self.copy(batch):
                        break
            except Exception as error:  # the script's code, whose files may be gone by now
                return ObservedRows(
                    declined=f"its batches could not be read again ({type(error).__name__}: {error})"
                )
        if not self.batches:
            return ObservedRows(declined="no batch was seen")
        try:
            for part in itertools.chain.from_iterable(self.batches):
                if isinstance(part, Declined):
                    raise part
            x = np.concatenate([batch[0] for batch in self.batches])
            has_targets = all(len(batch) > 1 and batch[1] is not None for batch in self.batches)
            y = np.concatenate([batch[1] for batch in self.batches]) if has_targets else None
        except Declined as why:
            return ObservedRows(declined=str(why))
        except ValueError:
            return ObservedRows(declined="the batches have different shapes: pad them to one shape")
        return ObservedRows(x, y, len(x), streamed=True, joined=self.joined)

    def _inputs(self, x):
        try:
            array, self.joined, _ = inputs_of(x)
        except Declined as why:
            return why
        return _float32(array)

    def _again(self) -> Iterable:
        if hasattr(self.source, "num_batches") and self.source.num_batches is not None:  # PyDataset
            return (self.source[index] for index in range(self.source.num_batches))
        return self.source


def _float32(part):
    try:
        array = plain(part)
        # Models compute in float32 too, and twice as many rows fit.
        return np.array(array, np.float32 if array.dtype == np.float64 else array.dtype)
    except Declined as why:
        return why
