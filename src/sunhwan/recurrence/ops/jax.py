"""JAX: the recurrence as a primitive, which an XLA custom call computes on the CPU.

`sunhwan_recurrence` is the recurrence itself; it saves what a gradient needs only if there is one.
`sunhwan_recurrence_tangent` is its differential. The kernels never compute it, only its transpose,
`sunhwan_recurrence_backward`. One of each serves every cell.

Why not `jax.custom_vjp`: primitives fold the axis of a `vmap` into the batch even under `grad(vmap(f))`, with
the weight gradients summed within the call; they know which arrays are differentiated, so that no gradient of
a first layer's inputs is computed; and they have a fallback for programs that cannot call the kernels. When
exported (`jax.export`), on another platform than the CPU, and for forward-mode and second derivatives, they
become JAX's own operations (`sunhwan.recurrence.ops.composed`), which is logged at INFO.
"""

from __future__ import annotations

import logging
from functools import cache, partial

import jax
import jax.numpy as jnp
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir, partial_eval
from jax.sharding import NamedSharding, PartitionSpec

from sunhwan.errors import SunhwanError
from sunhwan.recurrence.ops import composed, xla
from sunhwan.recurrence.ops.options import ARRAYS, DIFFERENTIATED, Options

__all__ = ["Options", "reason", "recurrence"]

log = logging.getLogger(__name__)


def recurrence(
    options: Options,
    inputs: jax.Array,
    kernel: jax.Array,
    recurrent_kernel: jax.Array,
    bias: jax.Array | None = None,
    *,
    initial_state: jax.Array | None = None,
    mask: jax.Array | None = None,
    dropout_mask: jax.Array | None = None,
    recurrent_dropout_mask: jax.Array | None = None,
) -> tuple[jax.Array, jax.Array]:
    """Run a cell over sequences. The arrays are those of `sunhwan.reference.forward`.

    It can be differentiated with respect to the first five; dropout masks are constants. float16 and bfloat16
    are computed in float32.

    Returns:
        output (batch, time, units) or (batch, units), and states (states, batch, units), in the dtype of
        `inputs`.

    Raises:
        ValueError: a shape does not fit.
        TypeError: an array has another type.
        SunhwanError: JAX cannot call the kernels at all; `reason` says why.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from sunhwan.recurrence.ops.jax import Options, recurrence
        >>> gru = jax.jit(lambda inputs, *weights: recurrence(Options("gru"), inputs, *weights)[0])
        >>> gru(jnp.ones((2, 5, 3)), jnp.ones((3, 12)), jnp.ones((4, 12))).shape
        (2, 4)
    """
    if why := reason():
        raise SunhwanError(why)
    weights, dropout_masks = (kernel, recurrent_kernel, bias), (dropout_mask, recurrent_dropout_mask)
    arguments = zip(ARRAYS, (inputs, *weights, initial_state, mask, *dropout_masks), strict=True)
    arrays = {name: _operand(name, array) for name, array in arguments if array is not None}
    shapes = {name: array.shape for name, array in arrays.items()}
    options.sizes(**shapes)  # raises if one does not fit
    if all(isinstance(size, int) for shape in shapes.values() for size in shape):
        arrays = _varying_alike(arrays)
        output, states = recurrence_p.bind(
            *arrays.values(), options=options, operands=tuple(arrays), results=("output", "states")
        )
    else:  # symbolic sizes, which only exported programs have
        output, states = composed.recurrence(options, **arrays)
    dtype = jnp.asarray(inputs).dtype
    return output.astype(dtype), states.astype(dtype)


def _operand(name, array):
    array = jnp.asarray(array)
    if name == "mask":
        return array.astype(bool)
    if array.dtype not in (jnp.float32, jnp.float16, jnp.bfloat16):
        raise TypeError(
            f"{name} is of type {array.dtype}, expected float32, or float16 or bfloat16 (which are computed "
            f"in float32); convert it: {name}.astype('float32')."
        )
    array = array.astype(jnp.float32)
    return array if name in DIFFERENTIATED else jax.lax.stop_gradient(array)


def _varying_alike(arrays):
    """Within a `shard_map`, where types say what varies over the mesh: all arrays vary where one does.

    The transpose of this cast sums the gradients of weights there.
    """
    varying = {name: _varying(jax.typeof(array)) for name, array in arrays.items()}
    everywhere = frozenset().union(*varying.values())
    cast = partial(jax.lax.pcast, to="varying") if hasattr(jax.lax, "pcast") else jax.lax.pvary
    return {
        name: array if varying[name] == everywhere else cast(array, tuple(sorted(everywhere - varying[name])))
        for name, array in arrays.items()
    }


def _varying(kind):
    kind = getattr(kind, "manual_axis_type", kind)  # since JAX 0.10
    return getattr(kind, "varying", None) or getattr(kind, "vma", frozenset())


