"""SimpleRNN, GRU and LSTM in plain NumPy, forward and backward through time: to read and to test against.

Each cell has a file (`simple_rnn`, `gru`, `lstm`) with one timestep and, right under it, its gradient;
`recurrence` has the loop over time, the masks and the direction; `activations` has the functions. Gate order,
weight shapes, padding masks and dropout masks are Keras's, so its weights can be used unchanged.

Example: a SimpleRNN is this loop over time.
    >>> import numpy as np
    >>> from sunhwan.reference import forward
    >>> rng = np.random.default_rng(0)
    >>> timesteps, input_features, output_features = 100, 32, 64
    >>> inputs = rng.random((timesteps, input_features))
    >>> state_t = np.zeros(output_features)
    >>> W = rng.random((output_features, input_features))
    >>> U = rng.random((output_features, output_features))
    >>> b = rng.random(output_features)
    >>> successive_outputs = []
    >>> for input_t in inputs:
    ...     output_t = np.tanh(np.dot(W, input_t) + np.dot(U, state_t) + b)
    ...     successive_outputs.append(output_t)
    ...     state_t = output_t
    >>> final_output_sequence = np.stack(successive_outputs, axis=0)

    A single sequence is a batch of one, and a kernel has a column per unit where W has a row:
    >>> run = forward("simple_rnn", inputs[np.newaxis], [W.T, U.T, b], return_sequences=True)
    >>> run.output[0].shape
    (100, 64)

    Weights that are all positive drive every unit towards 1, so compare to the last digits:
    >>> bool(np.abs(run.output[0] - final_output_sequence).max() < 1e-15)
    True
"""

from sunhwan.recurrence.cells import CELLS
from sunhwan.recurrence.reference import gru, lstm, simple_rnn
from sunhwan.recurrence.reference.recurrence import ForwardPass, Gradients, backward, forward

__all__ = ["CELLS", "ForwardPass", "Gradients", "backward", "forward", "gru", "lstm", "simple_rnn"]
