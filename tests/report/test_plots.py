"""Plots from run directories: each is drawn, not empty, legible, and shows the numbers of the run."""

from __future__ import annotations

import csv
import itertools
import json
import subprocess
import sys

import matplotlib
import matplotlib.image
import numpy as np
import pytest
from matplotlib.dates import date2num, num2date

from sunhwan.errors import SunhwanError
from sunhwan.report import plots, style

HOUR = np.timedelta64(3600, "s")
FORECAST = [
    "results",
    "loss",
    "series",
    "first_ten_days",
    "forecast",
    "forecast_against_truth",
    "error_by_hour",
]
TEXT = ["results", "loss", "accuracy", "reliability"]
ADDING = ["results", "final_error", "validation_error"]
MANY = [f"gru_of_a_rather_long_name_number_{number}" for number in range(12)]


def pictures(run, *names):
    """{name: Picture} of every plot that the run has, or of those in `names`."""
    evidence = plots.read(run)
    with style.applied():
        drawn = {name: plots.PLOTS[name](evidence) for name in names or plots.PLOTS}
    return {name: picture for name, picture in drawn.items() if picture}


def figure_of(run, name):
    return pictures(run, name)[name].figure


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


def said(figure):
    """All that is written on `figure`, without line breaks."""
    return " ".join(text for text, _ in words(figure)).replace("\n", " ").replace("\u00a0", " ")


def line_like(axes, x, y):
    """The lines of `axes` that go through exactly (x, y)."""
    return [
        line
        for line in axes.lines
        if len(line.get_xdata()) == len(x)
        and np.allclose(np.asarray(line.get_xdata(), float), x, equal_nan=True)
        and np.allclose(np.asarray(line.get_ydata(), float), y, equal_nan=True)
    ]


# ---- drawn, not empty, legible ----------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "names"), [("forecast", FORECAST), ("text", TEXT), ("adding", ADDING)])
def test_every_plot_of_a_run_is_written_and_not_empty(kind, names, request):
    run = request.getfixturevalue(f"{kind}_run")()
    written = plots.draw(run)
    assert [path.stem for path in written] == names
    assert sorted(path.name for path in (run / "plots").iterdir()) == sorted(
        ["alt.json", *[f"{name}.{suffix}" for name in names for suffix in ("png", "svg")]]
    )
    figures = pictures(run)
    for path in written:
        image = (matplotlib.image.imread(path)[..., :3] * 255).round().astype(int)
        height, width, _ = image.shape
        assert width == style.WIDTH * style.DOTS_PER_INCH
        for axes in figures[path.stem].figure.axes:
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


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(lambda runs: runs["forecast"](), id="two models, two seeds"),
        pytest.param(
            lambda runs: runs["forecast"](seeds=1, count=1, few_epochs=True), id="one epoch, one seed"
        ),
        pytest.param(
            lambda runs: runs["forecast"](models=("gru",), names=("here",)), id="one model, one series"
        ),
        pytest.param(lambda runs: runs["forecast"](models=()), id="baselines only"),
        pytest.param(
            lambda runs: runs["forecast"](
                models=tuple(MANY),
                baselines=("same_time_yesterday", "ridge_with_a_calendar_of_features", "boosting", "mean"),
                study="measurements_of_the_air_temperature_at_three_stations_from_a_file",
                target="air temperature at two metres above the ground (degC)",
                names=("a station whose name goes on and on and on", "b", "c"),
            ),
            id="twelve models, long names",
        ),
        pytest.param(
            lambda runs: runs["forecast"](unit="hPa", target="p ($)", days=15), id="short, dollar sign"
        ),
        pytest.param(lambda runs: runs["text"](), id="texts"),
        pytest.param(lambda runs: runs["text"](seeds=1, count=1, few_epochs=True), id="texts, one epoch"),
        pytest.param(lambda runs: runs["adding"](), id="adding"),
        pytest.param(
            lambda runs: runs["adding"](seeds=1, lengths=(50, 100, 200, 400)), id="adding, four lengths"
        ),
    ],
)
def test_no_word_is_cut_off_and_none_lies_on_another(make, forecast_run, text_run, adding_run):
    run = make({"forecast": forecast_run, "text": text_run, "adding": adding_run})
    drawn = pictures(run)
    assert "results" in drawn
    for name, picture in drawn.items():
        page = picture.figure.bbox
        written = words(picture.figure)
        assert len(written) > 5
        for text, box in written:
            assert page.x0 <= box.x0 and box.x1 <= page.x1, f"{name}: {text!r} leaves the page sideways"
            assert page.y0 <= box.y0 and box.y1 <= page.y1, (
                f"{name}: {text!r} leaves the page upwards or downwards"
            )
        for (one, box), (other, second) in itertools.combinations(written, 2):
            # A pixel is a two hundredth of an inch: boxes that touch are no overlap.
            across = min(box.x1, second.x1) - max(box.x0, second.x0)
            along = min(box.y1, second.y1) - max(box.y0, second.y0)
            assert across <= 1 or along <= 1, f"{name}: {one!r} lies on {other!r}"


