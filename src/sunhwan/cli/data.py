"""`sunhwan data`: the datasets by name, and their files in the cache."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from sunhwan.data.sets.catalog import DATASETS, source
from sunhwan.errors import SunhwanError

if TYPE_CHECKING:
    import polars as pl


@click.group(
    epilog="\b\nExamples:\n  sunhwan data list\n  sunhwan data fetch imdb\n  sunhwan data export imdb reviews"
)
def command() -> None:
    """List the datasets, download them into the cache, and export them as CSV."""


@command.command("list")
def list_datasets() -> None:
    """List the datasets, and which are in the cache."""
    from sunhwan.data.sets import download

    width = max(len(name) for name in DATASETS)
    for name, dataset in DATASETS.items():
        file = source(name)
        cached = file and (download.cache_folder() / file[1]).exists()
        click.echo(f"{name:<{width}}  {dataset.about}{' (in the cache)' if cached else ''}")
    click.echo(f"cache: {download.cache_folder()} (set SUNHWAN_CACHE to use another folder)")


@command.command("fetch", epilog="\b\nExample:\n  sunhwan data fetch jena")
@click.argument("name")
def fetch(name: str) -> None:
    """Download a dataset into the cache, if it is one to download."""
    from sunhwan.data.sets import download

    if name not in DATASETS:
        raise SunhwanError(f"there is no dataset {name!r}; choose one of {', '.join(DATASETS)}")
    if file := source(name):
        click.echo(download.fetch(*file))
    else:
        click.echo(f"{name}: nothing to download; {DATASETS[name].about}")


@command.command(
    "export",
    epilog="""\b
Examples:
  sunhwan data export newyork weather
  sunhwan forecast weather/LGA.csv --target "temp (degC)"
  sunhwan data export imdb reviews --data aclImdb_v1.tar.gz
  sunhwan classify reviews/train.csv --test reviews/test.csv""",
)
@click.argument("name")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    help="An archive that you already have.  [default: the cache]",
)
def export(name: str, folder: Path, data: Path | None) -> None:
    """Write a dataset into FOLDER as CSV, to try `forecast` and `classify`.

    newyork has a file for each airport; imdb has train.csv and test.csv, with columns text and label.
    """
    from sunhwan.files import atomic

    if name not in EXPORTED:
        raise SunhwanError(f"{name!r} cannot be exported; only {' and '.join(EXPORTED)} can")
    if name == "newyork" and data is not None:
        raise SunhwanError("--data is for imdb; the weather of New York is installed with Sunhwan")
    rows, unit = EXPORTED[name]
    for (part,), frame in rows(data).partition_by("part", as_dict=True, maintain_order=True).items():
        with atomic(folder / f"{part}.csv") as temporary:
            frame.drop("part").write_csv(temporary, datetime_format="%Y-%m-%d %H:%M:%S")
        click.echo(f"{len(frame):,} {unit} in {folder / f'{part}.csv'}")


def weather(data: None) -> pl.DataFrame:
    """The weather of New York's airports, in SI units and local time; `part` is the airport."""
    import polars as pl

    from sunhwan.data.sets import newyork

    table = newyork.load()
    part = pl.Series("part", [table.series_names[code] for code in table.series])
    readings = table.columns.with_columns(pl.col(pl.Float64).round(3))
    return readings.select(part, pl.Series("time", table.time.astype("datetime64[ms]")), pl.all())


def reviews(data: Path | None) -> pl.DataFrame:
    """The film reviews of IMDB, `text` and `label`; `part` is train or test, as published."""
    import polars as pl

    from sunhwan.data.sets import imdb

    reviews = imdb.load(data)
    labels = [reviews.classes[label] for label in reviews.labels]
    return pl.DataFrame({"text": reviews.texts, "label": labels, "part": reviews.part})


EXPORTED = {"newyork": (weather, "readings"), "imdb": (reviews, "texts")}
"""For each dataset that can be exported: what makes its rows, and what a row is called."""
