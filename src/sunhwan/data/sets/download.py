"""Files from the network, brought once into the user's cache and checked at every use.

The transport is `requests`: proxies and certificates come from the environment as everywhere else
(HTTPS_PROXY, NO_PROXY, REQUESTS_CA_BUNDLE). What no library we know of does, and is done here, is to go on
with a broken transfer (HTTP Range, RFC 9110 section 14) without ever joining halves of two different files.

A file NAME in the cache may have these neighbours:

    NAME.json        its record: URL, SHA-256, size, when it was first downloaded
    NAME.part        what a broken transfer has brought so far
    NAME.part.json   which file on the server that part belongs to (URL, ETag or Last-Modified, size)
    NAME.lock        held while a process downloads
"""

from __future__ import annotations

import contextlib
import datetime
import hashlib
import os
import re
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType

import filelock
import platformdirs
import requests
import urllib3
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from sunhwan.errors import SunhwanError
from sunhwan.files import read_json, write_json

ATTEMPTS = 5  # transfers tried in all before giving up, the first included
BACKOFF_SECONDS = 0.5  # after the first failure; twice as long after each further one: 7.5 s in all
LONGEST_WAIT_SECONDS = 60.0  # however long the server's Retry-After asks for
TIMEOUT_SECONDS = (10.0, 60.0)  # to connect; without a byte
CHUNK_BYTES = 1 << 18
TRANSIENT_STATUSES = frozenset({408, 425, 429, 500, 502, 503, 504})
TRANSIENT_ERRORS = (
    requests.ConnectionError,  # refused, reset, no such host, no route
    requests.Timeout,
)
TRANSIENT_BODY_ERRORS = (  # the body is read below `requests`, undecoded, so its errors are urllib3's
    urllib3.exceptions.ProtocolError,
    urllib3.exceptions.TimeoutError,
    urllib3.exceptions.SSLError,
)


def cache_folder() -> Path:
    """The folder that keeps downloads: SUNHWAN_CACHE if set, else the user's cache folder of this system.

    It need not exist yet.

    Example:
        >>> from unittest import mock
        >>> with mock.patch.dict(os.environ, SUNHWAN_CACHE="/somewhere/else"):
        ...     cache_folder().as_posix()
        '/somewhere/else'
    """
    chosen = os.environ.get("SUNHWAN_CACHE")
    if chosen:
        return Path(chosen).expanduser()
    return platformdirs.user_cache_path("sunhwan", appauthor=False)


def fetch(
    url: str,
    name: str,
    *,
    sha256: str | None = None,
    progress: bool = True,
    wait: Callable[[float], None] = time.sleep,
) -> Path:
    """The cached file `name`, downloaded from `url` if it is not in the cache yet, and checked.

    A transfer that breaks is tried up to `ATTEMPTS` times and goes on where it broke, in this call or a
    later one, if the server still has the same file; otherwise it starts afresh. The file appears under its
    name only when it is whole. Its SHA-256 must be `sha256`, or, where the publisher gives none, what was
    recorded at the first download (trust on first use); a file is hashed once a process.

    Args:
        url: http or https address.
        name: file name in the cache, without folders.
        sha256: the publisher's digest, 64 hexadecimal digits, if there is one.
        progress: whether to show a bar (on stderr, only on a terminal, only for what takes over a second).
        wait: sleeps for so many seconds between attempts.

    Returns:
        The path in `cache_folder()`.

    Raises:
        SunhwanError: no network, an answer that is no file, a wrong checksum, a cache that cannot be written.

    Example:
        >>> import tempfile
        >>> from unittest import mock
        >>> with mock.patch.dict(os.environ, SUNHWAN_CACHE=tempfile.mkdtemp()):
        ...     _ = (cache_folder() / "notes.txt").write_text("already here")
        ...     fetch("https://example.org/notes.txt", "notes.txt").read_text()
        'already here'
    """
    if not name or name != os.path.basename(name) or name in {".", ".."}:
        raise ValueError(f"a name in the cache is a plain file name, not {name!r}")
    target = cache_folder() / name
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        if not target.exists():
            with _sole_process(target):
                if not target.exists():  # else another process brought it while this one waited
                    _download(url, target, sha256, progress, wait)
        _check(url, target, sha256)
    except OSError as error:
        raise SunhwanError(
            f"cannot use {name} in the cache folder {target.parent}: {error.strerror or error}; make room or "
            "give the rights (what has arrived is kept), or set SUNHWAN_CACHE to another folder"
        ) from error
    return target


