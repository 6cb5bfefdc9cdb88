"""`recurrence` for PyTorch: an autograd function around the native library.

A contiguous float32 tensor is read in place. Only gradients that are needed are computed, and nothing is
saved if no gradient can be needed. `torch.func.grad` and `vmap` work: mapped elements become part of the
batch, but elements with their own weights or their own weight gradients are computed one after the other.
`torch.compile` breaks its graph at the call.

Not available, with an error: forward mode, gradients of dropout masks, and, unless the caller provides the
recurrence composed of PyTorch's own operations, second derivatives.

Example:
    >>> import torch
    >>> from sunhwan.recurrence.ops import recurrence
    >>> inputs = torch.ones(2, 5, 3)
    >>> weights = [torch.full((3, 16), 0.1, requires_grad=True), torch.full((4, 16), 0.1, requires_grad=True)]
    >>> output, states = recurrence("lstm", inputs, weights)
    >>> output.shape, states.shape
    (torch.Size([2, 4]), torch.Size([2, 2, 4]))
    >>> output.sum().backward()
    >>> weights[0].grad.shape
    torch.Size([3, 16])
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable

import torch
from torch.autograd import Function, forward_ad

from sunhwan import native
from sunhwan.recurrence.ops import memory
from sunhwan.recurrence.ops.options import ARRAYS, DIFFERENTIATED, Options
from sunhwan.recurrence.ops.support import ONLY_GRADIENTS

DTYPES = (torch.float32, torch.float16, torch.bfloat16)
BATCH_AXES = (0, None, None, None, 1, 0, 1, 1)
"""Which axis of each is the batch; weights have none."""


@torch.compiler.disable  # one graph break here, instead of one at each thing below that cannot be compiled
def recurrence(
    options: Options,
    inputs: torch.Tensor,
    kernel: torch.Tensor,
    recurrent_kernel: torch.Tensor,
    bias: torch.Tensor | None = None,
    *,
    initial_state: torch.Tensor | None = None,
    mask: torch.Tensor | None = None,
    dropout_mask: torch.Tensor | None = None,
    recurrent_dropout_mask: torch.Tensor | None = None,
    composed: Callable[..., tuple[torch.Tensor, torch.Tensor]] | None = None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Run a cell over sequences; `sunhwan.reference.forward` documents the arguments and their shapes.

    Args:
        options: what to compute.
        inputs: (batch, time, features) on the CPU, as all tensors; float32, float16 or bfloat16.
        kernel, recurrent_kernel, bias, initial_state, mask, dropout_mask, recurrent_dropout_mask: see there.
        composed: the same function of the same tensors, by name and in float32, composed of PyTorch's own
            operations; called only when a gradient is differentiated.

    Returns:
        output (batch, time, units) with `return_sequences`, else (batch, units); and states (states, batch,
        units) after the last step. Computed in float32 and returned in the dtype of `inputs`.

    Raises:
        TypeError: an argument is not a tensor, not on the CPU, sparse, or of another dtype.
        ValueError: a shape does not fit, or a dropout mask requires a gradient.
    """
    given = (
        inputs, kernel, recurrent_kernel, bias, initial_state, mask, dropout_mask, recurrent_dropout_mask
    )  # fmt: skip
    tensors = [_checked(name, tensor) for name, tensor in zip(ARRAYS, given, strict=True)]
    needed = [tensor is not None and tensor.requires_grad for tensor in tensors]
    for name, is_needed in zip(ARRAYS[6:], needed[6:], strict=True):
        if is_needed:
            raise ValueError(
                f"{name} requires a gradient, which the fused kernels cannot compute; detach it."
            )
    save = torch.is_grad_enabled() and any(needed)
    # Without derivatives and vmap: an autograd function costs as much as a small call of the kernels.
    transformed = torch._C._are_functorch_transforms_active() or forward_ad._current_level >= 0
    compute = _Recurrence.apply if save or transformed else _Recurrence.forward
    output, states, _ = compute(options, composed, save, *tensors)
    return output.to(inputs.dtype), states.to(inputs.dtype)


