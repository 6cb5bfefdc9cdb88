"""The visual language of every Sunhwan plot: colours, marks, sizes, and the place of words on a page.

A page is 8 inches wide (a text width in print) and has, from the top: a title that says the message, a
subtitle that says what is drawn and in which unit, the legend, the axes, and a footnote. Words are 10 points
or larger, so that they are still read at half size.

Colours are Okabe and Ito's ("Color Universal Design", 2008), which colour-blind readers tell apart; each also
has a line style and a marker of its own, so that a greyscale print loses nothing.

matplotlib is used through its objects: no `pyplot`, no window, no global state. `applied()` starts from
matplotlib's own defaults, so that a reader's `matplotlibrc` neither changes a plot nor is changed by one.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib import font_manager
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter, date2num
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.text import Text
from matplotlib.ticker import FuncFormatter, NullFormatter

from sunhwan.files import atomic
from sunhwan.report.words import fold

BLACK, ORANGE, SKY, GREEN = "#000000", "#E69F00", "#56B4E9", "#009E73"
BLUE, VERMILLION, PURPLE = "#0072B2", "#D55E00", "#CC79A7"
INK, QUIET, FAINT = "#1A1A1A", "#555555", "#D9D9D9"

WIDTH = 8.0
"""Inches: a page's width. At half size, 4 inches, the smallest words are 5 points high."""
DOTS_PER_INCH = 200
WORDS, TITLE = 10, 13
"""Points: every word, and the title."""
MARGIN, GAP = 0.10, 0.08
"""Inches: around a page, and between its blocks."""

STYLE = {
    "axes.axisbelow": True,
    "axes.edgecolor": QUIET,
    "axes.grid": True,
    "axes.labelcolor": INK,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titlesize": WORDS,
    "axes.titlepad": 5,
    "axes.formatter.useoffset": False,
    "figure.dpi": DOTS_PER_INCH,
    "font.size": WORDS,
    "grid.color": FAINT,
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "lines.linewidth": 1.6,
    "lines.markersize": 5,
    # Glyphs as outlines: an SVG looks the same on a machine without the font.
    "svg.fonttype": "path",
    # Without a salt, element ids are random and no two draws are the same bytes.
    "svg.hashsalt": "sunhwan",
    # A dollar sign in a column's name is a dollar sign.
    "text.parse_math": False,
    "text.color": INK,
    "xtick.color": QUIET,
    "xtick.labelcolor": INK,
    "ytick.color": QUIET,
    "ytick.labelcolor": INK,
}

# matplotlib's own font has no Hangul, kana or Han; a station's name may. The first that is installed is used.
_EAST_ASIAN_FONTS = (
    *("Noto Sans CJK KR", "Noto Sans KR", "NanumGothic", "Apple SD Gothic Neo", "Malgun Gothic"),
    *("Noto Sans CJK JP", "Noto Sans CJK SC", "PingFang SC", "Microsoft YaHei"),
)


@dataclass(frozen=True)
class Mark:
    """How one thing is drawn, the same in every plot: `color`, `line` (a line style) and `marker`."""

    color: str
    line: str | tuple
    marker: str

    @property
    def look(self) -> dict:
        """The mark as matplotlib's options."""
        return {"color": self.color, "linestyle": self.line, "marker": self.marker}

    def legend(self, label: str, *, marker: bool = False, **look) -> Line2D:
        """The legend entry of this mark, with or without its marker; `look` goes to `Line2D`."""
        shown = self.marker if marker else "none"
        return Line2D([], [], label=label, **{**self.look, "marker": shown, **look})


ACTUAL = Mark(BLACK, "-", ".")
NETWORK = Mark(BLUE, "-", "o")
BASELINE = Mark(VERMILLION, "--", "s")
TRAINING = Mark(ORANGE, "none", "o")
VALIDATION = Mark(BLUE, "-", "o")
BEST = Mark(BLACK, "none", "D")
CHANCE = Mark(QUIET, (0, (2, 2)), "none")

