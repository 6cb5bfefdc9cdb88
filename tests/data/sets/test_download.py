"""Downloads from a server on this machine that fails in the ways of the network."""

import errno
import hashlib
import http.server
import io
import json
import os
import re
import socket
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from sunhwan.data.sets import download
from sunhwan.errors import SunhwanError

CONTENT = np.random.default_rng(0).bytes(700_000)  # seven chunks
OTHER = np.random.default_rng(1).bytes(700_000)


class Server(http.server.ThreadingHTTPServer):
    """Serves `content`; `script` changes what the next requests get."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.content, self.validator = CONTENT, ("ETag", '"one"')
        self.ranges = True
        self.script, self.requests = [], []  # requests: (path, headers)
        self.url = f"http://127.0.0.1:{self.server_port}/file.bin"

    def handle_error(self, request, client_address):
        """Say nothing of a client that hung up."""


class Handler(http.server.BaseHTTPRequestHandler):
    def log_message(self, *arguments):
        """Say nothing on stderr."""

    def do_GET(self):
        server = self.server
        server.requests.append((self.path, dict(self.headers)))
        step = server.script.pop(0) if server.script else {}
        range_ = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        start = int(range_[1]) if range_ and server.ranges else 0
        body = b"" if "status" in step else server.content[start:]
        self.send_response(step.get("status", 206 if start else 200))
        if start:
            first = start - step.get("shift", 0)
            self.send_header(
                "Content-Range", f"bytes {first}-{len(server.content) - 1}/{len(server.content)}"
            )
        for name, value in (server.validator, *step.get("headers", {}).items()):
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if "wait" in step:
            step["wait"].wait(timeout=30)
        self.wfile.write(body[: step.get("cut")])
        if step.get("then_change"):
            server.content, server.validator = OTHER, ("ETag", '"two"')


@pytest.fixture
def server():
    with Server() as server:
        # Polled often, so that shutdown() at the end of a test does not wait half a second.
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}).start()
        yield server
        server.shutdown()


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    monkeypatch.setenv("SUNHWAN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(download, "WAITS", (0.0,) * 4)
    monkeypatch.setattr(download, "CHUNK_BYTES", 100_000)
    return tmp_path / "cache"


def ranges(server):
    """The ranges of the requests so far; None is the whole file."""
    return [headers.get("Range") for _, headers in server.requests]


def test_the_environment_chooses_the_cache(monkeypatch, tmp_path):
    assert download.cache_folder() == tmp_path / "cache"
    monkeypatch.setenv("SUNHWAN_CACHE", "~/of_mine")
    assert download.cache_folder() == Path.home() / "of_mine"
    monkeypatch.setenv("SUNHWAN_CACHE", "")
    assert download.cache_folder().name == "sunhwan"


def test_a_file_is_downloaded_once_and_recorded(server, cache, capsys):
    path = download.fetch(server.url, "file.bin")
    assert (path, path.read_bytes()) == (cache / "file.bin", CONTENT)
    record = {"url": server.url, "sha256": hashlib.sha256(CONTENT).hexdigest(), "bytes": len(CONTENT)}
    assert json.loads((cache / "file.bin.json").read_text()) == record
    server.shutdown()  # offline from here on
    assert download.fetch(server.url, "file.bin") == path
    assert len(server.requests) == 1
    assert {path.name for path in cache.iterdir()} <= {"file.bin", "file.bin.json", "file.bin.lock"}
    assert capsys.readouterr() == ("", "")


def test_a_file_that_differs_from_its_record_is_refused(server):
    path = download.fetch(server.url, "file.bin")
    path.write_bytes(b"X" + CONTENT[1:])
    with pytest.raises(SunhwanError, match=r"file\.bin has SHA-256 .*file\.bin\.json records .*delete it"):
        download.fetch(server.url, "file.bin")
    path.unlink()  # as the message advises
    assert download.fetch(server.url, "file.bin").read_bytes() == CONTENT


def test_a_new_file_at_the_publisher_is_refused(server, cache):
    download.fetch(server.url, "file.bin").unlink()
    server.content, server.validator = OTHER, ("ETag", '"two"')
    with pytest.raises(SunhwanError, match=r"file\.bin\.json records \(delete that record.*--data PATH"):
        download.fetch(server.url, "file.bin")
    assert len(server.requests) == 2  # and the wrong file is not downloaded five times
    assert {path.name for path in cache.iterdir()} <= {"file.bin.json", "file.bin.lock"}
    (cache / "file.bin.json").unlink()
    assert download.fetch(server.url, "file.bin").read_bytes() == OTHER


def test_a_file_put_there_by_hand_is_recorded_at_its_first_use(server, cache):
    cache.mkdir()
    (cache / "file.bin").write_bytes(b"by hand")
    download.fetch(server.url, "file.bin")
    (cache / "file.bin").write_bytes(b"by HAND")
    with pytest.raises(SunhwanError, match=hashlib.sha256(b"by hand").hexdigest()):
        download.fetch(server.url, "file.bin")
    for illegible in ("{", "{}"):
        (cache / "file.bin.json").write_text(illegible)
        with pytest.raises(SunhwanError, match=r"file\.bin\.json"):
            download.fetch(server.url, "file.bin")
    assert server.requests == []


@pytest.mark.parametrize("validator", [("ETag", '"one"'), ("Last-Modified", "Tue, 07 Jun 2011 10:00:00 GMT")])
def test_a_cut_connection_is_resumed(server, validator):
    server.validator = validator
    server.script = [{"cut": 300_000}, {}, {"cut": 100_000}]
    assert download.fetch(server.url, "file.bin").read_bytes() == CONTENT
    assert ranges(server) == [None, None, "bytes=300000-", None, "bytes=400000-"]
    assert server.requests[2][1]["If-Range"] == validator[1]


def test_a_later_call_resumes_where_an_earlier_gave_up(server, cache):
    server.script = [{"cut": 100_000}, *[{}, {"cut": 100_000}] * 4]
    with pytest.raises(SunhwanError, match=r"broke off, the last of 5 attempts; .*--data PATH"):
        download.fetch(server.url, "file.bin")
    assert not (cache / "file.bin").exists()
    assert download.fetch(server.url, "file.bin").read_bytes() == CONTENT
    assert ranges(server)[-1] == "bytes=500000-"


@pytest.mark.parametrize("validator", [("ETag", 'W/"one"'), ("X", "y")], ids=["weak", "none"])
def test_without_a_version_it_starts_again(server, validator):
    server.validator = validator
    server.script = [{"cut": 300_000}]
    assert download.fetch(server.url, "file.bin").read_bytes() == CONTENT
    assert ranges(server) == [None, None]


def test_a_server_without_ranges_or_with_other_ranges(server, cache):
    server.ranges = False
    server.script = [{"cut": 300_000}]
    assert download.fetch(server.url, "file.bin").read_bytes() == CONTENT
    (cache / "file.bin").unlink()
    server.ranges = True
    server.script = [{"cut": 300_000}, {}, {"shift": 100_000}]
    assert download.fetch(server.url, "file.bin").read_bytes() == CONTENT


@pytest.mark.parametrize("changing", [0, 1], ids=["before it resumes", "as it resumes"])
def test_a_file_that_changes_in_between_is_never_joined(server, changing):
    server.script = [{"cut": 300_000}, {}]  # and its server does not heed If-Range
    server.script[changing]["then_change"] = True
    assert download.fetch(server.url, "file.bin").read_bytes() == OTHER


def test_a_part_longer_than_the_file_is_overwritten(server, cache):
    server.script = [{"cut": 300_000}] + [{}, {"status": 503}] * 4
    with pytest.raises(SunhwanError, match="503 Service Unavailable"):
        download.fetch(server.url, "file.bin")
    (part,) = cache.glob("*.part")
    part.write_bytes(bytes(800_000))
    assert download.fetch(server.url, "file.bin").read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("step", "reason"),
    [
        ({"status": 404}, "the server answered 404 Not Found"),
        ({"headers": {"Content-Type": "text/html; charset=utf-8"}}, "a web page came instead"),
    ],
)
def test_a_response_that_is_not_the_file_is_not_tried_again(server, cache, step, reason):
    server.script = [step]
    with pytest.raises(SunhwanError, match=rf"{re.escape(server.url)}: {reason}.*--data PATH"):
        download.fetch(server.url, "file.bin")
    assert len(server.requests) == 1
    assert not (cache / "file.bin").exists()


def test_no_network():
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # bound but not listening: connections are refused
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/file.bin"
        expected = rf"^cannot download {url}: Connection refused, the last of 5 attempts; .*--data PATH$"
        with pytest.raises(SunhwanError, match=expected):
            download.fetch(url, "file.bin")


def test_a_server_that_sends_nothing(server, monkeypatch):
    monkeypatch.setattr(download, "TIMEOUT_SECONDS", (5.0, 0.05))
    ending = threading.Event()
    server.script = [{"wait": ending}]
    try:
        assert download.fetch(server.url, "file.bin").read_bytes() == CONTENT
    finally:
        ending.set()
    assert len(server.requests) == 2


def test_bytes_are_saved_as_they_are(server):
    # Servers announce an archive's own compression as the transfer's; unpacked, it would not be the file.
    server.content = b"\x1f\x8b" + CONTENT
    server.script = [{"headers": {"Content-Encoding": "x-gzip"}}]
    assert download.fetch(server.url, "file.bin").read_bytes() == server.content
    assert server.requests[0][1]["Accept-Encoding"] == "identity"


def test_a_full_disk_keeps_what_arrived(server, cache, monkeypatch):
    class Full(io.FileIO):
        def write(self, data):
            if self.tell():
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return super().write(data)

    with monkeypatch.context() as patch:
        patch.setattr(download, "open", Full, raising=False)
        with pytest.raises(SunhwanError, match=rf"folder {cache}: No space left on device; .*SUNHWAN_CACHE"):
            download.fetch(server.url, "file.bin")
    assert not (cache / "file.bin").exists()
    assert download.fetch(server.url, "file.bin").read_bytes() == CONTENT
    assert ranges(server)[-1] == f"bytes={download.CHUNK_BYTES}-"


def test_a_cache_that_is_a_file(server, cache):
    cache.write_text("in the way")
    with pytest.raises(SunhwanError, match=r"cannot use file\.bin in the cache folder .*SUNHWAN_CACHE"):
        download.fetch(server.url, "file.bin")


def test_processes_at_once_download_once(server, cache):
    code = "import sys; from sunhwan.data.sets.download import fetch; fetch(sys.argv[1], 'file.bin')"
    command = [sys.executable, "-c", code, server.url]
    processes = [subprocess.Popen(command, stderr=subprocess.PIPE) for _ in range(2)]
    assert [process.communicate(timeout=60)[1] for process in processes] == [b"", b""]
    assert [process.returncode for process in processes] == [0, 0]
    assert len(server.requests) == 1
    assert (cache / "file.bin").read_bytes() == CONTENT


@pytest.mark.parametrize(("terminal", "shown"), [(True, True), (True, False), (False, True)])
def test_a_bar_is_for_terminals(monkeypatch, terminal, shown):
    monkeypatch.setenv("FORCE_COLOR", "1")  # must not make a bar appear in a pipe
    monkeypatch.setenv("TERM", "xterm")
    stderr = io.StringIO()
    stderr.isatty = lambda: terminal
    monkeypatch.setattr(sys, "stderr", stderr)
    with download.progress_bar("reading [reviews]", total=4, shown=shown) as update:
        update(completed=1)
    drawn = re.search(r"reading \[reviews\].*25%.*\x1b\[2K$", stderr.getvalue(), flags=re.DOTALL)  # and wiped
    assert bool(drawn) is bool(stderr.getvalue()) is (terminal and shown)
