"""`sunhwan doctor`: what is here, what runs where, and what is missing."""

from __future__ import annotations

import os
import platform
import sys
from importlib.metadata import PackageNotFoundError, version

import click

REQUIRED = ("keras", "jax", "numpy", "scipy", "polars", "scikit-learn", "matplotlib", "rich", "platformdirs", "requests")
OPTIONAL = {"torch": "the PyTorch backend of Keras", "tensorflow": "the TensorFlow backend of Keras"}


@click.command(epilog="\b\nExample:\n  sunhwan doctor")
def command() -> None:
    """Say what is installed, what runs where, and what is missing. Exit status 1 if something needed is missing."""
    from sunhwan import __version__
    from sunhwan.data import download
    from sunhwan.experiments.run import processor

    click.echo(f"sunhwan {__version__}, Python {platform.python_version()} at {sys.executable}")
    click.echo(f"{platform.platform()}, {processor()}, {os.cpu_count()} cores")
    missing = [name for name in REQUIRED if installed(name) is None]
    for name in REQUIRED:
        click.echo(f"  {name:<13} {installed(name) or 'MISSING: pip install ' + name}")
    for name, purpose in OPTIONAL.items():
        click.echo(f"  {name:<13} {installed(name) or f'not installed (only for {purpose})'}")
    if not missing:
        import keras

        backend = keras.backend.backend()
        click.echo(f"Keras backend: {backend}" + ("" if os.environ.get("KERAS_BACKEND") == backend else " (from Keras's own settings)"))
        if backend == "jax":
            import jax

            click.echo(f"devices: {', '.join(str(device) for device in jax.devices())}")
    cache = download.cache_folder()
    click.echo(f"cache: {cache} ({'writable' if writable(cache) else 'NOT writable; set SUNHWAN_CACHE'})")
    if missing:
        click.echo(f"missing: {', '.join(missing)}")
        sys.exit(1)
    click.echo("all that is needed is here")


def installed(name: str) -> str | None:
    """The installed version of a package, or None."""
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def writable(folder) -> bool:
    """Whether files can be made in a folder, or in the nearest parent that exists."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return os.access(folder, os.W_OK)
