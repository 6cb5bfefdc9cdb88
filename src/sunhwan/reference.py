"""The NumPy reference under a short name: `from sunhwan.reference import forward, backward, CELLS`.

It is defined in `sunhwan.recurrence.reference`, whose documentation has an example.
"""

from sunhwan.recurrence.reference import (
    CELLS,
    ForwardPass,
    Gradients,
    backward,
    forward,
    gru,
    lstm,
    simple_rnn,
)

__all__ = ["CELLS", "ForwardPass", "Gradients", "backward", "forward", "gru", "lstm", "simple_rnn"]
