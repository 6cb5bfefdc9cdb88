"""Programs that are audited within the tests' own process, as the command audits them."""

import textwrap
from collections import defaultdict

import pytest

from sunhwan.audit.baselines import Budget
from sunhwan.audit.observe.watch import Watch
from sunhwan.audit.session import fill
from sunhwan.audit.text import Audit
from sunhwan.cli.accelerate import run_source
from sunhwan.recurrence.keras.accelerate import accelerated

# Programs in full, which pytest would run, training and all, to look for doctests in them.
collect_ignore = ["scripts"]


@pytest.fixture
def audited(tmp_path, monkeypatch):
    """Runs a program (a text) watched, and returns its audit."""

    def run(text, baselines=True, budget=600.0):
        if not baselines:
            monkeypatch.setattr("sunhwan.audit.baselines.MAKERS", defaultdict(lambda: lambda fit: []))
        source, where = textwrap.dedent(text), str(tmp_path / "script.py")
        watch, found = Watch(where), Audit(where)
        with accelerated():
            watch.start()
            try:
                run_source(source, where, "__main__")
            finally:
                watch.stop()
            fill(found, watch.record, source, Budget(budget))
        assert not [remark for remark in found.remarks if "could not be looked for" in remark]
        assert not [why for one in found.comparisons for why in one.skipped.values() if "fails" in why]
        return found

    return run