def test_words_are_ten_points_or_larger(forecast_run):
    for name, picture in pictures(forecast_run()).items():
        for text in picture.figure.findobj(matplotlib.text.Text):
            assert text.get_fontsize() >= style.WORDS, f"{name}: {text.get_text()!r}"


def test_two_draws_are_the_same_bytes_whatever_the_readers_settings(forecast_run):
    run = forecast_run(seeds=1, count=3, names=("here",))
    first = {path.name: path.read_bytes() for path in plots.draw(run)[0].parent.iterdir()}
    before = dict(matplotlib.rcParams)
    with matplotlib.rc_context({"axes.facecolor": "black", "font.size": 20, "lines.linewidth": 9}):
        own = dict(matplotlib.rcParams)
        plots.draw(run)
        assert dict(matplotlib.rcParams) == own
    assert dict(matplotlib.rcParams) == before
    second = {path.name: path.read_bytes() for path in (run / "plots").iterdir()}
    assert len(first) == 2 * len(FORECAST) + 1
    assert first == second


def test_the_room_imports_no_model_and_no_window():
    seen = "import sunhwan.report.plots, sys; print(*sys.modules)"
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


def test_few_epochs_are_admitted_on_every_plot(forecast_run):
    for name, picture in pictures(forecast_run(count=2, seeds=1, few_epochs=True)).items():
        assert "few epochs: a demonstration (2 epochs, 1 seed)" in said(picture.figure), name
    assert "demonstration" not in said(figure_of(forecast_run(), "results"))


def test_alt_text_names_the_figures(forecast_run, score_table):
    run = forecast_run()
    (run / "metrics.json").write_text(
        json.dumps(score_table("degC", {"gru": (2.2, 2.31, 0.04)}, {"ridge": (2.4, 2.45)})), encoding="utf-8"
    )
    plots.draw(run)
    alt = json.loads((run / "plots" / "alt.json").read_text(encoding="utf-8"))
    assert list(alt) == FORECAST
    assert alt["results"] == (
        "Mean absolute error (°C) on the test part of tomorrow, best first: gru (network) 2.31 ± 0.04, "
        "ridge (baseline) 2.45."
    )
    for sentence in alt.values():
        assert sentence.endswith(".") and any(letter.isdigit() for letter in sentence)


# ---- what is there is drawn, what is not is not -----------------------------------------------------------


def test_a_run_that_has_only_begun_has_nothing_to_draw(write_run):
    run = write_run()
    assert plots.draw(run) == []
    assert not (run / "plots").exists()


@pytest.mark.parametrize(
    ("file", "gone"),
    [
        ("metrics.json", ["results"]),
        ("history.csv", ["loss"]),
        ("series.npz", ["series", "first_ten_days"]),
        ("predictions.npz", ["forecast", "forecast_against_truth", "error_by_hour"]),
    ],
)
def test_a_file_that_is_not_there_is_a_picture_less(file, gone, forecast_run):
    run = forecast_run()
    (run / file).unlink()
    assert list(pictures(run)) == [name for name in FORECAST if name not in gone]


def test_without_scores_the_networks_are_known_from_the_history(forecast_run):
    run = forecast_run(models=("gru",), baselines=("ridge",))
    (run / "metrics.json").unlink()
    legend = [text.get_text() for text in figure_of(run, "forecast").legends[0].get_texts()]
    assert legend == ["truth", "gru (network)", "ridge (baseline)"], "and none is called the best"


