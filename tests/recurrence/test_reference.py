"""The public face of the NumPy reference."""

import subprocess
import sys


def test_it_is_an_attribute_of_the_package_that_loads_nothing_before_it_is_asked_for():
    program = (
        "import sys, sunhwan; print('numpy' in sys.modules, 'reference' in dir(sunhwan)); "
        "print(sunhwan.reference.forward.__name__, sorted({'keras', 'jax', 'scipy'} & set(sys.modules)))"
    )
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert said.stdout == "False True\nforward []\n"


def test_the_reference_needs_neither_keras_nor_jax():
    program = (
        "import sys; from sunhwan import reference; "
        "print(sorted({'keras', 'jax', 'scipy'} & set(sys.modules)), reference.forward.__name__)"
    )
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert said.stdout == "[] forward\n"
