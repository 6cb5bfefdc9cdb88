"""Bad input gets one sentence and status 2, and leaves nothing half-written."""

import gzip
import io
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from sunhwan import files, rundir

WINDOWS = ["--target", "T", "--lookback", "6h", "--horizon", "3h"]


def hours(count, value="{i}", start=0):
    """Rows of a time and a value, an hour apart."""
    rows = range(start, start + count)
    return "".join(f"2024-01-{1 + i // 24:02} {i % 24:02}:00,{value.format(i=i % 7)}\n" for i in rows)


@pytest.fixture
def refuses_table(refuses, tmp_path):
    """Runs the study of one's own table on a CSV of these contents, with a name that shells dislike."""

    def call(text, *options):
        path = tmp_path / "내 자료 (1).csv"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return refuses("study", "run", "table_temperature", "--data", path, *WINDOWS, *options)

    return call


@pytest.mark.parametrize(
    ("text", "options", "said"),
    [
        ("time,T\n" + hours(100), ["--target", "Temp"], ["'Temp'", "'T'"]),
        ("time,T\n" + hours(100), ["--time", "when"], ["'when'", "'time'"]),
        ("time,T\n" + hours(100), ["--series", "place"], ["'place'", "'time', 'T'"]),
        ("time,T\n" + hours(100), ["--features", "T,q"], ["'q'", "'T'"]),
        ("when,T\n" + hours(100), [], ["--time", "'when', 'T'"]),
        (
            "time,T\n" + hours(50) + "2024-01-03 02:00\n" + hours(40, start=51),
            [],
            ["line 52", "1 field", "2"],
        ),
        ("time,T\n" + hours(50) + "2024-01-03 02:00,1,2\n", [], ["line 52", "3 fields"]),
        (
            "time,T\n" + hours(50) + hours(1, "warm", start=50) + hours(40, start=51),
            [],
            ["'warm'", "'T'", "line 52"],
        ),
        ("time,T\n" + hours(100, "warm"), [], ["'T'", "text", "numbers were expected"]),
        ("time,T\n" + hours(50) + hours(50, start=49), [], ["2024-01-03 01:00", "occurs twice"]),
        (
            "time,T\n" + hours(50, start=10) + hours(5),
            [],
            ["2024-01-01 00:00 comes after 2024-01-03 11:00", "sort"],
        ),
        ("time,T\n" + hours(50).replace("2024-01-02 05:00", "yesterday"), [], ["yesterday", "time"]),
        ("time,T\n" + hours(100, "5"), [], ["'T'", "one value 5"]),
        ("time,T\n" + hours(20), [], ["4 rows of 1 h", "window needs 9"]),
        ("time,T\n" + hours(100, "NA"), [], ["'T'", "no value"]),
        ("time,T\n" + hours(60) + hours(40, "", start=60), [], ["validation"]),
        ("time,T\n", [], ["no rows"]),
        ("", [], ["is empty"]),
        (b"\x00\x01\x02\x03" * 50, [], ["zero bytes"]),
        (b"PAR1 but no more", [], ["Parquet"]),
        ("time,T,T\n" + hours(50, "1,2"), [], ["two columns named 'T'"]),
        ("time,T\n" + hours(100), ["--lookback", "long"], ["lookback is 'long'", "30min, 24h or 10d"]),
        ("time,T\n" + hours(100), ["--horizon", "abc"], ["horizon is 'abc'"]),
        ("time,T\n" + hours(100), ["--horizon", "-3h"], ["horizon is '-3h'"]),
        ("time,T\n" + hours(100), ["--horizon", "90min"], ["horizon is 90min", "1.5 rows of 1 h"]),
        ("time,T\n" + hours(100), ["--split", "60/40"], ["'60/40'", "60/20/20"]),
        ("time,T\n" + hours(100), ["--split", "60/20/x"], ["'60/20/x'", "60/20/20"]),
        ("time,T\n" + hours(100), ["--split", "60/0/40"], ["'60/0/40'"]),
        ("time,T\n" + hours(100), ["--split", "60/20/nan"], ["'60/20/nan'"]),
        ("time,T\n" + hours(100), ["--features", "T,T"], ["'T,T'", "each once"]),
    ],
)
def test_tables(text, options, said, refuses_table):
    sentence = refuses_table(text, *options)
    for words in said:
        assert words in sentence


def test_paths_that_are_none(refuses, tmp_path):
    folder = tmp_path / "a folder"
    folder.mkdir()
    table = ["study", "run", "table_temperature", *WINDOWS]
    assert "there is no file" in refuses(*table, "--data", "none.csv")
    assert "is a folder" in refuses(*table, "--data", folder)
    assert "name it with --data" in refuses(*table)
    (tmp_path / "file").write_text("")
    assert "none" in refuses(*table, "--data", tmp_path / "file" / "none.csv")