# ---- The primitives. Their parameters are the options, and the names of operands and results in order. ----

recurrence_p = Primitive("sunhwan_recurrence")  # arrays -> output, states and, if wanted, saved
tangent_p = Primitive("sunhwan_recurrence_tangent")  # arrays, saved, d_arrays -> d_output, d_states
backward_p = Primitive("sunhwan_recurrence_backward")  # arrays, saved, d_output, d_states -> d_arrays


def _types(*types, options, operands, results):
    """The results' types: split over an explicit mesh, and varying over a manual one, as the inputs are."""
    given = dict(zip(operands, types, strict=True))
    inputs = given["inputs"]

    def of(name, shape):
        if name.startswith("d_"):
            return given[name.removeprefix("d_")]
        batch = inputs.sharding.spec[0]
        spec = PartitionSpec(*(batch if axis == "batch" else None for axis in xla.axes(options, name)))
        return inputs.update(shape=shape, sharding=NamedSharding(inputs.sharding.mesh, spec))

    shapes = xla.result_shapes(options, {name: kind.shape for name, kind in given.items()}, results)
    return [of(name, shape) for name, shape in shapes.items()]


@cache
def _compiled(primitive, **parameters):
    return jax.jit(partial(primitive.bind, **parameters))


def _evaluated(primitive, *arrays, **parameters):
    with jax.disable_jit(False):  # or this would call itself
        return _compiled(primitive, **parameters)(*arrays)


# ---- As JAX's own operations ----


def _composed_recurrence(*arrays, options, operands, results):
    given = dict(zip(operands, arrays, strict=True))
    computed = list(composed.recurrence(options, **given))
    if "saved" in results:  # composed derivatives do without
        shapes = xla.result_shapes(options, {name: array.shape for name, array in given.items()}, results)
        computed.append(jnp.zeros(shapes["saved"], jnp.float32))
    return computed


def _composed_tangent(*arrays, options, operands, results):
    arrays, differentials = _apart(operands, arrays)
    d_arrays = {name.removeprefix("d_"): value for name, value in differentials.items()}
    moved = {name: arrays[name] for name in d_arrays}
    return list(jax.jvp(_of_some(options, arrays), (moved,), (d_arrays,))[1])


def _composed_backward(*arrays, options, operands, results):
    arrays, differentials = _apart(operands, arrays)
    moved = {name: arrays[name] for name in arrays if f"d_{name}" in results}
    (output, states), pullback = jax.vjp(_of_some(options, arrays), moved)
    d_output = differentials.get("d_output", jnp.zeros_like(output))
    d_states = differentials.get("d_states", jnp.zeros_like(states))
    (gradients,) = pullback((d_output, d_states))
    return [gradients[name.removeprefix("d_")] for name in results]


def _apart(operands, arrays):
    """The operands by name: what the recurrence takes, and differentials."""
    given = {name: array for name, array in zip(operands, arrays, strict=True) if name != "saved"}
    return (
        {name: array for name, array in given.items() if not name.startswith("d_")},
        {name: array for name, array in given.items() if name.startswith("d_")},
    )


def _of_some(options, arrays):
    """The composed recurrence as a function of some of the arrays."""
    return lambda moved: composed.recurrence(options, **arrays | moved)


COMPOSED = {
    recurrence_p: _composed_recurrence,
    tangent_p: _composed_tangent,
    backward_p: _composed_backward,
}


def _composed_jvp(primitive, primals, tangents, **parameters):
    """The derivative of a derivative: that of its composition."""
    moving = [index for index, tangent in enumerate(tangents) if type(tangent) is not ad.Zero]

    def function(*moved):
        arrays = dict(enumerate(primals)) | dict(zip(moving, moved, strict=True))
        return COMPOSED[primitive](*arrays.values(), **parameters)

    return jax.jvp(function, [primals[index] for index in moving], [tangents[index] for index in moving])


# ---- As calls of the kernels ----


def _lowered(primitive, target, context, *arrays, **parameters):
    if context.module_context.lowering_parameters.for_export:
        why = "the program is exported"
    elif target is None:
        why = "the kernels have no forward mode" if primitive is tangent_p else "they run on the CPU only"
    else:
        return mlir.lower_fun(xla.sharded(target, **parameters), multiple_results=True)(context, *arrays)
    log.info("%s is composed of JAX's operations, not a call of the kernels: %s", primitive.name, why)
    return mlir.lower_fun(partial(COMPOSED[primitive], **parameters), multiple_results=True)(context, *arrays)


# ---- Derivatives ----