def test_columns_and_parts_without_a_number_are_left_out(write_run):
    nothing = float("nan")
    run = write_run(
        "text",
        metrics={"models": {"gru": {"val": None, "test": {"mean": None, "std": None}}}, "baselines": {}},
        history=[
            {
                "model": "gru",
                "seed": 0,
                "epoch": 1,
                "loss": 0.5,
                "val_loss": 0.6,
                "accuracy": "",
                "val_accuracy": "",
            }
        ],
        predictions={"truth": np.array([0, 1]), "probability:gru": np.array([nothing, nothing])},
    )
    assert list(pictures(run)) == ["loss"]


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda run: (run / "run.json").unlink(), "no run.json"),
        (lambda run: (run / "run.json").write_text("{"), "run.json.*JSON"),
        (
            lambda run: (run / "run.json").write_text('{"study": "a", "kind": "b"}'),
            "kind 'b'.*forecast, text, adding",
        ),
        (lambda run: (run / "metrics.json").write_text("[]"), "metrics.json.*JSON object"),
        (lambda run: (run / "history.csv").write_text("model,seed,epoch,loss\n"), "no column val_loss"),
        (
            lambda run: (run / "history.csv").write_text("model,seed,epoch,loss,val_loss\ngru,0,one,1,1\n"),
            "history.csv, line 2: .*'one'",
        ),
        (lambda run: (run / "history.csv").write_text("model,seed,epoch,loss,val_loss\ngru,0,1\n"), "line 2"),
        (lambda run: (run / "series.npz").write_bytes(b"PK not a zip"), "series.npz cannot be read"),
        (lambda run: np.savez(run / "series.npz", time=np.arange(3)), "series.npz has no array value"),
        (
            lambda run: np.savez(
                run / "predictions.npz",
                time=np.arange(3),
                truth=np.arange(3),
                **{"forecast:gru": np.arange(2)},
            ),
            "predictions.npz has 3 rows of truth but 2 of forecast:gru",
        ),
    ],
)
def test_a_damaged_run_is_one_plain_sentence_and_leaves_no_plot(damage, message, forecast_run):
    run = forecast_run(count=1, days=15)
    damage(run)
    with pytest.raises(SunhwanError, match=message):
        plots.draw(run)
    assert not (run / "plots").exists()


# ---- results ----------------------------------------------------------------------------------------------


def test_results_stand_in_order_with_their_numbers_and_spread(forecast_run, score_table):
    run = forecast_run(seeds=3)
    models = {"gru": (2.5, 2.516, 0.031), "lstm": (2.6, 2.604, 0.05)}
    metrics = score_table("degC", models, {"ridge": (2.3, 2.351), "last_value": (3.0, 3.1)})
    (run / "metrics.json").write_text(json.dumps(metrics), encoding="utf-8")
    figure = figure_of(run, "results")
    (axes,) = figure.axes
    rows = [label.get_text() for label in axes.get_yticklabels()]
    assert rows == ["ridge", "gru", "lstm", "last_value"]
    assert [text.get_text() for text in axes.texts] == ["2.35", "2.52 ± 0.03", "2.60 ± 0.05", "3.10"]
    assert [text.get_weight() for text in axes.texts] == ["bold", "normal", "normal", "normal"]
    dots = {line.get_ydata()[0]: line for line in axes.lines if line.get_marker() in "os"}
    assert {rows[place]: line.get_xdata()[0] for place, line in dots.items()} == {
        "ridge": 2.351, "gru": 2.516, "lstm": 2.604, "last_value": 3.1,
    }  # fmt: skip
    assert [dots[place].get_color() for place in range(4)] == [
        style.BASELINE.color, style.NETWORK.color, style.NETWORK.color, style.BASELINE.color,
    ]  # fmt: skip
    bars = [line for line in axes.lines if line.get_marker() == "|"]
    assert [list(bar.get_xdata()) for bar in bars] == [
        pytest.approx([2.485, 2.547]), pytest.approx([2.554, 2.654]),
    ]  # fmt: skip
    written = " ".join(text for text, _ in words(figure)).replace("\n", " ").replace("\u00a0", " ")
    assert "ridge has the lowest test error, 2.35 °C; best network gru, 2.52 °C" in written
    assert "test mean absolute error (°C)" in written
    assert "mean ± standard deviation over 3 seeds" in written


def test_of_accuracies_the_highest_is_best(text_run):
    (axes,) = figure_of(text_run(), "results").axes
    assert [label.get_text() for label in axes.get_yticklabels()] == [
        "nb_svm",
        "lstm",
        "simple_rnn",
        "majority",
    ]
    assert axes.texts[0].get_text() == "0.916"


