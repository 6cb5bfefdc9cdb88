"""Downloads against a server on this machine that cuts, changes, refuses and lies as the network does."""

import concurrent.futures
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

import filelock
import numpy as np
import pytest

from sunhwan.data.sets import download
from sunhwan.errors import SunhwanError

CONTENT = np.random.default_rng(0).bytes(700_000)  # more than two chunks of 262,144 bytes
OTHER = np.random.default_rng(1).bytes(700_000)


class Server(http.server.ThreadingHTTPServer):
    """Serves `content` and does, request by request, what `script` says; afterwards it serves plainly."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.content = CONTENT
        self.etag = '"one"'
        self.last_modified = None
        self.ranges = True  # heeds Range
        self.if_range = True  # heeds If-Range
        self.script = []
        self.requests = []  # (path, headers) in order of arrival

    def handle_error(self, request, client_address):
        if not isinstance(
            sys.exception(), ConnectionError
        ):  # a client that hung up is what some tests are of
            super().handle_error(request, client_address)

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}/file.bin"


class Handler(http.server.BaseHTTPRequestHandler):
    def log_message(self, *arguments):
        """Say nothing on stderr."""

    def do_GET(self):
        server = self.server
        server.requests.append((self.path, dict(self.headers)))
        step = server.script.pop(0) if server.script else {}
        if "status" in step:
            self.send_response(step["status"])
            for name, value in step.get("headers", {}).items():
                self.send_header(name, value)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        validators = {server.etag, server.last_modified} - {None}
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        fresh = not server.if_range or self.headers.get("If-Range") in validators
        start = int(asked[1]) if asked and server.ranges and fresh else 0
        if start and start >= len(server.content):
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(server.content)}")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        start -= step.get("shift", 0)
        body = server.content[start:][: step.get("at_most")]
        self.send_response(206 if start else 200)
        if start:
            end = start + len(body) - 1
            self.send_header("Content-Range", f"bytes {start}-{end}/{len(server.content)}")
        if server.etag:
            self.send_header("ETag", server.etag)
        if server.last_modified:
            self.send_header("Last-Modified", server.last_modified)
        self.send_header("Content-Type", step.get("type", "application/octet-stream"))
        for name, value in step.get("headers", {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if step.get("then_change"):
            server.content, server.etag = OTHER, '"two"'
        if "pause" in step:
            step["pause"].wait(timeout=30)
        cut = body[: step["cut"]] if "cut" in step else body
        self.wfile.write(cut)


@pytest.fixture
def server():
    with Server() as server:
        # Polled often, so that shutdown() at the end of a test does not wait half a second.
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    monkeypatch.setenv("SUNHWAN_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


class Waits(list):
    """Stands in for time.sleep and remembers what was asked."""

    def __call__(self, seconds):
        self.append(seconds)


@pytest.fixture
def waits():
    return Waits()


def digest(content):
    return hashlib.sha256(content).hexdigest()


def parts(cache):
    return sorted(path.name for path in cache.iterdir() if ".part" in path.name or ".writing" in path.name)


def test_the_environment_chooses_the_cache(monkeypatch, tmp_path):
    assert download.cache_folder() == tmp_path / "cache"
    monkeypatch.setenv("SUNHWAN_CACHE", "~/of_mine")
    assert download.cache_folder() == Path.home() / "of_mine"
    monkeypatch.setenv("SUNHWAN_CACHE", "")
    assert download.cache_folder().name == "sunhwan"


def test_a_file_is_downloaded_once_and_recorded(server, cache, waits):
    path = download.fetch(server.url, "file.bin", wait=waits)
    assert path == cache / "file.bin"
    assert path.read_bytes() == CONTENT
    record = json.loads((cache / "file.bin.json").read_text())
    assert record["sha256"] == digest(CONTENT)
    assert record["url"] == server.url
    assert record["bytes"] == len(CONTENT)
    written = (cache / "file.bin.json").stat().st_mtime_ns
    assert download.fetch(server.url, "file.bin", wait=waits) == path
    assert (cache / "file.bin.json").stat().st_mtime_ns == written
    assert len(server.requests) == 1
    assert waits == []
    assert parts(cache) == []


def test_a_publishers_checksum_is_held_to(server, cache):
    path = download.fetch(server.url, "file.bin", sha256=digest(CONTENT).upper())
    assert path.read_bytes() == CONTENT
    with pytest.raises(SunhwanError, match=f"{digest(CONTENT)}, the publisher's is {'0' * 64}.*delete it"):
        download.fetch(server.url, "file.bin", sha256="0" * 64)
    assert path.exists()


def test_a_wrong_checksum_leaves_nothing_in_the_cache(server, cache):
    with pytest.raises(SunhwanError, match=f"700000 bytes.*publisher's is {'0' * 64}.*--data PATH"):
        download.fetch(server.url, "file.bin", sha256="0" * 64)
    assert not (cache / "file.bin").exists()
    assert not (cache / "file.bin.json").exists()
    assert parts(cache) == []


def test_a_file_that_differs_from_its_record_is_refused(server, cache):
    path = download.fetch(server.url, "file.bin")
    path.write_bytes(b"X" + CONTENT[1:])
    with pytest.raises(SunhwanError, match=r"file\.bin has SHA-256 .*recorded in .*file\.bin\.json"):
        download.fetch(server.url, "file.bin")
    path.unlink()  # what the message advises
    assert download.fetch(server.url, "file.bin").read_bytes() == CONTENT


def test_a_new_file_at_the_publisher_is_not_taken_in_silence(server, cache):
    download.fetch(server.url, "file.bin").unlink()
    server.content = OTHER
    with pytest.raises(SunhwanError, match=r"recorded in .*file\.bin\.json.*delete that record"):
        download.fetch(server.url, "file.bin")
    assert not (cache / "file.bin").exists()
    (cache / "file.bin.json").unlink()
    assert download.fetch(server.url, "file.bin").read_bytes() == OTHER


def test_a_file_put_there_by_hand_is_recorded_at_its_first_use(server, cache):
    cache.mkdir()
    (cache / "file.bin").write_bytes(b"by hand")
    download.fetch(server.url, "file.bin")
    (cache / "file.bin").write_bytes(b"by HAND")
    with pytest.raises(SunhwanError, match=digest(b"by hand")):
        download.fetch(server.url, "file.bin")
    assert server.requests == []


def test_an_illegible_record_says_so(server, cache):
    download.fetch(server.url, "file.bin")
    (cache / "file.bin.json").write_text("{")
    with pytest.raises(SunhwanError, match=r"file\.bin\.json .*not legible; delete it"):
        download.fetch(server.url, "file.bin")


def test_a_file_is_hashed_once_a_process(server, monkeypatch):
    hashed = []
    genuine = hashlib.file_digest
    monkeypatch.setattr(
        hashlib, "file_digest", lambda file, name: hashed.append(file.name) or genuine(file, name)
    )
    for _ in range(3):
        path = download.fetch(server.url, "file.bin")
    assert hashed == [f"{path}.part", str(path)]  # as it came in, and at its first use


def test_a_cut_connection_is_gone_on_with(server, cache, waits):
    server.script = [{"cut": 300_000}, {"cut": 100_000}]
    path = download.fetch(server.url, "file.bin", wait=waits)
    assert path.read_bytes() == CONTENT
    sent = [(headers.get("Range"), headers.get("If-Range")) for _, headers in server.requests]
    assert sent == [(None, None), ("bytes=300000-", '"one"'), ("bytes=400000-", '"one"')]
    assert waits == [0.5, 1.0]
    assert parts(cache) == []


def test_a_later_call_goes_on_where_an_earlier_gave_up(server, cache, waits):
    server.script = [{"cut": 100_000}] * 5
    with pytest.raises(SunhwanError, match=r"broke after 500000 bytes.*the last of 5 attempts"):
        download.fetch(server.url, "file.bin", wait=waits)
    assert waits == [0.5, 1.0, 2.0, 4.0]
    assert not (cache / "file.bin").exists()
    assert (cache / "file.bin.part").stat().st_size == 500_000
    assert download.fetch(server.url, "file.bin", wait=waits).read_bytes() == CONTENT
    assert server.requests[-1][1]["Range"] == "bytes=500000-"


def test_last_modified_serves_where_the_etag_is_weak(server, waits):
    server.etag, server.last_modified = 'W/"one"', "Tue, 07 Jun 2011 10:00:00 GMT"
    server.script = [{"cut": 300_000}]
    assert download.fetch(server.url, "file.bin", wait=waits).read_bytes() == CONTENT
    assert server.requests[1][1]["If-Range"] == server.last_modified


def test_without_a_validator_it_starts_afresh(server, waits):
    server.etag = None
    server.script = [{"cut": 300_000}]
    assert download.fetch(server.url, "file.bin", wait=waits).read_bytes() == CONTENT
    assert "Range" not in server.requests[1][1]


def test_a_server_that_ignores_ranges(server, waits):
    server.ranges = False
    server.script = [{"cut": 300_000}]
    assert download.fetch(server.url, "file.bin", wait=waits).read_bytes() == CONTENT
    assert server.requests[1][1]["Range"] == "bytes=300000-"


@pytest.mark.parametrize("if_range", [True, False], ids=["heeds If-Range", "ignores If-Range"])
def test_a_file_that_changes_in_between_is_never_joined(server, waits, if_range):
    server.if_range = if_range
    server.script = [{"cut": 300_000, "then_change": True}]
    assert download.fetch(server.url, "file.bin", wait=waits).read_bytes() == OTHER


def test_a_server_that_answers_another_range(server, waits):
    server.script = [{"cut": 300_000}, {"shift": 100_000}]
    assert download.fetch(server.url, "file.bin", wait=waits).read_bytes() == CONTENT
    assert "Range" not in server.requests[2][1]


def test_a_server_that_sends_ranges_in_pieces(server, waits):
    server.script = [{"cut": 300_000}, {"at_most": 100_000}]
    assert download.fetch(server.url, "file.bin", wait=waits).read_bytes() == CONTENT
    assert server.requests[2][1]["Range"] == "bytes=400000-"


def test_a_part_of_another_address_is_not_gone_on_with(server, waits):
    server.script = [{"cut": 1000}] * 5
    with pytest.raises(SunhwanError):
        download.fetch(server.url, "file.bin", wait=waits)
    server.requests.clear()
    assert download.fetch(server.url + "?mirror", "file.bin", wait=waits).read_bytes() == CONTENT
    assert "Range" not in server.requests[0][1]


def test_a_part_longer_than_the_file_is_thrown_away(server, cache, waits):
    cache.mkdir()
    (cache / "file.bin.part").write_bytes(bytes(800_000))
    state = {"url": server.url, "validator": '"one"', "bytes": 900_000}
    (cache / "file.bin.part.json").write_text(json.dumps(state))
    assert download.fetch(server.url, "file.bin", wait=waits).read_bytes() == CONTENT
    assert len(server.requests) == 2  # the first was answered 416


def test_a_whole_part_needs_no_request(server, cache):
    cache.mkdir()
    (cache / "file.bin.part").write_bytes(CONTENT)
    state = {"url": server.url, "validator": '"one"', "bytes": len(CONTENT)}
    (cache / "file.bin.part.json").write_text(json.dumps(state))
    assert download.fetch(server.url, "file.bin").read_bytes() == CONTENT
    assert server.requests == []


@pytest.mark.parametrize("state", ["{", "{}"])
def test_a_part_of_unknown_origin_is_thrown_away(server, cache, state):
    cache.mkdir()
    (cache / "file.bin.part").write_bytes(bytes(1000))
    (cache / "file.bin.part.json").write_text(state)
    assert download.fetch(server.url, "file.bin").read_bytes() == CONTENT


def test_the_server_says_how_long_to_wait(server, waits):
    answers = [{"Retry-After": "7"}, {"Retry-After": "86400"}, {"Retry-After": "soon"}]
    server.script = [{"status": 503, "headers": headers} for headers in answers]
    assert download.fetch(server.url, "file.bin", wait=waits).read_bytes() == CONTENT
    assert waits == [7.0, download.LONGEST_WAIT_SECONDS, 2.0]


def test_not_found_is_not_tried_again(server, cache, waits):
    server.script = [{"status": 404}]
    with pytest.raises(SunhwanError, match=rf"{re.escape(server.url)}: .*404 Not Found.*--data PATH"):
        download.fetch(server.url, "file.bin", wait=waits)
    assert len(server.requests) == 1
    assert waits == []
    assert not (cache / "file.bin").exists()


def test_a_log_in_page_is_no_file(server, cache):
    server.script = [{"type": "text/html; charset=utf-8"}]
    with pytest.raises(SunhwanError, match="a web page came instead"):
        download.fetch(server.url, "file.bin")
    assert not (cache / "file.bin").exists()


def test_no_network(cache, waits):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # bound but not listening: connections are refused
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/file.bin"
        expected = rf"cannot download {url}: Connection refused, the last of 5 attempts; .*--data PATH$"
        with pytest.raises(SunhwanError, match=expected):
            download.fetch(url, "file.bin", wait=waits)
    assert waits == [0.5, 1.0, 2.0, 4.0]


def test_a_server_that_says_nothing(server, monkeypatch, waits):
    monkeypatch.setattr(download, "TIMEOUT_SECONDS", (5.0, 0.05))
    ending = threading.Event()
    server.script = [{"pause": ending, "cut": 0}]
    try:
        assert download.fetch(server.url, "file.bin", wait=waits).read_bytes() == CONTENT
    finally:
        ending.set()
    assert waits == [0.5]


def test_an_address_that_is_none(waits):
    with pytest.raises(SunhwanError, match=r"cannot download ftp://example\.org/f: No connection adapters"):
        download.fetch("ftp://example.org/f", "file.bin", wait=waits)
    assert waits == []


def test_bytes_are_kept_as_they_are(server):
    # Servers announce an archive's own compression as the transfer's; unpacked, it would not be the file.
    server.content = b"\x1f\x8b" + CONTENT
    server.script = [{"headers": {"Content-Encoding": "x-gzip"}}]
    assert download.fetch(server.url, "file.bin").read_bytes() == server.content
    assert server.requests[0][1]["Accept-Encoding"] == "identity"


def test_proxies_come_from_the_environment(server, monkeypatch):
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{server.server_port}")
    url = "http://publisher.invalid/file.bin"
    assert download.fetch(url, "file.bin").read_bytes() == CONTENT
    assert server.requests[0][0] == url  # a proxy is asked for the whole address


def test_a_full_disk(server, cache, monkeypatch):
    class Full(io.FileIO):
        def write(self, data):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    genuine = open
    monkeypatch.setattr(
        download,
        "open",
        lambda path, mode: (
            Full(path, mode) if str(path).endswith(".part") and "a" in mode else genuine(path, mode)
        ),
        raising=False,
    )
    with pytest.raises(SunhwanError, match=rf"folder {cache}: No space left on device; .*SUNHWAN_CACHE"):
        download.fetch(server.url, "file.bin")
    assert not (cache / "file.bin").exists()
    monkeypatch.undo()
    monkeypatch.setenv("SUNHWAN_CACHE", str(cache))
    assert download.fetch(server.url, "file.bin").read_bytes() == CONTENT


@pytest.mark.skipif(sys.platform == "win32", reason="resource limits are POSIX")
def test_a_disk_that_takes_only_so_much_keeps_what_arrived(server, cache):
    limited = """
