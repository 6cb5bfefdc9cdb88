"""Hold anyone's recurrent model to the light: leaks that its arrays show, and how a straight line does.

The data's way, one file each:

    watch     Keras's fit, evaluate and predict, and scikit-learn's scalers, observed: a `Call` for each,
              with its line in the script and the rows that it was given (`rows.Rows`), copied within bounds
    fits      calls of one model on the same rows -> a `Fit` with its parts: train, val, tests, and the one
              on which its result is reported
    baselines the simple models, on exactly the rows and by exactly the metric of that part -> `Comparison`
    leaks     small functions that read fits and answer with a `Finding` each, or with nothing;
    cautions  those of leaks stand in the one, of warnings and notes in the other; overlap.py, shingles.py,
              scaling.py and reach.py hold what they measure
    account   fits, comparisons and findings -> text for people, one JSON object for programs

While the script runs no random number is drawn, and nothing computed but the norm of its weights in the first
steps (steps.py): arrays are copied, that is all. So its results have the same bits as without an audit.

`with sunhwan.audit() as findings:` is `auditing.audit`; the package is called, since it has that name.
`sunhwan.audit.Callback` is `callback.Callback`, imported when it is asked for, since Keras is with it.
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
