"""`accelerate`, `restore`, `accelerated`: switch Keras's recurrent classes at `inner_loop`, and back.

Nothing here imports Keras before the program does, so that the program can still choose the backend.
"""

from __future__ import annotations

import functools
import os
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from typing import Any

from sunhwan.errors import SunhwanError
from sunhwan.recurrence.imported import WhenImported
from sunhwan.recurrence.keras.dispatch_log import log

_on = False


def accelerate() -> None:
    """Run Keras's SimpleRNN, GRU and LSTM on fused CPU kernels, in this process, until `restore`.

    Add this line before any Keras code (`keras` or `tensorflow.keras`), or anywhere in it: existing models
    are switched as well. Numbers, weights, configs and `.keras` files stay Keras's. Calls that cannot be
    fused take Keras's own path; `sunhwan.explain(model)` shows which, and why.

    It neither chooses a backend nor imports Keras. If Keras is not imported yet, the switch happens when it
    is, so `KERAS_BACKEND` may still be set after this call. If nothing can be fused with the program's
    backend, one line on stderr says so. If TF_USE_LEGACY_KERAS makes `tensorflow.keras` Keras 2 (tf_keras),
    which is never fused, a warning says so.

    Call it, and `restore`, while no model is running. Compiled programs stay compiled for their path: on JAX
    all of them, including your own `jax.jit` functions; on TensorFlow those of `fit`, `evaluate` and
    `predict`, while your own `tf.function` stays on the path on which it was traced. Programs of
    `torch.compile`, and all programs on a JAX without `make_user_context(..).set_global`, are compiled again.

    Forked processes are accelerated as well. Spawned ones (multiprocessing's spawn and forkserver) run the
    line again if it is at the top of the script, but not if it is below `if __name__ == "__main__":`.
    `sunhwan accelerate script.py` handles both.

    `model.export` takes Keras's own path. Before any other conversion of a model on TensorFlow
    (TFLiteConverter, convert_variables_to_constants_v2, tf2onnx) call `restore`: a fused layer is a call into
    this process, which cannot be converted. `torch.compile` breaks its graph at a fused layer, so
    `fullgraph=True` fails there.

    Raises:
        sunhwan.SunhwanError: `keras.config.set_backend` has replaced the Keras that was switched.

    Example:
        >>> import sunhwan
        >>> sunhwan.accelerate()
        >>> import keras
        >>> model = keras.Sequential([keras.layers.LSTM(8, name="memory"), keras.layers.Dense(1)])
        >>> sunhwan.restore()
    """
    global _on
    refuse_another_keras()
    if _on:
        return
    if os.environ.get("TF_USE_LEGACY_KERAS") in ("1", "true", "True"):  # as TensorFlow reads it
        warnings.warn(
            f"TF_USE_LEGACY_KERAS is {os.environ['TF_USE_LEGACY_KERAS']!r}, so tensorflow.keras is Keras 2 "
            "(tf_keras), which sunhwan does not accelerate; unset it, or build models with `import keras`.",
            stacklevel=2,
        )
    _on = True
    _keras.wait()


def restore() -> None:
    """Undo `accelerate`: models continue with their weights, on Keras's own path.

    It does nothing if `accelerate` is not on.

    Example:
        >>> import sunhwan
        >>> sunhwan.accelerate()
        >>> sunhwan.restore()
    """
    global _on
    if not _on:
        return
    _on = False
    _keras.stop()
    _switched.close()


@contextmanager
def accelerated() -> Iterator[None]:
    """`accelerate` within a `with` block.

    Example:
        >>> import keras, numpy, sunhwan
        >>> model = keras.Sequential([keras.layers.GRU(8), keras.layers.Dense(1)])
        >>> with sunhwan.accelerated():
        ...     model.predict(numpy.ones((2, 5, 3)), verbose=0).shape
        (2, 1)
    """
    before = _on
    accelerate()
    try:
        yield
    finally:
        if not before:
            restore()


def is_on() -> bool:
    """Whether `accelerate` is on."""
    return _on


_switched = ExitStack()
"""What undoes the switch."""

_jax_context = None
"""An extra key of JAX's compiled programs: whether acceleration is on. None if JAX is too old for that."""


def _switch_on() -> None:
    try:
        _switch()
    except BaseException:
        restore()
        raise


_keras = WhenImported("keras", _switch_on)


def _switch() -> None:
    import keras
    from keras.src.export import saved_model

    from sunhwan.recurrence.keras import seam

    if why := seam.reason_of_backend():
        log.warning("no layer is accelerated: %s", why)
        return
    fused = _compilable(seam) if keras.backend.backend() == "torch" else seam.fused
    for cls in seam.LAYERS:
        _replace(cls, "inner_loop", _around(cls.inner_loop, fused))
    # Since Keras 3.14 the public class creates objects of another class.
    archive = getattr(saved_model, "BackendSavedModelExportArchive", keras.export.ExportArchive)
    for owner, name in ((keras.Model, "export"), (archive, "add_endpoint"), (archive, "write_out")):
        _replace(owner, name, _around(getattr(owner, name), _on_keras_path))
    SWITCH_PROGRAMS[keras.backend.backend()]()


