"""The switch: what it changes in Keras, when, and that it leaves nothing behind. JAX; see also
test_seam.py."""

import inspect
import logging
import os
import subprocess
import sys

import jax
import keras
import numpy as np
import pytest

import sunhwan
from sunhwan.recurrence.keras import accelerate, explain, seam

LAYERS = (keras.layers.SimpleRNN, keras.layers.GRU, keras.layers.LSTM)


def python(code, **environment):
    """What a fresh Python prints, on stdout and on stderr, when it runs some code."""
    clean = {key: value for key, value in os.environ.items() if key != "KERAS_BACKEND"}
    quiet = {"TF_CPP_MIN_LOG_LEVEL": "3", "TF_ENABLE_ONEDNN_OPTS": "0"}
    ended = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=clean | quiet | environment
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout, ended.stderr


RUN = """
import numpy as np
layer = keras.layers.LSTM(3)
layer(np.ones((2, 4, 3), "float32"))
print(keras.backend.backend(), *(row.path for row in sunhwan.explain(layer).rows))
"""


# ---- Keras ----


def test_the_seam_is_where_it_is_looked_for():
    """Where this fails after a release of Keras, `seam` and `accelerate` must be read beside it."""
    assert str(inspect.signature(keras.layers.RNN.inner_loop)) == (
        "(self, sequences, initial_state, mask, training=False)"
    )
    has_its_own = [cls for cls in LAYERS if "inner_loop" in vars(cls)]
    assert has_its_own == [keras.layers.GRU, keras.layers.LSTM]
    for cls in has_its_own:
        assert inspect.signature(cls.inner_loop) == inspect.signature(keras.layers.RNN.inner_loop)
    source = inspect.getsource(keras.layers.RNN.call)
    order = ["_maybe_config_dropout_masks(", "self.inner_loop(", "_maybe_reset_dropout_masks(", "assign("]
    assert sorted(order, key=source.index) == order
    for cell in (keras.layers.SimpleRNNCell(1), keras.layers.GRUCell(1), keras.layers.LSTMCell(1)):
        assert {"get_dropout_mask", "get_recurrent_dropout_mask"} <= set(dir(cell))


def test_restoring_leaves_keras_as_it_was():
    def attributes():
        owners = [
            *LAYERS,
            *keras.Model.__mro__,
            seam.keras.src.export.saved_model.BackendSavedModelExportArchive,
        ]
        return {owner: dict(vars(owner)) for owner in owners if owner is not object}

    before = attributes()
    sunhwan.accelerate()
    assert all("inner_loop" in vars(cls) for cls in LAYERS)
    assert keras.layers.GRU.inner_loop.__wrapped__ is before[keras.layers.GRU]["inner_loop"]
    sunhwan.accelerate()
    sunhwan.restore()
    assert attributes() == before
    sunhwan.restore()
    assert attributes() == before


def test_a_switch_that_fails_leaves_keras_as_it_was(monkeypatch):
    def fail():
        raise ZeroDivisionError

    monkeypatch.setitem(accelerate.SWITCH_PROGRAMS, "jax", fail)
    with pytest.raises(ZeroDivisionError):
        sunhwan.accelerate()
    assert not accelerate.is_on()
    assert "inner_loop" not in vars(keras.layers.SimpleRNN)


def test_accelerated_ends_with_its_block_and_minds_what_was_before():
    with sunhwan.accelerated(), sunhwan.accelerated():
        assert accelerate.is_on()
    assert not accelerate.is_on()
    with pytest.raises(ZeroDivisionError), sunhwan.accelerated():
        raise ZeroDivisionError
    assert not accelerate.is_on()
    sunhwan.accelerate()
    with sunhwan.accelerated():
        pass
    assert accelerate.is_on()
    sunhwan.restore()
    assert "inner_loop" not in vars(keras.layers.SimpleRNN)


# ---- Before Keras is imported ----


