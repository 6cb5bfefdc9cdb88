"""Classifiers that are ensembles: networks and baselines, each weighted by what it gains on validation.

    examples --encoder--> inputs --+--> networks ---.
                                   |                +--> weighted sum of logits --> softmax --> probabilities
                                   '--> baselines --'

The weights replace a temperature: they are the ones that make the labels of validation most likely, so the
probabilities are calibrated. Texts (`texts/classifier.py`) and recordings (`recordings/classifier.py`) each
have an encoder, a network and baselines of their own. Prediction needs no framework.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Protocol, Self

import numpy as np
from scipy.optimize import minimize
from scipy.special import log_softmax, logsumexp, softmax

from sunhwan import rundir
from sunhwan.baselines.classifiers import Baseline
from sunhwan.baselines.names import NETWORK
from sunhwan.classify.network import Network
from sunhwan.classify.training import Trainer
from sunhwan.data.ragged import Ragged

NOTHING = 1e-3
"""A gain in validation loss that is not worth a member, in nats, where hardly any loss is left."""

HEAVIEST = 10.0
"""The largest weight: validation without a mistake would favour ever more confidence."""


class Encoder(Protocol):
    """What was learnt of training examples, by which examples become the inputs of all members."""

    @classmethod
    def learn(cls, examples: Any, training: np.ndarray, options: Any) -> tuple[Self, Ragged, list[str]]:
        """Learn from the examples where `training`, (examples,) bool.

        Returns:
            The encoder, the inputs of those examples, and notes.
        """
        ...

    def select(self, examples: Any, chosen: np.ndarray) -> Ragged:
        """The inputs of the examples where `chosen`, (examples,) bool."""
        ...

    def portions(self, examples: Any) -> Iterator[Ragged]:
        """The inputs of all examples, some at a time, in memory that does not grow with the examples."""
        ...

    def empty(self) -> Ragged:
        """The inputs of one empty example."""
        ...

    def to_dict(self) -> dict: ...

    def to_arrays(self) -> dict[str, np.ndarray]:
        """What only the baselines need."""
        ...

    @classmethod
    def from_dict(cls, saved: Mapping, arrays: Mapping[str, np.ndarray]) -> Self: ...


@dataclass(frozen=True, eq=False)
class Members:
    """Trained models of the same inputs.

    Attributes:
        encoder: makes the inputs.
        baselines: by name.
        networks: whose logits are averaged; there may be none.
    """

    encoder: Encoder
    baselines: Mapping[str, Baseline]
    networks: tuple[Network, ...]

    def logits(self, inputs: Ragged) -> dict[str, np.ndarray]:
        """(examples, classes) float64 of each member."""
        logits = {}
        if self.networks:
            logits[NETWORK] = np.mean([network.logits(inputs) for network in self.networks], axis=0)
        logits |= {name: baseline.logits(inputs) for name, baseline in self.baselines.items()}
        return {name: np.asarray(each, np.float64) for name, each in logits.items()}

    def predict(self, examples: Any) -> dict[str, np.ndarray]:
        """`logits` of examples that are not encoded yet."""
        portions = [self.logits(inputs) for inputs in self.encoder.portions(examples)]
        return {name: np.concatenate([portion[name] for portion in portions]) for name in portions[0]}

    def only(self, names: Sequence[str]) -> Members:
        """The members of these names."""
        return replace(
            self,
            baselines={name: model for name, model in self.baselines.items() if name in names},
            networks=self.networks if NETWORK in names else (),
        )


@dataclass(frozen=True, eq=False)
class Ensemble:
    """A trained classifier; loads no Keras and no framework.

    Attributes:
        classes: their names, in the order of all arrays.
        members: what it consists of.
        weights: by member, what its logits are multiplied by before they are added up.
    """

    classes: tuple[str, ...]
    members: Members
    weights: Mapping[str, float]

    noun: ClassVar[str]
    """What people call the examples."""
    encoder: ClassVar[type[Encoder]]
    network: ClassVar[type[Network]]
    trainer: ClassVar[Callable[[Ragged, Any], Trainer]]
    baselines: ClassVar[Mapping[str, type[Baseline]]]
    """In the order in which scores are shown."""
    worth: ClassVar[Mapping[str, float]]
    """See `mixture`."""

    @staticmethod
    def notes(members: Members, inputs: Ragged) -> list[str]:
        """What users may want to know of trained members; `inputs` are all that they learnt from."""
        raise NotImplementedError

    def predict_proba(self, examples: Any) -> np.ndarray:
        """(examples, classes) float64, whose rows add up to one."""
        return softmax(self.logits(examples), axis=1)

    def predict(self, examples: Any) -> list[str]:
        """The likeliest class of each example."""
        return [self.classes[k] for k in self.logits(examples).argmax(axis=1)]

    def logits(self, examples: Any) -> np.ndarray:
        """(examples, classes) float64, whose softmax is `predict_proba`."""
        return self.combined(self.members.predict(examples))

    def logits_of(self, inputs: Ragged) -> np.ndarray:
        """`logits` of examples that the encoder has encoded."""
        return self.combined(self.members.logits(inputs))

    def combined(self, logits: Mapping[str, np.ndarray]) -> np.ndarray:
        """The ensemble's logits (examples, classes) from those of its members."""
        return sum(weight * np.asarray(logits[name], np.float64) for name, weight in self.weights.items())

    def to_dict(self) -> dict:
        """For JSON: all but the arrays."""
        return {
            "kind": self.noun,
            "classes": list(self.classes),
            "weights": {name: float(weight) for name, weight in self.weights.items()},
            "networks": [network.to_dict() for network in self.members.networks],
            "baselines": list(self.members.baselines),
            **self.members.encoder.to_dict(),
        }

    def to_arrays(self) -> dict[str, np.ndarray]:
        """All arrays, by name."""
        members = self.members
        arrays = members.encoder.to_arrays() if members.baselines else {}
        parts = {f"network_{number}_": network.weights for number, network in enumerate(members.networks)}
        parts |= {f"{name}_": baseline.to_arrays() for name, baseline in members.baselines.items()}
        return arrays | {start + name: array for start, part in parts.items() for name, array in part.items()}

    @classmethod
    def from_dict(cls, model: Mapping, arrays: Mapping[str, np.ndarray]) -> Self:
        """What `to_dict` and `to_arrays` gave.

        Raises:
            SunhwanError: something is missing, or of another shape.
        """
        with rundir.reading("classifier"):
            classes = tuple(model["classes"])
            networks = tuple(
                cls.network.from_dict(saved, under(f"network_{number}_", arrays))
                for number, saved in enumerate(model["networks"])
            )
            baselines = {
                name: kind.from_arrays(under(f"{name}_", arrays))
                for name, kind in cls.baselines.items()
                if name in model["baselines"]
            }
            members = Members(cls.encoder.from_dict(model, arrays), baselines, networks)
            weights = {name: float(weight) for name, weight in model["weights"].items()}
            logits = members.logits(members.encoder.empty())
            if not weights or set(weights) != set(logits):
                raise ValueError(f"weights of {sorted(weights)} for {sorted(logits)}")
            if any(each.shape != (1, len(classes)) for each in logits.values()):
                raise ValueError(f"{len(classes)} classes, but members of others")
        return cls(classes, members, weights)


