"""Classifiers made of several, each weighed by what it earns on validation texts or recordings.

The weights do the work of a temperature, too: they are those at which the probabilities of validation
examples are most likely. What is classified, and by what members, is told in `text_classifier` and
`recording_classifier`; here is what they share.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, Self

import numpy as np
from scipy.optimize import minimize
from scipy.special import log_softmax, logsumexp, softmax

from sunhwan import rundir

RECURRENT = "recurrent"
"""What a mixture calls the mean of its networks."""

NOTHING = 1e-3
"""A validation loss that is not worth a member, in nats, where there is hardly any left."""

HEAVIEST = 10.0
"""No member weighs more: validation without a mistake would ask for more and more confidence."""


KeptNetwork = tuple[Mapping, Mapping[str, np.ndarray]]
"""A network as a run keeps it: what it is, for JSON, and its arrays by name."""


class Members(Protocol):
    """Trained models that tell the same examples apart.

    Attributes:
        networks: of recurrent layers, or none.
    """

    networks: Sequence[Any]

    def told(self, examples: Any) -> dict[str, np.ndarray]:
        """(examples, classes) logits of each, in memory that does not grow with the examples."""
        ...

    def nothing(self) -> dict[str, np.ndarray]:
        """(1, classes) logits of each, of an example in which nothing is."""
        ...

    def as_kept(self) -> tuple[dict, dict[str, np.ndarray]]:
        """JSON and arrays of all but the networks."""
        ...

    @classmethod
    def from_kept(
        cls, model: Mapping, arrays: Mapping[str, np.ndarray], networks: Sequence[KeptNetwork], classes: int
    ) -> Members:
        """What `as_kept` gave, with networks; a KeyError or the like where something is amiss."""
        ...


@dataclass(frozen=True, eq=False)
class Combined:
    """A trained classifier; loads no Keras and no framework.

    Attributes:
        classes: their names, in the order of all arrays.
        members: what it is made of, of the class `kind`.
        weights: by member, what its logits are multiplied by before they are added up.
    """

    classes: tuple[str, ...]
    members: Members
    weights: Mapping[str, float]

    kind: ClassVar[type[Members]]

    def predict_proba(self, examples: Any) -> np.ndarray:
        """(examples, classes) float64, each row of which adds up to one."""
        return softmax(self.logits(examples), axis=1)

    def predict(self, examples: Any) -> list[str]:
        """The likeliest class of each example."""
        return [self.classes[k] for k in self.logits(examples).argmax(axis=1)]

    def logits(self, examples: Any) -> np.ndarray:
        """(examples, classes) float64, whose softmax is `predict_proba`."""
        return self.combined(self.members.told(examples))

    def as_kept(self) -> tuple[dict, dict[str, np.ndarray]]:
        """JSON and arrays that `from_kept` takes."""
        members, arrays = self.members.as_kept()
        model = {
            "classes": list(self.classes),
            "weights": {name: float(weight) for name, weight in self.weights.items()},
            "networks": [network.as_dict() for network in self.members.networks],
        }
        for number, network in enumerate(self.members.networks):
            arrays |= {f"network_{number}_{name}": array for name, array in network.weights.items()}
        return model | members, arrays

    @classmethod
    def from_kept(cls, model: Mapping, arrays: Mapping[str, np.ndarray]) -> Self:
        """What `as_kept` gave.

        Raises:
            SunhwanError: something is missing, or of another shape.
        """
        with rundir.reading("classifier"):
            classes = tuple(model["classes"])
            networks = [
                (kept, under(f"network_{number}_", arrays)) for number, kept in enumerate(model["networks"])
            ]
            members = cls.kind.from_kept(model, arrays, networks, len(classes))
            weights = {name: float(weight) for name, weight in model["weights"].items()}
            said = members.nothing()
            if not weights or set(weights) != set(said):
                raise ValueError(f"weights of {sorted(weights)} for {sorted(said)}")
            if any(one.shape != (1, len(classes)) for one in said.values()):
                raise ValueError(f"{len(classes)} classes, but members of others")
        return cls(classes, members, weights)

    def combined(self, logits: Mapping[str, np.ndarray]) -> np.ndarray:
        """Members' logits (examples, classes) as those of the whole."""
        return sum(weight * np.asarray(logits[name], np.float64) for name, weight in self.weights.items())


