"""The public face of the NumPy reference."""

import subprocess
import sys


def test_the_reference_needs_neither_keras_nor_jax():
    program = (
        "import sys; from sunhwan import reference; "
        "print(sorted({'keras', 'jax', 'scipy'} & set(sys.modules)), reference.forward.__name__)"
    )
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert said.stdout == "[] forward\n"
