"""`Stepper`: a trained model fed one timestep at a time, in microseconds, with its state kept between calls.

Only the constructor uses Keras, for the layers and a copy of their weights. A step is NumPy and one call of
the native library per recurrent layer.
"""

from __future__ import annotations

import hashlib
import json
import weakref
import zipfile
from collections.abc import Sequence
from contextvars import copy_context
from ctypes import byref, c_void_p
from functools import partial
from pathlib import Path
from typing import Any

import keras
import numpy as np

from sunhwan import files, native
from sunhwan.errors import SunhwanError
from sunhwan.recurrence.keras import seam
from sunhwan.recurrence.keras.timestep import Masker, array, refuse, refuse_numbers, translate
from sunhwan.recurrence.ops.options import ACTIVATIONS


class Stepper:
    """A trained Keras model of SimpleRNN, GRU and LSTM layers, fed its sequences one timestep at a time.

    After each step, the output is that of `model.predict` for the sequence so far, to 1e-5; for a model that
    returns sequences, that of the last timestep. Before the first step and after `reset` the states are
    zeros, including those of layers with `stateful=True`.

    The model is `Sequential`, or functional with its layers in a chain: one or more recurrent layers, with
    Dense, normalizations, activations, Dropout and other layers that treat each timestep by itself; also
    Embedding or Masking, whose padding timesteps leave state and output unchanged. Any other layer raises an
    error with the reason. Mixed precision is computed in float32.

    Weights are copied: training the model further does not change this object. NaN and infinity propagate as
    in Keras, and a NaN stays in the state until `reset`. Use a stepper in one thread only. It cannot be
    pickled or copied: create another from the model, and carry `state` over.

    Args:
        model: a built Keras model.

    Raises:
        ValueError: the model cannot be stepped; the message names the layer, the reason, and what to do.

    Example:
        >>> import keras, numpy as np, sunhwan
        >>> model = keras.Sequential([keras.Input((None, 3)), keras.layers.GRU(8), keras.layers.Dense(1)])
        >>> readings = np.random.default_rng(0).normal(size=(24, 3))
        >>> stepper = sunhwan.Stepper(model)
        >>> for reading in readings:
        ...     forecast = stepper.step(reading)
        >>> whole = model.predict(readings[np.newaxis], verbose=0)[0]
        >>> forecast.shape, np.allclose(forecast, whole, atol=1e-5)
        ((1,), True)
    """

    def __init__(self, model: keras.Model):
        if not isinstance(model, keras.Model):
            raise TypeError(f"Stepper takes a Keras model, received a {type(model).__name__}.")
        calls = _calls(model)
        if not any(isinstance(layer, (keras.layers.RNN, keras.layers.Bidirectional)) for layer, _ in calls):
            raise ValueError(
                f"the model {model.name!r} has no recurrent layer, so it has no state between timesteps; "
                "call model.predict."
            )
        functions, self._tokens = [], None
        timed, masked_by = True, None
        fingerprint = hashlib.sha256()
        for layer, shape in calls:
            if type(layer) in seam.LAYERS:
                function = _Recurrent(layer, timed, masked_by)
                timed = layer.return_sequences
            else:
                function = translate(layer, shape, timed)
                if isinstance(layer, keras.layers.Embedding):
                    self._tokens = layer.input_dim
            if isinstance(function, Masker):
                masked_by = function
            elif not layer.supports_masking:
                masked_by = None
            if function is not None:
                functions.append(function)
            for part in [_identity(layer), *map(array, layer.weights)]:
                fingerprint.update(part)
        self._fingerprint = fingerprint.hexdigest()
        self._recurrent = [function for function in functions if isinstance(function, _Recurrent)]
        # The layers after the last recurrent one run once per call of `step`.
        last = functions.index(self._recurrent[-1]) + 1
        self._body, self._head = functions[:last], functions[last:]
        self._shows_state = self._shares_state()
        self._shape = tuple(model.inputs[0].shape[2:])
        self._dtype = np.dtype(np.float32 if self._tokens is None else np.intp)
        # No warnings about infinity and NaN. np.errstate at each step would take a quarter of its time.
        context = copy_context()
        context.run(np.seterr, all="ignore")
        self._unwarned = context.run
        self.reset()

    def step(self, x: np.ndarray) -> np.ndarray:
        """Advance by one or more timesteps, and return the output after the last of them.

        Args:
            x: (features,) one timestep of one sequence; (batch, features) one timestep of several sequences;
                or (batch, time, features) several timesteps of each. Computed in float32. For a model that
                begins with Embedding: integer token ids, without the features axis.

        Returns:
            (outputs,) for one sequence, else (batch, outputs), float32: a new array.

        Raises:
            ValueError: the shape does not fit the model, the number of sequences is not that of the state, or
                a token id is not in the table. TypeError: x is not numeric. The state does not change.
        """
        return self._unwarned(self._step, x)

    def _step(self, x):
        x = np.asarray(x)
        if x.dtype is not self._dtype:
            x = self._cast(x)
        leading = x.ndim - len(self._shape)
        if not 0 <= leading <= 2 or x.shape[leading:] != self._shape:
            self._refuse_shape(x)
        if self._tokens is not None:
            self._check_tokens(x)
        if leading == 0:
            return self._advance(x[np.newaxis])[0]
        if leading == 1:
            return self._advance(x)
        if not x.shape[1]:
            self._refuse_shape(x)
        for time in range(x.shape[1] - 1):
            self._advance(x[:, time], output=False)
        return self._advance(x[:, -1])

    def reset(self, rows: Any = None) -> None:
        """Set the states to zeros, as before the first timestep.

        Args:
            rows: an index, indices or a mask of the sequences to reset; the others continue. None resets all,
                and the next step may then have another number of sequences.

        Raises:
            ValueError: rows are given, but no sequence has begun.
        """
        if rows is None:
            self._begin(0)
            return
        if not self._batch:
            raise ValueError(
                f"rows is {rows!r}, but no sequence has begun; call step first, or reset() without rows."
            )
        for layer in self._recurrent:
            layer.states[:, rows] = 0

    @property
    def state(self) -> list[np.ndarray]:
        """A copy of the state: an array (states, batch, units) for each recurrent layer, in order.

        An LSTM has the states h and c, the others have h. Before the first step the batch is 0.
        """
        return [layer.states.copy() for layer in self._recurrent]

    def restore(self, state: Sequence[np.ndarray]) -> None:
        """Continue from a `state` of this stepper, or of another stepper of the same model.

        Raises:
            ValueError: the shapes are not those of this model. TypeError: it is not a list.
        """
        if not isinstance(state, (list, tuple)):
            raise TypeError(f"the state is a {type(state).__name__}, expected a list, as `state` returns it.")
        state = [np.asarray(part, np.float32) for part in state]
        batch = state[0].shape[1] if state and state[0].ndim == 3 else 0
        expected = [(layer.states.shape[0], batch, layer.states.shape[2]) for layer in self._recurrent]
        if [part.shape for part in state] != expected:
            raise ValueError(
                f"the state has the shapes {[part.shape for part in state]}, expected {expected}, "
                "each (states, batch, units)."
            )
        self._begin(batch)
        for layer, part in zip(self._recurrent, state, strict=True):
            layer.states[...] = part

    def save(self, path: str | Path) -> None:
        """Save the state to a file (in NumPy's .npz format), atomically."""
        with files.atomic(Path(path)) as temporary, open(temporary, "wb") as file:
            np.savez(file, *self.state, model=self._fingerprint)

    def load(self, path: str | Path) -> None:
        """Continue from a file that `save` wrote.

        Raises:
            sunhwan.SunhwanError: it is not such a file, or its model has other layers, options or weights.
        """
        try:
            with open(path, "rb") as file, np.load(file, allow_pickle=False) as saved:
                fingerprint = str(saved["model"])
                state = [saved[f"arr_{index}"] for index in range(len(saved.files) - 1)]
        except (ValueError, KeyError, EOFError, TypeError, AttributeError, zipfile.BadZipFile):
            # NumPy's message would suggest allowing pickle, which runs any code in a file.
            raise SunhwanError(
                f"{str(path)!r} is not a complete state of a Stepper; give a file that Stepper.save wrote."
            ) from None
        if fingerprint != self._fingerprint:
            raise SunhwanError(
                f"{str(path)!r} has the state of another model, or of this one with other options or "
                "weights; load it into a Stepper of the model it was saved with, or call reset()."
            )
        self.restore(state)

    def __reduce__(self):
        raise TypeError(
            "a Stepper cannot be pickled or copied; create another from the model, and carry the state over."
        )

    def _advance(self, x, output=True):
        """One timestep x (batch, features): the output (batch, outputs)."""
        if len(x) != self._batch:
            if self._batch:
                raise ValueError(
                    f"x has {len(x)} sequences, but the state has {self._batch}; call reset() to start again."
                )
            self._begin(len(x))
        for function in self._body:
            x = function(x)
        if output:
            if self._shows_state:
                x = x.copy()
            for function in self._head:
                x = function(x)
            return x

    def _shares_state(self):
        """Whether the output of the head shares memory with its input, which is the state itself.

        Its functions do not change their inputs, but reshaping ones return views of them.
        """
        h = output = np.zeros((1, self._recurrent[-1]._units), np.float32)
        with np.errstate(all="ignore"):
            for function in self._head:
                output = function(output)
        return np.may_share_memory(h, output)

    def _begin(self, batch):
        self._batch = batch
        for layer in self._recurrent:
            layer.begin(batch)

    def _cast(self, x):
        kinds, expected = ("fiub", "numbers") if self._tokens is None else ("iu", "integers: token ids")
        if x.dtype.kind not in kinds:
            raise TypeError(f"x has dtype {x.dtype}, expected {expected}.")
        return x.astype(self._dtype)

    def _check_tokens(self, x):
        if x.size and not 0 <= x.min() <= x.max() < self._tokens:
            raise ValueError(
                f"x has token ids from {x.min()} to {x.max()}, expected 0 to {self._tokens - 1}, as in "
                "the model's Embedding."
            )

    def _refuse_shape(self, x):
        single, batch, several = (
            f"({', '.join([*axes, *map(str, self._shape)])}{',' * (len(axes) + len(self._shape) == 1)})"
            for axes in ([], ["batch"], ["batch", "time"])
        )
        raise ValueError(
            f"x has the shape {x.shape}, expected {single} for one sequence, {batch} for several, or "
            f"{several} for 1 or more timesteps of each."
        )


