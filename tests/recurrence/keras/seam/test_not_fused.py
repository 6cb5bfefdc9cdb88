"""What is not fused takes Keras's path, and why is said."""

import keras
import numpy as np
import pytest
from fused_and_stock import BACKEND, agree, paths, sequential, series

import sunhwan
from sunhwan.recurrence.keras import seam


class OwnLoop(keras.layers.GRU):
    def inner_loop(self, *args, **kwargs):
        return super().inner_loop(*args, **kwargs)


class OwnCall(keras.layers.LSTM):
    def call(self, sequences, initial_state=None, mask=None, training=False):
        return super().call(sequences, initial_state, mask, training)


class OwnConfig(keras.layers.LSTM):
    """Changes nothing of what is computed."""


class OwnCell(keras.layers.GRUCell):
    pass


def with_own_cell():
    layer = keras.layers.GRU(3)
    layer.cell = OwnCell(3)
    return layer


def tanh(x):
    return keras.ops.tanh(x)


def with_late_recurrent_dropout():
    layer = keras.layers.LSTM(3)
    layer.cell.recurrent_dropout = 0.5
    return layer


def with_late_policy():
    layer = keras.layers.GRU(3)
    layer.build((None, 6, 3))
    layer.dtype_policy = keras.DTypePolicy("mixed_bfloat16")
    return layer


NOT_FUSED = {
    "rnn": (lambda: keras.layers.RNN(keras.layers.LSTMCell(3)), "only SimpleRNN, GRU and LSTM are fused"),
    "stack": (
        lambda: keras.layers.RNN([keras.layers.GRUCell(3), keras.layers.SimpleRNNCell(3)]),
        "only SimpleRNN, GRU and LSTM are fused",
    ),
    "inner_loop": (lambda: OwnLoop(3), "its class OwnLoop overrides inner_loop"),
    "call": (lambda: OwnCall(3), "its class OwnCall overrides call"),
    "cell": (with_own_cell, "its cell is a OwnCell, not Keras's own GRUCell"),
    "rate": (
        lambda: keras.layers.LSTM(3, dropout=1.0),
        "a dropout rate is 1, which Keras does not treat consistently",
    ),
    "silu": (
        lambda: keras.layers.LSTM(3, activation="silu"),
        "the activation is 'silu'; the kernels have linear, relu, tanh, sigmoid and hard_sigmoid",
    ),
    "own activation": (
        lambda: keras.layers.GRU(3, recurrent_activation=tanh),
        f"the recurrent activation is '{__name__}.tanh'; "
        "the kernels have linear, relu, tanh, sigmoid and hard_sigmoid",
    ),
    "recurrent dropout": (
        with_late_recurrent_dropout,
        "its recurrent_dropout was set after its construction, and Keras ignores it",
    ),
    "policy": (
        with_late_policy,
        "its dtype_policy was changed: it computes in bfloat16, its cell in float32",
    ),
    "float64": (
        lambda: keras.layers.LSTM(3, dtype="float64"),
        "it computes in float64; the kernels compute in float32",
    ),
}


@pytest.mark.parametrize("name", NOT_FUSED)
def test_what_is_not_fused_takes_the_path_of_keras_and_says_why(name):
    make, reason = NOT_FUSED[name]
    if name == "float64" and BACKEND == "jax":
        pytest.skip("JAX has no float64 unless it is told so for the whole process")
    keras.utils.set_random_seed(2)
    layer = make()
    inputs, _ = series(batch=2)
    stock = layer(inputs, training=True)
    with sunhwan.accelerated():
        fused = layer(inputs, training=True)
        assert [(row.path, row.reason) for row in sunhwan.explain(layer).rows] == [("Keras", reason)]
    stock, fused = (
        keras.ops.convert_to_numpy(keras.ops.cast(value, "float64" if name == "float64" else "float32"))
        for value in (stock, fused)
    )
    assert np.array_equal(fused, stock)


