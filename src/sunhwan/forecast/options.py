"""The options of training a forecast, and their defaults, which the command and `Forecaster` share.

Nothing heavy is imported, since `sunhwan forecast --help` shows them.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from sunhwan.training.cells import check_cell


@dataclass(frozen=True)
class Settings:
    """The structure of a network, and how it is trained.

    Attributes:
        cell: out of `cells.CELLS`.
        units: of each recurrent layer; there are `layers` of them.
        relative: whether windows are read relative to their last row, so that levels which did not occur in
            training do not mislead (the idea of reversible instance normalisation, Kim et al., ICLR 2022).
        dropout: of each recurrent layer's inputs, one mask for all timesteps, and of the dense layer's.
        recurrent_dropout: of its states (Gal and Ghahramani 2016).
        dense: units of the layer before the last.
        learning_rate: of Adam, halved when the validation loss no longer falls.
        epochs: at most.
        patience: epochs without a lower loss after which training ends.
    """

    cell: str = "gru"
    units: int = 32
    layers: int = 1
    relative: bool = False
    dropout: float = 0.1
    recurrent_dropout: float = 0.0
    dense: int = 64
    learning_rate: float = 1e-3
    epochs: int = 20
    patience: int = 3

    def __post_init__(self) -> None:
        check_cell(self.cell)


@dataclass(frozen=True)
class Options:
    """How a forecast model is trained.

    Attributes:
        settings: of the networks.
        seeds: networks that are averaged.
        level: the share of actual values that intervals should cover.
        relative: whether windows are read relative to their last row; None where validation chooses.
    """

    settings: Settings = field(default_factory=Settings)
    seeds: int = 2
    level: float = 0.8
    relative: bool | None = None
