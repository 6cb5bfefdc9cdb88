"""One self-contained HTML page: sentences, tables and charts, out of plain data.

    Page -> Section -> Heading | Text | Facts | Table | Chart | Code

A page contains all it needs (style, script, plotly.js); its content security policy forbids any request to
a network. It follows the reader's light or dark theme, prints in the light one, and fits a phone. Each chart
has a sentence on what it shows, its numbers as a table, a legend of buttons, and keys to move and zoom;
`page.js` draws it.

Colours have names (`truth`, `model`, ..), since each theme has its own shade of them; see `SHADES`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib import resources

from sunhwan.report import style

SHADES = {
    "paper": ("#FFFFFF", "#14171A"),
    "raised": ("#F6F7F8", "#1E2327"),
    "strong": ("#E8F2F9", "#1B3346"),
    "ink": (style.INK, "#F2F2F2"),
    "quiet": (style.QUIET, "#B3B3B3"),
    "faint": (style.FAINT, "#3A4046"),
    "link": ("#005A8F", "#7CC4F5"),
    "truth": (style.INK, "#F2F2F2"),
    "model": (style.BLUE, "#5AB4F0"),
    "baseline": (style.VERMILLION, "#F08A4B"),
    "third": (style.GREEN, "#2FC79B"),
    "fourth": ("#B0568C", "#E3A3C5"),
    "fifth": ("#9A6700", style.ORANGE),
    "sixth": ("#1F7FB5", style.SKY),
}
"""Each colour's name: on light and on dark paper. Those of lines are Okabe and Ito's, darker or lighter where
a thin line of them would have less than three to one of contrast. The style sheet knows them as variables."""

SERIES = ("model", "baseline", "third", "fourth", "fifth", "sixth")
"""Colours for several things in one chart, in order: the model, the best baseline, the others."""


@dataclass(frozen=True)
class Text:
    """A paragraph."""

    text: str
    kind: str = field(default="text", init=False)


@dataclass(frozen=True)
class Heading:
    """A heading within a section.

    Attributes:
        mark: a word that stands before it in a frame, as "leak"; or "".
    """

    text: str
    mark: str = ""
    kind: str = field(default="heading", init=False)


@dataclass(frozen=True)
class Facts:
    """Sentences in a list."""

    items: Sequence[str]
    kind: str = field(default="facts", init=False)


@dataclass(frozen=True)
class Code:
    """A command to type."""

    text: str
    kind: str = field(default="code", init=False)


@dataclass(frozen=True)
class Table:
    """A table.

    Attributes:
        caption: what it shows.
        head: the columns' names.
        rows: texts; all but the first column of numbers are set to the right.
        strong: the number of the row to emphasise, or None.
        texts: the numbers of columns of words, which are set to the left.
    """

    caption: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    strong: int | None = None
    texts: Sequence[int] = (0,)
    kind: str = field(default="table", init=False)


@dataclass(frozen=True)
class Chart:
    """A chart, drawn by plotly.js.

    Attributes:
        title: what is drawn, in which unit.
        alt: a sentence with figures, for those who cannot see it.
        views: by name, what plotly.js draws: `data` and `layout`; a reader chooses among several.
        table: the numbers, or None if there are too many to read.
        half: whether two such charts go side by side on a wide screen.
        choose: the label of the choice among views.
    """

    title: str
    alt: str
    views: Mapping[str, dict]
    table: Table | None = None
    half: bool = False
    choose: str = "Show"
    kind: str = field(default="chart", init=False)


@dataclass(frozen=True)
class Section:
    """A heading and the blocks under it."""

    title: str
    blocks: Sequence[Heading | Text | Facts | Code | Table | Chart]

    @property
    def anchor(self) -> str:
        return "-".join(self.title.lower().split())


@dataclass(frozen=True)
class Page:
    """A whole page.

    Attributes:
        title: of the window, and a small heading.
        answer: the verdict in a sentence or two, at the top.
        facts: short facts under it.
        sections: the rest.
    """

    title: str
    answer: str
    facts: Sequence[str]
    sections: Sequence[Section]

    def html(self) -> str:
        """The page as one HTML text."""
        charts = [block for section in self.sections for block in section.blocks if block.kind == "chart"]
        return template().render(
            page=self,
            views=[list(chart.views.values()) for chart in charts],
            shades=SHADES,
            embedded=embedded,
            css=asset("page.css"),
            js=asset("page.js"),
            plotly=plotly() if charts else "",
        )


def embedded(content: object) -> str:
    """JSON that can be embedded in an HTML page: no text in it ends its script."""
    return json.dumps(content, allow_nan=False, ensure_ascii=False).replace("<", "\\u003c")


def asset(name: str) -> str:
    return resources.files("sunhwan.report.page").joinpath(name).read_text(encoding="utf-8")


@cache
def plotly() -> str:
    """plotly.js as the package plotly ships it."""
    from plotly.offline import get_plotlyjs

    return get_plotlyjs()


@cache
def template():
    """The page's template; every text that goes into it is escaped."""
    import jinja2

    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.from_string(asset("page.html"))