def test_activations_of_keras_are_known_as_names_and_as_functions():
    for activation in ("relu", keras.activations.relu, keras.ops.relu):
        assert seam.activation_name(keras.layers.GRU(1, activation=activation).cell.activation) == "relu"
    assert seam.activation_name(keras.layers.GRU(1, activation=None).cell.activation) == "linear"


def test_an_activation_may_have_no_module_or_no_hash():
    class Scaled:
        __hash__ = None

        def __call__(self, x):
            return 2 * x

    assert not hasattr(str.upper, "__module__")  # as torch.Tensor.tanh
    assert seam.activation_name(str.upper) == "builtins.upper"
    assert seam.activation_name(Scaled()) == f"{__name__}.Scaled"


def test_a_layers_own_method_takes_numpys_arrays_as_in_keras():
    layer = keras.layers.LSTM(3)
    inputs, _ = series(batch=2)
    layer.build(inputs.shape)
    stock = layer.call(inputs)
    with sunhwan.accelerated():
        fused = layer.call(inputs)
        assert paths(layer) == ["fused"]
    agree({"": keras.ops.stop_gradient(fused)}, {"": keras.ops.stop_gradient(stock)})


def test_a_subclass_that_changes_nothing_of_the_computation_is_fused():
    layer = OwnConfig(3)
    with sunhwan.accelerated():
        layer(series()[0])
        assert paths(layer) == ["fused"]


def test_shapes_that_keras_would_spread_out_are_left_to_keras():
    layer = keras.layers.SimpleRNN(3, return_sequences=True)
    inputs, _ = series(batch=2)
    mask = np.ones((2, 6, 1), bool)
    stock = layer(inputs, mask=mask)
    with sunhwan.accelerated():
        fused = layer(inputs, mask=mask)
        assert [row.reason for row in sunhwan.explain(layer).rows] == [
            "its mask has the shape (2, 6, 1); the kernels take (2, 6)"
        ]
    agree({"": keras.ops.stop_gradient(fused)}, {"": keras.ops.stop_gradient(stock)})


def test_features_that_the_weights_have_not_are_an_error_of_keras():
    right = series()[0].shape[1:]
    wrong = np.ones((2, right[0], right[1] + 1), np.float32)

    def predict():
        model = keras.Sequential([keras.layers.GRU(3), keras.layers.Dense(1)])
        model.build((None, *right))
        model.predict(wrong, verbose=0)

    with pytest.raises(Exception) as stock:
        predict()
    with sunhwan.accelerated(), pytest.raises(type(stock.value)) as fused:
        predict()
    assert "PyFunc" not in str(fused.value) and "kernel has shape" not in str(fused.value)


@pytest.mark.skipif(BACKEND != "torch", reason="of PyTorch")
@pytest.mark.parametrize("kind", ["real", "fake", "fake mode"])
def test_what_has_no_memory_to_read_is_left_to_keras(kind):
    import torch
    from torch._subclasses.fake_tensor import FakeTensorMode
    from torch.fx.experimental.proxy_tensor import make_fx

    layer = keras.layers.SimpleRNN(3)
    inputs = torch.tensor(series(batch=2)[0])
    stock = layer(inputs).detach()
    with sunhwan.accelerated():
        if kind == "fake mode":
            with FakeTensorMode(allow_non_fake_inputs=True) as mode:
                assert layer(mode.from_tensor(inputs)).shape == (2, 3)
            mode = "FakeTensorMode"
        else:
            graph = make_fx(layer, tracing_mode=kind, _allow_non_fake_inputs=True)(inputs)
            agree({"": graph(inputs).detach()}, {"": stock})
            mode = "ProxyTorchDispatchMode"
        assert [row.reason for row in sunhwan.explain(layer).rows] == [
            f"it runs within a {mode}, which the kernels would escape"
        ]