class _Recurrence(Function):
    """(options, composed, save, the tensors of ARRAYS) -> output, states, saved or None; float32."""

    @staticmethod
    def forward(options, composed, save, *tensors):
        tensors = [_dense(tensor) for tensor in tensors]
        sizes = options.sizes(*map(_shape, tensors))
        output = _empty(options.output_shape(sizes))
        states = _empty(options.states_shape(sizes))
        saved = _empty(native.saved_shape(options, sizes)) if save else None
        native.forward(native.call(options, sizes, *map(_address, (*tensors, output, states, saved))))
        return output, states, saved

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.options, ctx.composed, _, *tensors = inputs
        *_, saved = output
        ctx.set_materialize_grads(False)  # None stands for zeros, at no cost
        ctx.save_for_backward(*tensors, saved)
        if saved is not None:
            ctx.mark_non_differentiable(saved)

    @staticmethod
    @torch.compiler.disable  # or Dynamo would trace it in a compiled training step
    def backward(ctx, d_output, d_states, _):
        wanted = ctx.needs_input_grad[3:8]
        # Grad mode is on if the gradient may be differentiated, or transformed by torch.func.
        compute = _Gradients.apply if torch.is_grad_enabled() else _Gradients.forward
        gradients = iter(compute(ctx.options, ctx.composed, wanted, d_output, d_states, *ctx.saved_tensors))
        return None, None, None, *(next(gradients) if want else None for want in wanted), None, None, None

    @staticmethod
    def jvp(ctx, *tangents):
        raise NotImplementedError(f"A derivative in forward mode is not available. {ONLY_GRADIENTS}")

    @staticmethod
    def vmap(info, in_dims, options, composed, save, *tensors):
        _, _, _, *dims = in_dims
        size = info.batch_size
        if dims[1:4] != [None, None, None]:  # each element has its own weights
            return _one_by_one(_Recurrence.apply, size, in_dims, (options, composed, False, *tensors))
        options.sizes(*map(_shape_of_one, tensors, dims))  # before folding, for a clear error
        folded = [
            tensor if tensor is None or axis is None else _folded(tensor, dim, axis, size)
            for tensor, dim, axis in zip(tensors, dims, BATCH_AXES, strict=True)
        ]
        output, states, saved = _Recurrence.apply(options, composed, save, *folded)
        batch = size, states.shape[1] // size
        # `saved` has the library's own layout and cannot be split: it is passed on unmapped.
        return (output.unflatten(0, batch), states.unflatten(1, batch), saved), (0, 1, None)


class _Gradients(Function):
    """The wanted gradients of the first five of ARRAYS; can be mapped and differentiated itself."""

    @staticmethod
    def forward(options, composed, wanted, d_output, d_states, *tensors_and_saved):
        *tensors, saved = map(_dense, tensors_and_saved)
        if saved is None:
            *_, saved = _Recurrence.forward(options, None, True, *tensors)
        d_output, d_states = _dense(d_output), _dense(d_states)
        sizes = options.sizes(*map(_shape, tensors))
        gradients = {
            f"d_{name}": _empty(tensor.shape)
            for name, tensor, want in zip(ARRAYS, tensors, (*wanted, False, False, False), strict=True)
            if want
        }
        native.backward(
            native.call(options, sizes, *map(_address, tensors), saved=_address(saved)),
            native.Gradients(
                _address(d_output),
                _address(d_states),
                **{name: _address(gradient) for name, gradient in gradients.items()},
            ),
        )
        return tuple(gradients.values())

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.options, ctx.composed, ctx.wanted, *tensors, _ = inputs
        ctx.save_for_backward(*tensors)

    @staticmethod
    @torch.compiler.disable
    def backward(ctx, *gradients):
        if ctx.composed is None:
            raise NotImplementedError(f"A second derivative is not available. {ONLY_GRADIENTS}")
        d_output, d_states, *tensors = ctx.saved_tensors
        given = {name: tensor for name, tensor in zip(ARRAYS, tensors, strict=True) if tensor is not None}
        moved = {name: given.pop(name) for name in DIFFERENTIATED if name in given}
        wanted = [name for name, want in zip(ARRAYS, ctx.wanted, strict=False) if want]
        came_in = {"output": d_output, "states": d_states}
        came_in = {name: gradient for name, gradient in came_in.items() if gradient is not None}

        def first(moved, came_in):
            def results(some):
                output, states = ctx.composed(**given | moved | some)
                return {name: {"output": output, "states": states}[name] for name in came_in}

            _, pull = torch.func.vjp(results, {name: moved[name] for name in wanted})
            return pull(came_in)[0]

        _, pull = torch.func.vjp(first, moved, came_in)
        moved, came_in = pull(dict(zip(wanted, gradients, strict=True)))
        return (
            None, None, None, came_in.get("output"), came_in.get("states"),
            *(moved.get(name) for name in ARRAYS), None,
        )  # fmt: skip

    @staticmethod
    def vmap(info, in_dims, *arguments):
        if any(dim is not None for dim in in_dims[5:]):  # `saved` belongs to all elements together
            arguments, in_dims = (*arguments[:-1], None), (*in_dims[:-1], None)
        return _one_by_one(_Gradients.apply, info.batch_size, in_dims, arguments)


