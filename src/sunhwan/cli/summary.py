"""`sunhwan summary`: Keras's table of layers for a study's model, before any training."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import click


@click.command(
    epilog="\b\nExamples:\n  sunhwan summary imdb_sentiment simple_rnn\n  sunhwan summary newyork_temperature gru_stacked"
)
@click.argument("study")
@click.argument("model")
@click.option("--data", type=click.Path(path_type=Path), help="The file, for studies on a file of yours.")
@click.option("--target", help="The column to forecast, for studies on a file of yours.")
def command(study: str, model: str, data: Path | None, target: str | None) -> None:
    """Print the layers of a study's model, their output shapes and parameters."""
    from sunhwan.experiments import run
    from sunhwan.experiments.study import load

    chosen = load(study).with_models([model])
    if data:
        chosen = chosen.with_data(path=str(data))
    if target:
        chosen = chosen.with_prepare(target=target)
    problem = run.outline(replace(chosen, baselines=()))

    from sunhwan.experiments import models

    models.build(chosen.kind, model, problem, chosen.options(model)).summary(line_length=78)
