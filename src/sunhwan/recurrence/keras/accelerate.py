"""`accelerate`, `restore`, `accelerated`: Keras's recurrent classes, switched at `inner_loop` and back.

Nothing here imports Keras before the program does: which backend it gets is the program's to say, up to then.
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
    """Have Keras's SimpleRNN, GRU and LSTM run on fused CPU kernels, in this process, until `restore`.

    One line in front of anyone's Keras code (`keras` or `tensorflow.keras`), or anywhere in it: models built,
    loaded or run before are switched too. Numbers, weights, configs and `.keras` files stay Keras's. What
    cannot be fused takes Keras's own path; `sunhwan.explain(model)` says which, and why.

    It neither chooses a backend nor imports Keras. Where Keras is not imported yet, the switch waits for
    that, so `KERAS_BACKEND` may still be set after this call. If nothing can be fused with the backend that
    the program then has, one line on stderr says so. Where TF_USE_LEGACY_KERAS makes `tensorflow.keras`
    Keras 2 (tf_keras), of which nothing is fused, a warning does.

    Call it, and `restore`, while no model is running. What is compiled stays compiled, for when the other
    path is taken again: on JAX everything, your own `jax.jit` functions included; on TensorFlow what `fit`,
    `evaluate` and `predict` run, whereas a `tf.function` of your own stays what it was when it was traced.
    What `torch.compile` made, and all programs on a JAX without `make_user_context(..).set_global`, are made
    anew.

    A process that the program forks is accelerated as it is. One that begins anew (multiprocessing's spawn
    and forkserver) runs the line again where that is at the top of the script; below
    `if __name__ == "__main__":` it does not, and takes Keras's path. `sunhwan accelerate script.py` sees to
    both.

    `model.export` takes Keras's own path. Before any other conversion of a model on TensorFlow
    (TFLiteConverter, convert_variables_to_constants_v2, tf2onnx) call `restore`: a fused layer is a call into
    this process, which no converter takes along. `torch.compile` breaks its graph at a fused layer, so that
    `fullgraph=True` fails there.

    Raises:
        sunhwan.SunhwanError: `keras.config.set_backend` has put another Keras in the place of the one that
            was switched.

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
            f"TF_USE_LEGACY_KERAS is {os.environ['TF_USE_LEGACY_KERAS']!r}, so that tensorflow.keras is "
            "Keras 2 (tf_keras), of which sunhwan fuses nothing; unset it, or build models with "
            "`import keras`.",
            stacklevel=2,
        )
    _on = True
    _keras.wait()


def restore() -> None:
    """Undo `accelerate`: Keras is as it was. Models go on from their weights, on Keras's own path.

    Without an `accelerate` before it does nothing.

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
    """`accelerate` for the length of a `with` block.

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
    """Whether `accelerate` was called last, and not `restore`."""
    return _on


_switched = ExitStack()
"""What undoes the switching."""

_jax_context = None
"""What JAX keys its compiled programs by besides: whether this is on. None where JAX is too old for that."""


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

    if why := seam.refusal():
        log.warning("sunhwan fuses nothing: %s", why)
        return
    fused = _compilable(seam) if keras.backend.backend() == "torch" else seam.fused
    for cls in seam.LAYERS:
        _replace(cls, "inner_loop", _around(cls.inner_loop, fused))
    # Since Keras 3.14 the public class makes objects of another one.
    archive = getattr(saved_model, "BackendSavedModelExportArchive", keras.export.ExportArchive)
    for owner, name in ((keras.Model, "export"), (archive, "add_endpoint"), (archive, "write_out")):
        _replace(owner, name, _around(getattr(owner, name), _on_keras_path))
    TELL[keras.backend.backend()]()


def refuse_another_keras() -> None:
    """Raises where Keras is another one than when sunhwan first met it: the seam stays with the first."""
    seam = sys.modules.get("sunhwan.recurrence.keras.seam")
    if seam is not None and sys.modules.get("keras") is not seam.keras:
        raise SunhwanError(
            f"Keras was loaded anew (by keras.config.set_backend) after sunhwan had switched the one on "
            f"{seam.keras.backend.backend()}; set KERAS_BACKEND in the environment before Keras is imported, "
            "in place of that call"
        )


def _compilable(seam: Any) -> Callable:
    """`seam.fused` where `torch.compile` may come by: it compiles layers that are never fused, as before."""
    import torch

    fused = torch.compiler.disable(seam.fused)  # there is nothing in it that could be compiled
    is_never_fused = torch.compiler.assume_constant_result(seam.is_never_fused)

    def either(stock, layer, *args, **kwargs):
        if torch.compiler.is_compiling() and is_never_fused(layer):
            return stock(layer, *args, **kwargs)
        return fused(stock, layer, *args, **kwargs)

    return either


def _replace(owner: type, name: str, value: Any) -> None:
    """Set a class's attribute until `restore`, which deletes it again where it was inherited."""
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
    """Runs a method that exports a model, whose program must do without sunhwan."""
    from sunhwan.recurrence.keras import seam

    with seam.suspended(seam.EXPORTED), _jax_context(False) if _jax_context else nullcontext():
        return method(self, *args, **kwargs)


# ---- What is compiled is compiled for one path, so each backend is told ----


def _tell_jax() -> None:
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
    """Why compiled programs are lost when `accelerate` or `restore` is called; None where they are kept."""
    import keras

    if keras.backend.backend() != "jax":
        return None
    import jax

    if _jax_context is not None or hasattr(jax, "make_user_context"):
        return None
    return f"JAX {jax.__version__} compiles every program anew whenever sunhwan is switched on or off"


def _tell_tensorflow() -> None:
    import keras

    trainer = next(cls for cls in keras.Model.__mro__ if "make_train_function" in vars(cls))
    _replace(trainer, "jit_compile", _without_xla(trainer.jit_compile))
    for name in ("train_function", "test_function", "predict_function"):
        setattr(trainer, name, _OfEachMode(name))  # stays: a model may have both afterwards


def _tell_torch() -> None:
    import torch

    torch.compiler.reset()
    _switched.callback(torch.compiler.reset)


TELL = {"jax": _tell_jax, "tensorflow": _tell_tensorflow, "torch": _tell_torch}


class _OfEachMode:
    """An attribute of Keras's models with a value for each mode: what a model has compiled for itself.

    `compile` sets it to None, and that goes for both.
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
    """Keras's `jit_compile`, false for models that are fused: TensorFlow's XLA cannot call the kernels.

    Keras decides at `compile` what "auto" is, and keeps no record that it was not the user's own choice.
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