def under(start: str, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The arrays whose names begin like this, by the rest of their names.

    Example:
        >>> under("one_", {"one_bias": np.zeros(1), "two_bias": np.ones(1)})
        {'bias': array([0.])}
    """
    return {name.removeprefix(start): array for name, array in arrays.items() if name.startswith(start)}


@dataclass(frozen=True)
class Weighed:
    """What validation says of members.

    Attributes:
        weights: of those that are used.
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
        classifier: what predicts, with no more members than it uses.
        members: all of them, trained on training and validation examples: the baselines, too.
        weighed: by validation, before the members were trained once more on its examples.
        majority: (classes,) shares of the training and validation examples.
        history: a row for each network and epoch.
        notes: what was met and done, in sentences.
    """

    classifier: Combined
    members: Members
    weighed: Weighed
    majority: np.ndarray
    history: tuple[dict, ...]
    notes: tuple[str, ...]


def weigh(logits: Mapping[str, np.ndarray], truth: np.ndarray, worth: Mapping[str, float]) -> Weighed:
    """What each member earns on validation examples.

    Args:
        logits: (examples, classes) of each member.
        truth: (examples,) integers.
        worth: see `mixture`.
    """
    from sunhwan.evaluation.metrics import fit_temperature, negative_log_likelihood

    weights = mixture(logits, truth, worth)
    temperatures = {name: fit_temperature(some, truth).value for name, some in logits.items()}
    judged = {name: some / temperatures[name] for name, some in logits.items()}
    judged["model"] = sum(weight * logits[name] for name, weight in weights.items())
    validation = {
        name: {
            "loss": negative_log_likelihood(some, truth),
            "accuracy": float((some.argmax(axis=1) == truth).mean()),
        }
        for name, some in judged.items()
    }
    return Weighed(weights, temperatures, validation)


def mixture(
    logits: Mapping[str, np.ndarray], truth: np.ndarray, worth: Mapping[str, float]
) -> dict[str, float]:
    """The weights of members, by the likelihood of validation examples; what is not worth it has none.

    A pull towards equal weights counts as much as one example would, so that a few do not settle it.

    Args:
        logits: (examples, classes) of each member.
        truth: (examples,) integers.
        worth: by how much of the loss a member must lower it: each makes a prediction slower, and what gains
            less gains it by chance. In the order in which they are tried without.

    Example: the second member knows nothing, the first is far too sure of itself.
        >>> truth = np.array([0, 0, 0, 1] * 50)
        >>> sure = np.array([[9.0, 0.0]] * 200)
        >>> weights = mixture({"nb_svm": sure, "recurrent": np.zeros((200, 2))}, truth, {"recurrent": 0.01})
        >>> {name: round(weight, 2) for name, weight in weights.items()}
        {'nb_svm': 0.12}
    """

    def fitted(names: list[str]) -> tuple[np.ndarray, float]:
        stacked = np.stack([np.asarray(logits[name], np.float64) for name in names])
        stacked -= logsumexp(stacked, axis=2, keepdims=True)
        rows = np.arange(len(truth))

        def loss(weights: np.ndarray) -> tuple[float, np.ndarray]:
            log_p = log_softmax(np.tensordot(weights, stacked, axes=1), axis=1)
            towards = np.exp(log_p)
            towards[rows, truth] -= 1
            pull = weights - 1 / len(names)
            gradient = (stacked * towards).sum(axis=2).mean(axis=1) + 2 * pull / len(truth)
            return -log_p[rows, truth].mean() + (pull @ pull) / len(truth), gradient

        start = np.full(len(names), 1 / len(names))
        found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=[(0, HEAVIEST)] * len(names))
        pull = found.x - 1 / len(names)
        return found.x, found.fun - (pull @ pull) / len(truth)

    names = list(logits)
    weights, lowest = fitted(names)
    for name, least in worth.items():
        if name in names and len(names) > 1:
            fewer = [other for other in names if other != name]
            without, loss = fitted(fewer)
            if loss <= lowest * (1 + least) + NOTHING:
                names, weights, lowest = fewer, without, loss
    return dict(zip(names, map(float, weights), strict=True))