_digests: dict[tuple[Path, int, int], str] = {}


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file in hexadecimal; read once a process as long as its size and time stay the same.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "empty"
        >>> path.touch()
        >>> sha256_of(path)[:16]
        'e3b0c44298fc1c14'
    """
    state = path.stat()
    key = (path.resolve(), state.st_size, state.st_mtime_ns)
    if key not in _digests:
        with open(path, "rb") as file:
            _digests[key] = hashlib.file_digest(file, "sha256").hexdigest()
    return _digests[key]


class Bar:
    """A progress bar that appears on stderr once its work has taken a second, and only on a terminal.

    Example:
        >>> with Bar("reading", total=3) as bar:
        ...     for done in range(3):
        ...         bar.update(completed=done + 1)
    """

    def __init__(
        self,
        description: str,
        *,
        total: float | None = None,
        enabled: bool = True,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        # Not rich's own test for a terminal: FORCE_COLOR would make a bar appear in a pipe.
        self._enabled = enabled and sys.stderr.isatty()
        self._clock = clock
        self._began = clock()
        self._shown = False
        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TaskProgressColumn(),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            transient=True,
            disable=not self._enabled,
        )
        self._task = self._progress.add_task(description, total=total)

    def __enter__(self) -> Bar:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._shown:
            self._progress.stop()

    def update(
        self,
        *,
        completed: float | None = None,
        total: float | None = None,
        description: str | None = None,
    ) -> None:
        """State how far the work is; what is left out stays as it was."""
        if not self._enabled:
            return
        self._progress.update(self._task, completed=completed, total=total, description=description)
        if not self._shown and self._clock() - self._began >= 1.0:
            self._progress.start()
            self._shown = True


@contextlib.contextmanager
def _sole_process(target: Path) -> Iterator[None]:
    """Only one process at a time downloads `target`; the others wait, then find it in the cache.

    A lock that the operating system releases when its holder dies, rather than a part file a process: so the
    part of a killed process is there to go on from, and two processes do not fetch the same bytes twice.
    """
    lock = filelock.FileLock(f"{target}.lock")
    try:
        lock.acquire(timeout=1.0)
    except filelock.Timeout:
        if sys.stderr.isatty():
            print(f"waiting for another process that is downloading {target.name}", file=sys.stderr)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


class _TransientError(Exception):
    """A transfer failed in a way that another attempt may mend."""

    def __init__(self, reason: str, retry_after: float | None = None) -> None:
        super().__init__(reason)
        self.retry_after = retry_after


class _Part:
    """What has arrived of a file so far, and the validator that says of which version of it."""

    def __init__(self, target: Path) -> None:
        self.path = target.with_name(target.name + ".part")
        self._state_path = target.with_name(target.name + ".part.json")

    def size(self) -> int:
        return self.path.stat().st_size if self.path.exists() else 0

    def state(self, url: str) -> dict:
        """{"url", "validator", "bytes"} of a part that can be gone on with, else {}."""
        if not self.size():
            return {}
        try:
            state = read_json(self._state_path)
        except (FileNotFoundError, SunhwanError):
            return {}  # without a legible state nobody knows what the part is of: start afresh
        return state if state.get("url") == url else {}

    def begin(self, url: str, validator: str | None, total: int | None) -> None:
        """Empty the part, then note which version of the file the coming bytes belong to, in this order."""
        self.path.write_bytes(b"")
        write_json(self._state_path, {"url": url, "validator": validator, "bytes": total})

    def discard(self) -> None:
        self.path.unlink(missing_ok=True)
        self._state_path.unlink(missing_ok=True)

    def become(self, target: Path) -> None:
        with open(self.path, "rb") as written:
            os.fsync(written.fileno())
        os.replace(self.path, target)
        self._state_path.unlink(missing_ok=True)


def _download(
    url: str, target: Path, sha256: str | None, progress: bool, wait: Callable[[float], None]
) -> None:
    """Bring `url` to `target`, whole and with the expected checksum, or raise."""
    part = _Part(target)
    with Bar(f"downloading {target.name}", enabled=progress) as bar, requests.Session() as session:
        for attempt in range(1, ATTEMPTS + 1):
            try:
                _transfer(session, url, part, bar)
                break
            except _TransientError as failure:
                if attempt == ATTEMPTS:
                    raise _no_download(url, f"{failure}, the last of {ATTEMPTS} attempts") from failure
                seconds = max(BACKOFF_SECONDS * 2 ** (attempt - 1), failure.retry_after or 0.0)
                bar.update(description=f"{target.name}: {failure}; attempt {attempt + 1} of {ATTEMPTS}")
                wait(min(seconds, LONGEST_WAIT_SECONDS))

    digest = sha256_of(part.path)
    expected, source = _expected(target, sha256)
    if expected is not None and digest != expected:
        size = part.size()
        part.discard()
        reason = f"its {size} bytes have SHA-256 {digest}, {source} is {expected}"
        if sha256 is None:
            reason += " (delete that record if the publisher has put up a new file)"
        raise _no_download(url, reason)
    # The record goes first: were this process killed in between, the whole part is still there, to be checked
    # by that record.
    _record(url, target, digest, part.size())
    part.become(target)


def _transfer(session: requests.Session, url: str, part: _Part, bar: Bar) -> None:
    """One request, which leaves `part` whole or raises; what arrives before a failure stays in `part`."""
    state = part.state(url)
    held = part.size() if state else 0
    if held and held == state["bytes"]:
        return  # a process was killed after the last byte
    # Compressed on the way, a body's length and ranges would count something else than the file's bytes.
    headers = {"Accept-Encoding": "identity"}
    asked = held if held and state["validator"] else 0
    if asked:
        headers |= {"Range": f"bytes={asked}-", "If-Range": state["validator"]}
    try:
        with session.get(url, headers=headers, stream=True, timeout=TIMEOUT_SECONDS) as response:
            held, total = _agree(response, url, part, asked)
            bar.update(completed=held, total=total, description=_description(part, total))
            with open(part.path, "ab") as file:
                for chunk in response.raw.stream(CHUNK_BYTES, decode_content=False):
                    file.write(chunk)
                    held += len(chunk)
                    bar.update(completed=held)
    except TRANSIENT_BODY_ERRORS as error:
        raise _TransientError(f"the connection broke after {held} bytes ({_reason(error)})") from error
    except TRANSIENT_ERRORS as error:
        raise _TransientError(_reason(error)) from error
    except requests.RequestException as error:
        raise _no_download(url, _reason(error)) from error
    if total is not None and held != total:
        raise _TransientError(f"the connection ended after {held} of {total} bytes")


def _agree(response: requests.Response, url: str, part: _Part, asked: int) -> tuple[int, int | None]:
    """What the body of `response` will be: (bytes already in `part`, bytes of the whole file if known).

    `asked` is the first byte of the range that was requested, 0 for the whole file.
    """
    status = response.status_code
    if status == 206:
        found = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", response.headers.get("Content-Range", ""))
        state = part.state(url)
        if found and asked and int(found[1]) == asked:
            total = state["bytes"] if found[2] == "*" else int(found[2])
            # A server that heeds Range but not If-Range would have us join two versions of the file; its
            # validator or the size gives that away.
            same_version = _validator(response) in {None, state["validator"]}
            if same_version and state["bytes"] in {None, total}:
                return asked, total
        part.discard()
        raise _TransientError("the server sent another range than was asked for")
    if status == 416:  # our part is not the beginning of what the server has now
        part.discard()
        raise _TransientError("the server has no such range")
    if status != 200:
        answer = f"the server answered {status} {response.reason}"
        if status in TRANSIENT_STATUSES:
            raise _TransientError(answer, _retry_after(response))
        raise _no_download(url, answer)
    if response.headers.get("Content-Type", "").startswith("text/html"):
        # Networks with a log-in page answer every address with it; recorded, it would pass for the file.
        raise _no_download(url, "a web page came instead of the file (does the network ask you to log in?)")
    length = response.headers.get("Content-Length", "")
    total = int(length) if length.isdecimal() else None
    part.begin(url, _validator(response), total)
    return 0, total


def _validator(response: requests.Response) -> str | None:
    """What names this version of the file on the server: its ETag, else its Last-Modified."""
    etag = response.headers.get("ETag", "")
    # A weak ETag says "much the same", which is not enough to join bytes (RFC 9110, section 13.1.5).
    return etag if etag.startswith('"') else response.headers.get("Last-Modified")


def _retry_after(response: requests.Response) -> float | None:
    """The seconds that the server asks to wait, if it does so legibly (a number or an HTTP date)."""
    try:
        return urllib3.Retry().get_retry_after(response.raw)
    except urllib3.exceptions.InvalidHeader:
        return None


def _description(part: _Part, total: int | None) -> str:
    return f"downloading {part.path.stem}" + ("" if total is None else f" ({total / 1e6:.1f} MB)")


def _reason(error: BaseException) -> str:
    """The cause in words: libraries wrap "Connection refused" in three layers of their own."""
    chain = [error]
    while following := chain[-1].__cause__ or chain[-1].__context__:
        chain.append(following)
    systems = [link.strerror for link in chain if isinstance(link, OSError) and link.strerror]
    return systems[-1] if systems else str(chain[-1]) or type(chain[-1]).__name__


def _no_download(url: str, reason: str) -> SunhwanError:
    return SunhwanError(
        f"cannot download {url}: {reason}; check the network and run again, or download it elsewhere and "
        "pass --data PATH"
    )


def _record_path(target: Path) -> Path:
    return target.with_name(target.name + ".json")


def _record(url: str, target: Path, digest: str, size: int) -> None:
    """Note the checksum, unless one is noted already."""
    if not _record_path(target).exists():
        moment = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        write_json(_record_path(target), {"url": url, "sha256": digest, "bytes": size, "recorded": moment})


def _expected(target: Path, sha256: str | None) -> tuple[str | None, str]:
    """The checksum that `target` must have, if any is known, and who says so."""
    if sha256 is not None:
        return sha256.lower(), "the publisher's"
    path = _record_path(target)
    if not path.exists():
        return None, ""
    try:
        return read_json(path)["sha256"], f"that recorded in {path}"
    except (SunhwanError, KeyError, TypeError) as error:
        raise SunhwanError(
            f"{path} should hold the SHA-256 of {target.name} but is not legible; delete it to record it anew"
        ) from error


def _check(url: str, target: Path, sha256: str | None) -> None:
    """Hold a cached file to its checksum; one that came by hand gets its record now."""
    digest = sha256_of(target)
    expected, source = _expected(target, sha256)
    if expected is not None and digest != expected:
        raise SunhwanError(
            f"{target} has SHA-256 {digest}, {source} is {expected}: the file has changed or is damaged; "
            "delete it and run again to download it anew"
        )
    _record(url, target, digest, target.stat().st_size)
