"""Calls of Keras grouped into fits: one model on one set of rows, and the parts on which it was scored."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from sunhwan.audit.observe.rows import ObservedRows, Stream
from sunhwan.audit.observe.watch import KerasCall, Observations

MOST_OUTPUTS = 64
"""Baselines do not forecast a target of more numbers than this."""

METRICS = {
    "mae": "mae",
    "mean_absolute_error": "mae",
    "mse": "mse",
    "mean_squared_error": "mse",
    "rmse": "rmse",
    "root_mean_squared_error": "rmse",
    "accuracy": "accuracy",
    "acc": "accuracy",
    "binary_accuracy": "accuracy",
    "categorical_accuracy": "accuracy",
    "sparse_categorical_accuracy": "accuracy",
}
"""Keras's names of the metrics that baselines are scored with."""

CLASS_LOSSES = {"binary_crossentropy", "categorical_crossentropy", "sparse_categorical_crossentropy"}


@dataclass(eq=False)
class Part:
    """Rows on which a model was trained or scored.

    Attributes:
        name: "train", "validation" or "test".
        rows: as passed to Keras.
        call: the call that scored them; of validation that of `fit`.
    """

    name: str
    rows: ObservedRows
    call: KerasCall

    @property
    def words(self) -> str:
        """The name as sentences have it."""
        return "training" if self.name == "train" else self.name

    @cached_property
    def digest(self) -> str:
        """Equal for equal rows."""
        digest = hashlib.blake2b(repr((self.rows.count, np.shape(self.rows.x))).encode(), digest_size=16)
        for array in (self.rows.x, self.rows.y):
            if array is not None:
                digest.update(np.ascontiguousarray(array, np.float32).reshape(len(array), -1))
        return digest.hexdigest()

    def same_inputs(self, other: Part | None) -> bool:
        return (
            other is not None
            and self.rows.x is not None
            and other.rows.x is not None
            and self.rows.count == other.rows.count
            and self.rows.x.shape == other.rows.x.shape
            and np.array_equal(self.rows.x, other.rows.x, equal_nan=self.rows.x.dtype.kind == "f")
        )


