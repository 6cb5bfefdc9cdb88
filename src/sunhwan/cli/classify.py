"""`sunhwan classify`: labelled examples to a classifier, its scores and whether the network is worth it."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
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
@click.option("--series", callback=filled, help="Of sensor readings: the column of each recording's ID.")
@names("--time", help="With --series: what orders a recording.  [default: by its name]")
@names("--features", help="With --series: the columns read.  [default: all that serve]")
@learning("classify", "Shares, shuffled.", "lstm", seeds=2, epochs="12, of readings 40")
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
    """Tell texts or windows of sensor readings apart by the labels in FILE, and say if a network is worth it.

    Of texts, FILE is CSV, Parquet, JSON lines, or a folder with a subfolder of .txt files for each class.
    Recurrent networks stand beside linear models over words, pairs and triples of words.

    With --series, FILE is CSV or Parquet with a row for each reading; the rows of one ID are a recording, of
    any length, and have one label. Networks stand beside summary statistics and MiniRocket.

    Validation decides how much of each is used, and the test part is looked at once, at the end.
    """
    if series is None and (time or features):
        raise SunhwanError(
            "--time and --features are for sensor readings; name the column of IDs with --series"
        )
    if series is not None and text is not None:
        raise SunhwanError("--text is for texts and --series for sensor readings; give one of them")
    from sunhwan import rundir
    from sunhwan.classify import run as classify
    from sunhwan.files import new_run
    from sunhwan.provenance import now

    shares = split_of(split, test)
    need_backend()
    began = now()
    run = new_run("classify", out)
    if series is None:
        from sunhwan.classify.texts.classifier import Options
        from sunhwan.classify.texts.network import Settings
        from sunhwan.data.texts import labelled

        columns = {"text": text or "text", "label": label}
        source = labelled.load(file, **columns)
        later = labelled.load(test, **columns) if test else None
        options = Options(seeds=seeds)
    else:
        from sunhwan.classify.recordings.classifier import Options
        from sunhwan.classify.recordings.network import Settings
        from sunhwan.data import recordings

        source = recordings.load(file, recordings.Columns(series, label, tuple(time), tuple(features)))
        later = recordings.load(test, source.columns) if test else None
        columns = source.columns.as_dict()
        options = Options(seeds=seeds, features=tuple(features))
    settings = Settings(cell=cell) if epochs is None else Settings(cell=cell, epochs=epochs)
    options = replace(options, settings=settings)

    from rich.console import Console
    from rich.table import Table

    from sunhwan.cli.progress import Bars

    data = {each.name: each.fingerprint for each in (source, later) if each is not None}
    with Bars() as bars:
        result = classify.learn(source, shares, options, bars, later)
    known = rundir.record("classify", ["sunhwan", *sys.argv[1:]], asked(), data, began)
    metrics = classify.keep(result, known, run, columns)
    click.echo(metrics["verdict"])
    for note in result.notes:
        click.echo(f"  {note}")
    scores = Table("", "accuracy", "macro-F1", "calibration error", box=None)
    for name, figures in metrics["test"].items():
        scores.add_row(name, *(f"{figures[key]:.4f}" for key in ("accuracy", "macro_f1", "ece")))
    Console(width=200).print(scores)
    click.echo(f"everything is in {run}; `sunhwan report {run} --open` shows it")
    if as_json:
        click.echo(json.dumps(metrics, ensure_ascii=False, allow_nan=False))