SEQUENCE = (
    NETWORK,
    BASELINE,
    Mark(GREEN, "-.", "^"),
    Mark(PURPLE, ":", "D"),
    Mark(ORANGE, (0, (6, 1.5, 1, 1.5, 1, 1.5)), "v"),
    Mark(SKY, (0, (8, 2)), "P"),
    Mark(BLACK, (0, (1, 1)), "X"),
)
"""Marks for several things in one panel, in order; the best network comes first, the best baseline second."""


@contextmanager
def applied() -> Iterator[None]:
    """Draw in Sunhwan's style inside the block; matplotlib's settings are as they were after it."""
    # The backend is not ours to switch: somebody's window may be open.
    defaults = {
        name: value for name, value in matplotlib.rcParamsDefault.items() if not name.startswith("backend")
    }
    installed = set(font_manager.fontManager.get_font_names())
    families = ["DejaVu Sans", *[name for name in _EAST_ASIAN_FONTS if name in installed]]
    with matplotlib.rc_context({**defaults, **STYLE, "font.family": families}):
        yield


def page(height: float, panels: int = 1, columns: int = 1, **options) -> tuple[Figure, list[Axes]]:
    """A page of `panels` in reading order, in rows of `columns`; each row's axes take `height` inches.

    `options` go to `Figure.subplots`. `finish` adds the words and makes the page as high as it must be.
    """
    rows = math.ceil(panels / columns)
    figure = Figure(figsize=(WIDTH, height * rows))
    FigureCanvasAgg(figure)
    axes = list(figure.subplots(rows, columns, squeeze=False, **options).flat)
    for spare in axes[panels:]:
        spare.remove()
        # The panel above it is now the lowest of its column, and needs its ticks' numbers back.
        axes[axes.index(spare) - columns].tick_params(labelbottom=True)
    return figure, axes[:panels]


def over_time(axes: Axes, time: np.ndarray, values: np.ndarray, **look) -> None:
    """A line of `values` over ascending `time`, datetime64[s], broken where rows are further apart."""
    steps = np.diff(time).astype(np.int64)
    after = np.flatnonzero(steps > 1.5 * np.median(steps)) + 1 if len(steps) else []
    axes.plot(np.insert(date2num(time), after, np.nan), np.insert(values, after, np.nan), **look)


def dates(axis: Axis) -> None:
    """Dates along `axis`, in few words."""
    locator = AutoDateLocator(minticks=4, maxticks=9)
    axis.set_major_locator(locator)
    axis.set_major_formatter(ConciseDateFormatter(locator))


def logarithmic(axis: Axis) -> None:
    """Powers of ten along `axis`, as plain numbers: 0.01, and not ten to the minus two."""
    axis.axes.set(**{f"{axis.axis_name}scale": "log"})
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())


def _wrapped(figure: Figure, text: str, **font) -> Text:
    """`text` on `figure`, its lines broken at spaces where the page ends."""
    room = (WIDTH - 2 * MARGIN) * DOTS_PER_INCH
    renderer = figure.canvas.get_renderer()
    written = figure.text(0, 0, "", **font)
    lines: list[str] = []
    for word in text.split(" "):
        longer = f"{lines[-1]} {word}" if lines else word
        written.set_text(longer)
        if lines and written.get_window_extent(renderer).width <= room:
            lines[-1] = longer
        else:
            lines.append(word)
    written.set_text("\n".join(lines))
    return written


def _legend(figure: Figure, handles: Sequence[Artist]) -> Artist:
    """A legend in as few rows as the page is wide enough for."""
    room = (WIDTH - 2 * MARGIN) * DOTS_PER_INCH
    columns = len(handles)
    while True:
        legend = figure.legend(
            handles=handles,
            loc="upper left",
            ncols=columns,
            borderpad=0,
            borderaxespad=0,
            columnspacing=1.4,
            handlelength=2.4,
            handletextpad=0.6,
        )
        if columns == 1 or legend.get_window_extent(figure.canvas.get_renderer()).width <= room:
            return legend
        legend.remove()
        columns -= 1


