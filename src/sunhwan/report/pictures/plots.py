"""A run directory becomes pictures: `draw(run)` writes plots/NAME.png and .svg, and plots/alt.json.

What is read, and what it becomes (a file that is not there, as in a run that was stopped, is a picture less):

    metrics.json      results                 networks and baselines on the test part, with spread
                      final_error             adding problem: test error by length
    history.csv       loss, accuracy          training dots and validation line by epoch, a panel a model
                      validation_error        adding problem: by updates, a panel a length
    series.npz        series                  the whole series, its training, validation and test parts
                      first_ten_days
    predictions.npz   forecast                ten days of the test part: truth, network, baseline
                      forecast_against_truth  every forecast of the test part against what came
                      error_by_hour           mean absolute error by hour of day
                      reliability             texts: share of positives against the predicted probability

Each plot is one function from the evidence to a picture, or to None where the run has nothing for it.

Try: python -c "import pathlib, sunhwan.report.pictures.plots as p; print(p.draw(pathlib.Path('runs/NAME')))"
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from sunhwan.files import write_json
from sunhwan.report import style
from sunhwan.report.pictures.adding import final_error, validation_error
from sunhwan.report.pictures.evidence import Evidence, read
from sunhwan.report.pictures.forecasts import error_by_hour, forecast, forecast_against_truth
from sunhwan.report.pictures.learning import accuracy, loss
from sunhwan.report.pictures.scores import reliability, results
from sunhwan.report.pictures.series import first_ten_days, series

PLOTS: dict[str, Callable[[Evidence], style.Picture | None]] = {
    plot.__name__: plot
    for plot in (
        results,
        final_error,
        validation_error,
        loss,
        accuracy,
        series,
        first_ten_days,
        forecast,
        forecast_against_truth,
        error_by_hour,
        reliability,
    )
}
"""Each plot by its name, in the order in which a reader asks. To be called inside `style.applied()`."""


def draw(run: Path) -> list[Path]:
    """Draw every plot that the run directory `run` has the files for.

    Writes run/plots/NAME.png and NAME.svg, the same bytes from the same files, and run/plots/alt.json: one
    sentence a plot, with its figures, for those who cannot see it. matplotlib's settings stay as they were.

    Returns:
        The paths of the PNGs; [] for a run that has nothing to draw yet.

    Raises:
        SunhwanError: `run` holds no run.json, or a file that cannot be read.

    Example:
        >>> import json, tempfile
        >>> run = Path(tempfile.mkdtemp())
        >>> facts = {"study": "tomorrow", "kind": "forecast", "metric": "mae", "unit": "degC", "target": "T"}
        >>> facts |= {"epochs": 20, "seeds": 1, "few_epochs": False, "steps_per_epoch": None}
        >>> _ = (run / "run.json").write_text(json.dumps(facts))
        >>> scores = {"models": {}, "baselines": {"last_value": {"val": 2.6, "test": 2.7}}}
        >>> _ = (run / "metrics.json").write_text(json.dumps(scores))
        >>> [path.name for path in draw(run)]
        ['results.png']
    """
    evidence = read(run)
    folder = run / "plots"
    written, alt = [], {}
    with style.applied():
        for name, plot in PLOTS.items():
            picture = plot(evidence)
            if picture:
                written.append(style.save(picture.figure, folder, name))
                alt[name] = picture.alt
    if alt:
        write_json(folder / "alt.json", alt)
    return written