def test_one_seed_has_no_spread_and_says_so(forecast_run):
    figure = figure_of(forecast_run(seeds=1), "results")
    assert "±" not in said(figure)
    assert "the spread is not known" in said(figure)
    assert not [line for line in figure.axes[0].lines if line.get_marker() == "|"]


def test_a_diverged_network_is_off_the_scale_with_its_number(write_run, score_table):
    models = {"gru": (2.5, 2.5, None), "bad": (400.0, 412.0, None), "worse": (None, None, None)}
    run = write_run(metrics=score_table("degC", models, {"ridge": (2.3, 2.4), "last_value": (3.0, 3.0)}))
    (axes,) = figure_of(run, "results").axes
    assert axes.get_xlim()[1] < 4
    assert [text.get_text() for text in axes.texts][-2:] == ["412.00", "no number"]
    assert len([line for line in axes.lines if line.get_marker() == ">"]) == 1


# ---- learning curves --------------------------------------------------------------------------------------


def test_learning_curves_show_the_history_and_the_epoch_kept(write_run):
    validation = [0.5, 0.31, 0.3, 0.3, 0.4]
    history = [
        {"model": "gru", "seed": 0, "epoch": at + 1, "loss": 0.6 - 0.1 * at, "val_loss": value}
        for at, value in enumerate(validation)
    ]
    (axes,) = figure_of(write_run(history=history), "loss").axes
    (line,) = line_like(axes, range(1, 6), validation)
    assert line.get_linestyle() == "-"
    (dots,) = line_like(axes, range(1, 6), [0.6, 0.5, 0.4, 0.3, 0.2])
    assert (dots.get_linestyle(), dots.get_marker()) == ("None", "o")
    # Of two equal epochs the first is kept.
    (kept,) = [line for line in axes.lines if line.get_marker() == "D"]
    assert (kept.get_xdata()[0], kept.get_ydata()[0]) == (3, 0.3)


def test_texts_keep_the_epoch_of_the_best_validation_accuracy(write_run):
    rows = zip([0.3, 0.4, 0.5], [0.84, 0.87, 0.85], strict=True)
    history = [
        {
            "model": "gru",
            "seed": 0,
            "epoch": at,
            "loss": 0.2,
            "val_loss": loss,
            "accuracy": 0.9,
            "val_accuracy": acc,
        }
        for at, (loss, acc) in enumerate(rows, 1)
    ]
    drawn = pictures(write_run("text", history=history))
    for name, height in (("loss", 0.4), ("accuracy", 0.87)):
        (kept,) = [line for line in drawn[name].figure.axes[0].lines if line.get_marker() == "D"]
        assert (kept.get_xdata()[0], kept.get_ydata()[0]) == (2, height)


def test_the_mean_of_seeds_ends_where_the_shortest_seed_ends(write_run):
    history = [
        {
            "model": "gru",
            "seed": seed,
            "epoch": epoch,
            "loss": 0.5,
            "val_loss": 0.4 + 0.1 * seed + 0.01 * epoch,
        }
        for seed, last in ((0, 5), (1, 3))
        for epoch in range(1, last + 1)
    ]
    (axes,) = figure_of(write_run(history=history), "loss").axes
    (mean,) = line_like(axes, [1, 2, 3], [0.46, 0.47, 0.48])
    (first,) = line_like(axes, range(1, 6), [0.41, 0.42, 0.43, 0.44, 0.45])
    assert mean.get_linewidth() > 2 * first.get_linewidth()


def test_rows_count_in_the_order_of_epochs_and_of_an_epoch_written_twice_the_later(write_run):
    rows = [(2, 0.3), (1, 0.9), (1, 0.4)]
    history = [{"model": "gru", "seed": 0, "epoch": at, "loss": 0.5, "val_loss": value} for at, value in rows]
    (axes,) = figure_of(write_run(history=history), "loss").axes
    assert line_like(axes, [1, 2], [0.4, 0.3])


