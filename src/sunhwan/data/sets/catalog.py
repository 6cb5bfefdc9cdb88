"""The datasets by name, a line each: from here studies, `sunhwan data` and their messages take them.

NAME here is the module `sunhwan.data.NAME`, whose `load` takes what `[data]` of a study may say.
What is fetched has URL and FILE there, too: where from, and its name in the cache.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Dataset:
    """One dataset.

    Attributes:
        kind: of the studies that may name it.
        about: what it is and where it comes from, for people.
        takes: the keys of `[data]` besides its name.
        is_fetched: whether it is downloaded where no path is given.
    """

    kind: str
    about: str
    takes: tuple[str, ...] = ()
    is_fetched: bool = False


DATASETS = {
    "newyork": Dataset(
        "forecast", "hourly weather of three New York airports in 2013 (NOAA, public domain); ships inside"
    ),
    "jena": Dataset(
        "forecast",
        "weather every 10 minutes at Jena, 2009 to 2016; 14 MB download, or --data FILE",
        takes=("path",),
        is_fetched=True,
    ),
    "imdb": Dataset(
        "text",
        "50,000 labelled film reviews; 84 MB download, or --data FILE or FOLDER",
        takes=("path",),
        is_fetched=True,
    ),
    "table": Dataset(
        "forecast",
        "your own CSV or Parquet file, given with --data FILE",
        takes=("path", "time", "series"),
    ),
    "adding": Dataset("adding", "the adding problem, generated"),
}


def of_kind(kind: str) -> dict[str, Dataset]:
    """The datasets that a kind of study may name.

    Example:
        >>> list(of_kind("forecast"))
        ['newyork', 'jena', 'table']
    """
    return {name: dataset for name, dataset in DATASETS.items() if dataset.kind == kind}


def load(name: str, path: str | None = None, **given: Any) -> Any:
    """A dataset as its module loads it: a `Table` of readings, or `Texts`.

    Args:
        name: one of `DATASETS`, not generated.
        path, given: what `[data]` of a study says besides the name.

    Raises:
        SunhwanError: it cannot be had; see its module.

    Example:
        >>> len(load("newyork"))
        26190
    """
    if path:
        given["path"] = Path(path).expanduser()
    return import_module(f"sunhwan.data.{name}").load(**given)


def source(name: str) -> tuple[str, str] | None:
    """The URL that a dataset is fetched from and its file's name in the cache; None if it is not fetched."""
    if not DATASETS[name].is_fetched:
        return None
    module = import_module(f"sunhwan.data.{name}")
    return module.URL, module.FILE
