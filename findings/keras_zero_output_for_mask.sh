#!/usr/bin/env bash
# Keras 3.15.1 documents zero_output_for_mask as "only used when `return_sequences` is `True`".
# Without return_sequences it is not ignored: where the last timestep is padding, the layer's
# only output is zeros, whatever the real timesteps held. Without the option it is the state after the last real one.
#
# Seen 2026-12-01 with keras 3.15.1, jax 0.10.2, Python 3.11, for SimpleRNN, GRU and LSTM.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet keras==3.15.1 jax==0.10.2 numpy==2.4.6
cat > "$work/try.py" <<'PY'
import keras
import numpy as np

x = np.array([[[1.0], [2.0], [0.0]]], "float32")
for cell in (keras.layers.SimpleRNN, keras.layers.GRU, keras.layers.LSTM):
    last = {}
    for zero in (False, True):
        keras.utils.set_random_seed(0)
        layer = cell(2, zero_output_for_mask=zero)
        last[zero] = keras.ops.convert_to_numpy(layer(keras.layers.Masking()(x))).any()
    print(f"{cell.__name__:10} output is not zeros: {last[False]}, with zero_output_for_mask: {last[True]}")
PY
expected="SimpleRNN  output is not zeros: True, with zero_output_for_mask: False
GRU        output is not zeros: True, with zero_output_for_mask: False
LSTM       output is not zeros: True, with zero_output_for_mask: False"
seen=$(KERAS_BACKEND=jax "$work/venv/bin/python" -W ignore "$work/try.py" 2>/dev/null)
echo "$seen"
[ "$seen" = "$expected" ] || { echo "this has changed; expected:"; echo "$expected"; exit 1; }