def test_a_target_must_be_named(refuses, station):
    said = refuses("study", "run", "table_temperature", "--data", station)
    assert "no target is named; name one of the columns 'T (degC)', 'p (mbar)' with --target" in said


def test_a_lookback_that_is_no_multiple_of_the_step(refuses, small, station):
    small.write_text(small.read_text().replace('lookback = "6h"', 'lookback = "7h"\nstep = "2h"'))
    said = refuses("study", "run", small, "--data", station)
    assert "7 rows is not a multiple of the step of 2 rows" in said


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["study", "run", "jna"], "there is no study 'jna'; there are adding_problem, "),
        (["study", "show", "jna"], "there is no study 'jna'"),
        (["study", "run", "none.toml"], "there is no study file 'none.toml'"),
        (["study", "run", "small.toml", "--models", "gru"], "there is no model 'gru'; there are dense, wide"),
        (["study", "run", "small.toml", "--models", ""], "expected names with commas between them"),
        (["study", "run", "small.toml", "--models", ","], "expected names with commas between them"),
        (["study", "run", "small.toml", "--models", "dense,dense"], "each once"),
        (["study", "run", "small.toml", "--seeds", "0"], "'--seeds': 0 is not in the range x>=1"),
        (["study", "run", "small.toml", "--epochs", "-3"], "'--epochs': -3 is not in the range x>=1"),
        (["study", "run", "small.toml", "--epochs", "many"], "'--epochs': 'many'"),
        (["study", "run", "small.toml", "--unit", ""], "'--unit': an empty text was given"),
        (["study", "run", "small.toml", "--target", " "], "'--target': an empty text was given"),
        (["study", "run", "small.toml", "--colour", "red"], "No such option '--colour'"),
        (["study", "run"], "Missing argument 'STUDY'; see `sunhwan study run --help`"),
        (["study", "walk"], "No such command 'walk'; see `sunhwan study --help`"),
        (
            ["forcast", "station.csv"],
            "No such command 'forcast'. Did you mean 'forecast'; see `sunhwan --help`",
        ),
        (["study", "run", "newyork_temperature", "--data", "a.csv"], "table_temperature --data FILE"),
        (["study", "run", "newyork_temperature", "--time", "t"], "table_temperature --data FILE"),
        (["study", "run", "adding_problem", "--data", "a.csv"], "[data] has 'path', but the data adding"),
        (["study", "run", "adding_problem", "--target", "T"], "--target is for forecasts"),
        (["study", "run", "imdb_sentiment", "--lookback", "3d"], "--lookback is for forecasts"),
        (["study", "run", "small.toml", "--resume"], "there is no unfinished run of 'small' under runs/"),
        (["study", "run", "small.toml", "--resume", "--out", "o"], "'o' has no run to resume"),
        (["study", "run", "x" * 300], "the name is too long for the system"),
    ],
)
def test_options(arguments, said, small, refuses):
    assert said in refuses(*arguments)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"\x89PNG\r\n\x1a\n\x00\xff", "cannot be read as a study"),
        (b"question = ", "not valid TOML"),
        (b"", "lacks the key 'question'"),
        (
            b'question = "?"\nkind = "forecast"\nmodels = ["gru"]\nepochs = 1\n[data]\n[prepare]\n',
            "name in [data] is None",
        ),
    ],
)
def test_study_files(content, said, tmp_path, refuses):
    (tmp_path / "my study.toml").write_bytes(content)
    assert said in refuses("study", "run", "my study.toml")
    assert said in refuses("study", "show", "my study.toml")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('builder = "transformer"', "there is no model 'transformer' for a forecast study"),
        ("unit = 3", "model 'wide' has no option 'unit'"),
        ("units = -3", "units of model 'wide' is -3"),
        ("learning_rate = nan", "learning_rate of model 'wide' is nan"),
        ("epochs = 0", "epochs in [model.wide] is 0"),
    ],
)
def test_options_of_models(line, said, small, station, refuses):
    small.write_text(small.read_text().partition("[model.wide]")[0] + f"[model.wide]\n{line}\n")
    if "builder" not in line:
        small.write_text(small.read_text() + 'builder = "dense"\n')
    assert said in refuses("study", "run", small, "--data", station)


# ---- where a run goes -------------------------------------------------------------------------------------


