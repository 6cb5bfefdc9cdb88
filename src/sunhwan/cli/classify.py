"""`sunhwan classify`: labelled texts to a classifier, its scores and whether the network is worth it."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import click

from sunhwan.cli import need_backend
from sunhwan.cli.asking import asked, learning, split_of
from sunhwan.cli.asking import text as filled


@click.command(
    epilog="""\b
Examples:
  sunhwan classify reviews.csv --text review --label sentiment
  sunhwan classify train.csv --test test.csv
  sunhwan classify tickets.jsonl --label queue --split 70/15/15 --seeds 1 --json
  sunhwan classify letters/                     # letters/complaint/1.txt, letters/praise/1.txt, ..."""
)
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--text", callback=filled, default="text", show_default=True, help="The column of texts.")
@click.option("--label", callback=filled, default="label", show_default=True, help="The column of labels.")
@learning("classify", "Shares, shuffled.", ("lstm", "gru", "simple_rnn"), epochs=12)
def command(
    file: Path,
    text: str,
    label: str,
    split: list[float] | None,
    test: Path | None,
    seeds: int,
    model: str,
    epochs: int,
    out: Path | None,
    as_json: bool,
) -> None:
    """Tell texts apart by the labels in FILE, and say whether a network is worth it.

    FILE is CSV, Parquet, JSON lines, or a folder with a subfolder of .txt files for each class. Recurrent
    networks stand beside linear models over words, pairs and triples of words; validation decides how much
    of each is used, and the test part is looked at once, at the end.
    """
    from sunhwan.data import labelled
    from sunhwan.files import new_run
    from sunhwan.tasks import classify, folder
    from sunhwan.tasks.text_classifier import Options
    from sunhwan.tasks.text_network import Settings

    shares = split_of(split, test)
    need_backend()
    run = new_run("classify", out)
    source = labelled.load(file, text, label)
    later = labelled.load(test, text, label) if test else None
    options = Options(replace(Settings(), cell=model, epochs=epochs), seeds)

    from rich.console import Console
    from rich.table import Table

    from sunhwan.cli.progress import Bars

    data = {each.name: each.fingerprint for each in (source, later) if each is not None}
    with Bars() as bars:
        result = classify.learn(source, shares, options, bars, later)
    known = folder.record("classify", ["sunhwan", *sys.argv[1:]], asked(), data)
    metrics = classify.keep(result, known, run, {"text": text, "label": label})
    click.echo(metrics["verdict"])
    for note in result.notes:
        click.echo(f"  {note}")
    scores = Table("", "accuracy", "macro-F1", "calibration error", box=None)
    for name, figures in metrics["test"].items():
        scores.add_row(name, *(f"{figures[key]:.4f}" for key in ("accuracy", "macro_f1", "ece")))
    Console(width=200).print(scores)
    click.echo(f"everything is in {run}")
    if as_json:
        click.echo(json.dumps(metrics, ensure_ascii=False, allow_nan=False))
