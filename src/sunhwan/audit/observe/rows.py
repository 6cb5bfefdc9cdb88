"""Rows that a call of Keras was given: copied within a bound, whatever they came as."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from types import GeneratorType
from typing import Any

import numpy as np

MOST_BYTES = 256 * 2**20
"""Of one array so much is copied: its first and its last rows, since splits meet there."""

MOST_STREAMED = 64 * 2**20
"""Of batches that come one by one (generators, datasets) the first so many bytes are kept."""


@dataclass(frozen=True)
class Joined:
    """Several inputs of a model as one array, which baselines see and windows are compared by.

    Beside sequences of equally many timesteps, what has none (a place, a kind) stands in every timestep;
    where no input is a sequence of several numbers, columns stand beside each other.

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
        arrays = [plain(one) for one in (value.values() if names else value)]
        sequences = {array.shape[1] for array in arrays if array.ndim > 2}
        if len(sequences) > 1 or any(array.ndim > 3 for array in arrays):
            shapes = " and ".join(" x ".join(map(str, array.shape[1:])) for array in arrays)
            raise Declined(f"several inputs of {shapes} numbers a row, which do not join into one window")
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
        found, at = [], 0
        for shape, dtype in zip(self.shapes, self.dtypes, strict=True):
            width = shape[-1] if shape else 1
            part = x[..., at : at + width]
            if self.timesteps and len(shape) < 2:
                part = part[:, 0]
            found.append(part.reshape(len(x), *shape).astype(dtype))
            at += width
        return dict(zip(self.names, found, strict=True)) if self.names else found


@dataclass(eq=False)
class Rows:
    """Inputs and targets of one part.

    Attributes:
        x: (rows, ...) inputs that are kept, or None.
        y: (rows, ...) their targets, or None where there are none.
        count: how many rows there were; more than are kept where the bound was reached.
        streamed: whether they came in batches, one by one.
        joined: how `x` was joined of several inputs, or None where there is one.
        declined: why they cannot be audited, in one sentence; "" where they can.
    """

    x: np.ndarray | None = None
    y: np.ndarray | None = None
    count: int = 0
    streamed: bool = False
    declined: str = ""
    joined: Joined | None = None

    def inputs(self, x: np.ndarray) -> Any:
        """Some rows of `x` as the model takes them: of several inputs a list or a dictionary."""
        return self.joined.apart(x) if self.joined else x

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
        raise Declined(f"there are {len(value)} outputs, where one is audited")
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


def inputs_of(value: Any, start: int = 0, stop: int | None = None) -> tuple[np.ndarray, Joined | None, int]:
    """Rows of a model's inputs as one array, within bounds; how it was joined; how many they were."""
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


def keep(x: Any, y: Any = None, start: int = 0, stop: int | None = None) -> Rows:
    """A copy of rows `start` to `stop` of arrays, of the first and the last where they are many."""
    try:
        array, joined, count = inputs_of(x, start, stop)
        y = None if y is None else plain(y)[start:stop]
    except Declined as why:
        return Rows(declined=str(why))
    if y is not None and len(y) != count:
        return Rows(count=count, declined=f"there are {count:,} inputs and {len(y):,} targets")
    return Rows(array, None if y is None else ends(y, len(array)), count, joined=joined)


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
        self.joined: Joined | None = None

    @property
    def is_generator(self) -> bool:
        return isinstance(self.source, GeneratorType)

    def tee(self, batches: Callable[[], Iterable] | None = None) -> Iterator[Any]:
        """The batches, kept as they pass: those of the source, or of what Keras has made of it."""
        # Not `yield from`, which would close the source with this one.
        for batch in batches() if batches else self.source:
            self.take(batch)
            yield batch

    def take(self, batch: Any) -> bool:
        """Keeps a batch; False where no more are wanted."""
        if self.bytes > MOST_STREAMED or (self.steps and len(self.batches) >= self.steps):
            return False
        x, *others = batch if isinstance(batch, (tuple, list)) else (batch,)
        kept = (self._inputs(x), *(None if part is None else _copied(part) for part in others))
        self.batches.append(kept)
        self.bytes += sum(part.nbytes for part in kept if isinstance(part, np.ndarray))
        return True

    def rows(self) -> Rows:
        """What passed, or what the source gives once more."""
        if not self.is_generator and not self.batches:
            try:
                for batch in self._again():
                    if not self.take(batch):
                        break
            except Exception as error:  # somebody's code, whose files may be gone by now
                return Rows(
                    declined=f"its batches could not be read once more ({type(error).__name__}: {error})"
                )
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
        return Rows(x, y, len(x), streamed=True, joined=self.joined)

    def _inputs(self, x):
        try:
            array, self.joined, _ = inputs_of(x)
        except Declined as why:
            return why
        return _copied(array)

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
