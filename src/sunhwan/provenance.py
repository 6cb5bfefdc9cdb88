"""What a result depends on besides its data and seeds: versions, and the machine."""

from __future__ import annotations

import os
import platform
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from sunhwan import __version__

PACKAGES = ("keras", "jax", "numpy", "scipy", "polars", "scikit-learn", "matplotlib")


def versions() -> dict[str, str]:
    """The versions of everything that a run's bits depend on."""
    ours = {"sunhwan": __version__, "python": platform.python_version()}
    return ours | {name: version(name) for name in PACKAGES}


def now() -> str:
    """The time in UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def machine() -> dict[str, object]:
    """The system, the processor and how many cores it has."""
    return {"system": platform.platform(), "processor": processor(), "cores": os.cpu_count()}


def processor() -> str:
    """The processor's name, as far as the system gives it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()
