"""What tells windows of sensor readings apart: networks and simpler models, weighed by validation.

                              .--> networks ---------------------------.
    rows --> scaled, filled --+--> statistics --> logistic regression -+--> weighed sum --> probabilities
                              '--> MiniRocket, if it is installed -----'

`fit` trains each member on the training recordings, lets validation choose epochs, penalties and weights, and
then trains them once more on both parts. What was trained is plain arrays: a run predicts by NumPy and the
kernels, without what MiniRocket is trained by.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from sunhwan.baselines import minirocket, summaries
from sunhwan.baselines.minirocket import MiniRocket
from sunhwan.baselines.ngrams import chosen
from sunhwan.baselines.summaries import Summaries, statistics
from sunhwan.classify.ensemble import RECURRENT, Combined, Fitted, KeptNetwork, under, weigh
from sunhwan.classify.recordings import network as recording_network
from sunhwan.classify.recordings.network import RecordingNetwork, Settings
from sunhwan.data import recordings
from sunhwan.data.features.encoder import Encoder
from sunhwan.data.recordings import Sequences
from sunhwan.data.table import Table

SUMMARY, MINIROCKET = "summary", "minirocket"

STATISTICS = ("mean", "std", "weights", "bias")
"""The arrays of `Summaries`."""

WORTH = {SUMMARY: 0.005, RECURRENT: 0.005, MINIROCKET: 0.005}
"""By how much of the validation loss a member must lower it; see `combined.mixture`."""

MOST_ROCKETS = 4_000
"""Recordings from which MiniRocket learns; of more, as many at random: time grows as their number cubed."""


@dataclass(frozen=True)
class Options:
    """How a classifier is trained.

    Attributes:
        settings: of the networks.
        seeds: networks that are averaged.
        features: the columns that are read; none for all that can serve.
    """

    settings: Settings = field(default_factory=Settings)
    seeds: int = 2
    features: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Members:
    """Trained models of the same recordings.

    Attributes:
        recipe: how rows become what they read.
        summary: logistic regression on statistics, or None.
        networks: whose logits are averaged, or none.
        rocket: MiniRocket, or None.
    """

    recipe: Encoder
    summary: Summaries | None
    networks: tuple[RecordingNetwork, ...]
    rocket: MiniRocket | None = None

    def told(self, rows: Table) -> dict[str, np.ndarray]:
        """(recordings, classes) float64 logits of each."""
        found, _ = Sequences.of(rows, self.recipe)
        return self.logits(found)

    def logits(self, found: Sequences) -> dict[str, np.ndarray]:
        """(recordings, classes) float64 of each member."""
        said = {}
        if self.networks:
            said[RECURRENT] = np.mean([network.logits(found) for network in self.networks], axis=0)
        if self.rocket:
            said[MINIROCKET] = self.rocket.logits(found.values, found.offsets)
        if self.summary:
            said[SUMMARY] = self.summary.logits(statistics(found.values, found.offsets))
        return {name: np.asarray(logits, np.float64) for name, logits in said.items()}

    def as_kept(self) -> tuple[dict, dict[str, np.ndarray]]:
        """See `combined.Members`."""
        one, arrays = self.summary, {}
        if self.rocket:
            arrays |= {f"minirocket_{name}": array for name, array in self.rocket.as_arrays().items()}
        if one:
            arrays |= {f"summary_{name}": getattr(one, name) for name in STATISTICS}
        model = {
            "recipe": self.recipe.to_dict(),
            "summary": {"strength": one.strength} if one else None,
            "minirocket": self.rocket is not None,
        }
        return model, arrays

    @classmethod
    def from_kept(
        cls, model: Mapping, arrays: Mapping[str, np.ndarray], networks: Sequence[KeptNetwork], classes: int
    ) -> Members:
        """See `combined.Members`."""
        recipe, summary, rocket = Encoder.from_dict(model["recipe"]), None, None
        if model["summary"]:
            parts = [arrays[f"summary_{name}"] for name in STATISTICS]
            summary = Summaries(*parts, float(model["summary"]["strength"]))
        if model["minirocket"]:
            rocket = MiniRocket.from_arrays(under("minirocket_", arrays))
        features = len(recipe.names)
        trained = tuple(RecordingNetwork.from_kept(*one, features) for one in networks)
        return cls(recipe, summary, trained, rocket)

    def nothing(self) -> dict[str, np.ndarray]:
        """See `combined.Members`."""
        readings = np.zeros((2, len(self.recipe.names)), np.float32)
        return self.logits(Sequences(readings, np.array([0, 2])))

    def only(self, names: Sequence[str]) -> Members:
        """Those of these names."""
        return replace(
            self,
            summary=self.summary if SUMMARY in names else None,
            networks=self.networks if RECURRENT in names else (),
            rocket=self.rocket if MINIROCKET in names else None,
        )


class RecordingClassifier(Combined):
    """A trained classifier of recordings, given as the rows of a `Table`."""

    members: Members
    kind = Members


def fit(
    rows: Table, labels: np.ndarray, classes: Sequence[str], held: np.ndarray, options: Options, watcher
) -> Fitted:
    """Train a classifier.

    Args:
        rows: of n recordings.
        labels: (n,) integers, an index into `classes`.
        classes: two or more; every one is among the recordings that are held and those that are not.
        held: (n,) bool, which recordings are validation.
        options: of training.
        watcher: told how it goes.

    Raises:
        SunhwanError: no column can be learnt from.
    """
    count, settings, notes = len(classes), options.settings, []
    watcher.begin("baselines", 1, 1)
    recipe, _ = recordings.learn(rows, options.features, ~held[rows.series])
    (train, _), (val, _) = (Sequences.of(recordings.taken(rows, part), recipe) for part in (~held, held))
    truth = labels[held]
    found, val_found = (statistics(some.values, some.offsets) for some in (train, val))
    summary = chosen(summaries.fit, found, labels[~held], val_found, truth, count)
    rocket = rocket_of(train, labels[~held])
    if rocket is None:
        notes.append(
            'MiniRocket, a strong rival, is not installed; pip install "sunhwan[minirocket]" adds it'
        )
    trained = [
        recording_network.train(
            train, labels[~held], count, settings, seed, watcher, (val, truth), f"network {seed + 1}"
        )
        for seed in range(options.seeds)
    ]
    said = Members(recipe, summary, tuple(one.network for one in trained), rocket).logits(val)
    weighed = weigh(said, truth, WORTH)
    # Once more on all recordings: a quarter more of them is worth more than what validation could still tell.
    watcher.begin("baselines on all recordings", 1, 1)
    recipe, met = recordings.learn(rows, options.features, np.ones(len(rows), bool))
    both, _ = Sequences.of(rows, recipe)
    summary = summaries.fit(statistics(both.values, both.offsets), labels, count, summary.strength)
    networks = tuple(
        recording_network.train(
            both,
            labels,
            count,
            replace(settings, epochs=one.epochs),
            seed,
            watcher,
            name=f"network {seed + 1} on all recordings",
        ).network
        for seed, one in enumerate(trained)
    )
    members = Members(recipe, summary, networks, rocket and rocket_of(both, labels))
    notes += met
    if rocket and len(both) > MOST_ROCKETS:
        notes.append(f"MiniRocket learns from {MOST_ROCKETS:,} of the {len(both):,} recordings")
    if networks[0].step > 1:
        notes.append(
            f"recordings are long: the network reads the means of {networks[0].step} rows each; "
            "the baselines read all rows"
        )
    cut = float((both.thinned(networks[0].step).lengths > networks[0].length).mean())
    if cut > 0:
        notes.append(
            f"of the {cut:.1%} of recordings with more than {networks[0].length * networks[0].step:,} rows "
            "the network reads the beginning"
        )
    return Fitted(
        RecordingClassifier(tuple(classes), members.only(list(weighed.weights)), weighed.weights),
        members,
        weighed,
        np.bincount(labels, minlength=count) / len(labels),
        tuple({"network": seed, **row} for seed, one in enumerate(trained) for row in one.history),
        tuple(notes),
    )


def rocket_of(some: Sequences, labels: np.ndarray) -> MiniRocket | None:
    """MiniRocket, learnt from these recordings, or None where it is not installed."""
    if not minirocket.installed():
        return None
    if len(some) > MOST_ROCKETS:
        kept = np.sort(np.random.default_rng(0).choice(len(some), MOST_ROCKETS, replace=False))
        rows = np.concatenate([np.arange(some.offsets[i], some.offsets[i + 1]) for i in kept])
        some = Sequences(some.values[rows], np.append(0, np.cumsum(some.lengths[kept])))
        labels = labels[kept]
    return minirocket.fit(some.values, some.offsets, labels)
