"""A callback that audits the `fit` that it is passed to."""

from __future__ import annotations

import linecache
import os
import sys
from functools import partial
from types import FrameType
from typing import Any

import keras

from sunhwan.audit.baselines import Budget
from sunhwan.audit.findings.finders import FINDERS
from sunhwan.audit.findings.selection import no_test, one_seed, selected_on_reported
from sunhwan.audit.observe.rows import ObservedRows, Stream
from sunhwan.audit.observe.watch import KerasCall, Observations, monitors_of, outward, rows_of, weights_of
from sunhwan.audit.session import BUDGET, fill, undisturbed
from sunhwan.audit.text import Audit
from sunhwan.recurrence.keras.accelerate import is_on

FINDERS_OF_A_FIT = tuple(find for find in FINDERS if find not in (no_test, one_seed, selected_on_reported))
"""Those that can judge a fit by itself: the rows that its result will be reported on are not known yet."""


class Callback(keras.callbacks.Callback):
    """Audits the `fit` that it is passed to, and prints the findings when training ends.

    It sees the training and validation rows: arrays, the batches of a generator as they pass, and datasets
    that can be read again (PyDataset, tf.data, a DataLoader) once training has ended. It does not see what
    comes before `fit` (scalers) and after it (`evaluate`, `predict`, other fits): for that, put
    `with sunhwan.audit():` around all of it. Training has the same bits as without.

    Args:
        budget: seconds for findings and baselines once training has ended; 60 by default.
        verbose: 0 prints nothing; everything is in `findings`.

    Attributes:
        findings: the audit of the last fit; None before.

    Example:
        >>> import keras, numpy, sunhwan.audit
        >>> x, y = numpy.random.default_rng(0).normal(size=(2, 60, 5))
        >>> layers = [keras.layers.Reshape((5, 1)), keras.layers.GRU(4), keras.layers.Dense(1)]
        >>> model = keras.Sequential(layers)
        >>> model.compile("adam", "mse")
        >>> audit = sunhwan.audit.Callback(verbose=0)
        >>> history = model.fit(x, y[:, :1], callbacks=[audit], verbose=0)
        >>> print(audit.findings.fits[0].title)
        GRU 4, 60 windows of 5 -> 1
    """

    async_safe = True  # otherwise Keras would wait for each batch to end

    def __init__(self, budget: float = BUDGET, verbose: int = 1):
        super().__init__()
        self.budget, self.verbose = budget, verbose
        self.findings: Audit | None = None
        self.call: KerasCall | None = None

    def on_train_begin(self, logs=None):
        frame = _fit_frame(self.model)
        passed = frame.f_locals
        caller = next((outer for outer in outward(frame.f_back) if not _is_keras(outer)), frame)
        self.source = caller.f_code.co_filename
        self.call = KerasCall("fit", self.model, (caller.f_lineno,), ObservedRows())
        self.call.rows = rows_of(passed["x"], passed["y"], passed.get("steps_per_epoch"))
        pass_through(self.call.rows, passed.get("epoch_iterator"))
        # By now Keras has cut off validation, where there is a `validation_split`.
        validation = passed.get("validation_data")
        if isinstance(validation, (tuple, list)) and len(validation) > 1:
            self.call.validation = rows_of(validation[0], validation[1])
        elif validation is not None:
            self.call.validation = rows_of(validation, None, passed.get("validation_steps"))
        self.call.split = passed.get("validation_split") or 0.0
        self.call.options = {name: passed.get(name) for name in ("epochs", "batch_size", "shuffle")}
        self.call.monitors = monitors_of(passed.get("callbacks"))
        self.call.before = weights_of(self.model)
        self.call.accelerated = is_on()

    def on_train_batch_begin(self, batch, logs=None):
        self.call.first.before(self.model)

    def on_train_batch_end(self, batch, logs=None):
        self.call.first.after(logs)

    def on_test_begin(self, logs=None):
        # Keras makes validation's iterator only now, for all epochs.
        if self.call:  # None in `evaluate` by itself
            pass_through(self.call.validation, getattr(self.model, "_eval_epoch_iterator", None))

    def on_epoch_end(self, epoch, logs=None):
        self.call.first.over = True

    def on_train_end(self, logs=None):
        history = getattr(self.model.history, "history", {})
        self.call.history = {name: [float(value) for value in values] for name, values in history.items()}
        self.call.after = weights_of(self.model)
        self.findings = Audit(self.source)
        text = "".join(linecache.getlines(self.source))
        with undisturbed():
            observed = Observations(self.source, [self.call])
            fill(self.findings, observed, text, Budget(self.budget), FINDERS_OF_A_FIT)
        if self.verbose:
            print(self.findings)


def pass_through(rows: ObservedRows | Stream | None, iterator: Any) -> None:
    """Makes the batches of a generator pass through its stream, on their way from Keras to the model.

    Where Keras has no such adapter, the stream stays empty, and the audit reports that no batch was seen.
    """
    adapter = getattr(iterator, "data_adapter", None)
    if (
        not isinstance(rows, Stream)
        or not rows.is_generator
        or not callable(getattr(adapter, "generator", None))
    ):
        return
    if isinstance(adapter.generator, partial) and adapter.generator.func == rows.tee:
        return
    adapter.generator = partial(rows.tee, adapter.generator)


def _fit_frame(model) -> FrameType:
    """The frame of Keras's `fit` of a model, whose variables are the arguments."""
    for frame in outward(sys._getframe(1)):
        names = frame.f_locals
        if frame.f_code.co_name == "fit" and names.get("self") is model and {"x", "y"} <= set(names):
            return frame
    raise RuntimeError(
        "sunhwan.audit.Callback was called outside of fit; pass it among the callbacks of a model's fit"
    )


def _is_keras(frame: FrameType) -> bool:
    return frame.f_code.co_filename.startswith(os.path.dirname(keras.__file__) + os.sep)
