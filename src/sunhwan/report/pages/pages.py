"""The page of a run of any kind, or of several runs beside each other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from sunhwan import rundir
from sunhwan.errors import SunhwanError
from sunhwan.report.page.page import Page
from sunhwan.report.pages import classify, comparison, forecast, study
from sunhwan.rundir import Run

PAGES: dict[str, Callable[[Run], Page]] = {
    "forecast": forecast.page,
    "classify": classify.page,
    "study": study.page,
}
"""What makes the page of a run of each kind."""


def of(folders: Sequence[Path]) -> Page:
    """The page of a run, or of several.

    Args:
        folders: the run directories.

    Raises:
        SunhwanError: one is not a run, a file is missing, altered or cannot be read, or the runs are of
            different kinds.
    """
    runs = [rundir.load(folder) for folder in dict.fromkeys(folders)]
    for run in runs:
        run.verify()
        if run.kind != "study":
            for name in ("metrics", "history"):
                run.read(name)
    with rundir.reading("run", *(run.folder for run in runs)):
        if len(runs) == 1:
            return PAGES[runs[0].kind](runs[0])
        kinds = {run.kind for run in runs}
        if len(kinds) > 1 or kinds == {"study"}:
            raise SunhwanError(
                f"the runs are of {' and '.join(sorted(kinds))}; several runs of `forecast`, or several of "
                "`classify`, can be compared on one page"
            )
        return comparison.page(runs)
