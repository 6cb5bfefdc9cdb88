"""`sunhwan accelerate`: a script is run as `python` runs it, and an account is given at the end."""

import json
import os
import shutil
import subprocess
import sys

import pytest

SCRIPT = """
import os, sys
print(sys.argv, __name__, sys.path[0], sys.modules["__main__"].__dict__ is globals())
print(os.environ.get("KERAS_BACKEND"))
"""

MODEL = """
import sys
import keras
import numpy as np

model = keras.Sequential(
    [keras.layers.LSTM(4, return_sequences=True), keras.layers.RNN(keras.layers.GRUCell(3)),
    keras.layers.Dense(1)]
)
model.compile("sgd", "mse")
model.fit(np.ones((8, 5, 3)), np.ones((8, 1)), verbose=0)
print("fitted")
"""

OWN_CELL = "memory = keras.layers.GRU(3, activation='silu')\nmemory(np.ones((1, 2, 3)))\n"


@pytest.fixture(autouse=True)
def as_before(monkeypatch):
    """What a script may change in a process, and a test's process outlives."""
    monkeypatch.setattr(sys, "path", ["/of/the/command", *sys.path])
    monkeypatch.delenv("KERAS_BACKEND", raising=False)


@pytest.fixture
def accelerated(tmp_path):
    """Runs the command in a process of its own: its status, its output and its errors."""

    def run(*arguments, cwd=tmp_path, **environment):
        command = [sys.executable, "-c", "from sunhwan.cli import main; main()", "accelerate", *arguments]
        quiet = {"TF_CPP_MIN_LOG_LEVEL": "3", "KERAS_BACKEND": "jax"}
        ended = subprocess.run(
            command, capture_output=True, text=True, cwd=cwd, env=os.environ | quiet | environment
        )
        return ended.returncode, ended.stdout, ended.stderr

    return run


def test_a_script_finds_what_python_gives_it(sunhwan, tmp_path):
    folder = tmp_path / "of script"
    folder.mkdir()
    path = folder / "script.py"
    path.write_text(SCRIPT)
    ended = sunhwan("accelerate", path, "a", "--explain", "-m", "--help")
    assert ended.status == 0
    assert ended.out == (f"{[str(path), 'a', '--explain', '-m', '--help']} __main__ {folder} True\nNone\n")
    assert ended.err == "sunhwan: no SimpleRNN, GRU or LSTM layer of Keras ran\n"


@pytest.mark.parametrize("name", ["script.py", "./script.py", "../of script/script.py"])
def test_a_script_has_the_names_that_python_gives_it(name, accelerated, tmp_path):
    names = ["__file__", "__name__", "__package__", "__spec__", "__cached__", "__doc__"]
    folder = tmp_path / "of script"
    folder.mkdir()
    (folder / "script.py").write_text(
        f"'Its text.'\nimport sys\nprint(sys.argv, sys.path[0], {', '.join(names)}, type(__loader__))\n"
        "print(open(__file__).readline(), __import__('os').listdir())\n1 / 0"
    )
    by_python = subprocess.run([sys.executable, name], capture_output=True, text=True, cwd=folder)
    status, out, err = accelerated(name, cwd=folder)
    assert (status, out) == (by_python.returncode, by_python.stdout)
    assert err == by_python.stderr + "sunhwan: no SimpleRNN, GRU or LSTM layer of Keras ran\n"


def test_a_folder_or_an_archive_with_a_program_runs(accelerated, tmp_path):
    (tmp_path / "program").mkdir()
    (tmp_path / "program" / "__main__.py").write_text("print(__name__)")
    shutil.make_archive(str(tmp_path / "program"), "zip", tmp_path / "program")
    for name in ("program", "program.zip"):
        assert accelerated(name)[:2] == (0, "__main__\n")


def test_a_module_finds_what_python_gives_it(sunhwan, tmp_path):
    package = tmp_path / "some_package"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "program.py").write_text(SCRIPT)
    ended = sunhwan("accelerate", "-m", "some_package.program", "a", "--b")
    assert ended.status == 0
    assert ended.out.splitlines()[0] == (
        f"{[str(package / 'program.py'), 'a', '--b']} __main__ {tmp_path} True"
    )


