"""The datasets by name, a line each, for studies, for `sunhwan data` and for their messages.

`load` of a dataset's module takes the keys of a study's `[data]`. A module whose dataset is downloaded also
has URL and FILE, the file's name in the cache.
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
        kind: of the studies that may use it.
        about: what it is and where it comes from, for people.
        module: whose `load` loads it; empty if it is generated.
        takes: the keys of `[data]` besides its name.
        is_fetched: whether it is downloaded if no path is given.
    """

    kind: str
    about: str
    module: str = ""
    takes: tuple[str, ...] = ()
    is_fetched: bool = False


DATASETS = {
    "newyork": Dataset(
        "forecast",
        "hourly weather of three New York airports in 2013 (NOAA, public domain); installed with Sunhwan",
        module="sunhwan.data.sets.newyork",
    ),
    "jena": Dataset(
        "forecast",
        "weather every 10 minutes at Jena, 2009 to 2016; 14 MB download, or --data FILE",
        module="sunhwan.data.sets.jena",
        takes=("path",),
        is_fetched=True,
    ),
    "imdb": Dataset(
        "text",
        "50,000 labelled film reviews; 84 MB download, or --data FILE or FOLDER",
        module="sunhwan.data.sets.imdb",
        takes=("path",),
        is_fetched=True,
    ),
    "table": Dataset(
        "forecast",
        "your own CSV or Parquet file; pass it with --data FILE",
        module="sunhwan.data.table",
        takes=("path", "time", "series"),
    ),
    "adding": Dataset("adding", "the adding problem, generated"),
}


def of_kind(kind: str) -> dict[str, Dataset]:
    """The datasets that a kind of study may use.

    Example:
        >>> list(of_kind("forecast"))
        ['newyork', 'jena', 'table']
    """
    return {name: dataset for name, dataset in DATASETS.items() if dataset.kind == kind}


def load(name: str, path: str | None = None, **options: Any) -> Any:
    """A dataset as its module loads it: a `Table` of readings, or `Texts`.

    Args:
        name: one of `DATASETS`, not generated.
        path, options: the other keys of a study's `[data]`.

    Raises:
        SunhwanError: it cannot be loaded; see its module.

    Example:
        >>> len(load("newyork"))
        26190
    """
    if path:
        options["path"] = Path(path).expanduser()
    return import_module(DATASETS[name].module).load(**options)


def source(name: str) -> tuple[str, str] | None:
    """The URL of a dataset and its file's name in the cache; None if it is not downloaded."""
    if not DATASETS[name].is_fetched:
        return None
    module = import_module(DATASETS[name].module)
    return module.URL, module.FILE
