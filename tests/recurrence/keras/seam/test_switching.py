"""Models that have already run are switched, and back; what is compiled is compiled once for each path."""

import keras
import pytest
from fused_and_stock import BACKEND, agree, sequential, series

import sunhwan


class Traces(keras.layers.Layer):
    """Counts how often it is called, which a compiled program does not do."""

    def build(self, shape):
        self.count = [0]

    def call(self, inputs):
        if not keras.src.backend.in_symbolic_scope():
            self.count[0] += 1
        return inputs


def test_models_that_have_run_are_switched_and_back_and_compiled_once_for_each_path(kernel_runs):
    inputs, targets = series()
    traces = Traces()
    model = sequential(traces, keras.layers.SimpleRNN(3, return_sequences=True), keras.layers.GRU(3))
    model.compile("sgd", "mse")

    def run():
        before, traced = kernel_runs(), traces.count[0]
        model.fit(inputs, targets, batch_size=16, verbose=0)
        model.evaluate(inputs, targets, batch_size=16, verbose=0)
        model.predict(inputs, batch_size=16, verbose=0)
        model.train_on_batch(inputs[:16], targets[:16])
        return kernel_runs() > before, traces.count[0] > traced

    eager = BACKEND == "torch"
    anew = eager or (BACKEND == "jax" and not hasattr(keras.src.backend.jax.trainer.jax, "make_user_context"))
    assert run() == (False, True)
    sunhwan.accelerate()
    try:
        assert run() == (True, True)
        sunhwan.restore()
        # Once more on JAX: what it keys programs by was not there yet when the first one was compiled.
        run()
        assert run() == (False, eager)
        sunhwan.accelerate()
        assert run() == (True, anew)
        with sunhwan.accelerated():
            assert run() == (True, eager)
        model.compile("sgd", "mse")
        assert run() == (True, True)
    finally:
        sunhwan.restore()
    assert run() == (False, True)  # for it was compiled anew
    assert run() == (False, eager)


@pytest.fixture
def kernel_runs(monkeypatch):
    """How often the kernels have run; on JAX, where no Python runs, how often a program with them has."""
    runs = []
    if BACKEND == "jax":
        from keras.src.backend.jax import trainer

        jit = trainer.jit

        def spying(function, **options):
            jitted = jit(function, **options)

            def call(*arguments):
                if "sunhwan_forward" in jitted.lower(*arguments).as_text():
                    runs.append(None)
                return jitted(*arguments)

            return call

        monkeypatch.setattr(trainer, "jit", spying)
    else:
        from sunhwan import native

        forward = native.forward
        monkeypatch.setattr(native, "forward", lambda *call: [runs.append(None), forward(*call)])
    return lambda: len(runs)


@pytest.mark.skipif(BACKEND != "torch", reason="of PyTorch")
@pytest.mark.filterwarnings("ignore:Dynamo:UserWarning")
@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor:UserWarning")  # Dynamo's own asking
def test_what_torch_compile_made_is_made_anew(kernel_runs):
    import torch

    layer = keras.layers.GRU(2)
    inputs = torch.tensor(series(batch=2, timesteps=3)[0])
    layer(inputs)
    compiled = torch.compile(lambda inputs: layer(inputs), backend="eager")

    def run():
        before, _ = kernel_runs(), compiled(inputs)
        return kernel_runs() > before

    assert not run()
    with sunhwan.accelerated():
        assert run()
        assert run()
    assert not run()


@pytest.mark.skipif(BACKEND != "torch", reason="of PyTorch")
@pytest.mark.filterwarnings("ignore:Dynamo:UserWarning")
def test_torch_compiles_layers_that_are_not_fused_as_before():
    import torch

    layer = keras.layers.GRU(2, activation="silu", return_sequences=True)
    inputs = torch.tensor(series(batch=2, timesteps=3)[0])
    layer(inputs)

    @torch.no_grad()  # Dynamo asks for the gradient of a tensor that has none, which warns
    def compiled():
        operations = []

        def backend(graph, _):
            operations.append(len(graph.graph.nodes))
            return graph.forward

        output = torch.compile(lambda inputs: layer(inputs) * 2, backend=backend)(inputs)
        return output.detach(), operations

    torch.compiler.reset()
    stock, operations = compiled()
    with sunhwan.accelerated():
        fused, operations_fused = compiled()
        assert [row.reason.partition(";")[0] for row in sunhwan.explain(layer).rows] == [
            "the activation is 'silu'"
        ]
    assert operations_fused == operations
    agree({"": fused}, {"": stock})
