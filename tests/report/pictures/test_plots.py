"""A run's plots together: each is drawn, not empty, legible, told in words, and the same each time."""

from __future__ import annotations

import itertools
import json
import shutil
import subprocess
import sys

import matplotlib
import matplotlib.image
import numpy as np
import pytest

from sunhwan.report import style
from sunhwan.report.pictures import plots

FORECAST = [
    "results",
    "loss",
    "series",
    "first_ten_days",
    "forecast",
    "forecast_against_actual",
    "error_by_hour",
]
TEXT = ["results", "loss", "accuracy", "reliability"]
ADDING = ["results", "final_error", "validation_error"]


@pytest.fixture(scope="session")
def drawn(case, tmp_path_factory):
    """drawn(kind): a copy of the case's run directory after `draw`, and what `draw` returned."""
    found = {}

    def make(kind):
        if kind not in found:
            run = shutil.copytree(case(kind)[0], tmp_path_factory.mktemp("drawn") / "run")
            found[kind] = run, plots.draw(run)
        return found[kind]

    return make


def words(figure):
    """(text, box) of all that is written on `figure`, in pixels; of ticks only those within the axes."""
    with style.applied():
        figure.draw_without_rendering()
    renderer = figure.canvas.get_renderer()
    found = [*figure.texts, *(text for legend in figure.legends for text in legend.get_texts())]
    for axes in figure.axes:
        found += [*axes.texts, axes.title, axes._left_title, axes.xaxis.label, axes.yaxis.label]
        found += [axes.xaxis.offsetText, axes.yaxis.offsetText]
        for axis, (low, high) in ((axes.xaxis, axes.get_xlim()), (axes.yaxis, axes.get_ylim())):
            low, high = sorted((low, high))
            found += [
                label
                for tick in axis.get_major_ticks()
                if low <= tick.get_loc() <= high
                for label in (tick.label1, tick.label2)
            ]
    shown = [text for text in found if text.get_visible() and text.get_text().strip()]
    return [(text.get_text(), text.get_window_extent(renderer)) for text in shown]


@pytest.mark.parametrize(("kind", "names"), [("forecast", FORECAST), ("text", TEXT), ("adding", ADDING)])
def test_every_plot_of_a_run_is_written_and_not_empty(kind, names, case, drawn):
    run, written = drawn(kind)
    assert [path.stem for path in written] == names
    assert sorted(path.name for path in (run / "plots").iterdir()) == sorted(
        ["alt.json", *[f"{name}.{suffix}" for name in names for suffix in ("png", "svg")]]
    )
    _, pictures = case(kind)
    for path in written:
        image = (matplotlib.image.imread(path)[..., :3] * 255).round().astype(int)
        height, width, _ = image.shape
        assert width == style.WIDTH * style.DOTS_PER_INCH
        for axes in pictures[path.stem].figure.axes:
            box = axes.get_position()
            # Within the axes: three pixels in from the frame.
            inside = image[
                int((1 - box.y1) * height) + 3 : int((1 - box.y0) * height) - 3,
                int(box.x0 * width) + 3 : int(box.x1 * width) - 3,
            ]
            # Background, shading and grid are light greys; data are dark or coloured.
            data = (np.ptp(inside, axis=-1) > 40) | (inside.max(axis=-1) < 128)
            assert data.mean() > 0.002, f"{path.stem} has axes without data"
            colours = np.unique(inside @ [1 << 16, 1 << 8, 1])
            assert len(colours) > 10, f"{path.stem} has axes of few colours"


def test_no_word_is_cut_off_and_none_lies_on_another(case, cases):
    for name in cases:
        _, pictures = case(name)
        assert "results" in pictures
        for plot, picture in pictures.items():
            page = picture.figure.bbox
            written = words(picture.figure)
            assert len(written) > 5
            for text, box in written:
                where = f"{name}, {plot}: {text!r}"
                assert page.x0 <= box.x0 and box.x1 <= page.x1, f"{where} leaves the page sideways"
                assert page.y0 <= box.y0 and box.y1 <= page.y1, f"{where} leaves the page up or down"
            for (one, box), (other, second) in itertools.combinations(written, 2):
                # A pixel is a two hundredth of an inch: boxes that touch are no overlap.
                across = min(box.x1, second.x1) - max(box.x0, second.x0)
                along = min(box.y1, second.y1) - max(box.y0, second.y0)
                assert across <= 1 or along <= 1, f"{name}, {plot}: {one!r} lies on {other!r}"


def test_words_are_ten_points_or_larger(case):
    for name, picture in case("forecast")[1].items():
        for text in picture.figure.findobj(matplotlib.text.Text):
            assert text.get_fontsize() >= style.WORDS, f"{name}: {text.get_text()!r}"


def test_two_draws_are_the_same_bytes_whatever_the_readers_settings(drawn):
    run, _ = drawn("forecast")
    first = {path.name: path.read_bytes() for path in (run / "plots").iterdir()}
    before = dict(matplotlib.rcParams)
    with matplotlib.rc_context({"axes.facecolor": "black", "font.size": 20, "lines.linewidth": 9}):
        own = dict(matplotlib.rcParams)
        plots.draw(run)
        assert dict(matplotlib.rcParams) == own
    assert dict(matplotlib.rcParams) == before
    assert len(first) == 2 * len(FORECAST) + 1
    assert first == {path.name: path.read_bytes() for path in (run / "plots").iterdir()}


def test_the_room_imports_no_model_and_no_window():
    seen = "import sunhwan.report.pictures.plots, sys; print(*sys.modules)"
    modules = subprocess.run(
        [sys.executable, "-c", seen], capture_output=True, text=True, check=True
    ).stdout.split()
    for absent in (
        "keras",
        "jax",
        "polars",
        "sklearn",
        "matplotlib.pyplot",
        "sunhwan.data",
        "sunhwan.evaluation",
    ):
        assert absent not in modules


def test_few_epochs_are_admitted_on_every_plot(case, said):
    for name, picture in case("forecast, one epoch")[1].items():
        assert "few epochs: a demonstration (1 epoch, 1 seed)" in said(picture.figure), name
    assert "demonstration" not in said(case("forecast")[1]["results"].figure)


def test_each_plot_is_told_in_a_sentence_with_figures(drawn):
    for kind, names in (("forecast", FORECAST), ("text", TEXT), ("adding", ADDING)):
        alt = json.loads((drawn(kind)[0] / "plots" / "alt.json").read_text(encoding="utf-8"))
        assert list(alt) == names
        for sentence in alt.values():
            assert sentence.endswith(".") and any(letter.isdigit() for letter in sentence)


def test_a_run_that_has_only_begun_has_nothing_to_draw(write_run):
    run = write_run()
    assert plots.draw(run) == []
    assert not (run / "plots").exists()


def test_parts_without_a_number_are_left_out(write_run, pictures):
    nothing = float("nan")
    none = {"mean": None, "std": None}
    run = write_run(
        "text",
        metrics={"models": {"gru": {"validation": none, "test": none}}, "baselines": {}},
        history=[
            {
                "model": "gru",
                "seed": 0,
                "epoch": 1,
                "loss": 0.5,
                "val_loss": 0.6,
                "accuracy": nothing,
                "val_accuracy": nothing,
            }
        ],
        predictions={"truth": np.array([0, 1]), "probability:gru": np.array([nothing, nothing])},
    )
    assert list(pictures(run)) == ["loss"]
