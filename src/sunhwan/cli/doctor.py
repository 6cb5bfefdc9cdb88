"""`sunhwan doctor`: check versions, kernels, backend and cache."""

from __future__ import annotations

import os
import platform
import sys
from importlib.metadata import PackageNotFoundError, packages_distributions, version
from importlib.util import find_spec

import click

from sunhwan import __version__
from sunhwan.cli import need_backend
from sunhwan.errors import SunhwanError
from sunhwan.files import writable

REQUIRED = (
    "keras",
    "jax",
    "numpy",
    "scipy",
    "polars",
    "scikit-learn",
    "matplotlib",
    "plotly",
    "jinja2",
    "orjson",
    "rich",
    "pooch",
    "requests",
    "filelock",
    "tomli-w",
)
OPTIONAL = {"torch": "the PyTorch backend of Keras", "tensorflow": "the TensorFlow backend of Keras"}


@click.command(epilog="\b\nExample:\n  sunhwan doctor")
def command() -> None:
    """Check the installation: versions, kernels, backend, cache.

    The exit status is 1 if something required is missing or does not work.
    """
    click.echo(f"sunhwan {__version__}, Python {platform.python_version()} at {sys.executable}")
    missing = [name for name in REQUIRED if installed(name) is None]
    for name in REQUIRED:
        click.echo(f"  {name:<13} {installed(name) or 'MISSING: pip install ' + name}")
    for name, purpose in OPTIONAL.items():
        click.echo(f"  {name:<13} {provided(name) or f'not installed (optional: {purpose})'}")
    if missing:
        # The checks below import them.
        click.echo(f"missing: {', '.join(missing)}")
        sys.exit(1)

    from sunhwan import native
    from sunhwan.data.sets import download
    from sunhwan.provenance import processor

    click.echo(f"{platform.platform()}, {processor()}, {os.cpu_count()} cores")
    problems = []
    if why := native.reason():
        problems.append(f"the kernels cannot run, so nothing is accelerated: {why}")
    else:
        click.echo(f"kernels: {native.isa()}, threads: {native.num_threads()}, {native.path()}")
    try:
        need_backend()
    except SunhwanError as error:
        problems.append(str(error))
    else:
        import keras

        click.echo(f"Keras backend: {keras.backend.backend()}")
        click.echo(
            "  (scripts run by accelerate and audit use Keras's own choice: KERAS_BACKEND, else "
            "~/.keras/keras.json, else tensorflow)"
        )
        if keras.backend.backend() == "jax":
            import jax

            from sunhwan.recurrence.ops import xla

            click.echo(f"devices: {', '.join(str(device) for device in jax.devices())}")
            if not native.reason() and (why := xla.reason()):
                problems.append(f"the kernels cannot run on JAX, so nothing is accelerated: {why}")
    cache = download.cache_folder()
    click.echo(f"cache: {cache}")
    if not writable(cache):
        problems.append(f"cannot write to {str(cache)!r}; set SUNHWAN_CACHE to a writable folder")
    for problem in problems:
        click.echo(f"problem: {problem}")
    if problems:
        sys.exit(1)
    click.echo("everything required is installed and works")


def provided(module: str) -> str | None:
    """The installed version of a module, with its package where that has another name (tensorflow-cpu)."""
    if installed(module) or find_spec(module) is None:
        return installed(module)
    package = next(iter(packages_distributions().get(module, ())), None)
    return f"{version(package)} ({package})" if package else "installed"


def installed(name: str) -> str | None:
    """The installed version of a package, or None."""
    try:
        return version(name)
    except PackageNotFoundError:
        return None
