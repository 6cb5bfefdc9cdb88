"""`sunhwan classify`: labelled texts to a classifier, its scores and whether the network is worth it."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import click

from sunhwan.cli import need_backend
from sunhwan.cli.forecast import shares
from sunhwan.cli.study import text as filled
from sunhwan.errors import SunhwanError


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
@click.option("--split", callback=shares, help="Shares, shuffled.  [default: 60/20/20, with --test 80/20]")
@click.option("--test", type=click.Path(path_type=Path), help="A file to test on, in place of a share.")
@click.option("--seeds", type=click.IntRange(1, 20), default=2, show_default=True, help="Networks averaged.")
@click.option(
    "--model",
    type=click.Choice(["lstm", "gru", "simple_rnn"]),
    default="lstm",
    show_default=True,
    help="The recurrent layers.",
)
@click.option("--epochs", type=click.IntRange(1), default=12, show_default=True, help="At most.")
@click.option(
    "--out", type=click.Path(path_type=Path), help="The run's directory.  [default: runs/classify-TIME]"
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object as the last line.")
def command(
    file: Path,
    text: str,
    label: str,
    split: tuple[float, ...] | None,
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

    if test and split and len(split) == 3:
        raise SunhwanError("--test names the test part, so --split has two shares, such as 80/20")
    if not test and split and len(split) == 2:
        raise SunhwanError("--split has two shares and there is no --test; give three, such as 60/20/20")
    need_backend()
    run = new_run("classify", out)
    source = labelled.load(file, text, label)
    later = labelled.load(test, text, label) if test else None
    options = Options(replace(Settings(), cell=model, epochs=epochs), seeds)

    from rich.console import Console
    from rich.table import Table

    from sunhwan.cli.progress import Bars

    asked = {
        key: str(value) if isinstance(value, Path) else value
        for key, value in click.get_current_context().params.items()
        if key not in ("out", "as_json")
    }
    data = {each.name: each.fingerprint for each in (source, later) if each is not None}
    with Bars() as bars:
        result = classify.learn(source, split or ((80, 20) if test else (60, 20, 20)), options, bars, later)
    known = folder.record("classify", ["sunhwan", *sys.argv[1:]], asked, data)
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
