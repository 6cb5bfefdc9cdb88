"""The verdict of a study: which model is best, in a sentence."""

from __future__ import annotations

from sunhwan import units
from sunhwan.studies.study import Study


def verdict(study: Study, result: dict) -> str:
    """One sentence on which network or baseline is best, and one that names models that diverged."""
    means = {name: entry["test"]["mean"] for name, entry in result["models"].items()}
    diverged = [name for name, mean in means.items() if mean is None]
    first = adding_verdict(means) if study.kind == "adding" else comparison(result)
    return " ".join([first, *([f"Training diverged: {', '.join(diverged)}."] if diverged else [])])


def comparison(result: dict) -> str:
    """One sentence that says which is best, and how the best of the other sort does."""
    metric, unit, names = result["metric"], result["unit"], result["names"]
    networks = {name: entry["test"]["mean"] for name, entry in result["models"].items()}
    networks = {name: mean for name, mean in networks.items() if mean is not None}
    baselines = {name: entry["test"] for name, entry in result["baselines"].items()}
    better = max if result["higher_is_better"] else min
    scores = networks | baselines
    if not scores:
        return "No model gave finite predictions."
    winner = better(scores, key=scores.get)
    best = f"{names.get(winner, winner)} is best with {shown(scores[winner], metric, unit)}"
    others, sort = (baselines, "baseline") if winner in networks else (networks, "network")
    if not others:
        return f"On the test part, {best}."
    other = better(others, key=others.get)
    beaten = "" if winner in networks else "no network beats the baselines: "
    figure = figure_of(others[other], metric, unit)
    return f"On the test part, {beaten}{best}; the best {sort}, {names.get(other, other)}, has {figure}."


def shown(value: float, metric: str, unit: str) -> str:
    """A score with its metric, in words.

    Example:
        >>> shown(2.2812, "mae", "degC"), shown(0.8769, "accuracy", "accuracy")
        ('a mean absolute error of 2.28 °C', 'an accuracy of 0.877')
    """
    name = {"mae": "a mean absolute error", "accuracy": "an accuracy", "mse": "a mean squared error"}[metric]
    return f"{name} of {figure_of(value, metric, unit)}"


def figure_of(value: float, metric: str, unit: str) -> str:
    """A score in words: three digits and the unit, or an accuracy's three decimals.

    Example:
        >>> figure_of(2.2812, "mae", "degC"), figure_of(12345.6, "mae", ""), figure_of(0.0012, "mse", "")
        ('2.28 °C', '12,346', '0.0012')
    """
    if metric == "mae":
        return f"{value:{',.0f' if value >= 1000 else '.3g'}} {units.shown(unit)}".rstrip()
    return f"{value:.3f}" if metric == "accuracy" else f"{value:.4f}"


def adding_verdict(means: dict[str, float | None]) -> str:
    """The length up to which each layer solved the adding problem: that length, and all shorter ones.

    Example:
        >>> sentence = adding_verdict({"gru_50": 0.001, "gru_100": 0.002, "gru_200": None, "lstm_50": 0.2})
        >>> sentence.partition(": ")[2]
        'gru up to 100 timesteps, lstm at no length.'
    """
    errors: dict[str, dict[int, float | None]] = {}
    for name, mean in means.items():
        model, length = name.rsplit("_", 1)
        errors.setdefault(model, {})[int(length)] = mean
    reached = []
    for model, by_length in errors.items():
        solved = 0
        for length, error in sorted(by_length.items()):
            if error is None or error >= 0.01:
                break
            solved = length
        reached.append(f"{model} up to {solved} timesteps" if solved else f"{model} at no length")
    return (
        "Solved (mean squared error below 0.01; predicting the mean gives 0.167): " + ", ".join(reached) + "."
    )
