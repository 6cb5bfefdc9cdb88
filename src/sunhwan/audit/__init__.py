"""Audit anyone's recurrent model: leaks that its arrays prove, and how baselines do on the same rows.

The data's way, one file each:

    observe/watch   Keras's fit, evaluate and predict, and scikit-learn's scalers, observed: a `KerasCall` for
    each,
                    with its line in the script and its rows (`rows.ObservedRows`), copied within bounds
    fits            calls of one model on the same rows -> a `Fit` with its parts: train, validation, tests,
    and
                    the part on which its result is reported
    baselines       simple models on the same rows, with the same metric -> `Comparison`
    findings/       small functions that read a fit and yield findings, each beside what it measures
    text            fits, comparisons and findings -> text for people, one JSON object for programs

While the script runs no random number is drawn, and nothing is computed but the norm of its weights in the
first steps (observe/steps.py): arrays are copied, and that is all. So its results have the same bits as
without an audit.

`with sunhwan.audit() as findings:` calls `session.audit`: the package is callable, since it has that name.
`sunhwan.audit.Callback` is `callback.Callback`, imported on first use, since it imports Keras.
"""

import sys
from types import ModuleType


class _Callable(ModuleType):
    def __call__(self, *arguments, **options):
        from sunhwan.audit.session import audit

        return audit(*arguments, **options)

    def __getattr__(self, name):
        if name != "Callback":
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        from sunhwan.audit.callback import Callback

        return Callback


sys.modules[__name__].__class__ = _Callable
