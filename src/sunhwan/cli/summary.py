"""`sunhwan summary`: Keras's table of layers for a study's model, before any training."""

from __future__ import annotations

from dataclasses import replace

import click

from sunhwan.cli import need_backend
from sunhwan.cli.study import reading, with_reading


@click.command(
    epilog="""\b
Examples:
  sunhwan summary imdb_sentiment simple_rnn
  sunhwan summary newyork_temperature gru_stacked"""
)
@click.argument("study")
@click.argument("model")
@reading
def command(study: str, model: str, **options) -> None:
    """Print the layers of a study's model, their output shapes and parameters."""
    from sunhwan.studies import run
    from sunhwan.studies.study import load

    chosen = with_reading(load(study).with_models([model]), **options)
    need_backend()

    from sunhwan.studies import models

    models.check(chosen.kind, model, chosen.options(model))
    problem = run.outline(replace(chosen, baselines=()))
    models.build(chosen.kind, model, problem, chosen.options(model)).summary(line_length=78)
