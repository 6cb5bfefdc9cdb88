"""The PyTorch adapter: numbers, what it asks of the native library, and where it says no."""

from __future__ import annotations

import threading
import warnings
from dataclasses import replace

import numpy as np
import pytest
from configurations import Configuration, configurations
from hypothesis import given, settings
from hypothesis import strategies as st
from native_calls import native_calls

from sunhwan.recurrence import ops
from sunhwan.recurrence.ops.options import Options

torch = pytest.importorskip("torch")

from torch.func import grad, jacrev, jvp, vmap  # noqa: E402

from sunhwan.recurrence.ops.options import ARRAYS  # noqa: E402
from sunhwan.recurrence.ops.torch import recurrence  # noqa: E402

GRADIENTS = ("inputs", "initial_state", "kernel", "recurrent_kernel", "bias")
EVERYTHING = Configuration(
    Options("gru", return_sequences=True),
    initial_state=True,
    mask="anywhere",
    dropout_masks=3,
    recurrent_dropout_masks=3,
)


def tensors_of(configuration, requiring=GRADIENTS):
    """The arrays of a configuration as tensors; those of `requiring` require a gradient."""
    return {
        name: torch.from_numpy(array).requires_grad_(name in requiring)
        for name, array in configuration.arrays().items()
    }


def loss_of(configuration, tensors):
    """A number whose gradient with respect to output and states is the configuration's."""
    output, states = recurrence(configuration.options, **tensors)
    d_output, d_states = map(torch.from_numpy, configuration.output_gradients())
    return (output * d_output).sum() + (states * d_states).sum()


def gradients_of(configuration, tensors):
    """The gradients of `loss_of`, by name."""
    wanted = [name for name, tensor in tensors.items() if tensor.requires_grad]
    found = torch.autograd.grad(loss_of(configuration, tensors), [tensors[name] for name in wanted])
    return dict(zip(wanted, found, strict=True))


@settings(max_examples=150)
@given(configurations())
def test_values_and_gradients(configuration):
    tensors = tensors_of(configuration)
    d_output, d_states = map(torch.from_numpy, configuration.output_gradients())
    with native_calls() as calls:
        output, states = recurrence(configuration.options, **tensors)
        torch.autograd.backward([output, states], [d_output, d_states])
    wanted = [name for name in GRADIENTS if name in tensors]
    assert calls == ["forward, saving", f"backward of {', '.join(wanted)}"]
    configuration.check(
        output=output.detach(), states=states.detach(), **{name: tensors[name].grad for name in wanted}
    )


@pytest.mark.parametrize("cell", ["simple_rnn", "gru", "lstm"])
def test_the_public_function_takes_tensors(cell):
    configuration = Configuration(Options(cell))
    arrays = tensors_of(configuration, requiring=())
    with native_calls() as calls:
        output, states = ops.recurrence(cell, arrays.pop("inputs"), list(arrays.values()))
    assert calls == ["forward"]
    assert isinstance(output, torch.Tensor)
    configuration.check(output=output, states=states)


@settings(max_examples=30)
@given(wanted=st.sets(st.sampled_from(GRADIENTS), min_size=1))
def test_only_the_gradients_that_are_wanted_are_computed(wanted):
    with native_calls() as calls:
        found = gradients_of(EVERYTHING, tensors_of(EVERYTHING, wanted))
    assert calls == [
        "forward, saving",
        f"backward of {', '.join(name for name in GRADIENTS if name in wanted)}",
    ]
    everything = gradients_of(EVERYTHING, tensors_of(EVERYTHING))
    for name in wanted:
        assert torch.equal(found[name], everything[name])


@pytest.mark.parametrize("context", [torch.no_grad, torch.inference_mode, torch.enable_grad])
def test_nothing_is_saved_where_there_can_be_no_gradient(context):
    requiring = () if context is torch.enable_grad else GRADIENTS
    with native_calls() as calls, context():
        output, _ = recurrence(EVERYTHING.options, **tensors_of(EVERYTHING, requiring))
    assert calls == ["forward"]
    assert not output.requires_grad


@pytest.mark.parametrize("used", ["output", "states"])
def test_a_result_that_nobody_used_costs_no_zeros(used):
    with native_calls() as calls:
        tensors = tensors_of(EVERYTHING)
        output, states = recurrence(EVERYTHING.options, **tensors)
        (output if used == "output" else states).sum().backward()  # a gradient of stride 0
    (given,) = calls.gradients
    assert [bool(given.d_output), bool(given.d_states)] == [used == "output", used == "states"]
    ones = [torch.zeros_like(output), torch.zeros_like(states)]
    ones[used == "states"] += 1
    again = tensors_of(EVERYTHING)
    torch.autograd.backward(recurrence(EVERYTHING.options, **again), ones)
    for name in GRADIENTS:
        assert torch.equal(tensors[name].grad, again[name].grad)


