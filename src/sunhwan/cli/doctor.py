"""`sunhwan doctor`: what is here, what runs where, and what is missing."""

from __future__ import annotations

import os
import platform
import sys
from importlib.metadata import PackageNotFoundError, version

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
    "rich",
    "platformdirs",
    "requests",
    "urllib3",
    "filelock",
    "tomli-w",
)
OPTIONAL = {"torch": "the PyTorch backend of Keras", "tensorflow": "the TensorFlow backend of Keras"}


@click.command(epilog="\b\nExample:\n  sunhwan doctor")
def command() -> None:
    """Say what is installed, what runs where, and what is missing.

    Exit status 1 if something needed is missing.
    """
    click.echo(f"sunhwan {__version__}, Python {platform.python_version()} at {sys.executable}")
    missing = [name for name in REQUIRED if installed(name) is None]
    for name in REQUIRED:
        click.echo(f"  {name:<13} {installed(name) or 'MISSING: pip install ' + name}")
    for name, purpose in OPTIONAL.items():
        click.echo(f"  {name:<13} {installed(name) or f'not installed (only for {purpose})'}")
    if missing:
        # Nothing more can be asked: what follows imports them.
        click.echo(f"missing: {', '.join(missing)}")
        sys.exit(1)

    from sunhwan.data import download
    from sunhwan.experiments.provenance import processor

    click.echo(f"{platform.platform()}, {processor()}, {os.cpu_count()} cores")
    troubles = []
    try:
        need_backend()
    except SunhwanError as error:
        troubles.append(str(error))
    else:
        import keras

        click.echo(f"Keras backend: {keras.backend.backend()}")
        if keras.backend.backend() == "jax":
            import jax

            click.echo(f"devices: {', '.join(str(device) for device in jax.devices())}")
    cache = download.cache_folder()
    click.echo(f"cache: {cache}")
    if not writable(cache):
        troubles.append(f"nothing can be written to {str(cache)!r}; set SUNHWAN_CACHE to a folder of yours")
    for trouble in troubles:
        click.echo(f"trouble: {trouble}")
    if troubles:
        sys.exit(1)
    click.echo("all that is needed is here")


def installed(name: str) -> str | None:
    """The installed version of a package, or None."""
    try:
        return version(name)
    except PackageNotFoundError:
        return None