def test_a_loss_that_explodes_leaves_the_others_their_scale_and_is_named(write_run):
    history = [
        {"model": model, "seed": 0, "epoch": epoch, "loss": 0.3, "val_loss": value}
        for model, values in (("gru", [0.4, 0.3, 0.35]), ("stacked", [0.4, 7e8, float("nan")]))
        for epoch, value in enumerate(values, 1)
    ]
    drawn = figure_of(write_run(history=history), "loss")
    calm, exploding = drawn.axes
    assert calm.get_ylim()[1] < 0.5
    assert calm.get_ylim() == exploding.get_ylim()
    assert exploding.get_title(loc="left") == "stacked\n▲ up to 7e+08\nno number: epoch 3"
    (edge,) = [line for line in exploding.lines if line.get_marker() == "^"]
    assert list(edge.get_xdata()) == [2]
    assert "▲: off the scale" in said(drawn)


def test_panels_share_one_scale(forecast_run):
    panels = figure_of(forecast_run(models=("dense", "gru", "lstm", "stacked", "pooled")), "loss").axes
    assert len(panels) == 5
    assert len({axes.get_ylim() for axes in panels}) == 1


# ---- adding problem ---------------------------------------------------------------------------------------


def test_validation_error_counts_updates_and_shows_chance(adding_run):
    figure = figure_of(adding_run(seeds=1, count=4, lengths=(50, 100)), "validation_error")
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["50 steps", "100 steps"]
    with open(adding_run(seeds=1, count=4, lengths=(50, 100)) / "history.csv", newline="") as file:
        gru = [float(row["val_loss"]) for row in csv.DictReader(file) if row["model"] == "gru_100"]
    assert line_like(figure.axes[1], [50, 100, 150, 200], gru)
    for axes in figure.axes:
        assert line_like(axes, [0, 1], [1 / 6, 1 / 6]), "chance, across the axes"
        assert axes.get_yscale() == "log"


def test_without_a_number_of_updates_epochs_are_counted(adding_run):
    figure = figure_of(adding_run(seeds=1, count=3, lengths=(50,), steps_per_epoch=None), "validation_error")
    assert "epoch (a block of updates)" in said(figure)
    assert [1, 2, 3] in [list(line.get_xdata()) for line in figure.axes[0].lines]


def test_final_error_says_how_far_each_cell_comes(adding_run, score_table):
    run = adding_run(seeds=1)
    models = {
        "gru_50": 0.002,
        "gru_100": 0.004,
        "gru_200": 0.05,
        "simple_rnn_50": 0.16,
        "simple_rnn_100": 0.17,
    }
    metrics = score_table("mse", {name: (error, error, None) for name, error in models.items()}, {})
    (run / "metrics.json").write_text(json.dumps(metrics), encoding="utf-8")
    figure = figure_of(run, "final_error")
    assert figure.texts[0].get_text().replace("\n", " ") == (
        "adding_problem: error under 0.01 by gru up to 100 steps, simple_rnn at no length"
    )
    heights = [list(line.get_ydata()) for line in figure.axes[0].lines]
    assert [0.002, 0.004, 0.05] in heights
    assert [0.16, 0.17] in heights


def test_a_spread_wider_than_its_mean_stays_on_the_logarithmic_axis(write_run, score_table):
    models = {"gru_50": (0.01, 0.01, 0.02), "lstm_50": (0.16, 0.16, 0.001)}
    drawn = pictures(write_run("adding", metrics=score_table("mse", models, {})))
    assert 0.001 < drawn["results"].figure.axes[0].get_xlim()[0] < 0.01
    assert 0.001 < drawn["final_error"].figure.axes[0].get_ylim()[0] < 0.01


# ---- series -----------------------------------------------------------------------------------------------


def test_the_whole_series_is_drawn_with_its_parts(forecast_run):
    run = forecast_run(days=50, names=("here",))
    stored = np.load(run / "series.npz")
    figure = figure_of(run, "series")
    (axes,) = figure.axes
    assert line_like(axes, date2num(stored["time"]), stored["value"])
    cuts = sorted(line.get_xdata()[0] for line in axes.lines if len(line.get_xdata()) == 2)
    assert cuts == pytest.approx(date2num(stored["edges"]))
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    assert legend == ["training", "validation", "test"]


