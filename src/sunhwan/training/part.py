"""What a network is trained and scored on."""

from __future__ import annotations

from typing import Protocol

import numpy as np


class Part(Protocol):
    """Numbered examples that are gathered batch by batch; `studies.problem.Examples` is one kind."""

    def __len__(self) -> int: ...

    def gather(self, index: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Inputs (batch, ...) and targets (batch,) of the examples numbered `index`."""
        ...

    @property
    def truth(self) -> np.ndarray:
        """(examples,) every target in order."""
        ...
