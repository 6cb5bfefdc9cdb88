"""Where fused layers are not as stock ones: each deviation that is written down shows."""

import keras
import numpy as np
import pytest
from fused_and_stock import BACKEND, agree, paths, run, sequential, series

import sunhwan
from sunhwan.recurrence.keras import seam


def _small_types_deviation():
    inputs, _ = series(batch=3)
    layer = keras.layers.LSTM(5, dtype="mixed_bfloat16", return_sequences=True)
    stock = keras.ops.convert_to_numpy(keras.ops.cast(layer(inputs), "float32"))
    wide = keras.layers.LSTM(5, return_sequences=True)
    wide.build(inputs.shape)
    wide.set_weights([keras.ops.cast(weight, "bfloat16") for weight in layer.weights])
    truth = keras.ops.convert_to_numpy(wide(keras.ops.cast(inputs, "bfloat16")))
    with sunhwan.accelerated():
        fused = keras.ops.convert_to_numpy(keras.ops.cast(layer(inputs), "float32"))
        assert paths(layer) == ["fused"]
    assert np.abs(fused - truth).max() < np.abs(stock - truth).max()


def _masked_nan_deviation():
    inputs, _ = series(batch=2)
    inputs[:, 4:] = np.nan
    arguments = dict(mask=np.arange(6) < np.array([[4], [4]]))
    layer = keras.layers.GRU(3, return_state=True)
    layer.build(inputs.shape)
    stock = run(layer, inputs, **arguments)
    with sunhwan.accelerated():
        fused = run(layer, inputs, **arguments)
        assert paths(layer) == ["fused"]
    assert np.isnan(np.asarray(stock["d_kernel"])).any()
    assert all(np.isfinite(np.asarray(value)).all() for value in fused.values())
    same = ("output", "state 0")
    agree({name: fused[name] for name in same}, {name: stock[name] for name in same})


def _implementation_1_deviation():
    inputs, _ = series(batch=2)
    for layer in (keras.layers.LSTM, keras.layers.GRU):
        layer = layer(3, dropout=0.5, implementation=1)
        with pytest.raises(Exception, match=r"(?i)shape|rank|dimension"):
            layer(inputs, training=True)
        layer.cell.reset_dropout_mask()
        with sunhwan.accelerated():
            layer(inputs, training=True)
            assert paths(layer) == ["fused"]


def _unroll_deviation():
    if BACKEND != "torch":
        pytest.skip("of PyTorch")
    inputs, _ = series(batch=2)
    mask = np.arange(6) < np.array([[4], [6]])
    unrolled, rolled = (
        keras.layers.GRU(3, unroll=unroll, go_backwards=True, seed=1) for unroll in (True, False)
    )
    with pytest.raises(AttributeError, match="'tuple' object has no attribute 'shape'"):
        unrolled(inputs, mask=mask)
    rolled.build(inputs.shape)
    rolled.set_weights(unrolled.get_weights())
    stock = keras.ops.convert_to_numpy(rolled(inputs, mask=mask))
    with sunhwan.accelerated():
        agree({"": keras.ops.convert_to_numpy(unrolled(inputs, mask=mask))}, {"": stock})
        assert paths(unrolled) == ["fused"]


def _jit_compile_deviation():
    if BACKEND != "tensorflow":
        pytest.skip("of TensorFlow")
    fused = sequential(keras.layers.SimpleRNN(2))
    not_fused = sequential(keras.layers.SimpleRNN(2, activation="silu"))
    for model in (fused, not_fused):
        model.compile("sgd", "mse", jit_compile=True)
        assert model.jit_compile
    with sunhwan.accelerated():
        assert not fused.jit_compile
        assert not_fused.jit_compile
    assert fused.jit_compile


def _conversion_deviation():
    if BACKEND != "tensorflow":
        pytest.skip("of TensorFlow")
    import tensorflow as tf

    layer, inputs = keras.layers.GRU(2), tf.constant(series(batch=2)[0])
    layer.build(inputs.shape)

    def operations():
        traced = tf.function(lambda inputs: layer(inputs)).get_concrete_function(inputs)
        return {operation.type for operation in traced.graph.get_operations()}

    assert not any("PyFunc" in kind for kind in operations())
    with sunhwan.accelerated():
        assert any("PyFunc" in kind for kind in operations())


def _dropout_deviation():
    if BACKEND != "torch":
        pytest.skip("of PyTorch")
    inputs, _ = series(batch=4)
    layer = keras.layers.GRU(5, return_sequences=True)
    stock = layer(inputs).detach()
    with sunhwan.accelerated():
        fused = layer(inputs).detach()
        assert paths(layer) == ["fused"]

    def kept(sequences, seed):
        keras.utils.set_random_seed(3)
        return keras.layers.Dropout(0.5, seed=seed)(sequences, training=True) != 0

    assert kept(stock, 1).equal(kept(fused, 1))
    assert not kept(stock, None).equal(kept(fused, None))
    by_time = fused.transpose(0, 1).contiguous().transpose(0, 1)
    assert kept(stock, None).equal(kept(by_time, None))


def _fullgraph_deviation():
    if BACKEND != "torch":
        pytest.skip("of PyTorch")
    import torch

    layer, inputs = keras.layers.GRU(2), torch.tensor(series(batch=2)[0])
    layer(inputs)
    torch.compiler.reset()
    compiled = torch.compile(lambda inputs: layer(inputs), fullgraph=True, backend="eager")
    stock = compiled(inputs)
    with sunhwan.accelerated(), pytest.raises(torch._dynamo.exc.Unsupported, match="disable"):
        compiled(inputs)
    agree({"": compiled(inputs).detach()}, {"": stock.detach()})


DEVIATES = {
    "small types": _small_types_deviation,
    "masked NaN": _masked_nan_deviation,
    "implementation=1": _implementation_1_deviation,
    "unroll": _unroll_deviation,
    "jit_compile": _jit_compile_deviation,
    "conversion": _conversion_deviation,
    "Dropout": _dropout_deviation,
    "fullgraph": _fullgraph_deviation,
}


@pytest.mark.parametrize("name", seam.DEVIATIONS)
def test_fused_layers_deviate_as_it_is_written(name):
    DEVIATES[name]()
