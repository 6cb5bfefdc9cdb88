#!/usr/bin/env bash
# Keras 3.15.1 on JAX: fit, evaluate and predict never move the state of a layer that is stateful=True, while calling
# the model does, and on TensorFlow all of them do. Nothing is raised or warned of: a model that is meant to carry its
# state from batch to batch begins every batch at zero.
#
# Seen 2026-12-01 with keras 3.15.1, jax 0.10.2, tensorflow-cpu 2.21.0, Python 3.11:
#   jax         two calls differ: True   two predicts differ: False  state after fit: zeros
#   tensorflow  two calls differ: True   two predicts differ: True   state after fit: not zeros
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet keras==3.15.1 jax==0.10.2 tensorflow-cpu==2.21.0 numpy==2.4.6
cat > "$work/try.py" <<'PY'
import keras
import numpy as np

keras.utils.set_random_seed(0)
model = keras.Sequential([keras.Input(batch_shape=(2, 3, 1)), keras.layers.GRU(2, stateful=True)])
x, y = np.ones((2, 3, 1), "float32"), np.ones((2, 2), "float32")


def differ(run):
    model.layers[0].reset_state()
    first, second = np.asarray(run(x)), np.asarray(run(x))
    return not np.array_equal(first, second)


called = differ(lambda x: keras.ops.convert_to_numpy(model(x)))
predicted = differ(lambda x: model.predict(x, batch_size=2, verbose=0))
model.compile("sgd", "mse")
model.layers[0].reset_state()
model.fit(x, y, batch_size=2, epochs=1, shuffle=False, verbose=0)
moved = keras.ops.convert_to_numpy(model.layers[0].states[0]).any()
print(
    f"{keras.backend.backend():11} two calls differ: {called!s:6} two predicts differ: {predicted!s:6} "
    f"state after fit: {'not zeros' if moved else 'zeros'}"
)
PY
expected="jax         two calls differ: True   two predicts differ: False  state after fit: zeros
tensorflow  two calls differ: True   two predicts differ: True   state after fit: not zeros"
seen=$(for backend in jax tensorflow; do KERAS_BACKEND=$backend "$work/venv/bin/python" -W ignore "$work/try.py" 2>/dev/null; done)
echo "$seen"
[ "$seen" = "$expected" ] || { echo "this has changed; expected:"; echo "$expected"; exit 1; }