@dataclass(frozen=True)
class Picture:
    """A finished page, and in one sentence what it shows to those who cannot see it."""

    figure: Figure
    alt: str


def finish(
    figure: Figure,
    title: str,
    subtitle: str,
    alt: str,
    *,
    handles: Sequence[Artist] = (),
    x_label: str = "",
    y_label: str = "",
    note: str = "",
) -> Picture:
    """Add the words round the axes of `page`, and settle the layout.

    Args:
        figure: a page with its axes drawn; it grows by the height of the words.
        title: the message; subtitle: what is drawn, of what, in which unit. Both wrap at the page's width.
        alt: in one sentence, with its figures, what the picture shows to those who cannot see it.
        handles: legend entries, above the axes, where no curve runs through them.
        x_label, y_label: labels shared by all panels.
        note: a footnote, such as "few epochs: a demonstration".

    Returns:
        The picture, its layout fixed, so that PNG and SVG are the same.
    """

    def extent(artist: Artist, side: str = "height") -> float:
        return getattr(artist.get_window_extent(figure.canvas.get_renderer()), side) / DOTS_PER_INCH

    head = [
        _wrapped(figure, title, size=TITLE, weight="bold", va="top"),
        _wrapped(figure, subtitle, size=WORDS, color=QUIET, va="top"),
        *([_legend(figure, handles)] if handles else []),
    ]
    foot = [_wrapped(figure, note, size=WORDS, style="italic", color=QUIET, va="bottom")] if note else []
    below = figure.text(0, 0, x_label, ha="center", va="bottom") if x_label else None
    # A column of anyone's table may have a name longer than its panel is high: six points a character.
    y_label = fold(y_label, int(figure.get_figheight() * 72 / 6))
    beside = figure.text(0, 0, y_label, ha="left", va="center", rotation=90) if y_label else None

    above = MARGIN + sum(extent(block) + GAP for block in head)
    under = MARGIN + sum(extent(block) + GAP for block in foot) + (extent(below) + GAP / 2 if below else 0)
    left = MARGIN + (extent(beside, "width") + GAP / 2 if beside else 0)
    height = figure.get_figheight() + above + under
    figure.set_figheight(height)

    top = height - MARGIN
    for block in head:
        if isinstance(block, Text):
            block.set_position((MARGIN / WIDTH, top / height))
        else:
            block.set_bbox_to_anchor((MARGIN / WIDTH, top / height), transform=figure.transFigure)
        top -= extent(block) + GAP
    for block in foot:
        block.set_position((MARGIN / WIDTH, MARGIN / height))

    area = (left / WIDTH, under / height, 1 - (left + MARGIN) / WIDTH, 1 - (above + under) / height)
    figure.set_layout_engine("constrained", rect=area, w_pad=0.04, h_pad=0.04)
    figure.get_layout_engine().execute(figure)
    figure.set_layout_engine(None)
    # The layout's last digits differ between draws, and with them an SVG's bytes: settle them.
    shown = [axes.get_position() for axes in figure.axes]
    for axes, box in zip(figure.axes, shown, strict=True):
        axes.set_position(np.round(box.bounds, 5))

    middle_x = (min(box.x0 for box in shown) + max(box.x1 for box in shown)) / 2
    middle_y = (min(box.y0 for box in shown) + max(box.y1 for box in shown)) / 2
    if below:
        below.set_position((middle_x, (under - extent(below) - GAP / 2) / height))
    if beside:
        beside.set_position((MARGIN / WIDTH, middle_y))
    return Picture(figure, alt)


def save(figure: Figure, folder: Path, name: str) -> Path:
    """Write `figure` to `folder`/`name`.png and .svg, each whole or not at all; the same bytes each time.

    Returns:
        The path of the PNG.
    """
    for suffix, facts in ((".svg", {"Date": None, "Title": name}), (".png", {"Title": name})):
        path = folder / f"{name}{suffix}"
        with atomic(path) as temporary:
            figure.savefig(temporary, metadata=facts)
    return path
