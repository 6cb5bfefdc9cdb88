"""Pictures of a study: `draw(run)` writes plots/NAME.png and .svg, and plots/alt.json.

Each file of the run gives these pictures; where a file is missing, as in a run that was stopped, so are they:

    metrics.json      results                 networks and baselines on the test part, with spread
                      final_error             adding problem: test error by length
    history.csv       loss, accuracy          training dots and validation line by epoch, a panel a model
                      validation_error        adding problem: by updates, a panel a length
    series.npz        series                  the whole series, its training, validation and test parts
                      first_ten_days
    predictions.npz   forecast                ten days of the test part: actual, network, baseline
                      forecast_against_actual every forecast of the test part against the actual value
                      error_by_hour           mean absolute error by hour of day
                      reliability             texts: share of positives by predicted probability

Each plot is a function from a `StudyRun` to a picture, or to None where the run has nothing for it.

Try: python -c "import pathlib, sunhwan.report.pictures.plots as p; print(p.draw(pathlib.Path('runs/NAME')))"
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from sunhwan.files import write_json
from sunhwan.report import style
from sunhwan.report.pictures.adding import final_error, validation_error
from sunhwan.report.pictures.forecasts import error_by_hour, forecast, forecast_against_actual
from sunhwan.report.pictures.learning import accuracy, loss
from sunhwan.report.pictures.scores import reliability, results
from sunhwan.report.pictures.series import first_ten_days, series
from sunhwan.report.study import StudyRun, read

PLOTS: dict[str, Callable[[StudyRun], style.Picture | None]] = {
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
        forecast_against_actual,
        error_by_hour,
        reliability,
    )
}
"""Each plot by its name, in the order of a reader's questions. To be called inside `style.applied()`."""


def draw(run: Path) -> list[Path]:
    """Draw every plot that the run directory `run` has the files for.

    Writes run/plots/NAME.png and NAME.svg, the same bytes from the same files, and run/plots/alt.json: one
    sentence a plot, with its figures, for those who cannot see it. matplotlib's settings stay as they were.

    Returns:
        The paths of the PNGs; [] for a run that has nothing to draw yet.

    Raises:
        SunhwanError: `run` is not the run of a study, or has a file that cannot be read.

    Example:
        >>> import tempfile
        >>> from sunhwan import rundir
        >>> run = Path(tempfile.mkdtemp())
        >>> facts = {"study": "tomorrow", "study_kind": "forecast", "metric": "mae", "unit": "degC"}
        >>> facts |= {"target": "T", "epochs": 20, "seeds": 1, "few_epochs": False, "steps_per_epoch": None}
        >>> scores = {"models": {}, "baselines": {"last_value": {"validation": 2.6, "test": 2.7}}}
        >>> rundir.begin(run, rundir.record("study", [], {}, {}) | facts, metrics=scores)
        >>> [path.name for path in draw(run)]
        ['results.png']
    """
    study = read(run)
    folder = run / "plots"
    written, alt = [], {}
    with style.applied():
        for name, plot in PLOTS.items():
            picture = plot(study)
            if picture:
                written.append(style.save(picture.figure, folder, name))
                alt[name] = picture.alt
    if alt:
        write_json(folder / "alt.json", alt)
    return written