def test_contiguous_tensors_are_read_where_they_lie():
    tensors = tensors_of(EVERYTHING)
    with native_calls() as calls:
        loss_of(EVERYTHING, tensors).backward()
    for struct in calls.structs:
        for name, tensor in tensors.items():
            assert getattr(struct, name) == tensor.data_ptr()
    assert calls.structs[0].saved == calls.structs[1].saved


def spread_out(tensor):
    """The same numbers, with others between them."""
    return torch.stack([tensor, torch.full_like(tensor, float("nan"))], dim=-1)[..., 0]


def turned(tensor):
    """The same numbers, in Fortran's order."""
    return tensor.permute(*reversed(range(tensor.ndim))).contiguous().permute(*reversed(range(tensor.ndim)))


def negated(tensor):
    """The same numbers, with a sign that is a flag of the view and not in memory, as z.conj().imag has it."""
    view = torch._neg_view(-tensor)
    assert view.is_neg() and view.is_contiguous()
    return view


@pytest.mark.parametrize("laid_out", [spread_out, turned, negated])
def test_any_layout_gives_the_same(laid_out):
    tensors = tensors_of(EVERYTHING)
    others = {name: tensor if name == "mask" else laid_out(tensor) for name, tensor in tensors.items()}
    others["mask"] = turned(tensors["mask"])
    d_results = [torch.from_numpy(gradient) for gradient in EVERYTHING.output_gradients()]
    torch.autograd.backward(recurrence(EVERYTHING.options, **tensors), d_results)
    there = {name: tensors[name].grad for name in GRADIENTS}
    for name in GRADIENTS:
        tensors[name].grad = None
    results = recurrence(EVERYTHING.options, **others)
    EVERYTHING.check(output=results[0].detach(), states=results[1].detach())
    torch.autograd.backward(results, [laid_out(gradient) for gradient in d_results])
    for name, gradient in there.items():
        assert torch.equal(tensors[name].grad, gradient)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_float32(dtype):
    half = {
        name: tensor if name == "mask" else tensor.detach().to(dtype).requires_grad_(name in GRADIENTS)
        for name, tensor in tensors_of(EVERYTHING).items()
    }
    half["kernel"] = half["kernel"].detach().float().requires_grad_()  # each tensor may have its own
    single = {
        name: tensor if name == "mask" else tensor.detach().float().requires_grad_(name in GRADIENTS)
        for name, tensor in half.items()
    }
    results = [recurrence(EVERYTHING.options, **tensors) for tensors in (half, single)]
    for here, there in zip(*results, strict=True):
        assert here.dtype == dtype
        assert torch.equal(here, there.to(dtype))
    for found in results:
        torch.autograd.backward(found, [torch.ones_like(result) for result in found])
    for name in GRADIENTS:
        assert half[name].grad.dtype == half[name].dtype
        assert torch.equal(half[name].grad, single[name].grad.to(half[name].dtype))


def test_a_graph_that_is_kept_gives_the_same_gradient_twice():
    tensors = tensors_of(EVERYTHING)
    loss = loss_of(EVERYTHING, tensors)
    wanted = [tensors[name] for name in GRADIENTS]
    first = torch.autograd.grad(loss, wanted, retain_graph=True)
    loss_of(EVERYTHING, {**tensors, "inputs": tensors["inputs"] + 1}).backward()  # works in other memory
    for here, there in zip(torch.autograd.grad(loss, wanted), first, strict=True):
        assert torch.equal(here, there)


def test_a_tensor_that_was_changed_since_is_noticed():
    tensors = tensors_of(EVERYTHING)
    loss = loss_of(EVERYTHING, tensors)
    with torch.no_grad():
        tensors["kernel"] += 1
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


def test_a_batch_of_none():
    configuration = replace(EVERYTHING, batch=0)
    tensors = tensors_of(configuration)
    output, states = recurrence(configuration.options, **tensors)
    assert output.shape == (0, 5, 7) and states.shape == (1, 0, 7)
    (output.sum() + states.sum()).backward()
    assert tensors["inputs"].grad.shape == (0, 5, 4)
    for name in ("kernel", "recurrent_kernel", "bias"):
        assert not tensors[name].grad.any()