def test_a_long_series_becomes_daily_mean_and_range_and_keeps_its_gap(forecast_run):
    run = forecast_run(days=250, names=("here",))
    stored = np.load(run / "series.npz")
    days = stored["value"].reshape(250, 24)
    (axes,) = figure_of(run, "series").axes
    (line,) = [line for line in axes.lines if len(line.get_xdata()) == 250]
    empty = np.isnan(days).all(axis=1)
    assert empty.sum() == 1
    np.testing.assert_array_equal(np.isnan(line.get_ydata()), empty)
    # Sums in another order differ in the last digits of a double.
    np.testing.assert_allclose(line.get_ydata()[~empty], np.nanmean(days[~empty], axis=1), rtol=1e-12)
    (band,) = axes.collections
    heights = np.concatenate([path.vertices[:, 1] for path in band.get_paths()])
    assert (heights.min(), heights.max()) == (np.nanmin(days), np.nanmax(days))


def test_the_first_ten_days_are_ten_days_of_every_reading(forecast_run):
    run = forecast_run(days=40)
    stored = np.load(run / "series.npz")
    figure = figure_of(run, "first_ten_days")
    assert figure.texts[0].get_text() == "tomorrow: the first ten days, from 2013-01-01"
    for code, axes in enumerate(figure.axes):
        rows = np.flatnonzero(stored["series"] == code)[:240]
        assert line_like(axes, date2num(stored["time"][rows]), stored["value"][rows])


def test_a_series_shorter_than_ten_days_says_how_long_it_is(write_run):
    time = np.datetime64("2024-06-01", "s") + HOUR * np.arange(72)
    run = write_run(series={"time": time, "value": np.arange(72.0)})
    assert figure_of(run, "first_ten_days").texts[0].get_text() == "parts: the first 3 days, from 2024-06-01"


def test_rows_that_are_not_there_are_a_gap_in_the_line(write_run):
    time = np.datetime64("2024-06-01", "s") + HOUR * np.array([3, 0, 1, 2, 30, 31])
    run = write_run(series={"time": time, "value": np.array([3.0, 0, 1, 2, 4, 5])})
    (axes,) = figure_of(run, "series").axes
    np.testing.assert_array_equal(axes.lines[0].get_ydata(), [0, 1, 2, 3, np.nan, 4, 5])


def test_one_lone_reading_and_many_series_are_drawn(write_run):
    time = np.repeat(np.datetime64("2024-06-01", "s"), 8)
    run = write_run(series={"time": time, "value": np.arange(8.0), "series": np.arange(8)})
    figure = figure_of(run, "series")
    assert len(figure.axes) == 6
    assert "the first 6 of 8 series" in said(figure)


# ---- forecasts --------------------------------------------------------------------------------------------


def forecasts(write_run, score_table, errors, models, baselines, **options):
    """A run whose truth is 0 for the hours of `errors`, and whose forecasts are the errors: {name: (n,)}."""
    length = len(next(iter(errors.values())))
    time = np.datetime64("2024-06-01", "s") + options.pop("step", HOUR) * np.arange(length)
    truth = np.sin(np.arange(length))
    predictions = {"time": time, "truth": truth, **{f"forecast:{n}": truth + e for n, e in errors.items()}}
    return write_run(metrics=score_table("degC", models, baselines), predictions=predictions, **options)


def test_the_best_is_chosen_by_validation_not_by_test(write_run, score_table):
    errors = {
        name: np.full(48, error)
        for name, error in (("gru", 1.0), ("lstm", 0.5), ("ridge", 0.7), ("last", 0.1))
    }
    models = {"gru": (1.0, 1.0, None), "lstm": (1.2, 0.5, None)}
    run = forecasts(write_run, score_table, errors, models, {"ridge": (0.8, 0.7), "last": (0.9, 0.1)})
    drawn = pictures(run)
    legend = [text.get_text() for text in drawn["forecast"].figure.legends[0].get_texts()]
    assert legend == ["truth", "gru (best network)", "ridge (best baseline)"]
    legend = [text.get_text() for text in drawn["error_by_hour"].figure.legends[0].get_texts()]
    assert legend == ["gru (best network)", "ridge (best baseline)", "last"]


