"""What a run's figures say: who won, in a sentence."""

from __future__ import annotations

from sunhwan import units
from sunhwan.studies.study import Study


def headline(study: Study, result: dict) -> str:
    """One sentence that says who won, networks and baselines alike; and one that names what diverged."""
    means = {name: entry["test"]["mean"] for name, entry in result["models"].items()}
    diverged = [name for name, mean in means.items() if mean is None]
    first = adding_headline(means) if study.kind == "adding" else comparison(result)
    return " ".join([first, *([f"Training diverged: {', '.join(diverged)}."] if diverged else [])])


def comparison(result: dict) -> str:
    """One sentence that says who won."""
    metric, unit = result["metric"], result["unit"]
    networks = {name: entry["test"]["mean"] for name, entry in result["models"].items()}
    networks = {name: mean for name, mean in networks.items() if mean is not None}
    baselines = {name: entry["test"] for name, entry in result["baselines"].items()}
    better = max if result["higher_is_better"] else min
    everyone = networks | baselines
    if not everyone:
        return "No model gave a finite forecast."
    winner = better(everyone, key=everyone.get)
    figure = shown(everyone[winner], metric, unit)
    rivals = baselines if winner in networks else networks
    if not rivals:
        return f"{winner} is best: {figure} on the test part."
    rival = better(rivals, key=rivals.get)
    who = "the network" if winner in networks else "no network beats the baselines: the baseline"
    behind = "best baseline" if winner in networks else "best network"
    return (
        f"On the test part {who} {winner} is best with {figure}; "
        f"the {behind}, {rival}, has {figure_of(rivals[rival], metric, unit)}."
    )


def shown(value: float, metric: str, unit: str) -> str:
    """A figure with its metric, as people read it.

    Example:
        >>> shown(2.2812, "mae", "degC"), shown(0.8769, "accuracy", "accuracy")
        ('a mean absolute error of 2.28 °C', 'an accuracy of 0.877')
    """
    name = {"mae": "a mean absolute error", "accuracy": "an accuracy", "mse": "a mean squared error"}[metric]
    return f"{name} of {figure_of(value, metric, unit)}"


def figure_of(value: float, metric: str, unit: str) -> str:
    """A figure as people read it: three digits and the unit, or an accuracy's three decimals.

    Example:
        >>> figure_of(2.2812, "mae", "degC"), figure_of(12345.6, "mae", ""), figure_of(0.0012, "mse", "")
        ('2.28 °C', '12,346', '0.0012')
    """
    if metric == "mae":
        return f"{value:{',.0f' if value >= 1000 else '.3g'}} {units.shown(unit)}".rstrip()
    return f"{value:.3f}" if metric == "accuracy" else f"{value:.4f}"


def adding_headline(means: dict[str, float | None]) -> str:
    """Up to which length each layer solved the adding problem: at it and at all that are shorter.

    Example:
        >>> headline = adding_headline({"gru_50": 0.001, "gru_100": 0.002, "gru_200": None, "lstm_50": 0.2})
        >>> headline.partition(": ")[2]
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
    return "Solved (mean squared error under 0.01; saying the mean gives 0.167): " + ", ".join(reached) + "."
