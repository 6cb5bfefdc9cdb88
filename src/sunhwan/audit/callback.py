"""A callback that audits the fit that it is given to."""

from __future__ import annotations

import linecache
import os
import sys
from functools import partial
from types import FrameType
from typing import Any

import keras

from sunhwan.audit.baselines import Budget
from sunhwan.audit.findings.cautions import no_test, one_seed
from sunhwan.audit.findings.leaks import selected_on_reported
from sunhwan.audit.observe.rows import Rows, Stream
from sunhwan.audit.observe.watch import Call, Record, monitors_of, outward, rows_of, weights_of
from sunhwan.audit.session import BUDGET, FINDERS, fill, undisturbed
from sunhwan.audit.text import Audit
from sunhwan.recurrence.keras.accelerate import is_on

OF_A_FIT = tuple(find for find in FINDERS if find not in (no_test, one_seed, selected_on_reported))
"""What can be said of a fit by itself: nobody knows yet what its result will be told on."""


class Callback(keras.callbacks.Callback):
    """Audits the `fit` that it is given to, and prints what it found when that ends.

    It sees the rows of training and of validation: arrays, the batches of a generator as they pass, and what
    can be read again (PyDataset, tf.data, a DataLoader) once training has ended. What comes before (scalers)
    and after (`evaluate`, `predict`, other fits) it does not see, which `with sunhwan.audit():` around all of
    it does. Training has the same bits as without.

    Args:
        budget: seconds, 60 unless said, that findings and baselines may take, once training has ended.
        verbose: 0 prints nothing; `findings` has it all.

    Attributes:
        findings: what was found in the last fit; None before.

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

    async_safe = True  # else a batch's end would be waited for, which it is not without this callback

    def __init__(self, budget: float = BUDGET, verbose: int = 1):
        super().__init__()
        self.budget, self.verbose = budget, verbose
        self.findings: Audit | None = None
        self.call: Call | None = None

    def on_train_begin(self, logs=None):
        frame = _fit_frame(self.model)
        given = frame.f_locals
        caller = next((one for one in outward(frame.f_back) if not _is_keras(one)), frame)
        self.source = caller.f_code.co_filename
        self.call = Call("fit", self.model, (caller.f_lineno,), Rows())
        self.call.given = rows_of(given["x"], given["y"], given.get("steps_per_epoch"))
        passing(self.call.given, given.get("epoch_iterator"))
        # By now Keras has cut validation off, where `validation_split` asks for it.
        validation = given.get("validation_data")
        if isinstance(validation, (tuple, list)) and len(validation) > 1:
            self.call.val = rows_of(validation[0], validation[1])
        elif validation is not None:
            self.call.val = rows_of(validation, None, given.get("validation_steps"))
        self.call.split = given.get("validation_split") or 0.0
        self.call.options = {name: given.get(name) for name in ("epochs", "batch_size", "shuffle")}
        self.call.monitors = monitors_of(given.get("callbacks"))
        self.call.before = weights_of(self.model)
        self.call.accelerated = is_on()

    def on_train_batch_begin(self, batch, logs=None):
        self.call.first.before(self.model)

    def on_train_batch_end(self, batch, logs=None):
        self.call.first.after(logs)

    def on_test_begin(self, logs=None):
        # Validation's iterator is made only now, and kept by Keras for all epochs.
        if self.call:  # and not `evaluate` by itself
            passing(self.call.val, getattr(self.model, "_eval_epoch_iterator", None))

    def on_epoch_end(self, epoch, logs=None):
        self.call.first.over = True

    def on_train_end(self, logs=None):
        history = getattr(self.model.history, "history", {})
        self.call.history = {name: [float(value) for value in values] for name, values in history.items()}
        self.call.after = weights_of(self.model)
        self.findings = Audit(self.source)
        text = "".join(linecache.getlines(self.source))
        with undisturbed():
            fill(self.findings, Record(self.source, [self.call]), text, Budget(self.budget), OF_A_FIT)
        if self.verbose:
            print(self.findings)


def passing(rows: Rows | Stream | None, iterator: Any) -> None:
    """Has the batches of a generator pass by its stream on their way from Keras's adapter to the model.

    Where Keras keeps no such adapter, the stream stays empty, and the audit says that no batch was seen.
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
    """Where Keras's `fit` of a model is running, whose arguments are its variables."""
    for frame in outward(sys._getframe(1)):
        names = frame.f_locals
        if frame.f_code.co_name == "fit" and names.get("self") is model and {"x", "y"} <= set(names):
            return frame
    raise RuntimeError("sunhwan.audit.Callback belongs among the callbacks of a model's fit")


def _is_keras(frame: FrameType) -> bool:
    return frame.f_code.co_filename.startswith(os.path.dirname(keras.__file__) + os.sep)