class _Recurrent:
    """One recurrent layer and its state. Calling it advances the state by x (batch, features) and returns h.

    Attributes:
        states: (states, batch, units), in which the native library computes in place; its first is h.
    """

    def __init__(self, layer, timed, masked_by):
        refuse_numbers(layer)
        cell = layer.cell
        if not timed:
            refuse(layer, "its input is not the sequence of timesteps")
        if layer.go_backwards:
            refuse(
                layer, "it reads from the end (go_backwards=True), so that a new timestep would come first"
            )
        if type(cell) is not seam.LAYERS[type(layer)][1]:
            refuse(layer, f"its cell is a {type(cell).__name__}, not Keras's own")
        for role in ("activation", "recurrent_activation"):
            name = seam.activation_name(getattr(cell, role, None))
            if name not in ACTIVATIONS:
                refuse(layer, f"its {role} is {name!r}; the kernels have {', '.join(ACTIVATIONS)}")
        options = seam.options(layer)
        weights = [array(w) for w in (cell.kernel, cell.recurrent_kernel, cell.bias) if w is not None]
        sizes = options.sizes((1, 1, len(weights[0])), *(w.shape for w in weights))
        library = native.load()
        self._handle = c_void_p()
        native.check(
            library.sunhwan_stepper_new(
                byref(native.call(options, sizes, None, *(w.ctypes.data for w in weights))),
                byref(self._handle),
            )
        )
        weakref.finalize(self, library.sunhwan_stepper_free, self._handle)
        self._step = library.sunhwan_stepper_step
        self._features, self._units = sizes.features, sizes.units
        self._states = len(options.row.states)
        self._masked_by = masked_by
        self._zero_where_masked = options.zero_output_for_mask

    def begin(self, batch):
        self.states = np.zeros((self._states, batch, self._units), np.float32)
        self._inputs = np.zeros((batch, self._features), np.float32)
        self._h = self.states[0]
        # Reading an array's address costs more than the step; these arrays stay where they are.
        self._run = partial(
            self._step, self._handle.value, batch, self._inputs.ctypes.data, self.states.ctypes.data
        )

    def __call__(self, x):
        if self._masked_by is not None and not self._masked_by.mask.all():
            return self._masked(x, self._masked_by.mask)
        self._inputs[...] = x
        if status := self._run():
            native.check(status)
        return self._h

    def _masked(self, x, mask):
        before = self.states.copy()
        self._inputs[...] = x
        native.check(self._run())
        self.states[:, ~mask] = before[:, ~mask]
        return np.where(mask[:, np.newaxis], self._h, np.float32(0)) if self._zero_where_masked else self._h


