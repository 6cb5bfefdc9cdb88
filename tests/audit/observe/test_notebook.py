"""Notebooks made scripts."""

import json

import pytest

from sunhwan.audit.observe.notebook import as_script
from sunhwan.errors import SunhwanError


def notebook(*cells):
    listed = [{"cell_type": "markdown", "source": ["# A title"]}]
    listed += [{"cell_type": "code", "source": cell.splitlines(keepends=True)} for cell in cells]
    return json.dumps({"nbformat": 4, "cells": listed})


def script(*cells, allow_shell=False):
    return as_script(notebook(*cells), "a.ipynb", allow_shell)


def test_cells_are_run_in_order_and_lines_know_their_cell():
    source, places = script("x = 1\ny = 2", "z = x + y")
    scope = {}
    exec(source, scope)
    assert scope["z"] == 3
    assert places == {1: "cell 1 line 1", 2: "cell 1 line 2", 3: "cell 2 line 1"}


@pytest.mark.parametrize(
    ("line", "python"),
    [
        ("%matplotlib inline", "pass"),
        ("%time x = 1", "x = 1"),
        ("%timeit -n 10 f(x)", "f(x)"),
        ("%%time\nx = 1", "pass\nx = 1"),
        ("    %autoreload 2", "    pass"),
        ("%env KERAS_BACKEND=jax", "__import__('os').environ['KERAS_BACKEND'] = 'jax'"),
        ("display(x)", "print(x)"),
        ("model.fit?", "pass"),
        ("a = b % c", "a = b % c"),
        ("'''\n!text\n'''", "'''\n!text\n'''"),
    ],
)
def test_lines_of_ipython_become_python(line, python):
    assert script(line)[0] == python + "\n"


@pytest.mark.parametrize("line", ["!pip install keras", "  !ls", "%pip install keras", "%sx ls"])
def test_shell_lines_are_refused_unless_they_are_allowed(line):
    with pytest.raises(
        SunhwanError, match=r"'a.ipynb', cell 1 line 1, is a shell command .* --allow-shell runs it"
    ):
        script(line)
    assert "subprocess" in script(line, allow_shell=True)[0]


@pytest.mark.parametrize(
    ("line", "said"),
    [("%%bash\nls", "begins with %%bash"), ("%run a.py", "the magic %run"), ("files = !ls", "= !...")],
)
def test_what_is_no_python_is_refused_in_a_sentence(line, said):
    with pytest.raises(SunhwanError, match=said):
        script(line)


@pytest.mark.parametrize("text", ["no JSON", "{}", '{"cells": 3}', '{"worksheets": []}'])
def test_what_is_no_notebook_is_refused(text):
    with pytest.raises(SunhwanError, match=r"'a\.ipynb' is not a notebook of format 4"):
        as_script(text, "a.ipynb", False)