@pytest.mark.parametrize("statement", ["import keras", "from keras import layers; import keras"])
def test_the_switch_waits_for_keras_whose_backend_is_still_to_choose(statement):
    out, err = python(
        "import os, sys, sunhwan\nsunhwan.accelerate()\nassert not {'keras', 'jax'} & set(sys.modules)\n"
        f"os.environ['KERAS_BACKEND'] = 'jax'\n{statement}\n"
        "assert keras.__spec__.loader.__class__.__name__ == 'SourceFileLoader'\n"
        "assert 'exec_module' not in vars(keras.__spec__.loader)\n"
        "assert not any('WhenImported' in str(finder) for finder in sys.meta_path)\n" + RUN
    )
    assert out == "jax fused\n"
    assert err == ""


def test_to_import_all_names_imports_no_keras():
    python("import sys\nfrom sunhwan import *\naccelerate()\nassert not {'keras', 'jax'} & set(sys.modules)")


def test_nothing_is_switched_where_restore_comes_before_keras():
    out, _ = python(
        "import sunhwan\nsunhwan.accelerate()\nsunhwan.restore()\n"
        "with sunhwan.accelerated():\n    pass\nimport keras\n" + RUN,
        KERAS_BACKEND="jax",
    )
    assert out == "jax Keras\n"


@pytest.mark.parametrize("first", [True, False])
def test_keras_may_come_by_way_of_tensorflow(first):
    pytest.importorskip("tensorflow")
    lines = ["import tensorflow.keras.layers", "sunhwan.accelerate()"]
    out, _ = python(
        "\n".join(["import sunhwan", *(lines[::-1] if first else lines)])
        + "\nimport tensorflow as tf\nfrom tensorflow import keras\nimport keras as other\n"
        "assert keras.layers.LSTM is other.layers.LSTM\n" + RUN
    )
    assert out == "tensorflow fused\n"


def test_a_keras_that_cannot_be_imported_fails_in_its_own_words():
    with pytest.raises(AssertionError, match="Unable to import backend : nonsense"):
        python("import sunhwan; sunhwan.accelerate(); import keras", KERAS_BACKEND="nonsense")


@pytest.mark.parametrize("ask", ["sunhwan.accelerate()", "sunhwan.explain(keras.layers.GRU(2))"])
def test_a_keras_that_was_loaded_anew_is_refused(ask):
    out, _ = python(
        "import keras, sunhwan, warnings\nwarnings.simplefilter('ignore')\nsunhwan.accelerate()\n"
        "keras.config.set_backend('numpy')\nimport keras\n"
        f"try:\n    {ask}\nexcept sunhwan.SunhwanError as error:\n    print(error)\nsunhwan.restore()\n",
        KERAS_BACKEND="jax",
    )
    assert out == (
        "keras.config.set_backend loaded Keras again after sunhwan had switched the one on jax; instead of "
        "that call, set KERAS_BACKEND in the environment before Keras is imported\n"
    )


# ---- Where nothing can be fused ----


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        (
            {"KERAS_BACKEND": "numpy"},
            "Keras runs on its backend 'numpy'; there are kernels for jax, tensorflow, torch",
        ),
        (
            {"KERAS_BACKEND": "jax", "SUNHWAN_LIBRARY": "/nowhere.so"},
            "The native library /nowhere.so (from SUNHWAN_LIBRARY) does not exist; unset "
            "SUNHWAN_LIBRARY, or set it to the path of this version's libsunhwan.so.",
        ),
    ],
)
def test_one_line_says_that_nothing_is_fused(environment, said):
    out, err = python("import sunhwan\nsunhwan.accelerate()\nimport keras\n" + RUN, **environment)
    assert out == f"{environment['KERAS_BACKEND']} Keras\n"
    assert err == f"no layer is accelerated: {said}\n"


