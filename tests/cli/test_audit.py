"""`sunhwan audit`: the script ends as it would, and the audit follows."""

import json
import os
import subprocess
import sys
import warnings

import numpy as np
import pytest

MODEL = """
import sys
import keras
import numpy as np

keras.utils.set_random_seed(1)
series = np.cumsum(np.random.default_rng(0).normal(size=300))
x = np.stack([series[i : i + 10] for i in range(290)])[..., None]
y = series[10:]
model = keras.Sequential([keras.layers.GRU(3), keras.layers.Dense(1)])
model.compile("adam", "mae")
print("begun", sys.argv)
model.fit(x[:200], y[:200], validation_data=(x[200:], y[200:]), verbose=0)
"""


@pytest.fixture(autouse=True)
def as_before(monkeypatch):
    """What a script may change in a process, and a test's process outlives."""
    monkeypatch.setattr(sys, "path", ["/of/the/command", *sys.path])


@pytest.fixture
def audit(sunhwan, tmp_path):
    """Writes a script and audits it."""

    def run(text, *options, name="script.py", arguments=()):
        (tmp_path / name).write_text(text)
        return sunhwan("audit", *options, name, *arguments)

    return run


def test_the_script_s_output_is_its_own_and_the_audit_follows_on_stderr(audit):
    ended = audit(MODEL, arguments=["--epochs", "3"])
    assert (ended.status, ended.out) == (0, "begun ['script.py', '--epochs', '3']\n")
    lines = ended.err.splitlines()
    assert lines[0] == "fit #1 (GRU 3, 200 windows of 10 x 1 -> 1), line 13"
    assert lines[1].split()[:4] == ["your", "network,", "validation", "MAE"]
    assert any(line.startswith("  last value") and "% lower error (95% interval" in line for line in lines)


def test_json_is_the_last_line_of_stdout(audit):
    ended = audit(MODEL, "--json", "--budget", "20s")
    audited = json.loads(ended.out.splitlines()[-1])
    assert audited["script"] == "script.py"
    fit = audited["fits"][0]
    assert (fit["rows"], fit["metric"], fit["part"], fit["lines"]) == (90, "mae", "validation", [13])
    assert fit["baselines"]["ridge"] < fit["network"]
    for finding in audited["findings"]:
        assert set(finding) >= {"level", "name", "certain", "lines", "evidence", "fix"}


def test_the_page_shows_what_json_has_with_the_script_s_lines(audit, tmp_path):
    ended = audit(MODEL, "--json", "--budget", "20s", "--report", str(tmp_path / "page.html"))
    audited = json.loads(ended.out.splitlines()[-1])
    page = (tmp_path / "page.html").read_text()
    assert f"the page is {tmp_path / 'page.html'}" in ended.err
    assert "13  model.fit(x[:200], y[:200]" in page
    for fit in audited["fits"]:
        assert all(f"{value:.3g}" in page for value in fit["baselines"].values())
    assert audited["speed"] in page and audited["fits"][0]["speedup"] > 0


@pytest.mark.parametrize(
    ("options", "said"),
    [(["--report", "page.pdf"], "a name that ends with .html"), (["--open"], "give --report")],
)
def test_a_page_that_cannot_be_written_is_refused_before_the_script_runs(options, said, audit):
    ended = audit("print('ran')", *options)
    assert (ended.status, ended.out) == (2, "") and said in ended.err


@pytest.mark.parametrize(
    ("end", "status", "said"),
    [
        ("sys.exit(5)", 5, ""),
        ("sys.exit()", 0, ""),
        ("raise ValueError('mine')", 1, "ValueError: mine"),
        ("sys.exit('told')", 1, ""),
    ],
)
def test_a_script_that_ends_early_is_audited_up_to_there(end, status, said, audit):
    ended = audit(MODEL + end)
    assert ended.status in (status, "told")
    assert said in ended.err
    assert "fit #1" in ended.err


def test_a_script_that_sends_its_output_elsewhere_and_makes_errors_of_warnings_is_audited(audit):
    turned = (
        "import sys, warnings, numpy\nsys.stdout = open('log.txt', 'w')\n"
        "numpy.seterr(all='raise')\nwarnings.simplefilter('error')\nprint('mine')\nsys.stdout.close()\n"
    )
    with warnings.catch_warnings(), np.errstate():  # which the script changes in this process
        ended = audit(MODEL + turned, "--json", "--budget", "10m")
    assert ended.status == 0 and "could not be" not in ended.err
    assert json.loads(ended.out.splitlines()[-1])["fits"][0]["baselines"]


def test_a_script_that_fits_nothing_has_nothing_to_audit(audit):
    ended = audit("print('nothing')")
    assert (ended.status, ended.out) == (0, "nothing\n")
    assert ended.err == "Keras's fit was never called, so there is nothing to audit\n"


def test_a_notebook_s_lines_are_named_by_cell(audit):
    first, second = MODEL.split('print("begun", sys.argv)\n')
    cells = [
        {"cell_type": "code", "source": "%matplotlib inline\n" + first},
        {"cell_type": "code", "source": second},
    ]
    ended = audit(json.dumps({"cells": cells}), "--json", name="a.ipynb")
    assert "-> 1), cell 2 line 1" in ended.err
    assert json.loads(ended.out)["fits"][0]["lines"] == ["cell 2 line 1"]


def test_processes_of_multiprocessing_end_well_and_are_reported(tmp_path):
    (tmp_path / "script.py").write_text(
        "import multiprocessing\n"
        "def work(number):\n"
        + "".join(f"    {line}\n" for line in MODEL.strip().splitlines())
        + "    return number\n"
        "if __name__ == '__main__':\n"
        "    with multiprocessing.get_context('spawn').Pool(1) as pool:\n"
        "        print(pool.map(work, [7]))\n"
    )
    command = [sys.executable, "-c", "from sunhwan.cli import main; main()", "audit", "script.py"]
    ended = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=os.environ)
    assert ended.returncode == 0
    assert ended.stdout.splitlines()[-1] == "[7]"
    assert "models also ran in 1 other process, which is not audited" in ended.stderr


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        (
            "data.csv",
            "date,T (degC)\n2024-01-01,1\n",
            "'data.csv' is not Python; give the path of a Python file or a notebook",
        ),
        ("a.ipynb", "{}", "'a.ipynb' is not a notebook of format 4"),
        ("a.ipynb", '{"cells": [{"cell_type": "code", "source": "!ls"}]}', "--allow-shell runs it"),
    ],
)
def test_what_is_no_script_is_refused(name, content, said, refuses, tmp_path):
    (tmp_path / name).write_text(content)
    assert said in refuses("audit", name)


def test_bytes_and_folders_are_refused(refuses, tmp_path):
    (tmp_path / "model.keras").write_bytes(b"PK\0\xff\xfe")
    assert "is not Python" in refuses("audit", "model.keras")
    assert "is a folder" in refuses("audit", ".")
    assert "no script 'nowhere.py'" in refuses("audit", "nowhere.py")
    assert "expected a time, as 60s or 2m" in refuses("audit", "--budget", "soon", "model.keras")