def test_the_stretch_shown_is_the_typical_one(write_run, score_table):
    # Five stretches of ten days, with errors 1, 9, 4, 2, 4.5: of their mean, 4.1, the third is nearest.
    errors = {"gru": np.repeat([1.0, 9.0, 4.0, 2.0, 4.5], 240)}
    run = forecasts(write_run, score_table, errors, {"gru": (4, 4.1, None)}, {})
    figure = figure_of(run, "forecast")
    (axes,) = figure.axes
    start, end = (num2date(edge).replace(tzinfo=None) for edge in axes.get_xlim())
    assert (start.isoformat(), end.isoformat()) == ("2024-06-21T00:00:00", "2024-06-30T23:00:00")
    when = date2num(np.datetime64("2024-06-21", "s") + HOUR * np.arange(240))
    assert line_like(axes, when, np.sin(np.arange(480, 720)))
    assert line_like(axes, when, np.sin(np.arange(480, 720)) + 4)
    assert "ten days of the test part" in figure.texts[0].get_text()


def test_forecast_against_truth_counts_each_forecast_once(write_run, score_table):
    errors = {"gru": np.full(1000, 0.1), "ridge": np.full(1000, -0.2)}
    errors["gru"][:10] = np.nan
    errors["gru"][10:13] = 1e6
    run = forecasts(write_run, score_table, errors, {"gru": (1, 1, None)}, {"ridge": (1, 1)})
    figure = figure_of(run, "forecast_against_truth")
    counts = [axes.collections[0].get_array().sum() for axes in figure.axes[:2]]
    assert counts == [987, 1000]
    assert "mean absolute error 0.200\u00a0°C, bias −0.200\u00a0°C" in figure.axes[1].get_title(loc="left")
    assert "3 forecasts off the scale" in said(figure)
    for axes in figure.axes[:2]:
        assert any(list(line.get_xdata()) == list(line.get_ydata()) for line in axes.lines), (
            "the line of equals"
        )
        assert axes.get_xlim() == axes.get_ylim()


def test_a_few_forecasts_are_dots(write_run, score_table):
    run = forecasts(write_run, score_table, {"gru": np.full(30, 0.25)}, {"gru": (1, 1, None)}, {})
    (axes,) = figure_of(run, "forecast_against_truth").axes
    assert line_like(axes, np.sin(np.arange(30)), np.sin(np.arange(30)) + 0.25)


def test_error_by_hour_is_the_mean_of_each_hour(write_run, score_table):
    hour = np.arange(72) % 24
    errors = {"gru": (1 + hour) * np.where(np.arange(72) < 24, 1.0, -1.0), "ridge": np.full(72, 3.0)}
    errors["gru"][hour == 7] = np.nan
    run = forecasts(write_run, score_table, errors, {"gru": (1, 1, None)}, {"ridge": (1, 1)})
    figure = figure_of(run, "error_by_hour")
    known = [at for at in range(24) if at != 7]
    assert line_like(figure.axes[0], known, [1 + at for at in known])
    assert line_like(figure.axes[0], range(24), [3] * 24)
    written = figure.texts[0].get_text().replace("\n", " ").replace("\u00a0", " ")
    assert written.endswith("gru from 1.0 °C at 00:00 to 24.0 °C at 23:00")


def test_daily_forecasts_have_no_course_of_the_day(write_run, score_table):
    errors = {"gru": np.full(60, 0.25)}
    run = forecasts(write_run, score_table, errors, {"gru": (1, 1, None)}, {}, step=24 * HOUR)
    assert list(pictures(run)) == ["results", "forecast", "forecast_against_truth"]


# ---- texts ------------------------------------------------------------------------------------------------


def test_reliability_sets_shares_against_probabilities(write_run, score_table):
    probability = np.repeat([0.05, 0.35, 0.95], [100, 200, 100])
    truth = np.concatenate([np.arange(100) < 10, np.arange(200) < 50, np.arange(100) < 90]).astype(int)
    run = write_run(
        "text",
        metrics=score_table("accuracy", {"gru": (0.9, 0.9, None)}, {}),
        predictions={"truth": truth, "probability:gru": probability},
    )
    above, below = figure_of(run, "reliability").axes
    assert line_like(above, [0.05, 0.35, 0.95], [0.1, 0.25, 0.9])
    (steps,) = below.patches
    np.testing.assert_allclose(steps.get_data().values, [0.25, 0, 0, 0.5, 0, 0, 0, 0, 0, 0.25])


def test_three_classes_have_no_reliability(write_run, score_table):
    run = write_run(
        "text",
        metrics=score_table("accuracy", {"gru": (0.9, 0.9, None)}, {}),
        predictions={"truth": np.arange(90) % 3, "probability:gru": np.full(90, 0.5)},
    )
    assert list(pictures(run)) == ["results"]
