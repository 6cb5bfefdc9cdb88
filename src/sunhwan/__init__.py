"""Fast recurrent networks on the CPU, compared with honest baselines.

`import sunhwan` loads nothing heavy and never changes the Keras backend of the program that imports it.
"""

from importlib import import_module
from importlib.metadata import version

from sunhwan.errors import SunhwanError

__version__ = version("sunhwan")

_HOMES = {
    "accelerate": "sunhwan.recurrence.keras.accelerate",
    "accelerated": "sunhwan.recurrence.keras.accelerate",
    "restore": "sunhwan.recurrence.keras.accelerate",
    "explain": "sunhwan.recurrence.keras.explain",
    "Stepper": "sunhwan.recurrence.keras.stepper",
    "Classifier": "sunhwan.classify.texts.estimator",
    "Forecaster": "sunhwan.forecast.estimator",
    "SeriesClassifier": "sunhwan.classify.recordings.estimator",
    "release_memory": "sunhwan.recurrence.ops",
}
"""Public names and the modules that define them, imported on first use."""

# Without Stepper, which imports Keras: `from sunhwan import *` would fix the program's backend. Without
# Classifier, SeriesClassifier and Forecaster, which are slow to import.
__all__ = [
    "SunhwanError",
    "__version__",
    "accelerate",
    "accelerated",
    "explain",
    "release_memory",
    "restore",
]


def __getattr__(name):
    if name in ("reference", "audit"):
        return import_module(f"sunhwan.{name}")
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value = getattr(import_module(_HOMES[name]), name)
    return value


def __dir__():
    return sorted({*globals(), *_HOMES, "audit", "reference"})