@dataclass(eq=False)
class Fit:
    """One model, fitted on one set of rows, in one call or in many (an epoch a call).

    Attributes:
        number: counted from 1.
        calls: of `fit`, in order.
        train, validation: the parts; `validation` may be None.
        tests: other rows that were evaluated, or predicted, after `fit`.
        evaluated_validation: the validation rows where they were evaluated after `fit`.
        no_tests: calls of `evaluate` and `predict` that are not on a test part, each with the reason.
    """

    number: int
    calls: list[KerasCall]
    train: Part
    validation: Part | None
    tests: list[Part] = field(default_factory=list)
    evaluated_validation: Part | None = None
    no_tests: list[tuple[KerasCall, str]] = field(default_factory=list)

    @property
    def model(self) -> Any:
        return self.calls[-1].model

    @property
    def lines(self) -> list[int]:
        return list(dict.fromkeys(self.calls[0].lines[:1]))

    @cached_property
    def reported(self) -> Part:
        """The part on which the result is reported: a test part with targets, else validation, else training.

        `evaluate` comes before `predict`, and later calls before earlier ones.
        """
        known = [part for part in self.tests if part.rows.y is not None]
        for kind in ("evaluate", "predict"):
            for part in reversed(known):
                if part.call.kind == kind:
                    return part
        return self.evaluated_validation or self.validation or self.train

    @property
    def declined(self) -> str:
        """Why it cannot be audited, or ""."""
        rows = self.train.rows
        if rows.declined:
            return rows.declined
        if rows.y is None:
            return "the model is trained without passing targets to Keras"
        if rows.joined and self.embeds:
            return "the model has several inputs with token ids among them"
        if isinstance(self.model.loss, (list, dict)) or len(getattr(self.model, "outputs", None) or [1]) > 1:
            return "the model has several outputs"
        if rows.x.shape == rows.y.shape and np.array_equal(rows.x, rows.y):
            return "the target is the input itself (an autoencoder), which has no baseline"
        numbers = int(np.prod(rows.y.shape[1:]))
        if self.task == "regression" and numbers > MOST_OUTPUTS:
            return f"the target has {numbers:,} numbers per row; baselines forecast at most {MOST_OUTPUTS}"
        if self.task == "classes" and rows.y.ndim > 2:
            return "the model classifies each timestep, not each row"
        return ""

    @cached_property
    def layers(self) -> list[Any]:
        """Every layer in order, including those inside others."""
        import keras

        layers, waiting = [], [self.model]
        while waiting:
            layer = waiting.pop()
            if layer not in layers:
                layers.append(layer)
                waiting.extend(reversed(list(layer._flatten_layers(include_self=False, recursive=False))))
        return [layer for layer in layers if not isinstance(layer, keras.Model)]

    @cached_property
    def recurrent(self) -> list[Any]:
        import keras

        return [layer for layer in self.layers if isinstance(layer, keras.layers.RNN)]

    @cached_property
    def embeds(self) -> bool:
        import keras

        return any(isinstance(layer, keras.layers.Embedding) for layer in self.layers)

    @cached_property
    def kind(self) -> str:
        """What a row is: "tokens" (ids, for an Embedding) or "numbers"."""
        x = self.train.rows.x
        if not self.embeds or x is None or x.ndim != 2:
            return "numbers"
        return "tokens" if x.dtype.kind in "iu" or np.array_equal(x, np.floor(x)) else "numbers"

    @cached_property
    def loss(self) -> str:
        """Keras's name of the loss, as `mean_squared_error`."""
        loss = self.model.loss
        if not isinstance(loss, str):
            loss = getattr(loss, "name", None) or getattr(loss, "__name__", "") or type(loss).__name__
        snake = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", loss).lower()
        return {"mse": "mean_squared_error", "mae": "mean_absolute_error"}.get(snake, snake)

    @cached_property
    def task(self) -> str:
        """ "classes" or "regression"."""
        if self.loss in CLASS_LOSSES:
            return "classes"
        y = self.train.rows.y
        names = {METRICS.get(name) for name in self.metric_names}
        whole = y is not None and np.array_equal(y, np.floor(y)) and len(np.unique(y[:1000])) <= 20
        return (
            "classes" if "accuracy" in names and whole and self.loss != "mean_squared_error" else "regression"
        )

    @cached_property
    def metric_names(self) -> list[str]:
        """Keras's names of the metrics besides the loss, in the order in which they were compiled."""
        named = [*self.calls[-1].history, *self.reported.call.scores]
        return [name for name in dict.fromkeys(named) if name != "loss" and not name.startswith("val_")]

    @cached_property
    def metric_name(self) -> str:
        """Keras's name of the metric that the network is scored with; "loss" where it is that."""
        fitting = {"accuracy"} if self.task == "classes" else {"mae", "mse", "rmse"}
        for name in self.metric_names:
            if METRICS.get(name) in fitting:
                return name
        return "loss" if METRICS.get(self.loss) in fitting else ""

    @property
    def metric(self) -> str:
        """ "mae", "mse", "rmse" or "accuracy"."""
        if self.metric_name:
            return METRICS[self.loss if self.metric_name == "loss" else self.metric_name]
        return "accuracy" if self.task == "classes" else "mae"

    @property
    def scored(self) -> float | None:
        """Keras's own score on the reported part, or None: baselines know no sample weights."""
        part = self.reported
        if part.call.options.get("weighted"):
            return None
        if part.call.kind == "evaluate":
            return part.call.scores.get(self.metric_name)
        if part.name == "test":
            return None
        history = self.calls[-1].history
        prefix = "val_" if part.name == "validation" else ""
        values = history.get(prefix + self.metric_name)
        # With a callback that restores the best weights the last epoch's value is not the model's.
        return values[-1] if values and not self.calls[-1].monitors else None

    @cached_property
    def architecture(self) -> str:
        """Equal for models that differ in names and seeds alone."""
        try:
            config = json.dumps(self.model.get_config(), sort_keys=True, default=str)
        except NotImplementedError:
            config = " ".join(type(layer).__name__ for layer in self.layers)
        return re.sub(r'"(name|seed|build_input_shape)": [^,}\]]*', "", re.sub(r"_\d+", "", config))

    @property
    def title(self) -> str:
        """As `LSTM 50 x 2, 12,340 windows of 60 x 1 -> 1`."""
        layers: list[list] = []
        for layer in self.recurrent or self.layers:
            units = getattr(layer, "units", "")
            name = f"{type(layer).__name__} {units}".strip()
            if not self.recurrent and not units:
                continue
            if layers and layers[-1][0] == name:
                layers[-1][1] += 1
            else:
                layers.append([name, 1])
        what = ", ".join(name if times == 1 else f"{name} x {times}" for name, times in layers)
        rows = self.train.rows
        if rows.x is None:
            return what
        noun = "texts" if self.kind == "tokens" else "windows"
        shape = " x ".join(map(str, rows.x.shape[1:])) or "1"
        several = f" ({len(rows.joined.shapes)} inputs)" if rows.joined else ""
        if self.task == "classes":
            target = f"{self.classes} classes"
        else:
            target = "?" if rows.y is None else str(int(np.prod(rows.y.shape[1:])))
        return f"{what or 'no layer'}, {rows.count:,} {noun} of {shape}{several} -> {target}"

    @cached_property
    def classes(self) -> int:
        y = self.train.rows.y
        if y is None:
            return 0
        if y.ndim == 2 and y.shape[1] > 1:
            return y.shape[1]
        return max(int(np.nanmax(y)) + 1, 2)

    def labels(self, y: np.ndarray) -> np.ndarray:
        """(rows,) int64 classes, of labels or of one-hot rows."""
        if y.ndim == 2 and y.shape[1] > 1:
            return y.argmax(axis=1)
        return y.reshape(len(y)).astype(np.int64)


