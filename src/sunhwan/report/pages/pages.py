"""The page of a run of a task, or of several beside each other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from sunhwan.errors import SunhwanError
from sunhwan.report.page.page import Page
from sunhwan.report.pages import classify as classify_page
from sunhwan.report.pages import comparison as comparison_page
from sunhwan.report.pages import evidence as task_evidence
from sunhwan.report.pages import forecast as forecast_page
from sunhwan.report.pages.evidence import Evidence, readable

PAGES: dict[str, Callable[[Evidence], Page]] = {
    "forecast": forecast_page.page,
    "classify": classify_page.page,
}
"""What makes the page of a run of each task."""


def of(folders: Sequence[Path]) -> Page:
    """The page of a run, or of several.

    Args:
        folders: the run directories.

    Raises:
        SunhwanError: one is no run of a task, a file is missing or cannot be read, or the runs are of
            different tasks.
    """
    runs = [task_evidence.read(folder) for folder in dict.fromkeys(folders)]
    if len(runs) == 1:
        with readable(runs[0].folder):
            return PAGES[runs[0].run["task"]](runs[0])
    tasks = {run.run["task"] for run in runs}
    if len(tasks) > 1:
        raise SunhwanError(
            f"the runs are of {' and '.join(sorted(tasks))}; runs of one task can be set beside each other"
        )
    with readable(*(run.folder for run in runs)):
        return comparison_page.page(runs)
