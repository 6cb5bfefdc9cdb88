"""GRU: one timestep and, right under it, its gradient.

    z  = recurrent_activation(x Kz + h Uz + bz)                 update: how much of h stays
    r  = recurrent_activation(x Kr + h Ur + br)                 reset: how much of h the candidate sees
    c  = activation(x Kh + bh + (r * h) Uh)                     candidate, reset before the product, or
    c  = activation(x Kh + bh + r * (h Uh + b'h))               candidate, reset after it (Keras's default)
    h' = z * h + (1 - z) * c

K. Cho et al. (2014), "Learning phrase representations using RNN encoder-decoder for statistical machine
translation", arXiv:1406.1078. Its version 1 resets after the product and its version 3 before.
`step` and `step_gradient` have the signature that `simple_rnn` documents.
"""

import numpy as np


def step(x, h, states, weights, activation, recurrent_activation):
    """One timestep forward."""
    kernel, recurrent_kernel, bias = weights
    (previous,) = states
    x_z, x_r, x_candidate = x @ kernel + bias[0]
    if resets_after(bias):
        h_z, h_r, h_candidate = h @ recurrent_kernel + bias[1]
        z, r = recurrent_activation(x_z + h_z), recurrent_activation(x_r + h_r)
        candidate = activation(x_candidate + r * h_candidate)
    else:
        h_z, h_r = h[:2] @ recurrent_kernel[:2]
        z, r = recurrent_activation(x_z + h_z), recurrent_activation(x_r + h_r)
        # h[-1] is the candidate's own copy of h where each gate has one, else the one for all.
        h_candidate = (r * h[-1]) @ recurrent_kernel[2]
        candidate = activation(x_candidate + h_candidate)
    kept = z, r, candidate, h_candidate
    return (z * previous + (1 - z) * candidate,), kept


def step_gradient(d_states, x, h, states, kept, weights, activation, recurrent_activation):
    """The same timestep backward."""
    kernel, recurrent_kernel, bias = weights
    (previous,), (d_new,) = states, d_states
    z, r, candidate, candidate_h_sum = kept

    d_candidate = d_new * (1 - z) * activation.derivative(candidate)
    d_z = d_new * (previous - candidate) * recurrent_activation.derivative(z)
    if resets_after(bias):
        d_r = d_candidate * candidate_h_sum * recurrent_activation.derivative(r)
        d_x_sum = np.stack([d_z, d_r, d_candidate])
        d_h_sum = np.stack([d_z, d_r, d_candidate * r])
        d_h = d_h_sum @ recurrent_kernel.mT
        d_recurrent_kernel = h.mT @ d_h_sum
        d_bias = np.stack([d_x_sum, d_h_sum]).sum(axis=2, keepdims=True)
    else:
        d_reset_h = d_candidate @ recurrent_kernel[2].T
        d_r = d_reset_h * h[-1] * recurrent_activation.derivative(r)
        d_x_sum = np.stack([d_z, d_r, d_candidate])
        d_h = np.concatenate([d_x_sum[:2] @ recurrent_kernel[:2].mT, [d_reset_h * r]])
        d_recurrent_kernel = np.concatenate([h[:2].mT @ d_x_sum[:2], [(r * h[-1]).T @ d_candidate]])
        d_bias = d_x_sum.sum(axis=1, keepdims=True)[np.newaxis]
    d_previous = (d_new * z)[np.newaxis]
    return d_x_sum @ kernel.mT, d_h, d_previous, (x.mT @ d_x_sum, d_recurrent_kernel, d_bias)


def resets_after(bias):
    """Whether the reset gate acts after the product: then, and only then, the bias has two rows."""
    return len(bias) == 2