def _identity(layer):
    """A layer's class and options, as bytes; without what has no part in inference."""

    def options(config):
        if isinstance(config, dict):
            return {
                key: options(value)
                for key, value in config.items()
                if key not in ("name", "registered_name", "build_config", "trainable", "seed")
                and not key.endswith(("_initializer", "_regularizer", "_constraint"))
            }
        return [*map(options, config)] if isinstance(config, (list, tuple)) else config

    config = keras.saving.serialize_keras_object(layer.get_config())
    return json.dumps([type(layer).__name__, options(config)], sort_keys=True).encode()


def _calls(model):
    """Each call of a layer from the model's input to its output, with the shape of its input."""
    stock = (keras.Sequential.call, keras.src.models.functional.Functional.call)
    if type(model).call not in stock:
        raise ValueError(
            f"the model {model.name!r} overrides `call`, so its layers' order is unknown; "
            "make it a keras.Sequential or functional model."
        )
    if not getattr(model, "inputs", None):  # a Sequential model has no inputs before it is built
        raise ValueError(
            f"the model {model.name!r} has no weights yet; call model.build(input_shape), or train it first."
        )
    if len(model.inputs) != 1 or len(model.outputs) != 1:
        raise ValueError(
            f"the model {model.name!r} has {len(model.inputs)} inputs and {len(model.outputs)} outputs; "
            "a Stepper takes a model with one of each."
        )
    calls, tensor = [], model.outputs[0]
    while True:
        layer, node, index = tensor._keras_history
        if isinstance(layer, keras.layers.InputLayer):
            return calls
        if not isinstance(layer, keras.Layer):
            raise ValueError(
                f"the model {model.name!r} has the operation {layer.name!r} ({type(layer).__name__}) between "
                "its layers, which cannot be stepped; remove it, or call model.predict."
            )
        arguments = layer._inbound_nodes[node].arguments
        tensor, *others = arguments.args or [None]
        if others or not isinstance(tensor, keras.KerasTensor):
            refuse(layer, "it is called with more or other than one tensor")
        if index:
            refuse(layer, "the model uses another than the first of its outputs")
        for name, value in arguments.kwargs.items():
            # Keras itself fills in the mask that a tensor carries.
            carried = getattr(tensor, "_keras_mask", None) if name == "mask" else None
            if value is not None and value is not False and value is not carried:
                refuse(layer, f"it is called with {name}={value if value is True else '...'}")
        inner = isinstance(layer, keras.Model)
        calls = (_calls(layer) if inner else [(layer, tensor.shape)]) + calls
