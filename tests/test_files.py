"""Files that are whole or not there, on a disk that may be full."""

import errno
import json
import os
import stat
import subprocess
import sys

import numpy as np
import pytest

from sunhwan import files
from sunhwan.errors import SunhwanError


class Stopped(BaseException):
    """Ends a block as Ctrl-C does."""


@pytest.mark.parametrize("error", [ValueError, OSError, Stopped])
@pytest.mark.parametrize("before", [None, "old"])
def test_after_an_error_all_is_as_it_was(error, before, tmp_path):
    path = tmp_path / "note.txt"
    if before:
        path.write_text(before)
    with pytest.raises(error), files.atomic(path) as temporary:
        temporary.write_text("half")
        raise error
    assert [entry.name for entry in tmp_path.iterdir()] == (["note.txt"] if before else [])
    assert not before or path.read_text() == before


def test_readers_see_the_old_file_until_the_new_one_is_whole(tmp_path):
    path = tmp_path / "note.txt"
    files.write_text(path, "old")
    with files.atomic(path) as temporary:
        temporary.write_text("new")
        assert path.read_text() == "old"
        assert temporary.parent == path.parent
        assert temporary.suffix == ".txt"
        assert temporary.name.startswith(files.WRITING)
    assert path.read_text() == "new"
    assert len(list(tmp_path.iterdir())) == 1


def test_folders_are_made_and_two_writers_do_not_meet(tmp_path):
    path = tmp_path / "a" / "b" / "note.txt"
    with files.atomic(path) as one, files.atomic(path) as other:
        assert one != other
        one.write_text("one")
        other.write_text("other")
    assert path.read_text() == "one"


@pytest.mark.skipif(os.name != "posix", reason="permissions are POSIX's")
@pytest.mark.parametrize("umask", [0o022, 0o077])
def test_files_are_as_readable_as_the_user_s_other_files(umask, tmp_path):
    before = os.umask(umask)
    try:
        files.write_text(tmp_path / "note.txt", "text")
        assert os.umask(umask) == umask
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "note.txt").stat().st_mode) == 0o666 & ~umask


@pytest.mark.skipif(os.name != "posix", reason="limits on the size of files are POSIX's")
def test_a_file_that_does_not_fit_is_not_there(tmp_path):
    """A real failure in the middle of a write, as of a full disk."""
    code = """
import resource, sys
from pathlib import Path
from sunhwan import files
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    files.write_text(Path(sys.argv[1]), "x" * 5000)
except OSError as error:
    print(error.strerror)
"""
    path = tmp_path / "note.txt"
    ended = subprocess.run(
        [sys.executable, "-c", code, str(path)], capture_output=True, text=True, timeout=60
    )
    assert ended.stdout.strip() == os.strerror(errno.EFBIG), ended.stderr
    assert list(tmp_path.iterdir()) == []


def test_json_goes_through_unchanged(tmp_path):
    value = {"단위": "°C", "n": [1, 2.5, None, 0.1 + 0.2], "deep": {"a": True}}
    files.write_json(tmp_path / "a.json", value)
    assert files.read_json(tmp_path / "a.json") == value
    assert "°C" in (tmp_path / "a.json").read_text(encoding="utf-8")


@pytest.mark.parametrize("value", [{"a": float("nan")}, {"a": [float("inf")]}, {"a": object()}])
def test_what_json_has_not_is_an_error_and_leaves_nothing(value, tmp_path):
    with pytest.raises((ValueError, TypeError)):
        files.write_json(tmp_path / "a.json", value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"[1, 2]", b'"text"', b"null"])
def test_what_is_no_json_object_is_named(content, tmp_path):
    path = tmp_path / "a.json"
    path.write_bytes(content)
    with pytest.raises(
        SunhwanError, match=r"a\.json' (is not valid JSON|holds .*; expected a JSON object).* remove it"
    ):
        files.read_json(path)


def test_writable(tmp_path, monkeypatch):
    (tmp_path / "file").write_text(json.dumps({}))
    assert files.writable(tmp_path)
    assert files.writable(tmp_path / "not" / "there")
    assert not files.writable(tmp_path / "file")
    assert not files.writable(tmp_path / "file" / "below")
    # As root one may write everywhere: what the system would say to others is put into its mouth.
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    assert not files.writable(tmp_path / "not" / "there")


def test_arrays_come_back_and_objects_are_refused(tmp_path):
    files.write_arrays(tmp_path / "a.npz", {"x": np.arange(3), "names": np.array(["T", "°C"])})
    with np.load(tmp_path / "a.npz", allow_pickle=False) as kept:
        assert sorted(kept.files) == ["names", "x"]
        assert kept["x"].tolist() == [0, 1, 2] and kept["names"].tolist() == ["T", "°C"]
    with pytest.raises(ValueError, match="'x' holds Python objects"):
        files.write_arrays(tmp_path / "b.npz", {"x": np.array([{}], object)})
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.npz"]


@pytest.mark.parametrize("error", [ValueError, Stopped])
def test_of_a_folder_nothing_is_left_after_an_error(error, tmp_path):
    with pytest.raises(error), files.whole_folder(tmp_path / "runs" / "one"):
        (tmp_path / "runs" / "one" / "a.txt").write_text("half")
        raise error
    assert not (tmp_path / "runs" / "one").exists()
    with files.whole_folder(tmp_path / "runs" / "one"):
        (tmp_path / "runs" / "one" / "a.txt").write_text("whole")
    assert (tmp_path / "runs" / "one" / "a.txt").read_text() == "whole"
