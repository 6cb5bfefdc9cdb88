"""Programs that are audited within the tests' own process, as the command audits them."""

import textwrap
from collections import defaultdict

import pytest

from sunhwan.audit.baselines import Budget
from sunhwan.audit.observe.watch import watching
from sunhwan.audit.session import fill
from sunhwan.audit.text import Audit
from sunhwan.cli.accelerate import run_source
from sunhwan.recurrence.keras.accelerate import accelerated

# Programs in full, which pytest would run, training and all, to look for doctests in them.
collect_ignore = ["scripts"]


@pytest.fixture(scope="session")
def run_audited():
    """Runs a program (a text) as the file `where`, and returns its audit."""

    def run(source, where, budget=600.0):
        audit = Audit(where)
        with accelerated(), watching(where) as observed:
            run_source(source, where, "__main__")
        fill(audit, observed, source, Budget(budget))
        return audit

    return run


@pytest.fixture
def audited(run_audited, tmp_path, monkeypatch):
    """Runs a program (a text), and returns its audit, in which nothing failed."""

    def run(text, baselines=True, budget=600.0):
        if not baselines:
            monkeypatch.setattr("sunhwan.audit.baselines.MAKERS", defaultdict(lambda: lambda fit: []))
        audit = run_audited(textwrap.dedent(text), str(tmp_path / "script.py"), budget)
        assert not [remark for remark in audit.remarks if "could not be checked" in remark]
        skipped = [why for comparison in audit.comparisons for why in comparison.skipped.values()]
        assert not [why for why in skipped if "fails" in why]
        return audit

    return run


NOISE = """
import keras, numpy as np
from sklearn.preprocessing import MinMaxScaler
keras.utils.set_random_seed(0)
random = np.random.default_rng(0)
x = random.normal(size=(240, 6, 1))
y = x[:, -1, 0] + 0.1 * random.normal(size=240)

def network(*layers, loss="mse", optimizer="adam", metrics=(), **options):
    model = keras.Sequential([*(layers or [keras.layers.GRU(2)]), keras.layers.Dense(1, **options)])
    model.compile(optimizer, loss, metrics=list(metrics))
    return model
"""


@pytest.fixture
def on_noise(audited):
    """Runs a program that begins with `NOISE`, and returns its audit."""
    return lambda text, baselines=True: audited(NOISE + text, baselines)
