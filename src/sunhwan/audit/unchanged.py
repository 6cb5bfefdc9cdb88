"""A program's model, used again and then restored to the bit, so that the program goes on unchanged."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np


@contextmanager
def unchanged(model: Any) -> Iterator[Any]:
    """Yields a function that restores a model to its present bits, which also happens at the end."""
    from keras.src.backend.common import global_state

    shared = global_state.get_global_attribute("global_seed_generator")
    states = [
        state
        for layer in model._flatten_layers()
        for state in getattr(layer, "states", None) or ()
        if hasattr(state, "assign")
    ]
    optimizer = getattr(model, "optimizer", None)
    tensors = [
        *model.variables,
        *model.metrics_variables,
        *(optimizer.variables if optimizer else ()),
        *states,
    ]
    tensors += [shared.state] if shared else []
    variables = list({id(variable): variable for variable in tensors}.values())
    values = [np.array(variable.numpy()) for variable in variables]
    attributes = {name: getattr(model, name, None) for name in ("history", "stop_training")}

    def put_back():
        for variable, value in zip(variables, values, strict=True):
            variable.assign(value)

    try:
        yield put_back
    finally:
        put_back()
        for name, value in attributes.items():
            setattr(model, name, value)