@pytest.mark.parametrize(
    ("line", "error"),
    [
        ("import no_dependency", "ModuleNotFoundError: No module named 'no_dependency'"),
        ("raise OSError(28, 'full')", "OSError: [Errno 28] full"),
    ],
)
def test_what_fails_in_the_package_of_a_module_is_shown_as_by_python(line, error, sunhwan, tmp_path):
    package = tmp_path / "failing_package"
    package.mkdir()
    (package / "__init__.py").write_text(line)
    (package / "program.py").write_text("")
    ended = sunhwan("accelerate", "-m", "failing_package.program")
    assert ended.status == 1
    assert ended.err.startswith("Traceback (most recent call last):\n")
    assert ended.err.endswith(f"{error}\nsunhwan: no SimpleRNN, GRU or LSTM layer of Keras ran\n")


@pytest.mark.parametrize(
    ("ends", "status"),
    [
        ("", 0),
        ("sys.exit()", 0),
        ("sys.exit(7)", 7),
        ("sys.exit('no')", "no"),
        ("raise KeyboardInterrupt", 130),
    ],
)
def test_the_status_is_that_of_the_script(ends, status, sunhwan, tmp_path):
    (tmp_path / "script.py").write_text(f"import sys\n{ends}")
    ended = sunhwan("accelerate", "script.py")
    assert ended.status == status
    assert ended.err.endswith("sunhwan: no SimpleRNN, GRU or LSTM layer of Keras ran\n")


def test_an_error_is_shown_as_by_python(accelerated, tmp_path):
    path = tmp_path / "script.py"
    path.write_text("def f():\n    raise ValueError('of the script')\n\nf()\n")
    status, _, err = accelerated(str(path))
    by_python = subprocess.run([sys.executable, str(path)], capture_output=True, text=True)
    assert status == by_python.returncode == 1
    assert err == by_python.stderr + "sunhwan: no SimpleRNN, GRU or LSTM layer of Keras ran\n"


@pytest.mark.parametrize(
    "error", ["OSError(28, 'full')", "__import__('sunhwan').SunhwanError('of the script')"]
)
def test_errors_of_the_script_are_not_taken_for_those_of_the_command(error, sunhwan, tmp_path):
    (tmp_path / "script.py").write_text(f"raise {error}")
    ended = sunhwan("accelerate", "script.py")
    assert ended.status == 1
    assert ended.err.startswith("Traceback (most recent call last):\n")


def test_a_script_that_is_no_python_is_shown_as_by_python(sunhwan, tmp_path):
    (tmp_path / "script.py").write_text("1 +")
    ended = sunhwan("accelerate", "script.py")
    assert ended.status == 1
    assert "SyntaxError: invalid syntax" in ended.err


def test_what_is_not_there_is_said_to_be_so(refuses):
    assert refuses("accelerate", "no.py") == "sunhwan: no script 'no.py'; give the path of a Python file\n"
    for name in ("no_module", "no_package.program", "json.no_module", "colorsys.no_module"):
        assert refuses("accelerate", "-m", name) == (
            f"sunhwan: no module {name!r}; give a name that can be imported from this folder\n"
        )
    assert "Missing argument 'SCRIPT'" in refuses("accelerate")
    assert "No such option" in refuses("accelerate", "--nonsense", "script.py")


def test_a_model_runs_fused_and_one_line_says_so(accelerated, tmp_path):
    (tmp_path / "script.py").write_text(MODEL + OWN_CELL)
    status, out, err = accelerated("script.py")
    assert (status, out) == (0, "fitted\n")
    assert err == "sunhwan: 1 of 2 SimpleRNN, GRU and LSTM layers ran fused; --explain shows why not all\n"


def test_a_notebook_runs_cell_by_cell_and_stays_as_it_is(accelerated, tmp_path):
    cells = ["%matplotlib inline\nimport os", MODEL.replace("print", "here = __file__\nprint"), "!echo said"]
    notebook = tmp_path / "book.ipynb"
    kinds = [("markdown", "# Words"), *(("code", cell) for cell in cells)]
    text = json.dumps(
        {"cells": [{"cell_type": kind, "source": of, "execution_count": None} for kind, of in kinds]}
    )
    notebook.write_text(text)
    status, out, err = accelerated("book.ipynb")
    assert (status, out) == (2, "")
    assert "cell 3 line 1, is a shell command ('!echo said'); --allow-shell runs it" in err
    status, out, err = accelerated("--allow-shell", "book.ipynb")
    assert (status, sorted(out.split())) == (0, ["fitted", "said"])
    assert err == "sunhwan: 1 of 1 SimpleRNN, GRU and LSTM layers ran fused\n"
    assert notebook.read_text() == text


