"""A classifier of recordings of sensors: networks and simpler models, weighted by validation.

    rows --> scaled, gaps filled --+--> networks
                                   +--> statistics --> logistic regression
                                   '--> MiniRocket, if it is installed

Prediction needs no framework and no sktime.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from sunhwan.baselines import minirocket
from sunhwan.baselines.minirocket import MiniRocket
from sunhwan.baselines.names import NETWORK
from sunhwan.baselines.summaries import Summary
from sunhwan.classify.ensemble import Ensemble, Members
from sunhwan.classify.recordings.network import RecordingNetwork, RecordingTrainer, Settings
from sunhwan.data import recordings
from sunhwan.data.features.encoder import Encoder
from sunhwan.data.ragged import Ragged
from sunhwan.data.table import Table


@dataclass(frozen=True)
class Options:
    """How a classifier is trained.

    Attributes:
        settings: of the networks.
        seeds: networks that are averaged.
        features: the columns that are read; none for every usable column.
    """

    settings: Settings = field(default_factory=Settings)
    seeds: int = 2
    features: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class RecordingEncoder:
    """How rows of recordings become what the members read.

    Attributes:
        recipe: learnt from training rows.
    """

    recipe: Encoder

    @classmethod
    def learn(
        cls, examples: Table, training: np.ndarray, options: Options
    ) -> tuple[RecordingEncoder, Ragged, list[str]]:
        """See `ensemble.Encoder`.

        Raises:
            SunhwanError: no column is usable.
        """
        recipe, notes = recordings.learn(examples, options.features, training[examples.series])
        encoder = cls(recipe)
        return encoder, encoder.select(examples, training), notes

    def select(self, examples: Table, chosen: np.ndarray) -> Ragged:
        return recordings.encode(recordings.taken(examples, chosen), self.recipe)[0]

    def portions(self, examples: Table) -> Iterator[Ragged]:
        yield recordings.encode(examples, self.recipe)[0]

    def empty(self) -> Ragged:
        return Ragged(np.zeros((2, len(self.recipe.names)), np.float32), np.array([0, 2]))

    def to_dict(self) -> dict:
        return {"recipe": self.recipe.to_dict()}

    def to_arrays(self) -> dict[str, np.ndarray]:
        return {}

    @classmethod
    def from_dict(cls, saved: Mapping, arrays: Mapping[str, np.ndarray]) -> RecordingEncoder:
        return cls(Encoder.from_dict(saved["recipe"]))


class RecordingClassifier(Ensemble):
    """A trained classifier of recordings, given as the rows of a `Table`."""

    noun = "recordings"
    encoder, network, trainer = RecordingEncoder, RecordingNetwork, RecordingTrainer
    baselines: ClassVar = {"minirocket": MiniRocket, "summary": Summary}
    worth: ClassVar = {"summary": 0.005, NETWORK: 0.005, "minirocket": 0.005}

    @staticmethod
    def notes(members: Members, inputs: Ragged) -> list[str]:
        notes, network = [], members.networks[0]
        if "minirocket" in members.baselines and len(inputs) > minirocket.MOST:
            notes.append(f"MiniRocket learns from {minirocket.MOST:,} of the {len(inputs):,} recordings")
        if network.step > 1:
            notes.append(
                f"recordings are long: the network reads means of {network.step} rows each; the baselines "
                "read all rows"
            )
        longer = float((network.read(inputs).lengths > network.length).mean())
        if longer:
            notes.append(
                f"the network reads only the beginning of the {longer:.1%} of recordings with more than "
                f"{network.length * network.step:,} rows"
            )
        return notes