for _function in (_Recurrence, _Gradients):
    # Function.apply reads the signature at each call; computing it would take half of its 20 us.
    _function.forward.__signature__ = inspect.signature(_function.forward)


def _checked(name, tensor):
    if tensor is None:
        return None
    if not isinstance(tensor, torch.Tensor):
        raise TypeError(f"{name} is of type {type(tensor).__name__}, expected a torch.Tensor.")
    if type(tensor).__torch_dispatch__ is not torch.Tensor.__torch_dispatch__:  # fake, distributed, nested
        raise TypeError(f"{name} is a {type(tensor).__name__}, which has no memory for a kernel to read.")
    if tensor.device.type != "cpu":
        raise TypeError(f"{name} is on device {tensor.device}, expected cpu, where the fused kernels run.")
    if tensor.layout != torch.strided:
        raise TypeError(
            f"{name} has the layout {tensor.layout}, expected torch.strided; call its to_dense() first."
        )
    if name == "mask":
        return tensor.bool()
    if tensor.dtype not in DTYPES:
        raise TypeError(
            f"{name} has dtype {tensor.dtype}, expected torch.float32, or torch.float16 or torch.bfloat16, "
            "which are computed in float32."
        )
    return tensor.float()


def _dense(tensor):
    # resolve_neg: a view such as z.conj().imag has its sign in a flag, not in memory.
    return None if tensor is None else tensor.resolve_neg().contiguous()


def _shape(tensor):
    return None if tensor is None else tensor.shape


def _shape_of_one(tensor, dim):
    """The shape without the mapped axis `dim`."""
    if tensor is None or dim is None:
        return _shape(tensor)
    return tensor.shape[:dim] + tensor.shape[dim + 1 :]


def _address(tensor):
    return None if tensor is None else tensor.data_ptr()


def _empty(shape):
    if 4 * math.prod(shape) < memory.SMALLEST:
        return torch.empty(shape)
    return torch.from_numpy(memory.empty(*shape))


def _folded(tensor, dim, axis, size):
    """The mapped axis `dim` (None: not mapped) made part of the batch, which is `axis` of what remains."""
    if dim is None:
        tensor = tensor.unsqueeze(axis).expand(*tensor.shape[:axis], size, *tensor.shape[axis:])
    else:
        tensor = tensor.movedim(dim, axis)
    return tensor.flatten(axis, axis + 1)


def _one_by_one(function, size, in_dims, arguments):
    results = [
        function(
            *(
                argument.select(dim, index) if isinstance(dim, int) else argument
                for argument, dim in zip(arguments, in_dims, strict=True)
            )
        )
        for index in range(size)
    ]
    stacked = tuple(None if each[0] is None else torch.stack(each) for each in zip(*results, strict=True))
    return stacked, tuple(None if each is None else 0 for each in stacked)
