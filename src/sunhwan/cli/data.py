"""`sunhwan data`: the datasets by name, and their files in the cache."""

from __future__ import annotations

from pathlib import Path

import click

from sunhwan.errors import SunhwanError

DATASETS = {
    "newyork": "hourly weather of three New York airports in 2013 (NOAA, public domain); ships inside",
    "jena": "weather every 10 minutes at Jena, 2009 to 2016; 14 MB download, or --data FILE",
    "imdb": "50,000 labelled film reviews; 84 MB download, or --data FILE or FOLDER",
    "table": "your own CSV or Parquet file, given with --data FILE",
    "adding": "the adding problem, generated",
}


@click.group(
    epilog="\b\nExamples:\n  sunhwan data list\n  sunhwan data fetch imdb\n  sunhwan data export imdb reviews"
)
def command() -> None:
    """List the datasets, fetch them into the cache, and export texts as CSV."""


@command.command("list")
def list_datasets() -> None:
    """The datasets, what they are, and whether they lie in the cache."""
    from sunhwan.data import download, imdb, jena

    width = max(len(name) for name in DATASETS)
    cached = {"jena": jena.FILE, "imdb": imdb.ARCHIVE}
    for name, text in DATASETS.items():
        here = name in cached and (download.cache_folder() / cached[name]).exists()
        click.echo(f"{name:<{width}}  {text}{' (in the cache)' if here else ''}")
    click.echo(f"cache: {download.cache_folder()} (SUNHWAN_CACHE overrides)")


@command.command("fetch", epilog="\b\nExample:\n  sunhwan data fetch jena")
@click.argument("name")
def fetch(name: str) -> None:
    """Download a dataset into the cache, or say that there is nothing to download."""
    from sunhwan.data import download, imdb, jena

    sources = {"jena": (jena.URL, jena.FILE), "imdb": (imdb.URL, imdb.ARCHIVE)}
    if name not in DATASETS:
        raise SunhwanError(f"there is no dataset {name!r}; there are {', '.join(DATASETS)}")
    if name not in sources:
        click.echo(f"{name}: nothing to download; {DATASETS[name]}")
        return
    click.echo(download.fetch(*sources[name]))


@command.command(
    "export",
    epilog="""\b
Example:
  sunhwan data export imdb reviews --data aclImdb_v1.tar.gz
  sunhwan classify reviews/train.csv --test reviews/test.csv""",
)
@click.argument("name")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option(
    "--data", type=click.Path(path_type=Path), help="The archive you already have.  [default: the cache]"
)
def export(name: str, folder: Path, data: Path | None) -> None:
    """Write a dataset of texts into FOLDER as CSV: a file for each part, with columns text and label."""
    import polars as pl

    from sunhwan.data import imdb
    from sunhwan.files import atomic

    if name != "imdb":
        raise SunhwanError(f"{name!r} cannot be exported; there is imdb, whose texts come as an archive")
    reviews = imdb.load(data)
    frame = pl.DataFrame(
        {
            "text": reviews.texts,
            "label": [reviews.classes[label] for label in reviews.labels],
            "part": reviews.part,
        }
    )
    for part in imdb.PARTS:
        rows = frame.filter(pl.col("part") == part).drop("part")
        with atomic(folder / f"{part}.csv") as temporary:
            rows.write_csv(temporary)
        click.echo(f"{len(rows):,} texts in {folder / f'{part}.csv'}")
