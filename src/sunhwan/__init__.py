"""Recurrent networks on the CPU people have, judged beside honest baselines.

`import sunhwan` loads nothing heavy and never changes the Keras backend of the program that imports it.
"""

from importlib.metadata import version

from sunhwan.errors import SunhwanError

__version__ = version("sunhwan")
__all__ = ["SunhwanError", "__version__"]
