"""The kernels as XLA custom calls on the CPU: registered, called, and split over devices by batch.

python -c "from sunhwan.recurrence.ops import xla; print(xla.reason())"
"""

from __future__ import annotations

import ctypes
import math
from dataclasses import fields
from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental.custom_partitioning import custom_partitioning
from jax.sharding import NamedSharding, PartitionSpec

from sunhwan import native
from sunhwan.recurrence.ops.options import ARRAYS, DIFFERENTIATED, Options

FORWARD, BACKWARD = "sunhwan_forward", "sunhwan_backward"
SIGNATURES = {
    FORWARD: (ARRAYS, ("output", "states", "saved")),
    BACKWARD: ((*ARRAYS, "saved", "d_output", "d_states"), tuple(f"d_{name}" for name in DIFFERENTIATED)),
}
"""The operands and results of the two handlers, by name. The gradient (or the differential) of `name` is
`d_name`. The handlers treat an array without elements as one that is not given."""


def axes(options: Options, name: str) -> tuple[str, ...]:
    """The axes of an array, or of its gradient."""
    return options.axes[name.removeprefix("d_")]


def batch_axis(options: Options, name: str) -> int | None:
    """The index of the batch axis; None for weights, which have none."""
    names = axes(options, name)
    return names.index("batch") if "batch" in names else None


def result_shapes(
    options: Options, shapes: dict[str, tuple[int, ...]], results: tuple[str, ...]
) -> dict[str, tuple[int, ...]]:
    """The shapes of `results`, from those of the operands; both by name."""
    sizes = options.sizes(**{name: shape for name, shape in shapes.items() if name in ARRAYS})

    def shape(name):
        if name == "output":
            return options.output_shape(sizes)
        if name == "states":
            return options.states_shape(sizes)
        if name == "saved":
            return sizes.batch, 3  # a ticket for what the library keeps: native/src/xla.cpp
        return shapes[name.removeprefix("d_")]

    return {name: shape(name) for name in results}


@cache
def reason() -> str | None:
    """Why JAX cannot call the kernels, in one sentence; None if it can. Determined once per process.

    It starts JAX's CPU backend: if a handler is registered before that and then rejected, because its version
    is newer than XLA's, the backend cannot start at all.
    """
    if why := native.reason():
        return why
    where = native.path()
    where = where.with_stem(f"{where.stem}_xla")
    try:
        handlers = ctypes.CDLL(str(where))
        jax.local_devices(backend="cpu")
        for target in SIGNATURES:
            handler = getattr(handlers, target.replace("sunhwan", "sunhwan_xla"))
            jax.ffi.register_ffi_target(target, jax.ffi.pycapsule(handler), platform="cpu")
    except (OSError, AttributeError) as error:
        return f"The library of XLA handlers {where} cannot be loaded: {error}"
    except RuntimeError as error:  # what XLA and JAX raise
        return f"JAX {jax.__version__} does not accept sunhwan's XLA handlers: {error}"
    return None


def call(
    target: str, options: Options, operands: tuple[str, ...], results: tuple[str, ...], *arrays: jax.Array
) -> list[jax.Array]:
    """The custom call on the arrays of one device: computes `results` from `operands`."""
    given = dict(zip(operands, arrays, strict=True))
    shapes = result_shapes(options, {name: array.shape for name, array in given.items()}, results)
    read, written = SIGNATURES[target]
    absent = {name: jnp.zeros(0, bool if name == "mask" else jnp.float32) for name in read}
    types = [jax.ShapeDtypeStruct(shapes.get(name, (0,)), jnp.float32) for name in written]
    names = (field.name for field in fields(options))
    attributes = dict(zip(names, map(np.int32, options.numbers), strict=True))
    computed = jax.ffi.ffi_call(target, types)(*(absent | given).values(), **attributes)
    return [array for name, array in zip(written, computed, strict=True) if name in results]


@cache
def sharded(target: str, options: Options, operands: tuple[str, ...], results: tuple[str, ...]):
    """`call` for arrays that may be split over several devices: each device computes its part of the batch.

    By itself, XLA would gather the operands of a custom call on every device. Weight gradients are summed
    over the devices. On one device this is just `call`.
    """

    def whole(*arrays):
        return tuple(call(target, options, operands, results, *arrays))

    # XLA calls these while it compiles, before everything is decided; an exception may end the process.

    def split(names, mesh, over):
        """A sharding for each array: the batch split over axes of the mesh, everything else whole."""
        specs = ((over if axis == "batch" else None for axis in axes(options, name)) for name in names)
        return tuple(NamedSharding(mesh, PartitionSpec(*spec)) for spec in specs)

    def batch_split(mesh, arrays):
        """The axes of the mesh over which the batch is split; None if it is not."""
        for name, array in zip(operands + results, arrays, strict=False):
            batch = batch_axis(options, name)
            spec = getattr(array.sharding, "spec", ())  # there may be no sharding yet, or one without a mesh
            over = dict(enumerate(spec)).get(batch)
            if over is not None:
                parts = math.prod(mesh.shape[axis] for axis in ((over,) if isinstance(over, str) else over))
                return over if array.shape[batch] % parts == 0 else None
        return None

    def inferred(mesh, arrays, computed):
        return split(results, mesh, batch_split(mesh, arrays))

    def partition(mesh, arrays, computed):
        over = batch_split(mesh, arrays + computed)

        def part(*arrays):
            return tuple(
                array if over is None or batch_axis(options, name) is not None else jax.lax.psum(array, over)
                for name, array in zip(results, whole(*arrays), strict=True)
            )

        return mesh, part, split(results, mesh, over), split(operands, mesh, over)

    def rule(names):
        # The two dropout masks may differ in their number of gates, so each has an axis of its own.
        return ", ".join(" ".join(axes(options, name)).replace("gates", f"{name}_gates") for name in names)

    function = custom_partitioning(whole)
    function.def_partition(
        partition,
        # For XLA's two partitioners, GSPMD and Shardy.
        infer_sharding_from_operands=inferred,
        sharding_rule=f"{rule(operands)} -> {rule(results)}",
    )
    return function
