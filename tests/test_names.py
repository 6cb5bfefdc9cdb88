"""Each module has a test file of its name: `src/sunhwan/a/b.py` is tested by `tests/a/test_b.py`."""

from pathlib import Path

import pytest

TESTS = Path(__file__).parent
PACKAGE = TESTS.parent / "src" / "sunhwan"
MODULES = [path.relative_to(PACKAGE) for path in sorted(PACKAGE.rglob("*.py")) if path.name != "__init__.py"]

ELSEWHERE = {
    "audit/findings/case.py": "audit/test_text.py",
    "audit/findings/finders.py": "audit/test_scripts.py",
    "audit/observe/steps.py": "audit/findings/test_training.py",
    "audit/observe/trace.py": "audit/observe/test_watch.py",
    "audit/unchanged.py": "audit/test_speed.py",
    "baselines/names.py": "baselines/test_predictors.py",
    "classify/estimator.py": "classify/texts/test_estimator.py",
    "classify/network.py": "classify/texts/test_network.py",
    "classify/recordings/classifier.py": "classify/recordings/test_run.py",
    "classify/texts/classifier.py": "classify/test_run.py",
    "classify/training.py": "classify/texts/test_network.py",
    "cli/asking.py": "cli/test_forecast.py",
    "cli/bench.py": "recurrence/test_bench.py",
    "cli/report.py": "report/pages/test_pages.py",
    "cli/stream.py": "forecast/test_stream.py",
    "data/files/frames.py": "forecast/test_estimator.py",
    "data/health.py": "report/pages/test_pages.py",
    "errors.py": "cli/test_bad_input.py",
    "forecast/clock.py": "forecast/test_stream.py",
    "forecast/source.py": "forecast/test_run.py",
    "provenance.py": "studies/test_run.py",
    "recurrence/imported.py": "recurrence/keras/test_accelerate.py",
    "recurrence/keras/dispatch_log.py": "recurrence/keras/test_explain.py",
    "recurrence/keras/seam.py": "recurrence/keras/seam/test_models.py",
    "recurrence/ops/composed.py": "recurrence/ops/test_jax.py",
    "recurrence/reference/activations.py": "recurrence/test_activations.py",
    "recurrence/reference/arguments.py": "recurrence/test_recurrence.py",
    "recurrence/reference/gru.py": "recurrence/test_recurrence.py",
    "recurrence/reference/lstm.py": "recurrence/test_recurrence.py",
    "recurrence/reference/recurrence.py": "recurrence/test_recurrence.py",
    "recurrence/reference/simple_rnn.py": "recurrence/test_recurrence.py",
    "reference.py": "recurrence/test_reference.py",
    "report/groups.py": "report/pages/test_pages.py",
    "report/page/charts.py": "report/test_browser.py",
    "report/page/page.py": "report/pages/test_pages.py",
    "report/pages/classify.py": "report/pages/test_pages.py",
    "report/pages/comparison.py": "report/pages/test_pages.py",
    "report/pages/parts.py": "report/pages/test_pages.py",
    "report/pages/targets.py": "report/pages/test_forecast.py",
    "report/pictures/speed.py": "report/pictures/test_plots.py",
    "training/cells.py": "forecast/test_run.py",
    "training/part.py": "studies/test_problem.py",
    "training/progress.py": "studies/test_train.py",
}
"""The modules without a test file of their name, and where each is tested. It should become shorter."""


def mirrored(module):
    return TESTS / module.parent / f"test_{module.name}"


@pytest.mark.parametrize("module", MODULES, ids=str)
def test_every_module_has_its_tests(module):
    assert mirrored(module).exists() != (module.as_posix() in ELSEWHERE), (
        f"add {mirrored(module).relative_to(TESTS.parent)} or an entry in ELSEWHERE, not both"
    )


def test_the_list_names_what_exists():
    assert set(ELSEWHERE) <= {module.as_posix() for module in MODULES}
    assert not [path for path in ELSEWHERE.values() if not (TESTS / path).exists()]
