"""Observes Keras's fit, evaluate and predict (a `KerasCall` each) and scikit-learn's scalers (a `Scaling`).

Nothing is computed here but copies and norms, and no random number is drawn: the watched program must get the
bits that it would get without us.
"""

from __future__ import annotations

import copy
import functools
import inspect
import os
import re
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

import numpy as np

from sunhwan.audit.observe.rows import Declined, ObservedRows, Stream, copied, ends, plain
from sunhwan.audit.observe.steps import Steps, observer
from sunhwan.recurrence.imported import WhenImported
from sunhwan.recurrence.keras.accelerate import is_on

MOST_FITS = 30
"""Calls of `fit` whose model and rows are recorded; later ones are only counted."""

MOST_WEIGHTS = 20_000_000
"""Weights of a larger model are not copied, so how they changed stays unknown."""

MOST_SCALED = 64 * 2**20
"""Bytes that are copied of the rows that a scaler was fitted on."""

SCALERS = (
    "MinMaxScaler",
    "StandardScaler",
    "RobustScaler",
    "MaxAbsScaler",
    "QuantileTransformer",
    "PowerTransformer",
)


@dataclass(eq=False)
class KerasCall:
    """One call of Keras.

    Attributes:
        kind: "fit", "evaluate" or "predict".
        model: whose method it was.
        lines: where in the script it was called, innermost first.
        rows: that it was given, or the stream of them.
        validation: likewise of the validation part of `fit`, or None.
        split: `validation_split`, or 0.
        options: other arguments that are read: epochs, batch_size, shuffle; "weighted", whether rows are.
        monitors: for each callback that chooses an epoch, what it monitors.
        history: metrics by epoch, of `fit`.
        scores: metrics by name, of `evaluate`.
        predictions: of `predict`.
        targets_name: the variable in which the targets of `predict` were found.
        before, after: the weights before and after the call; None where they are not copied.
        first: of `fit`, its first steps.
        seconds: how long it took.
        steps: training steps, in `fit`.
        accelerated: whether layers were accelerated.
    """

    kind: str
    model: Any
    lines: tuple[int, ...]
    rows: ObservedRows | Stream
    validation: ObservedRows | Stream | None = None
    split: float = 0.0
    options: dict[str, Any] = field(default_factory=dict)
    monitors: dict[str, str] = field(default_factory=dict)
    history: dict[str, list[float]] = field(default_factory=dict)
    scores: dict[str, float] = field(default_factory=dict)
    predictions: np.ndarray | None = None
    targets_name: str = ""
    before: list[np.ndarray] | None = None
    after: list[np.ndarray] | None = None
    first: Steps = field(default_factory=Steps)
    seconds: float = 0.0
    steps: int = 0
    accelerated: bool = False


@dataclass(eq=False)
class Scaling:
    """One call of a scaler of scikit-learn, or of Keras's `Normalization.adapt`.

    Attributes:
        kind: "fit" or "inverse".
        name: the scaler's class.
        scaler: a copy of it at that time; None for Keras.
        rows: (rows, columns) that it was fitted on, or was to scale back.
        count: how many rows there were.
        lines: where in the script.
    """

    kind: str
    name: str
    scaler: Any
    rows: np.ndarray
    count: int
    lines: tuple[int, ...]


@dataclass(eq=False)
class Observations:
    """Everything that was observed.

    Attributes:
        source: the file that lines refer to.
        calls, scalings: in their order.
        unrecorded: calls of `fit` beyond `MOST_FITS`.
        seconds: what observing took.
        ran: seconds that the program took, without those.
    """

    source: str
    calls: list[KerasCall] = field(default_factory=list)
    scalings: list[Scaling] = field(default_factory=list)
    unrecorded: int = 0
    seconds: float = 0.0
    ran: float = 0.0


@contextmanager
def watching(source: str) -> Iterator[Observations]:
    """Observes a program for the length of a `with` block, and how long it takes."""
    watch = Watch(source)
    watch.start()
    begun = time.monotonic()
    try:
        yield watch.observations
    finally:
        watch.observations.ran = time.monotonic() - begun - watch.observations.seconds
        watch.stop()


