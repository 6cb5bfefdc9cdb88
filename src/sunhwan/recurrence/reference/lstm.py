"""LSTM: one timestep and, right under it, its gradient.

    i  = recurrent_activation(x Ki + h Ui + bi)                 input: how much of the candidate enters
    f  = recurrent_activation(x Kf + h Uf + bf)                 forget: how much of c stays
    g  = activation(x Kc + h Uc + bc)                           candidate
    o  = recurrent_activation(x Ko + h Uo + bo)                 output: how much of c' shows
    c' = f * c + i * g
    h' = o * activation(c')

S. Hochreiter and J. Schmidhuber (1997), "Long short-term memory", Neural Computation 9(8), 1735-1780; the
forget gate is of F. A. Gers, J. Schmidhuber and F. Cummins (2000), "Learning to forget: continual prediction
with LSTM", Neural Computation 12(10), 2451-2471.
`step` and `step_gradient` have the signature that `simple_rnn` documents.
"""

import numpy as np


def step(x, h, states, weights, activation, recurrent_activation):
    """One timestep forward."""
    kernel, recurrent_kernel, (bias,) = weights
    _, c = states
    i_sum, f_sum, candidate_sum, o_sum = x @ kernel + h @ recurrent_kernel + bias
    i, f, o = recurrent_activation(i_sum), recurrent_activation(f_sum), recurrent_activation(o_sum)
    candidate = activation(candidate_sum)
    new_c = f * c + i * candidate
    shown_c = activation(new_c)
    return (o * shown_c, new_c), (i, f, candidate, o, shown_c)


def step_gradient(d_states, x, h, states, kept, weights, activation, recurrent_activation):
    """The same timestep backward."""
    kernel, recurrent_kernel, _ = weights
    _, c = states
    d_new_h, d_new_c = d_states
    i, f, candidate, o, shown_c = kept

    d_new_c = d_new_c + d_new_h * o * activation.derivative(shown_c)
    d_i = d_new_c * candidate * recurrent_activation.derivative(i)
    d_f = d_new_c * c * recurrent_activation.derivative(f)
    d_candidate = d_new_c * i * activation.derivative(candidate)
    d_o = d_new_h * shown_c * recurrent_activation.derivative(o)
    d_sums = np.stack([d_i, d_f, d_candidate, d_o])

    d_previous = np.stack([np.zeros_like(d_new_h), d_new_c * f])
    d_bias = d_sums.sum(axis=1, keepdims=True)[np.newaxis]
    d_weights = x.mT @ d_sums, h.mT @ d_sums, d_bias
    return d_sums @ kernel.mT, d_sums @ recurrent_kernel.mT, d_previous, d_weights
