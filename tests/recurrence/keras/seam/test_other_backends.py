"""All that this folder tests holds on the other backends, too, in processes of their own.

KERAS_BACKEND=tensorflow pytest tests/recurrence/seam
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from fused_and_stock import BACKEND


@pytest.mark.parametrize("backend", sorted({"jax", "tensorflow", "torch"} - {BACKEND}))
def test_all_of_this_holds(backend):
    pytest.importorskip(backend)
    here = Path(__file__)
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider"]
    command += [str(here.parent), f"--ignore={here}"]
    # OMP_NUM_THREADS: the small products of stock layers wait for threads longer than they take.
    environment = os.environ | {"KERAS_BACKEND": backend, "OMP_NUM_THREADS": "1"}
    ended = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert ended.returncode == 0, ended.stdout + ended.stderr