class Watch:
    """Observes one program in this process, thread by thread; processes that it forks are left alone.

    Args:
        source: the program's file, as its frames name it.
    """

    def __init__(self, source: str):
        self.observations = Observations(source)
        self.process = os.getpid()
        self.inside = threading.local()
        self.fitting = False  # what a callback evaluates within `fit` is not a result
        self.undo = ExitStack()

    def start(self) -> None:
        for name, action in (
            ("keras", self._watch_keras),
            ("sklearn.preprocessing._data", self._watch_scalers),
        ):
            waiting = WhenImported(name, action)
            waiting.wait()
            self.undo.callback(waiting.stop)

    def stop(self) -> None:
        self.undo.close()

    # ---- What is replaced ----

    def _watch_keras(self) -> None:
        import keras

        for kind, observe in (
            ("fit", self._observe_fit),
            ("evaluate", self._observe_evaluate),
            ("predict", self._observe_predict),
        ):
            self._replace(keras.Model, kind, observe)
        self._replace(keras.layers.Normalization, "adapt", self._observe_adapt)

    def _watch_scalers(self) -> None:
        scalers = sys.modules["sklearn.preprocessing._data"]
        for name in SCALERS:
            cls = getattr(scalers, name)
            for method in ("fit", "partial_fit", "fit_transform"):
                if hasattr(cls, method):
                    self._replace(cls, method, self._observe_scaler)
            if hasattr(cls, "inverse_transform"):
                self._replace(cls, "inverse_transform", self._observe_inverse)

    def _replace(self, owner: type, name: str, observe: Callable) -> None:
        stock = getattr(owner, name)

        @functools.wraps(stock)
        def watched(this, *args, **kwargs):
            if os.getpid() != self.process or getattr(self.inside, "busy", False) or self.fitting:
                return stock(this, *args, **kwargs)
            return observe(stock, this, *args, **kwargs)

        if name in vars(owner):
            self.undo.callback(setattr, owner, name, vars(owner)[name])
        else:
            self.undo.callback(delattr, owner, name)
        setattr(owner, name, watched)

    @contextmanager
    def _ours(self) -> Iterator[None]:
        """What happens in here is our own work: timed, and not itself observed."""
        begun = time.perf_counter()
        self.inside.busy = True
        try:
            yield
        finally:
            self.inside.busy = False
            self.observations.seconds += time.perf_counter() - begun

    # ---- Keras ----

    def _observe_fit(self, stock, model, *args, **kwargs):
        fits = sum(call.kind == "fit" for call in self.observations.calls)
        try:
            arguments = _bound(stock, model, args, kwargs)
        except TypeError:  # Keras says what is wrong with the call
            return stock(model, *args, **kwargs)
        if fits >= MOST_FITS:
            self.observations.unrecorded += 1
            return stock(model, *args, **kwargs)
        with self._ours():
            call, arguments = self._fit_call(model, arguments)
            self.observations.calls.append(call)
            begun_at = _iterations(model)
        begun, self.fitting = time.perf_counter(), True
        try:
            history = stock(**arguments)
        finally:
            call.seconds, self.fitting = time.perf_counter() - begun, False
            with self._ours():
                of = getattr(model, "history", None)
                call.history = {
                    name: list(map(_number, values)) for name, values in getattr(of, "history", {}).items()
                }
                call.after = weights_of(model)
                call.steps = _iterations(model) - begun_at
        return history

    def _fit_call(self, model, arguments):
        import keras

        x, y, split = arguments.get("x"), arguments.get("y"), arguments.get("validation_split") or 0.0
        validation = arguments.get("validation_data")
        call = KerasCall("fit", model, self._lines(), ObservedRows())
        if _is_stream(x):
            call.rows, arguments["x"] = _streamed(x, arguments.get("steps_per_epoch"))
        elif split and validation is None:
            call.split = split
            # As Keras splits.
            at = _split_at(x, split)
            call.rows, call.validation = copied(x, y, 0, at), copied(x, y, at)
        else:
            call.rows = copied(x, y)
        if _is_stream(validation):
            call.validation, arguments["validation_data"] = _streamed(
                validation, arguments.get("validation_steps")
            )
        elif isinstance(validation, (tuple, list)) and len(validation) > 1:
            call.validation = copied(validation[0], validation[1])
        call.options = {
            name: arguments.get(name)
            for name in ("epochs", "batch_size", "shuffle", "initial_epoch", "steps_per_epoch")
        }
        call.options["weighted"] = (
            arguments.get("class_weight") is not None
            or arguments.get("sample_weight") is not None
            or (isinstance(validation, (tuple, list)) and len(validation) > 2)
        )
        call.monitors = monitors_of(arguments.get("callbacks"))
        callbacks = arguments.get("callbacks")
        if callbacks is None or isinstance(callbacks, (list, tuple, keras.callbacks.Callback)):
            if not isinstance(callbacks, (list, tuple)):
                callbacks = [callbacks] if callbacks else []
            arguments["callbacks"] = [
                *callbacks,
                observer(call.first, self._ours, functools.partial(copy_weights, call)),
            ]
        else:  # a list of Keras's own kind, which is the script's
            copy_weights(call)
        call.accelerated = is_on()
        return call, arguments

    def _observe_evaluate(self, stock, model, *args, **kwargs):
        return self._observe_scored("evaluate", stock, model, args, kwargs)

    def _observe_predict(self, stock, model, *args, **kwargs):
        return self._observe_scored("predict", stock, model, args, kwargs)

    def _observe_scored(self, kind, stock, model, args, kwargs):
        try:
            arguments = _bound(stock, model, args, kwargs)
        except TypeError:
            return stock(model, *args, **kwargs)
        with self._ours():
            x, y = arguments.get("x"), arguments.get("y")
            call = KerasCall(kind, model, self._lines(), ObservedRows())
            call.options["batch_size"] = arguments.get("batch_size")
            call.options["weighted"] = arguments.get("sample_weight") is not None
            if _is_stream(x):
                call.rows, arguments["x"] = _streamed(x, arguments.get("steps"))
            else:
                if kind == "predict":
                    call.targets_name, y = _targets_beside(self._frame(), x)
                call.rows = copied(x, y)
            if kind == "evaluate":
                call.after = weights_of(model)
            # Predicting a row or two at a time is forecasting step by step, not a test.
            if kind == "evaluate" or isinstance(call.rows, Stream) or call.rows.count >= 5:
                self.observations.calls.append(call)
        begun = time.perf_counter()
        result = stock(**arguments)
        call.seconds = time.perf_counter() - begun
        with self._ours():
            if kind == "predict" and isinstance(result, np.ndarray):
                call.predictions = copied(result).x
            elif kind == "evaluate":
                call.scores = _scores(model, result)
        return result

    def _observe_adapt(self, stock, layer, data, *args, **kwargs):
        with self._ours():
            if hasattr(data, "__array__"):
                self._scaled("fit", "Normalization", None, data)
        return stock(layer, data, *args, **kwargs)

    # ---- scikit-learn ----

    def _observe_scaler(self, stock, scaler, X, *args, **kwargs):
        with self._ours():  # `fit_transform` calls `fit`
            result = stock(scaler, X, *args, **kwargs)
            self._scaled("fit", type(scaler).__name__, copy.deepcopy(scaler), X)
        return result

    def _observe_inverse(self, stock, scaler, X, *args, **kwargs):
        with self._ours():
            self._scaled("inverse", type(scaler).__name__, copy.deepcopy(scaler), X)
        return stock(scaler, X, *args, **kwargs)

    def _scaled(self, kind, name, scaler, values):
        try:
            rows = plain(values)
        except Declined:
            return
        if rows.ndim == 1:
            rows = rows[:, None]
        if rows.ndim > 2:
            rows = rows.reshape(-1, rows.shape[-1])
        count = len(rows)
        rows = rows if rows.dtype.kind == "f" else rows.astype(np.float64)  # float32 is scaled in float32
        rows = ends(rows, MOST_SCALED // (8 * max(rows.shape[1], 1)))
        self.observations.scalings.append(Scaling(kind, name, scaler, rows, count, self._lines()))

    # ---- Where in the script ----

    def _frames(self) -> Iterator[FrameType]:
        for frame in outward(sys._getframe(1)):
            if frame.f_code.co_filename == self.observations.source:
                yield frame

    def _frame(self) -> FrameType | None:
        return next(self._frames(), None)

    def _lines(self) -> tuple[int, ...]:
        return tuple(dict.fromkeys(frame.f_lineno for frame in self._frames()))


def _bound(stock, model, args, kwargs) -> dict[str, Any]:
    """Arguments by name, `self` among them, for a call by keywords."""
    bound = inspect.signature(stock).bind(model, *args, **kwargs)
    named = dict(bound.arguments)
    named.update(named.pop("kwargs", {}))
    return named


def copy_weights(call: KerasCall) -> None:
    """Copies the weights that training begins with."""
    call.before = weights_of(call.model)


def _is_stream(x: Any) -> bool:
    if x is None or isinstance(x, (list, tuple, dict, np.ndarray)) or hasattr(x, "__array__"):
        return False
    return hasattr(x, "__iter__") or hasattr(x, "__getitem__")


def outward(frame: FrameType | None) -> Iterator[FrameType]:
    """A frame, what called it, and so on."""
    while frame is not None:
        yield frame
        frame = frame.f_back


def rows_of(x: Any, y: Any, steps: int | None = None) -> ObservedRows | Stream:
    """The rows passed to a `fit`; of a generator none before its batches pass."""
    return Stream(x, steps) if _is_stream(x) else copied(x, y)


def _streamed(source, steps):
    stream = Stream(source, steps)
    return stream, stream.tee() if stream.is_generator else source


def _split_at(x: Any, share: float) -> int:
    while isinstance(x, (list, tuple, dict)):
        x = next(iter(x.values() if isinstance(x, dict) else x))
    return int(np.floor(len(x) * (1.0 - share)))


def weights_of(model: Any) -> list[np.ndarray] | None:
    if not model.built:
        return None
    variables = model.weights
    if sum(int(np.prod(variable.shape)) for variable in variables) > MOST_WEIGHTS:
        return None
    return model.get_weights()


def _iterations(model: Any) -> int:
    """Training steps so far; 0 of a model that is not compiled."""
    optimizer = getattr(model, "optimizer", None)
    return int(optimizer.iterations.numpy()) if hasattr(optimizer, "iterations") else 0


def monitors_of(callbacks: Any) -> dict[str, str]:
    """What each callback that chooses an epoch monitors: EarlyStopping, and ModelCheckpoint of the best."""
    import keras

    callbacks = getattr(callbacks, "callbacks", callbacks) or []
    monitors = {}
    for callback in callbacks if isinstance(callbacks, (list, tuple)) else [callbacks]:
        chooses = isinstance(callback, keras.callbacks.EarlyStopping) or (
            isinstance(callback, keras.callbacks.ModelCheckpoint) and callback.save_best_only
        )
        if chooses:
            monitors[type(callback).__name__] = callback.monitor
    return monitors


def _scores(model: Any, result: Any) -> dict[str, float]:
    """What `evaluate` returned, by name; where it is a list, Keras does not name its items."""
    named = result if isinstance(result, dict) else model.get_metrics_result()
    return {name: _number(value) for name, value in named.items()}


def _number(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        return float("nan")


def _targets_beside(frame: FrameType | None, x: Any) -> tuple[str, Any]:
    """The variable with the targets of `x`, found by its name: `X_test` has `y_test`, `testX` has `testY`.

    Scripts that predict and score by hand never pass the targets to Keras.
    """
    if frame is None:
        return "", None
    scope = {**frame.f_globals, **frame.f_locals}
    for name, value in scope.items():
        if value is x and not name.startswith("_"):
            for target in _names_of_targets(name):
                targets = scope.get(target)
                if targets is not None and hasattr(targets, "__len__") and len(targets) == len(x):
                    return target, targets
    return "", None


def _names_of_targets(name: str) -> list[str]:
    """Names that the targets of inputs named `name` would have.

    Example:
        >>> _names_of_targets("X_test"), _names_of_targets("testX"), _names_of_targets("test_inputs")
        (['y_test', 'Y_test'], ['testy', 'testY'], ['test_targets', 'test_labels', 'test_y'])
    """
    names = []
    for pattern, targets in (
        (r"(?<![A-Za-z])[xX](?![A-Za-z])|(?<=[a-z])X|^[xX](?=[A-Z])", ("y", "Y")),
        (r"inputs?|features|samples|sequences|windows", ("targets", "labels", "y")),
    ):
        if re.search(pattern, name):
            names += [re.sub(pattern, target, name, count=1) for target in targets]
    return list(dict.fromkeys(names))
