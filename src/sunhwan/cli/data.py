"""`sunhwan data`: the datasets by name, and their files in the cache."""

from __future__ import annotations

import click

from sunhwan.errors import SunhwanError

DATASETS = {
    "newyork": "hourly weather of three New York airports in 2013 (NOAA, public domain); ships inside",
    "jena": "weather every 10 minutes at Jena, 2009 to 2016; 14 MB download, or --data FILE",
    "imdb": "50,000 labelled film reviews; 84 MB download, or --data FILE or FOLDER",
    "table": "your own CSV or Parquet file, given with --data FILE",
    "adding": "the adding problem, generated",
}


@click.group(epilog="\b\nExamples:\n  sunhwan data list\n  sunhwan data fetch imdb")
def command() -> None:
    """List the datasets and fetch them into the cache."""


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