WORKERS = """
import multiprocessing, os, sys

def work(seed):
    import keras
    import numpy as np
    keras.layers.GRU(3, name="worker")(np.ones((1, 2, 3), "float32"))
    return seed

if __name__ == "__main__":
    {first}
    with multiprocessing.get_context(sys.argv[1]).Pool(1) as pool:
        print(pool.map(work, range(2), chunksize=2))
"""


@pytest.mark.parametrize("method", ["spawn", "forkserver", "fork"])
def test_processes_of_multiprocessing_are_accelerated_and_counted(method, accelerated, tmp_path):
    (tmp_path / "script.py").write_text(WORKERS.format(first="pass"))
    status, out, err = accelerated("--explain", "script.py", method)
    assert (status, out) == (0, "[0, 1]\n"), err
    assert err == (
        "sunhwan: 2 of 2 SimpleRNN, GRU and LSTM layers ran fused, in 1 process\n"
        "layer   kind    path\nworker  GRU(3)  fused\n"
    )


def test_layers_here_and_in_other_processes_are_counted_together(accelerated, tmp_path):
    (tmp_path / "script.py").write_text(WORKERS.format(first="work(0)"))
    status, _, err = accelerated("script.py", "spawn")
    assert (status, err) == (0, "sunhwan: 3 of 3 SimpleRNN, GRU and LSTM layers ran fused, in 2 processes\n")


def test_a_process_that_the_script_forks_by_itself_gives_no_account_of_its_own(accelerated, tmp_path):
    (tmp_path / "script.py").write_text(
        "import os, sys\nchild = os.fork()\n"
        "if child == 0:\n    print('child', flush=True)\n    sys.exit('of the child')\n"
        "print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))\n"
    )
    status, out, err = accelerated("script.py")
    assert (status, out) == (0, "child\n1\n")
    assert err == "of the child\nsunhwan: no SimpleRNN, GRU or LSTM layer of Keras ran\n"


def test_where_the_kernels_cannot_run_the_last_line_says_why(accelerated, tmp_path):
    (tmp_path / "script.py").write_text(MODEL)
    status, out, err = accelerated("script.py", SUNHWAN_ISA="avx3")
    assert (status, out) == (0, "fitted\n")
    assert err.splitlines()[-1].startswith(
        'sunhwan: 0 ran fused: the instruction set is "avx3" (SUNHWAN_ISA)'
    )


def test_layers_of_one_name_are_counted_apart_and_fused_is_what_never_was_otherwise(accelerated, tmp_path):
    (tmp_path / "script.py").write_text(
        "import keras\nimport numpy as np\n"
        "for activation in ('tanh', 'silu', 'tanh'):\n"
        "    layer = keras.layers.GRU(2, activation=activation, name='same')\n"
        "    layer(np.ones((1, 2, 3)))\n"
        "layer(np.ones((1, 2, 3)), mask=np.ones((1, 2, 1), bool))\n"
    )
    _, _, err = accelerated("script.py")
    assert err == "sunhwan: 1 of 3 SimpleRNN, GRU and LSTM layers ran fused; --explain shows why not all\n"


def test_explain_says_which_ran_where_even_of_a_script_that_fails(accelerated, tmp_path):
    (tmp_path / "script.py").write_text(MODEL + OWN_CELL + "sys.exit(3)")
    status, out, err = accelerated("--explain", "script.py")
    assert (status, out) == (3, "fitted\n")
    assert err == (
        "sunhwan: 1 of 2 SimpleRNN, GRU and LSTM layers ran fused\n"
        "layer            kind     path   reason\n"
        "sequential/lstm  LSTM(4)  fused\n"
        "gru              GRU(3)   Keras  the activation is 'silu'; "
        "the kernels have linear, relu, tanh, sigmoid and hard_sigmoid\n"
    )