def refuse_another_keras() -> None:
    """Raises if Keras was loaded again: the seam belongs to the first."""
    seam = sys.modules.get("sunhwan.recurrence.keras.seam")
    if seam is not None and sys.modules.get("keras") is not seam.keras:
        raise SunhwanError(
            f"keras.config.set_backend loaded Keras again after sunhwan had switched the one on "
            f"{seam.keras.backend.backend()}; instead of that call, set KERAS_BACKEND in the environment "
            "before Keras is imported"
        )


def _compilable(seam: Any) -> Callable:
    """`seam.fused` for `torch.compile`, which still compiles the layers that are never fused."""
    import torch

    fused = torch.compiler.disable(seam.fused)  # nothing in it can be compiled
    is_never_fused = torch.compiler.assume_constant_result(seam.is_never_fused)

    def either(stock, layer, *args, **kwargs):
        if torch.compiler.is_compiling() and is_never_fused(layer):
            return stock(layer, *args, **kwargs)
        return fused(stock, layer, *args, **kwargs)

    return either


def _replace(owner: type, name: str, value: Any) -> None:
    """Set a class's attribute until `restore`, which deletes it if it was inherited."""
    if name in vars(owner):
        _switched.callback(setattr, owner, name, vars(owner)[name])
    else:
        _switched.callback(delattr, owner, name)
    setattr(owner, name, value)


def _around(method: Callable, replacement: Callable) -> Callable:
    @functools.wraps(method)
    def switched(self, *args, **kwargs):
        return replacement(method, self, *args, **kwargs)

    return switched


def _on_keras_path(method: Callable, self: Any, *args: Any, **kwargs: Any) -> Any:
    """Runs a method that exports a model, so that the exported program does not need sunhwan."""
    from sunhwan.recurrence.keras import seam

    with seam.suspended(seam.EXPORTED), _jax_context(False) if _jax_context else nullcontext():
        return method(self, *args, **kwargs)


# ---- Compiled programs belong to one path ----


def _switch_jax() -> None:
    global _jax_context
    import jax

    if _jax_context is None and hasattr(jax, "make_user_context"):
        context = jax.make_user_context(False)
        _jax_context = context if hasattr(context, "set_global") else None
    if _jax_context is None:
        jax.clear_caches()
        _switched.callback(jax.clear_caches)
    else:
        _jax_context.set_global(True)
        _switched.callback(_jax_context.set_global, False)


def forgets_programs() -> str | None:
    """Why `accelerate` and `restore` discard compiled programs; None if they do not."""
    import keras

    if keras.backend.backend() != "jax":
        return None
    import jax

    if _jax_context is not None or hasattr(jax, "make_user_context"):
        return None
    return f"JAX {jax.__version__} compiles every program again whenever sunhwan is switched on or off"


def _switch_tensorflow() -> None:
    import keras

    trainer = next(cls for cls in keras.Model.__mro__ if "make_train_function" in vars(cls))
    _replace(trainer, "jit_compile", _without_xla(trainer.jit_compile))
    for name in ("train_function", "test_function", "predict_function"):
        setattr(trainer, name, _OfEachMode(name))  # not undone: a model may have both afterwards


def _switch_torch() -> None:
    import torch

    torch.compiler.reset()
    _switched.callback(torch.compiler.reset)


SWITCH_PROGRAMS = {"jax": _switch_jax, "tensorflow": _switch_tensorflow, "torch": _switch_torch}


class _OfEachMode:
    """An attribute of Keras's models with a value for each mode: a compiled function.

    `compile` sets it to None, which clears both.
    """

    def __init__(self, name: str):
        self.names = {False: name, True: f"{name} (accelerated)"}

    def __get__(self, model: Any, owner: type) -> Any:
        return self if model is None else vars(model).get(self.names[_is_on_here()])

    def __set__(self, model: Any, value: Any) -> None:
        if value is None:
            vars(model).update(dict.fromkeys(self.names.values()))
        vars(model)[self.names[_is_on_here()]] = value


def _is_on_here() -> bool:
    from sunhwan.recurrence.keras import seam

    return _on and not seam.is_suspended()


def _without_xla(jit_compile: property) -> property:
    """Keras's `jit_compile`, false for fused models: TensorFlow's XLA cannot call the kernels.

    Keras resolves "auto" at `compile` and does not record whether the user chose the value.
    """
    from sunhwan.recurrence.keras import seam

    def of(model):
        on_cpu = seam.DEVICES["tensorflow"]().lower() == "cpu"
        return jit_compile.fget(model) and not (
            on_cpu
            and _is_on_here()
            and any(seam.reason_of_layer(layer) is None for layer in model._flatten_layers())
        )

    return property(of, jit_compile.fset)