def test_a_directory_that_exists(refuses, small, station, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("mine")
    run_small = ["study", "run", small, "--data", station, "--out"]
    assert "'out' exists already; name another directory with --out" in refuses(*run_small, "out")
    assert "exists already" in refuses(*run_small, "out/mine.txt")
    assert "cannot make a directory at 'out/mine.txt/below'" in refuses(*run_small, "out/mine.txt/below")


def test_a_folder_that_may_not_be_written(refuses, small, station, monkeypatch):
    # As root one may write everywhere: what the system would say to others is put into its mouth.
    monkeypatch.setattr(files, "writable", lambda folder: False)
    said = refuses("study", "run", small, "--data", station, "--out", "out")
    assert "cannot make a directory at 'out'; name one that you can write to with --out" in said


@pytest.mark.skipif(os.name != "posix", reason="limits on the size of files are POSIX's")
@pytest.mark.parametrize(("limit", "goes_on"), [(1_500, False), (20_000, True)])
def test_a_full_disk(limit, goes_on, small, station, tmp_path, monkeypatch):
    """A limit on the size of files fails a write in its middle, as a full disk does."""
    monkeypatch.delenv("JAX_COMPILATION_CACHE_DIR", raising=False)  # where JAX would write, too
    code = (
        "import resource, sys\n"
        f"resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))\n"
        "from sunhwan.cli import main\nmain()"
    )
    arguments = ["study", "run", small, "--data", station, "--models", "wide", "--out", "o u t"]
    command = [sys.executable, "-c", code, *map(str, arguments)]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert ended.returncode == 2, ended.stderr
    assert ended.stderr.count("\n") == 1
    assert ended.stderr.startswith("sunhwan: the file grew larger than the system allows")
    resume = f"; to continue: sunhwan study run {small} --resume --out 'o u t'\n"
    assert ended.stderr.endswith(resume) == goes_on
    # What was not begun is not there; what was begun can be resumed, and holds no half of a file.
    assert (tmp_path / "o u t").exists() == rundir.is_run(tmp_path / "o u t") == goes_on
    assert not list(tmp_path.rglob(".writing-*"))


# ---- texts ------------------------------------------------------------------------------------------------


def members(train=6, test=3):
    """Reviews in the publisher's layout, by name."""
    counts = {"train": train, "test": test}
    return {
        f"aclImdb/{part}/{label}/{number}_{stars}.txt": f"a {label} film".encode()
        for part, count in counts.items()
        for label, stars in (("neg", 2), ("pos", 9))
        for number in range(count)
    }


def archive(path, contents):
    with tarfile.open(path, "w:gz") as tar:
        for name, content in contents.items():
            information = tarfile.TarInfo(name)
            information.size = len(content)
            tar.addfile(information, io.BytesIO(content))
    return path


def one_class(path):
    return archive(path, {name: content for name, content in members().items() if "/neg/" not in name})


def no_test_part(path):
    return archive(path, members(test=0))


def empty_text(path):
    return archive(path, members() | {"aclImdb/train/pos/3_9.txt": b" \n "})


def no_words(path):
    return archive(path, members() | {"aclImdb/train/pos/3_9.txt": b"!!! :-)"})


def outside(path):
    return archive(path, members() | {"aclImdb/../../train/pos/77_9.txt": b"a way out"})


def truncated(path):
    whole = archive(path, {name: os.urandom(2000).hex().encode() for name in members()}).read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    return path


def corrupt(path):
    whole = bytearray(
        archive(path, {name: os.urandom(2000).hex().encode() for name in members()}).read_bytes()
    )
    whole[len(whole) // 2] ^= 0xFF
    path.write_bytes(whole)
    return path


def no_archive(path):
    path.write_bytes(gzip.compress(b"time,T\n" * 500))
    return path


def too_few(path):
    return archive(path, members(train=1))


def folder_with_an_empty_text(path):
    for name, content in (members() | {"aclImdb/train/pos/3_9.txt": b""}).items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(content)
    return path


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (one_class, "only texts of the class 'pos'"),
        (no_test_part, "0 to test on"),
        (empty_text, "train/pos/3_9.txt is empty"),
        (folder_with_an_empty_text, "train/pos/3_9.txt is empty"),
        (no_words, "have no word"),
        (outside, "points outside the archive"),
        (truncated, "truncated"),
        (corrupt, "damaged"),
        (no_archive, "not a tar archive"),
        (too_few, "cannot be split with a validation share"),
        (lambda path: path, "there is no "),
    ],
)
def test_texts(make, said, tmp_path, refuses):
    path = make(tmp_path / "film reviews.tar.gz")
    assert said in refuses("study", "run", "imdb_sentiment", "--data", path)
    assert not Path(tmp_path / "cache").exists()
