"""The recurrence composed of JAX's own operations, differentiable any number of times and in either mode.

`sunhwan.recurrence.ops.jax` uses it in programs that cannot call the kernels: exported ones, those on another
platform than the CPU, and those with a derivative that the kernels do not have. The timestep is the
reference's, which runs on JAX's arrays as on NumPy's; the loop is like Keras's own on JAX.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

from sunhwan.recurrence.ops.options import Options
from sunhwan.recurrence.reference.recurrence import MODULES

ACTIVATIONS = {
    "linear": lambda x: x,
    "relu": jax.nn.relu,
    "tanh": jnp.tanh,
    "sigmoid": jax.nn.sigmoid,
    "hard_sigmoid": jax.nn.hard_sigmoid,
}


def recurrence(options: Options, **arrays: jax.Array) -> tuple[jax.Array, jax.Array]:
    """As `sunhwan.recurrence.ops.jax.recurrence`, for arrays of one floating type and a mask of booleans."""
    inputs, units, gates = arrays["inputs"], arrays["recurrent_kernel"].shape[0], len(options.row.gates)
    batch, _, features = inputs.shape
    bias_shape = options.row.weight_shapes(features, units, reset_after=options.reset_after)[2]
    # As in the reference: an axis for the gates, and values that change nothing for what is not given.
    weights = (
        arrays["kernel"].reshape(features, gates, units).swapaxes(0, 1),
        arrays["recurrent_kernel"].reshape(units, gates, units).swapaxes(0, 1),
        arrays.get("bias", jnp.zeros(bias_shape, inputs.dtype)).reshape(-1, gates, 1, units),
    )
    dropout_mask, recurrent_dropout_mask = (
        arrays.get("dropout_mask", 1),
        arrays.get("recurrent_dropout_mask", 1),
    )
    activations = ACTIVATIONS[options.activation], ACTIVATIONS[options.recurrent_activation]

    def timestep(states, now):
        x, present, shown = now
        x, h = dropout_mask * x[jnp.newaxis], recurrent_dropout_mask * states[:1]
        new_states, _ = MODULES[options.cell].step(x, h, states, weights, *activations)
        new = jnp.stack(new_states)
        if present is not None:
            new = jnp.where(present, new, states)
        return new, new[0] if shown is None else jnp.where(shown, new[0], 0)

    present = shown = None
    if "mask" in arrays:
        present = arrays["mask"].T[:, :, jnp.newaxis]
        if options.zero_output_for_mask:
            shown = present
        elif options.zero_before_data:
            shown = jax.lax.cummax(present.astype(jnp.int8), reverse=options.go_backwards) > 0
    zeros = jnp.zeros((len(options.row.states), batch, units), inputs.dtype)
    states, outputs = jax.lax.scan(
        timestep,
        arrays.get("initial_state", zeros),
        (inputs.swapaxes(0, 1), present, shown),
        reverse=options.go_backwards,
    )
    if options.go_backwards:
        outputs = jnp.flip(outputs, axis=0)  # into the order of reading
    return outputs.swapaxes(0, 1) if options.return_sequences else outputs[-1], states