import resource, signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, 400_000))
from sunhwan.data.sets.download import fetch
fetch(sys.argv[1], "file.bin")
"""
    run = subprocess.run(
        [sys.executable, "-c", limited, server.url], capture_output=True, text=True, check=False
    )
    assert run.returncode == 1
    assert f"SunhwanError: cannot use file.bin in the cache folder {cache}: File too large" in run.stderr
    assert 0 < (cache / "file.bin.part").stat().st_size <= 400_000
    assert download.fetch(server.url, "file.bin").read_bytes() == CONTENT
    assert "Range" in server.requests[-1][1]


def test_a_cache_that_is_a_file(server, cache):
    cache.write_text("in the way")
    with pytest.raises(SunhwanError, match=r"cannot use file\.bin in the cache folder .*SUNHWAN_CACHE"):
        download.fetch(server.url, "file.bin")


@pytest.mark.parametrize("name", ["", "..", "a/b", "/etc/passwd"])
def test_a_name_stays_in_the_cache(server, name):
    with pytest.raises(ValueError, match="plain file name"):
        download.fetch(server.url, name)


def test_a_second_call_waits_for_the_first(server, monkeypatch):
    second_waits = threading.Event()

    class Lock(filelock.FileLock):
        def acquire(self, timeout=None):
            if timeout is not None:
                return super().acquire(timeout=0)  # no second of patience in a test
            second_waits.set()
            return super().acquire()

    monkeypatch.setattr(filelock, "FileLock", Lock)
    first_is_served = threading.Event()
    server.script = [{"pause": first_is_served}]
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        both = [pool.submit(download.fetch, server.url, "file.bin") for _ in range(2)]
        try:
            assert second_waits.wait(timeout=30)
        finally:
            first_is_served.set()
        assert [call.result().read_bytes() for call in both] == [CONTENT, CONTENT]
    assert len(server.requests) == 1


def test_processes_at_once_fetch_once(server, cache):
    command = [
        sys.executable,
        "-c",
        "import sys; from sunhwan.data.sets.download import fetch; fetch(sys.argv[1], 'file.bin')",
        server.url,
    ]
    processes = [subprocess.Popen(command, stderr=subprocess.PIPE) for _ in range(3)]
    assert [process.communicate(timeout=60)[1] for process in processes] == [b"", b"", b""]
    assert [process.returncode for process in processes] == [0, 0, 0]
    assert len(server.requests) == 1
    assert (cache / "file.bin").read_bytes() == CONTENT


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize(
    ("seconds", "terminal", "enabled", "shown"),
    [(5.0, True, True, True), (0.5, True, True, False), (5.0, False, True, False), (5.0, True, False, False)],
)
def test_the_bar_is_for_people_who_wait(monkeypatch, seconds, terminal, enabled, shown):
    monkeypatch.setenv("FORCE_COLOR", "1")  # must not make a bar appear in a pipe
    monkeypatch.setenv("TERM", "xterm")
    stderr = Terminal() if terminal else io.StringIO()
    monkeypatch.setattr(sys, "stderr", stderr)
    times = iter([0.0, seconds])
    with download.Bar("reading [reviews]", total=4, enabled=enabled, clock=lambda: next(times)) as bar:
        bar.update(completed=1)
    assert ("reading [reviews]" in stderr.getvalue()) is shown
    assert ("25%" in stderr.getvalue()) is shown
    assert stderr.getvalue().endswith("\x1b[2K") is shown  # and it has wiped itself away
