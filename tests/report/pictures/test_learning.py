"""Learning curves show the history, and the epoch that is kept."""

from __future__ import annotations


def test_learning_curves_show_the_history_and_the_epoch_kept(write_run, figure_of, line_like):
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


def test_texts_too_keep_the_epoch_of_the_lowest_validation_loss(write_run, pictures):
    rows = zip([0.4, 0.3, 0.5], [0.84, 0.85, 0.87], strict=True)
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
    for name, height in (("loss", 0.3), ("accuracy", 0.85)):
        (kept,) = [line for line in drawn[name].figure.axes[0].lines if line.get_marker() == "D"]
        assert (kept.get_xdata()[0], kept.get_ydata()[0]) == (2, height)


def test_the_mean_of_seeds_ends_where_the_shortest_seed_ends(write_run, figure_of, line_like):
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


def test_a_loss_that_explodes_leaves_the_others_their_scale_and_is_named(write_run, figure_of, said):
    history = [
        {"model": model, "seed": 0, "epoch": epoch, "loss": 0.3, "val_loss": value}
        for model, values in (("gru", [0.4, 0.3, 0.35]), ("stacked", [0.4, 7e8, float("nan")]))
        for epoch, value in enumerate(values, 1)
    ]
    drawn = figure_of(write_run(history=history), "loss")
    calm, exploding = drawn.axes
    assert calm.get_ylim()[1] < 0.5
    assert calm.get_ylim() == exploding.get_ylim()
    assert exploding.get_title(loc="left") == "stacked\n▲ up to 7e+08\nnot finite: epoch 3"
    (edge,) = [line for line in exploding.lines if line.get_marker() == "^"]
    assert list(edge.get_xdata()) == [2]
    assert "▲: off the scale" in said(drawn)


def test_panels_share_one_scale(case):
    panels = case("forecast, long names")[1]["loss"].figure.axes
    assert len(panels) == 12
    assert len({axes.get_ylim() for axes in panels}) == 1