@pytest.mark.skipif(BACKEND != "torch", reason="of PyTorch")
def test_a_tensor_of_a_class_of_its_own_is_left_to_keras():
    from torch.testing._internal.two_tensor import TwoTensor  # stands for DTensor, which needs processes

    layer = keras.layers.SimpleRNN(3)
    inputs = keras.ops.convert_to_tensor(series(batch=2)[0])
    layer.build(inputs.shape)
    layer.cell.recurrent_kernel = TwoTensor(*[layer.cell.recurrent_kernel.value.detach()] * 2)
    stock = layer(inputs)
    with sunhwan.accelerated():
        fused = layer(inputs)
        assert [row.reason for row in sunhwan.explain(layer).rows] == [
            "it computes with a TwoTensor, which has no memory for a kernel to read"
        ]
    agree({"": fused.a.detach()}, {"": stock.a.detach()})


def test_use_cudnn_fails_as_in_keras():
    layer = keras.layers.LSTM(3, use_cudnn=True)
    with sunhwan.accelerated():
        if BACKEND == "torch":  # which has a loop of its own under that name
            layer(series()[0])
        else:
            with pytest.raises(ValueError, match="use_cudnn=True was specified"):
                layer(series()[0])
        assert [row.reason for row in sunhwan.explain(layer).rows] == [
            "use_cudnn=True requests Keras's own path on a GPU"
        ]


def test_a_call_that_only_asks_for_shapes_is_no_run():
    layer = keras.layers.GRU(3)
    with sunhwan.accelerated():
        model = keras.Sequential([keras.Input((6, 3)), keras.layers.Lambda(lambda x: layer(x))])
        assert model.output_shape == (None, 3)
        assert paths(layer) == ["not run yet"]
        model.predict(series()[0], verbose=0)
        assert paths(layer) == ["fused"]


def test_one_thread_on_the_path_of_keras_leaves_the_others_alone():
    from threading import Thread

    inside, outside = keras.layers.GRU(2), keras.layers.GRU(2)
    with sunhwan.accelerated():
        with seam.suspended("a test"):
            inside(series()[0])
            thread = Thread(target=outside, args=(series()[0],))
            thread.start()
            thread.join()
        assert [row.reason for row in sunhwan.explain(inside).rows] == ["a test"]
        assert paths(outside) == ["fused"]
        inside(series()[0])
        assert paths(inside) == ["Keras", "fused"]


@pytest.mark.filterwarnings("ignore:The `native_serialization` parameter:DeprecationWarning")
def test_an_exported_model_does_without_sunhwan(tmp_path):
    inputs, _ = series(batch=2)
    model = sequential(keras.layers.LSTM(3, return_sequences=True), keras.layers.GRU(3))
    with sunhwan.accelerated():
        predicted = model.predict(inputs, verbose=0)
        loaded = EXPORTS[BACKEND](model, tmp_path / "exported", inputs)
        reasons = [row.reason for row in sunhwan.explain(model).rows]
        assert reasons == ["", seam.EXPORTED] * 2
    agree({"": loaded}, {"": predicted})


def _export_as_saved_model(model, path, inputs):
    tensorflow = pytest.importorskip("tensorflow")
    model.export(path, verbose=False)
    archive = keras.export.ExportArchive()
    archive.track(model)
    archive.add_endpoint("serve", model.call, [keras.InputSpec(shape=(None, 6, 3), dtype="float32")])
    archive.write_out(f"{path}_archive", verbose=False)
    # Two at a time, so that both stay alive while they are called.
    first, second = tensorflow.saved_model.load(path), tensorflow.saved_model.load(f"{path}_archive")
    first, second = np.array(first.serve(inputs)), np.array(second.serve(inputs))
    assert np.array_equal(first, second)
    return first


def _export_to_torch(model, path, inputs):
    import torch

    exported = torch.export.export(model, (torch.tensor(inputs),))
    torch.export.save(exported, f"{path}.pt2")
    return torch.export.load(f"{path}.pt2").module()(torch.tensor(inputs)).detach()


EXPORTS = {"jax": _export_as_saved_model, "tensorflow": _export_as_saved_model, "torch": _export_to_torch}
