"""These tests compare with stock Keras on JAX. Keras reads its backend once, when it is first imported."""

import os

os.environ.setdefault("KERAS_BACKEND", "jax")