def _jvp(primals, tangents, *, options, operands, results):
    computed = recurrence_p.bind(
        *primals, options=options, operands=operands, results=("output", "states", "saved")
    )
    moved = {
        f"d_{name}": tangent
        for name, tangent in zip(operands, tangents, strict=True)
        if type(tangent) is not ad.Zero and name in DIFFERENTIATED
    }
    differentials = tangent_p.bind(
        *primals, computed[2], *moved.values(),
        options=options, operands=(*operands, "saved", *moved), results=("output", "states"),
    )  # fmt: skip
    differentials.append(ad.Zero(jax.typeof(computed[2])))
    return computed[: len(results)], differentials[: len(results)]


def _transposed(gradients, *arrays, options, operands, results):
    given = dict(zip(operands, arrays, strict=True))
    wanted = tuple(name for name, array in given.items() if ad.is_undefined_primal(array))
    known = {name: array for name, array in given.items() if not name.startswith("d_")}
    for name, gradient in zip(results, gradients, strict=True):
        if type(gradient) is not ad.Zero:
            known[f"d_{name}"] = gradient
    computed = backward_p.bind(*known.values(), options=options, operands=tuple(known), results=wanted)
    computed = dict(zip(wanted, computed, strict=True))
    return [computed.get(name) for name in operands]


def _without_unused(used, equation):
    """Without unused results, such as what was saved for a gradient that is not computed after all."""
    if not any(used):
        return [False] * len(equation.invars), None
    results = equation.params["results"]
    needed = [name in ("output", "states") or read for name, read in zip(results, used, strict=True)]
    results = tuple(name for name, need in zip(results, needed, strict=True) if need)
    return [True] * len(equation.invars), equation.replace(
        outvars=[variable for variable, need in zip(equation.outvars, needed, strict=True) if need],
        params=equation.params | {"results": results},
    )


# ---- Over the axis of a vmap ----


def _batched(primitive, arrays, mapped, *, options, operands, results):
    """Folds the mapped axis into the batch, unless each member has its own weights or weight gradients."""
    given = dict(zip(operands, arrays, strict=True))
    members = {
        name: jnp.moveaxis(given[name], axis, 0)
        for name, axis in zip(operands, mapped, strict=True)
        if axis is not None
    }
    count = next(iter(members.values())).shape[0]
    batch = members["inputs"].shape[1] if "inputs" in members else given["inputs"].shape[0]
    batch_axes = {name: xla.batch_axis(options, name) for name in operands + results}

    def bind(arrays):
        return primitive.bind(*arrays.values(), options=options, operands=operands, results=results)

    if any(batch_axes[name] is None for name in (*members, *results)):
        return jax.lax.map(lambda member: bind(given | member), members), [0] * len(results)

    for name, array in given.items():
        if (axis := batch_axes[name]) is not None:
            array = members[name] if name in members else jnp.broadcast_to(array, (count, *array.shape))
            given[name] = jax.lax.collapse(jnp.moveaxis(array, 0, axis), axis, axis + 2)
    axes = [batch_axes[name] for name in results]
    return [
        array.reshape(*array.shape[:axis], count, batch, *array.shape[axis + 1 :])
        for array, axis in zip(bind(given), axes, strict=True)
    ], axes


def _batched_tangent(arrays, mapped, **parameters):
    return jax.vmap(partial(_composed_tangent, **parameters), in_axes=mapped)(*arrays), [0, 0]


# ---- Registration ----


@cache
def reason() -> str | None:
    """Why `recurrence` cannot be used here, in one sentence; None if it can. Determined once per process.

    It starts JAX's CPU backend, so call it only when there is something to compute.
    """
    if why := xla.reason():
        return why
    try:
        _register()
    except (AttributeError, ImportError) as error:
        return f"sunhwan cannot add a primitive to JAX {jax.__version__}: {error}"
    return None


def _register():
    # Private, but the only way to know the devices over which a call is split.
    from jax._src.dispatch import prim_requires_devices_during_lowering

    for primitive in COMPOSED:
        primitive.multiple_results = True
        primitive.def_abstract_eval(_types)
        primitive.def_impl(partial(_evaluated, primitive))
        batching.primitive_batchers[primitive] = partial(_batched, primitive)
        ad.primitive_jvps[primitive] = partial(_composed_jvp, primitive)
        partial_eval.dce_rules[primitive] = _without_unused
        mlir.register_lowering(primitive, partial(_lowered, primitive, None))
        prim_requires_devices_during_lowering.add(primitive)
    batching.primitive_batchers[tangent_p] = _batched_tangent
    ad.primitive_jvps[recurrence_p] = _jvp
    ad.primitive_transposes[tangent_p] = _transposed
    for primitive, target in ((recurrence_p, xla.FORWARD), (backward_p, xla.BACKWARD)):
        mlir.register_lowering(primitive, partial(_lowered, primitive, target), platform="cpu")