def windows(x: np.ndarray) -> np.ndarray:
    """(rows, timesteps, features) float32, from inputs of any shape.

    Example:
        >>> windows(np.zeros((4, 7))).shape, windows(np.zeros(4)).shape
        ((4, 7, 1), (4, 1, 1))
    """
    x = np.asarray(x, np.float32)
    if x.ndim == 1:
        x = x[:, None]
    return x[:, :, None] if x.ndim == 2 else x.reshape(*x.shape[:2], -1)


def spaced(count: int, most: int) -> np.ndarray:
    """The indices of all of `count` rows, or of `most` evenly spaced ones.

    Example:
        >>> spaced(3, 5).tolist(), spaced(9, 3).tolist()
        ([0, 1, 2], [0, 4, 8])
    """
    return np.linspace(0, count - 1, min(count, most)).astype(np.int64)


def outputs(y: np.ndarray) -> np.ndarray:
    """(rows, numbers) float64 targets."""
    return np.asarray(y, np.float64).reshape(len(y), -1)


def read(observed: Observations) -> list[Fit]:
    """The fits among the observed calls. Streams that can be read again are read now."""
    fits: list[Fit] = []
    for call in observed.calls:
        rows = _read(call.rows)
        if call.kind == "fit":
            train = Part("train", rows, call)
            has_validation = call.validation is not None
            validation = Part("validation", _read(call.validation), call) if has_validation else None
            earlier = next(
                (fit for fit in fits if fit.model is call.model and _continues(fit, call, train)), None
            )
            if earlier:
                earlier.calls.append(call)
            else:
                fits.append(Fit(len(fits) + 1, [call], train, validation))
        else:
            fit = _fit_of(fits, call, rows)
            if fit and (why := rows.declined or _score(fit, Part("test", rows, call))):
                fit.no_tests.append((call, f"{call.kind}: {why}" if rows.declined else why))
    return fits


def _read(rows):
    return rows.rows() if isinstance(rows, Stream) else rows


def _continues(fit, call, train):
    before, now = fit.calls[-1].rows, call.rows
    if isinstance(before, Stream) or isinstance(now, Stream):
        return isinstance(before, Stream) and isinstance(now, Stream) and before.source is now.source
    return fit.train.same_inputs(train)


def _fit_of(fits, call, rows):
    """The last fit of the model; of one that was never fitted (loaded from a file) the last of its shape."""
    for fit in reversed(fits):
        if fit.model is call.model:
            return fit
    for fit in reversed(fits):
        ours = fit.train.rows.x
        if ours is not None and rows.x is not None and ours.shape[1:] == rows.x.shape[1:]:
            return fit
    return None


def _score(fit: Fit, part: Part) -> str:
    """Adds a part on which a fit was scored; or returns why it is no test part: it is training, say."""
    kind, rows, ours = part.call.kind, part.rows, fit.train.rows
    if not len(rows):
        return f"{kind} was called on no rows"
    if part.same_inputs(fit.train):
        return f"{kind} was called on the {rows.count:,} training rows"
    if part.same_inputs(fit.validation):
        if kind == "evaluate" and rows.y is not None:
            fit.evaluated_validation = Part("validation", rows, part.call)
        return f"{kind} was called on the {rows.count:,} validation rows"
    if kind == "predict" and ours.x is not None and rows.count > ours.count and _contains(rows.x, ours.x):
        return f"predict was called on {rows.count:,} rows, including all training rows"  # for a plot
    fit.tests = [
        earlier
        for earlier in fit.tests
        if not earlier.same_inputs(part) or earlier.call.kind != part.call.kind
    ]
    fit.tests.append(part)
    return ""


def _contains(rows, others):
    """Whether nearly all of `others` are among `rows`."""
    if rows.shape[1:] != others.shape[1:] or not len(others):
        return False
    known = {row.tobytes() for row in np.asarray(rows, np.float32)}
    sample = np.asarray(others[:: max(len(others) // 500, 1)], np.float32)
    return sum(row.tobytes() in known for row in sample) > 0.9 * len(sample)