def test_threads_that_call_at_once_do_not_disturb_each_other():
    configurations = [Configuration(Options(cell), batch=40, timesteps=30, seed=seed)
                      for seed, cell in enumerate(["gru", "lstm"] * 4)]  # fmt: skip
    expected = [gradients_of(configuration, tensors_of(configuration)) for configuration in configurations]
    found = [None] * len(configurations)

    def run(index):
        for _ in range(5):
            found[index] = gradients_of(configurations[index], tensors_of(configurations[index]))

    threads = [threading.Thread(target=run, args=(index,)) for index in range(len(configurations))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for here, there in zip(found, expected, strict=True):
        assert all(torch.equal(here[name], there[name]) for name in there)


# torch.func and torch.compile


def mapped(configuration, names, size=3):
    """The tensors of a configuration, those of `names` stacked along some axis; the axes; each element's."""
    tensors = tensors_of(configuration, requiring=())
    elements = [{**tensors} for _ in range(size)]
    axes = dict.fromkeys(tensors)
    for index, name in enumerate(names):
        for seed, element in enumerate(elements):
            element[name] = tensors_of(replace(configuration, seed=seed + 1), requiring=())[name]
        axes[name] = index % (tensors[name].ndim + 1)
        tensors[name] = torch.stack([element[name] for element in elements], axes[name])
    return tensors, axes, elements


@pytest.mark.parametrize(
    "names",
    [
        ["inputs"],
        ["mask"],
        ["initial_state", "dropout_mask"],
        ["inputs", "initial_state", "mask", "dropout_mask", "recurrent_dropout_mask"],
        ["kernel"],
        ["inputs", "bias", "mask"],
    ],
    ids=",".join,
)
def test_vmap(names):
    tensors, axes, elements = mapped(EVERYTHING, names)
    function = vmap(lambda tensors: recurrence(EVERYTHING.options, **tensors), in_dims=(axes,))
    with native_calls() as calls:
        found = function(tensors)
    # What is mapped becomes part of the batch, unless each element has its own weights.
    assert len(calls) == (3 if {"kernel", "bias"} & set(names) else 1)
    for index, element in enumerate(elements):
        for here, there in zip(found, recurrence(EVERYTHING.options, **element), strict=True):
            torch.testing.assert_close(here[index], there, rtol=0, atol=0)


@pytest.mark.parametrize("names", [["inputs"], ["mask", "initial_state"], ["recurrent_kernel"]], ids=",".join)
def test_gradients_of_each_element(names):
    tensors, axes, elements = mapped(EVERYTHING, names)

    def gradients(tensors):
        differentiable = {name: tensors[name] for name in GRADIENTS}
        return grad(lambda some: loss_of(EVERYTHING, tensors | some))(differentiable)

    found = vmap(gradients, in_dims=(axes,))(tensors)
    for index, element in enumerate(elements):
        there = gradients_of(EVERYTHING, {
            name: tensor.clone().requires_grad_(name in GRADIENTS) for name, tensor in element.items()
        })  # fmt: skip
        for name in GRADIENTS:
            # Both are right to the tolerance of float32, but a batch in parts sums weights in another order.
            torch.testing.assert_close(found[name][index], there[name], rtol=1e-5, atol=1e-5)


def test_the_gradient_of_a_vmap_is_one_call():
    tensors, axes, elements = mapped(EVERYTHING, ["inputs", "mask"])
    kernel = tensors["kernel"].clone().requires_grad_()
    with native_calls() as calls:
        losses = vmap(lambda tensors: loss_of(EVERYTHING, tensors | {"kernel": kernel}), in_dims=(axes,))(
            tensors
        )
        losses.sum().backward()
    assert calls == ["forward, saving", "backward of kernel"]
    there = sum(
        gradients_of(EVERYTHING, element | {"kernel": element["kernel"].clone().requires_grad_()})["kernel"]
        for element in elements
    )
    torch.testing.assert_close(kernel.grad, there, rtol=1e-5, atol=1e-5)  # float32, summed in another order


def test_a_jacobian_is_that_of_its_rows():
    tensors = tensors_of(Configuration(Options("lstm"), batch=2, units=3), requiring=())
    options = Options("lstm")

    def states(inputs):
        return recurrence(options, **tensors | {"inputs": inputs})[1]

    jacobian = jacrev(states)(tensors["inputs"])
    for index in np.ndindex(2, 2, 3):
        inputs = tensors["inputs"].clone().requires_grad_()
        states(inputs)[index].backward()
        torch.testing.assert_close(jacobian[index], inputs.grad, rtol=0, atol=0)


# PyTorch 2.13 warns of what it does itself.
@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf:UserWarning")
@pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")
@pytest.mark.parametrize("backend", ["eager", "aot_eager"])
def test_compiled_code_calls_the_kernels(backend):
    torch._dynamo.reset()

    def step(inputs, *rest):
        rest = dict(zip(list(tensors)[1:], rest, strict=True))
        return loss_of(EVERYTHING, {"inputs": torch.tanh(inputs) * 2, **rest}) * 3

    tensors = tensors_of(EVERYTHING)
    expected = torch.autograd.grad(step(*tensors.values()), [tensors[name] for name in GRADIENTS])
    compiled = torch.compile(step, backend=backend)
    for _ in range(2):
        with native_calls() as calls:
            found = torch.autograd.grad(compiled(*tensors.values()), [tensors[name] for name in GRADIENTS])
        assert calls == ["forward, saving", f"backward of {', '.join(GRADIENTS)}"]
        for here, there in zip(found, expected, strict=True):
            assert torch.equal(here, there)
    with torch.no_grad():
        assert torch.equal(compiled(*tensors.values()), step(*tensors.values()))


def test_dynamo_does_not_trace_the_backward_pass_of_a_compiled_step():
    torch._dynamo.reset()
    tensors = tensors_of(EVERYTHING)

    def step():
        loss_of(EVERYTHING, tensors).backward()

    with warnings.catch_warnings(record=True) as warned, native_calls() as calls:
        warnings.simplefilter("always")
        torch.compile(step, backend="eager")()
    assert [call.split()[0].strip(",") for call in calls] == ["forward", "backward"]
    assert not [warning for warning in warned if "Dynamo" in str(warning.message)]


# What is refused


def test_second_derivatives_are_refused():
    tensors = tensors_of(EVERYTHING)
    loss = loss_of(EVERYTHING, tensors)
    (first,) = torch.autograd.grad(loss, tensors["kernel"], create_graph=True)
    assert torch.equal(first, gradients_of(EVERYTHING, tensors)["kernel"])
    with pytest.raises(NotImplementedError, match=r"second derivative is not available.*gradients only"):
        first.sum().backward()


# PyTorch 2.13 warns of what it does itself.
@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:DeprecationWarning")
def test_forward_mode_is_refused():
    tensors = tensors_of(EVERYTHING, requiring=())
    inputs = tensors.pop("inputs")
    with pytest.raises(NotImplementedError, match=r"forward mode is not available.*gradients only"):
        jvp(lambda inputs: loss_of(EVERYTHING, {"inputs": inputs, **tensors}), (inputs,), (inputs,))


@pytest.mark.parametrize("name", ["dropout_mask", "recurrent_dropout_mask"])
def test_gradients_of_dropout_masks_are_refused(name):
    with pytest.raises(ValueError, match=f"^{name} requires a gradient, which .* detach it"):
        recurrence(EVERYTHING.options, **tensors_of(EVERYTHING, requiring=[name]))


@pytest.mark.parametrize("name", [name for name in ARRAYS if name != "mask"])
@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (lambda tensor: tensor.double(), "has dtype torch.float64, expected torch.float32, or"),
        (lambda tensor: tensor.long(), "has dtype torch.int64, expected torch.float32, or"),
        (lambda tensor: tensor.to(torch.complex64), "has dtype torch.complex64, expected"),
        (lambda tensor: tensor.to("meta"), "is on device meta, expected cpu"),
        (lambda tensor: tensor.to_sparse(), "has the layout torch.sparse_coo, expected torch.strided; call"),
        (lambda tensor: tensor.numpy(), "is of type ndarray, expected a torch.Tensor"),
    ],
)
def test_what_a_kernel_cannot_read_is_refused(name, changed, message):
    tensors = tensors_of(EVERYTHING, requiring=())
    tensors[name] = changed(tensors[name])
    with native_calls() as calls, pytest.raises(TypeError, match=f"^{name} {message}"):
        recurrence(EVERYTHING.options, **tensors)
    assert not calls


def test_a_tensor_without_memory_is_refused():
    with torch._subclasses.FakeTensorMode() as mode:
        tensors = {name: mode.from_tensor(tensor) for name, tensor in tensors_of(EVERYTHING, ()).items()}
        with pytest.raises(TypeError, match="inputs is a FakeTensor, which has no memory"):
            recurrence(EVERYTHING.options, **tensors)


def test_a_mask_of_another_dtype_counts_as_in_numpy():
    tensors = tensors_of(EVERYTHING, requiring=())
    for dtype in (torch.uint8, torch.int64, torch.float32):
        output, states = recurrence(EVERYTHING.options, **tensors | {"mask": tensors["mask"].to(dtype) * 2})
        EVERYTHING.check(output=output, states=states)


@pytest.mark.parametrize("name", ARRAYS)
def test_a_shape_that_does_not_fit_is_said(name):
    tensors = tensors_of(EVERYTHING, requiring=())
    tensors[name] = torch.cat([tensors[name], tensors[name]], dim=-1)
    with native_calls() as calls, pytest.raises(ValueError, match=r"has shape \(.*\), expected \("):
        recurrence(EVERYTHING.options, **tensors)
    assert not calls