def test_a_warning_says_that_of_keras_2_nothing_is_fused(monkeypatch):
    monkeypatch.setenv("TF_USE_LEGACY_KERAS", "1")
    with pytest.warns(UserWarning, match=r"TF_USE_LEGACY_KERAS is '1', .*; unset it, or") as warned:
        sunhwan.accelerate()
    sunhwan.restore()
    assert warned[0].filename == __file__
    monkeypatch.setenv("TF_USE_LEGACY_KERAS", "0")
    with sunhwan.accelerated():
        pass


def test_one_line_says_so_on_a_gpu(monkeypatch, caplog):
    monkeypatch.setitem(seam.DEVICES, "jax", lambda tensor=None: "gpu")
    seam.warn_once.cache_clear()
    layers = [keras.layers.GRU(2), keras.layers.GRU(2)]
    with sunhwan.accelerated():
        for layer in layers:
            layer(np.ones((1, 2, 2), "float32"))
            reasons = [row.reason for row in sunhwan.explain(layer).rows]
            assert reasons == ["it runs on the device 'gpu'; the kernels run on the CPU"]
    warnings = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert warnings == [f"no layer is accelerated: {reasons[0]}"]


def test_an_array_elsewhere_is_no_matter_of_the_whole_process(monkeypatch, caplog):
    monkeypatch.setitem(seam.DEVICES, "jax", lambda tensor=None: "cpu" if tensor is None else "meta")
    seam.warn_once.cache_clear()
    layer = keras.layers.GRU(2)
    with sunhwan.accelerated():
        layer(np.ones((1, 2, 2), "float32"))
        reasons = [row.reason for row in sunhwan.explain(layer).rows]
        assert reasons == ["it runs on the device 'meta'; the kernels run on the CPU"]
    assert "no layer is accelerated" not in caplog.text


def test_a_jax_that_refuses_the_kernels_is_said_to(monkeypatch, caplog):
    from sunhwan.recurrence.ops import jax as adapter

    monkeypatch.setattr(adapter, "reason", lambda: "JAX 9.9 does not accept sunhwan's XLA handlers: too old")
    layer = keras.layers.GRU(2)
    with sunhwan.accelerated():
        layer(np.ones((1, 2, 2), "float32"))
        assert [row.reason for row in sunhwan.explain(layer).rows] == [adapter.reason()]
    assert f"no layer is accelerated: {adapter.reason()}" in caplog.text


def test_layers_are_logged_once_for_each_path(caplog):
    layer = keras.layers.GRU(2, name="memory")
    with caplog.at_level(logging.INFO, logger="sunhwan"), sunhwan.accelerated():
        for _ in range(2):
            layer(np.ones((1, 2, 2), "float32"))
            layer(np.ones((1, 2, 2), "float32"), mask=np.ones((1, 2, 1), bool))
    assert [record.getMessage() for record in caplog.records if record.name == "sunhwan"] == [
        "memory, GRU(2): fused",
        "memory, GRU(2): Keras, since its mask has the shape (1, 2, 1); the kernels take (1, 2)",
    ]


# ---- JAX ----


def compiled(function, *arguments):
    return function.lower(*arguments).compile().as_text()


def test_functions_of_ones_own_hold_the_kernels_while_it_is_on_and_are_compiled_once_for_each_path():
    layer = keras.layers.LSTM(4)
    inputs = np.ones((2, 5, 3), "float32")
    layer.build(inputs.shape)
    traced = []

    @jax.jit
    def loss(weights, inputs):
        traced.append(accelerate.is_on())
        return layer.stateless_call(weights, layer.non_trainable_variables, inputs)[0].sum()

    step = jax.jit(jax.value_and_grad(loss))
    weights = [variable.value for variable in layer.trainable_variables]
    results = []
    for on in (True, False, True, False):
        (sunhwan.accelerate if on else sunhwan.restore)()
        text = compiled(step, weights, inputs)
        assert [name in text for name in ("sunhwan_forward", "sunhwan_backward")] == [on, on]
        results.append(step(weights, inputs))
    assert traced == [True, False]
    for fused, stock in zip(*(jax.tree.leaves(result) for result in results[:2]), strict=True):
        np.testing.assert_allclose(fused, stock, rtol=1e-5, atol=1e-6)