def under(start: str, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The arrays whose names begin with `start`, by the rest of their names.

    Example:
        >>> under("one_", {"one_bias": np.zeros(1), "two_bias": np.ones(1)})
        {'bias': array([0.])}
    """
    return {name.removeprefix(start): array for name, array in arrays.items() if name.startswith(start)}


@dataclass(frozen=True)
class Weighed:
    """What each member gains on validation.

    Attributes:
        weights: of the members that are used.
        temperatures: by member.
        validation: by member and for `model`, loss and accuracy.
    """

    weights: Mapping[str, float]
    temperatures: Mapping[str, float]
    validation: Mapping[str, Mapping[str, float]]


@dataclass(frozen=True)
class Fitted:
    """What training gave.

    Attributes:
        classifier: what predicts, with only the members that it uses.
        members: all of them, trained on training and validation examples, baselines included.
        weighed: by validation, before the members were trained once more on its examples.
        majority: (classes,) shares of the training and validation examples.
        history: a row for each network and epoch.
        notes: what users may want to know, in sentences.
    """

    classifier: Ensemble
    members: Members
    weighed: Weighed
    majority: np.ndarray
    history: tuple[dict, ...]
    notes: tuple[str, ...]


def fit(
    kind: type[Ensemble],
    examples: Any,
    labels: np.ndarray,
    classes: Sequence[str],
    validation: np.ndarray,
    options: Any,
    watcher,
) -> Fitted:
    """Train a classifier.

    Each member is trained on the training examples; validation chooses epochs, penalties and weights; then
    each is trained once more on both parts.

    Args:
        kind: of classifier.
        examples: n of them.
        labels: (n,) integers, an index into `classes`.
        classes: two or more; every class occurs in both parts.
        validation: (n,) bool, which examples are validation.
        options: of training, with `settings` of the networks and `seeds`, how many there are.
        watcher: notified of the progress.

    Raises:
        SunhwanError: the training examples have nothing to learn from.
    """
    count, settings, seeds = len(classes), options.settings, range(options.seeds)
    absent = {name: baseline.missing() for name, baseline in kind.baselines.items()}
    available = {name: baseline for name, baseline in kind.baselines.items() if not absent[name]}
    watcher.begin("baselines", 1, 1)
    encoder, train, _ = kind.encoder.learn(examples, ~validation, options)
    held_out = encoder.select(examples, validation)
    train_labels, choosing = labels[~validation], (held_out, labels[validation])
    baselines = {
        name: baseline.fit(train, train_labels, count, choosing) for name, baseline in available.items()
    }
    trainer = kind.trainer(train, settings)
    trained = [
        trainer.train(train_labels, count, seed, watcher, choosing, f"network {seed + 1}") for seed in seeds
    ]
    members = Members(encoder, baselines, tuple(result.network for result in trained))
    weighed = weigh(members.logits(held_out), labels[validation], kind.worth)
    # Once more on all examples: a quarter more of them is worth more than what validation could still show.
    watcher.begin(f"baselines on all {kind.noun}", 1, 1)
    encoder, inputs, notes = kind.encoder.learn(examples, np.ones(len(labels), bool), options)
    baselines = {name: baseline.refit(inputs, labels, count) for name, baseline in baselines.items()}
    trainer = kind.trainer(inputs, settings)
    networks = tuple(
        trainer.train(
            labels,
            count,
            seed,
            watcher,
            name=f"network {seed + 1} on all {kind.noun}",
            epochs=trained[seed].epochs,
        ).network
        for seed in seeds
    )
    members = Members(encoder, baselines, networks)
    return Fitted(
        kind(tuple(classes), members.only(list(weighed.weights)), weighed.weights),
        members,
        weighed,
        np.bincount(labels, minlength=count) / len(labels),
        tuple({"network": seed, **row} for seed in seeds for row in trained[seed].history),
        (*filter(None, absent.values()), *notes, *kind.notes(members, inputs)),
    )


def weigh(logits: Mapping[str, np.ndarray], labels: np.ndarray, worth: Mapping[str, float]) -> Weighed:
    """What each member gains on validation examples.

    Args:
        logits: (examples, classes) of each member.
        labels: (examples,) integers.
        worth: see `mixture`.
    """
    from sunhwan.evaluation.metrics import fit_temperature, negative_log_likelihood

    weights = mixture(logits, labels, worth)
    temperatures = {name: fit_temperature(each, labels).value for name, each in logits.items()}
    calibrated = {name: each / temperatures[name] for name, each in logits.items()}
    calibrated["model"] = sum(weight * logits[name] for name, weight in weights.items())
    validation = {
        name: {
            "loss": negative_log_likelihood(each, labels),
            "accuracy": float((each.argmax(axis=1) == labels).mean()),
        }
        for name, each in calibrated.items()
    }
    return Weighed(weights, temperatures, validation)


def mixture(
    logits: Mapping[str, np.ndarray], labels: np.ndarray, worth: Mapping[str, float]
) -> dict[str, float]:
    """The weights of members, by the likelihood of validation labels, without those that gain too little.

    A pull towards equal weights counts as much as one example would, so that a few do not decide alone.

    Args:
        logits: (examples, classes) of each member.
        labels: (examples,) integers.
        worth: the share of the loss by which a member must lower it: each makes predictions slower, and a
            smaller gain may be chance. Members are tried without in this order.

    Example: the second member knows nothing, the first is far too confident.
        >>> labels = np.array([0, 0, 0, 1] * 50)
        >>> sure = np.array([[9.0, 0.0]] * 200)
        >>> weights = mixture({"nb_svm": sure, "network": np.zeros((200, 2))}, labels, {"network": 0.01})
        >>> {name: round(weight, 2) for name, weight in weights.items()}
        {'nb_svm': 0.12}
    """

    def fitted(names: list[str]) -> tuple[np.ndarray, float]:
        stacked = np.stack([np.asarray(logits[name], np.float64) for name in names])
        stacked -= logsumexp(stacked, axis=2, keepdims=True)
        rows = np.arange(len(labels))

        def loss(weights: np.ndarray) -> tuple[float, np.ndarray]:
            log_p = log_softmax(np.tensordot(weights, stacked, axes=1), axis=1)
            towards = np.exp(log_p)
            towards[rows, labels] -= 1
            pull = weights - 1 / len(names)
            gradient = (stacked * towards).sum(axis=2).mean(axis=1) + 2 * pull / len(labels)
            return -log_p[rows, labels].mean() + (pull @ pull) / len(labels), gradient

        start = np.full(len(names), 1 / len(names))
        best = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=[(0, HEAVIEST)] * len(names))
        pull = best.x - 1 / len(names)
        return best.x, best.fun - (pull @ pull) / len(labels)

    names = list(logits)
    weights, lowest = fitted(names)
    for name, least in worth.items():
        if name in names and len(names) > 1:
            fewer = [other for other in names if other != name]
            without, loss = fitted(fewer)
            if loss <= lowest * (1 + least) + NOTHING:
                names, weights, lowest = fewer, without, loss
    return dict(zip(names, map(float, weights), strict=True))
