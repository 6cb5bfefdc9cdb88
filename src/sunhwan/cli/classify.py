"""`sunhwan classify`: trains a classifier and prints its scores and whether a network is worth it."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click

from sunhwan.cli import need_backend
from sunhwan.cli.asking import asked, learning, names, split_of
from sunhwan.cli.asking import text as filled
from sunhwan.errors import SunhwanError


@click.command(
    epilog="""\b
Examples:
  sunhwan classify reviews.csv --text review --label sentiment
  sunhwan classify train.csv --test test.csv
  sunhwan classify tickets.jsonl --label queue --split 70/15/15 --seeds 1 --json
  sunhwan classify letters/                     # letters/complaint/1.txt, letters/praise/1.txt, ...
  sunhwan classify strokes.csv --series stroke --label letter --time ms"""
)
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--text", callback=filled, help="The column of texts.  [default: text]")
@click.option("--label", callback=filled, default="label", show_default=True, help="The column of labels.")
@click.option("--series", callback=filled, help="For sensor readings: the column of recording IDs.")
@names("--time", help="With --series: the column that orders a recording's rows.  [default: found by name]")
@names("--features", help="With --series: the columns to read.  [default: every usable one]")
@learning(
    "classify", "Shares of the parts, drawn at random.", "lstm", seeds=2, epochs="12; 40 for sensor readings"
)
def command(
    file: Path,
    text: str | None,
    label: str,
    series: str | None,
    time: list[str],
    features: list[str],
    split: list[float] | None,
    test: Path | None,
    seeds: int,
    cell: str,
    epochs: int | None,
    out: Path | None,
    as_json: bool,
) -> None:
    """Train a classifier of texts or sensor recordings on the labels in FILE, and compare it with baselines.

    FILE has labelled texts: CSV, Parquet, JSON lines, or a folder with a subfolder of .txt files for each
    class. Recurrent networks are compared with linear models over words, pairs and triples of words.

    With --series, FILE is CSV or Parquet with a row for each reading; the rows of one ID are a recording, of
    any length, and have one label. Networks are compared with summary statistics and MiniRocket.

    Validation decides how much of each is used; the test part is scored once, at the end. The first line of
    the output says whether a neural network is worth it.
    """
    if series is None and (time or features):
        raise SunhwanError(
            "--time and --features are for sensor readings: name the column of recording IDs with --series"
        )
    if series is not None and text is not None:
        raise SunhwanError("--text is for texts and --series for sensor readings; give one of them")
    shares = split_of(split, test)
    need_backend()
    from rich.console import Console
    from rich.table import Table

    from sunhwan.baselines.names import words
    from sunhwan.classify import run as classify
    from sunhwan.cli.progress import Bars
    from sunhwan.data import recordings
    from sunhwan.data.texts import labelled
    from sunhwan.files import new_run

    if series is None:
        columns = labelled.Columns(text or "text", label)
    else:
        columns = recordings.Columns(series, label, tuple(time), tuple(features))
    with Bars() as bars:
        metrics, notes = classify.run(
            file,
            columns,
            shares,
            classify.options_of(columns, seeds=seeds, cell=cell, epochs=epochs),
            new_run("classify", out),
            bars,
            test,
            ["sunhwan", *sys.argv[1:]],
            asked(),
        )
    click.echo(metrics["verdict"])
    for note in notes:
        click.echo(f"  {note}")
    scores = Table("", "accuracy", "macro-F1", "calibration error", box=None)
    for name, figures in metrics["test"].items():
        scores.add_row(words(name), *(f"{figures[key]:.4f}" for key in ("accuracy", "macro_f1", "ece")))
    Console(width=200).print(scores)
    click.echo(f"everything is in {metrics['run']}; `sunhwan report {metrics['run']} --open` shows it")
    if as_json:
        click.echo(json.dumps(metrics, ensure_ascii=False, allow_nan=False))
