#!/usr/bin/env bash
# Keras 3.15.1: a recurrent layer with go_backwards=True and return_sequences=True returns its outputs in reversed order
# of time, but hands the mask on in the order of the inputs. With padding at the end, the next layer therefore reads the
# outputs of the padded timesteps and skips those of the real ones. Keras's own Bidirectional reverses the outputs
# itself; a go_backwards layer that is used directly, in a stack, loses its data without a word.
#
# Seen 2026-12-01 with keras 3.15.1, jax 0.10.2, Python 3.11: four timesteps, the last two are padding; outputs that
# are not zeros at [2, 3]; the mask that is handed on calls [0, 1] real.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet keras==3.15.1 jax==0.10.2 numpy==2.4.6
cat > "$work/try.py" <<'PY'
import keras
import numpy as np

keras.utils.set_random_seed(0)
x = np.array([[[1.0], [2.0], [0.0], [0.0]]], "float32")
masked = keras.layers.Masking()(x)
outputs = keras.layers.GRU(2, go_backwards=True, return_sequences=True)(masked)
real = np.flatnonzero(keras.ops.convert_to_numpy(outputs)[0].any(axis=-1)).tolist()
handed_on = np.flatnonzero(keras.ops.convert_to_numpy(outputs._keras_mask)[0]).tolist()
print(f"outputs that are not zeros: {real}; timesteps that the mask calls real: {handed_on}")
PY
expected="outputs that are not zeros: [2, 3]; timesteps that the mask calls real: [0, 1]"
seen=$(KERAS_BACKEND=jax "$work/venv/bin/python" -W ignore "$work/try.py" 2>/dev/null)
echo "$seen"
[ "$seen" = "$expected" ] || { echo "this has changed; expected: $expected"; exit 1; }