def test_a_training_loop_of_ones_own():
    inputs = np.random.default_rng(0).normal(size=(8, 5, 3)).astype("float32")

    def train():
        keras.utils.set_random_seed(1)
        model = keras.Sequential(
            [keras.layers.GRU(4, recurrent_dropout=0.3, dropout=0.2), keras.layers.Dense(1)]
        )
        model.build(inputs.shape)
        state = [
            [v.value for v in model.trainable_variables],
            [v.value for v in model.non_trainable_variables],
        ]

        def loss(weights, rest):
            outputs, rest = model.stateless_call(weights, rest, inputs, training=True)
            return ((outputs[:, 0] - inputs[:, :, 0].sum(1)) ** 2).mean(), rest

        losses, step = [], jax.jit(jax.value_and_grad(loss, has_aux=True))
        for _ in range(10):
            (value, state[1]), gradients = step(*state)
            state[0] = [w - 0.1 * g for w, g in zip(state[0], gradients, strict=True)]
            losses.append(float(value))
        return model, losses

    _, stock = train()
    with sunhwan.accelerated():
        model, fused = train()
        assert [row.path for row in sunhwan.explain(model).rows] == ["fused"]
    np.testing.assert_allclose(fused, stock, rtol=1e-5)


def test_derivatives_that_the_kernels_have_not_got_are_those_of_keras():
    layer = keras.layers.LSTM(3)
    inputs = np.random.default_rng(0).normal(size=(1, 3, 2)).astype("float32")
    layer.build(inputs.shape)

    def of(inputs):
        return layer(inputs).sum()

    def derivatives():
        forward_mode = jax.jvp(of, (inputs,), (inputs,))[1]
        return forward_mode, jax.hessian(of)(inputs), jax.grad(lambda x: (jax.grad(of)(x) ** 2).sum())(inputs)

    stock = derivatives()
    with sunhwan.accelerated():
        fused = derivatives()
        assert [row.path for row in sunhwan.explain(layer).rows] == ["fused"]
    for a, b in zip(fused, stock, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("batch", [2, "b"])
def test_jax_export_makes_programs_that_do_without_sunhwan(batch):
    layer = keras.layers.GRU(3)
    inputs = np.ones((2, 4, 3), "float32")
    layer.build(inputs.shape)
    size = jax.export.symbolic_shape(batch)[0] if isinstance(batch, str) else batch
    shape = jax.ShapeDtypeStruct((size, 4, 3), "float32")
    with sunhwan.accelerated():
        exported = jax.export.export(jax.jit(layer))(shape).serialize()
        assert b"sunhwan_forward" not in exported
        np.testing.assert_allclose(jax.export.deserialize(exported).call(inputs), layer(inputs), atol=1e-6)


def test_without_user_contexts_programs_are_made_anew():
    """As on a JAX that has none yet."""
    code = (
        "import sys, jax, pytest\ndel jax.make_user_context\n"
        "sys.exit(pytest.main(['-q', '-x', '-p', 'no:cacheprovider', sys.argv[1], '-k', 'that_have_run']))"
    )
    path = os.path.join(os.path.dirname(__file__), "seam", "test_switching.py")
    environment = os.environ | {"KERAS_BACKEND": "jax"}
    command = [sys.executable, "-c", code, path]
    ended = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "1 passed" in ended.stdout


def test_explain_is_the_function_and_no_module():
    assert sunhwan.explain is explain.explain
    assert sunhwan.accelerate is accelerate.accelerate
    assert {"accelerate", "accelerated", "explain", "restore"} <= set(dir(sunhwan))
    with pytest.raises(AttributeError, match="module 'sunhwan' has no attribute 'nonsense'"):
        sunhwan.nonsense  # noqa: B018
