"""Files from the network, downloaded once into the user's cache and checked at every use.

Pooch puts a file in its place once it is complete and has the expected SHA-256; `_transfer` is its
downloader, which resumes where an earlier one broke. `requests` takes proxies and certificates from the
environment (HTTPS_PROXY, NO_PROXY, REQUESTS_CA_BUNDLE). A file NAME in the cache may have these neighbours:

    NAME.json       its record: URL, SHA-256 and size at its first use
    NAME.*.part     what a broken transfer has brought so far, of the version that * names
    NAME.lock       held while a process downloads
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import filelock
import pooch
import requests
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from sunhwan.errors import SunhwanError
from sunhwan.files import read_json, write_json

WAITS = (0.5, 1.0, 2.0, 4.0)
"""Seconds between attempts."""
TIMEOUT_SECONDS = (10.0, 60.0)
"""To connect; without a byte."""
CHUNK_BYTES = 1 << 14
"""Of a transfer that breaks, less than this is lost."""
TRANSIENT_STATUSES = frozenset({408, 425, 429, 500, 502, 503, 504})


def cache_folder() -> Path:
    """The folder of downloads: SUNHWAN_CACHE if set, else the user's cache folder. It need not exist yet.

    Example:
        >>> from unittest import mock
        >>> with mock.patch.dict(os.environ, SUNHWAN_CACHE="/somewhere/else"):
        ...     cache_folder().as_posix()
        '/somewhere/else'
    """
    chosen = os.environ.get("SUNHWAN_CACHE")
    return Path(chosen).expanduser() if chosen else pooch.os_cache("sunhwan")


def fetch(url: str, name: str, *, progress: bool = True) -> Path:
    """The cached file `name`, downloaded from `url` if the cache does not have it yet, and checked.

    Its SHA-256 must be that of its first use (trust on first use), whether it was downloaded or put there.

    Args:
        url: http or https address.
        name: file name in the cache, without folders.
        progress: whether to show a bar on a terminal.

    Raises:
        SunhwanError: no network, a response that is not the file, another SHA-256, a cache that cannot be
            written.

    Example:
        >>> import tempfile
        >>> from unittest import mock
        >>> with mock.patch.dict(os.environ, SUNHWAN_CACHE=tempfile.mkdtemp()):
        ...     _ = (cache_folder() / "notes.txt").write_text("already here")
        ...     fetch("https://example.org/notes.txt", "notes.txt").read_text()
        'already here'
    """
    target = cache_folder() / name
    record = target.with_name(f"{name}.json")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        recorded = str(read_json(record).get("sha256")) if record.exists() else None
        if not target.exists():
            # The system releases the lock of a process that dies; who waits sees the bar of `name`, too.
            with (
                progress_bar(f"downloading {name}", shown=progress) as update,
                filelock.FileLock(f"{target}.lock"),
            ):
                if not target.exists():
                    _download(url, target, recorded, update)
        digest = pooch.file_hash(str(target))
        if recorded is None:
            write_json(record, {"url": url, "sha256": digest, "bytes": target.stat().st_size})
        elif digest != recorded:
            raise SunhwanError(
                f"{target} has SHA-256 {digest}, but {record} records {recorded}: the file was changed or "
                "damaged; delete it and run again to download it again"
            )
    except OSError as error:
        raise SunhwanError(
            f"cannot use {name} in the cache folder {target.parent}: {error.strerror or error}; free some "
            "space or fix the permissions (what has arrived stays), or set SUNHWAN_CACHE to another folder"
        ) from error
    return target


@contextlib.contextmanager
def progress_bar(
    description: str, *, total: float | None = None, shown: bool = True
) -> Iterator[Callable[..., None]]:
    """A bar on stderr, on a terminal only, that is gone at the end; yields what updates it.

    Example:
        >>> with progress_bar("reading", total=3) as update:
        ...     for done in range(3):
        ...         update(completed=done + 1)
    """
    bar = Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TaskProgressColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
        # Not rich's own test for a terminal: FORCE_COLOR would make a bar appear in a pipe.
        disable=not (shown and sys.stderr.isatty()),
    )
    with bar:
        yield partial(bar.update, bar.add_task(description, total=total))


def _download(url: str, target: Path, sha256: str | None, update: Callable[..., None]) -> None:
    """Download `url` to `target`, complete and with the expected SHA-256, or raise."""
    pooch.get_logger().setLevel("WARNING")  # else it prints what it does
    for wait in (*WAITS, None):
        try:
            downloader = partial(_transfer, target, update)
            pooch.retrieve(url, sha256, target.name, target.parent, downloader=downloader)
            return
        except requests.RequestException as error:
            if wait is None:
                raise _no_download(url, f"{_reason(error)}, the last of {len(WAITS) + 1} attempts") from error
            update(description=f"{target.name}: {_reason(error)}; trying again")
            time.sleep(wait)
        except ValueError as error:
            reason = f"it does not have the SHA-256 {sha256} that {target}.json records"
            raise _no_download(url, f"{reason} (delete that record if a new file was published)") from error


def _transfer(target: Path, update: Callable[..., None], url: str, output_file: str, _: object) -> None:
    """Leave the complete file of `url` at `output_file`; what a broken transfer has brought is resumed."""
    with _response(url) as response:
        # Only a strong ETag, or a time, tells two versions of a file apart (RFC 9110, section 13.1.5).
        etag = response.headers.get("ETag", "")
        version = etag if etag.startswith('"') else response.headers.get("Last-Modified", "")
        total = int(response.headers.get("Content-Length", 0))
        name = hashlib.sha256(f"{url} {version} {total}".encode()).hexdigest()[:16]
        part = target.with_name(f"{target.name}.{name}.part")
        start = part.stat().st_size if version and part.exists() else 0
        update(total=total or None, description=f"downloading {target.name}")
        if not 0 < start <= total:
            _write(response, part, 0, update)
    if 0 < start < total:
        with _response(url, {"Range": f"bytes={start}-", "If-Range": version}) as response:
            headers = response.headers
            resumes = headers.get("Content-Range", "").startswith(f"bytes {start}-")
            if not resumes or version not in (headers.get("ETag"), headers.get("Last-Modified")):
                part.unlink()
                raise requests.ConnectionError("the server does not resume the transfer")
            _write(response, part, start, update)
    if total and part.stat().st_size != total:
        raise requests.ConnectionError(f"{part.stat().st_size} of {total} bytes arrived")
    os.replace(part, output_file)
    for part in target.parent.glob(f"{target.name}.*.part"):  # of versions that are no longer published
        part.unlink()


def _response(url: str, headers: dict | None = None) -> requests.Response:
    """The server's response, whose body is to be read; one that is not the file is an error."""
    # Compressed on the way, a body's length and ranges would count something else than the file's bytes.
    headers = {"Accept-Encoding": "identity"} | (headers or {})
    response = requests.get(url, headers=headers, stream=True, timeout=TIMEOUT_SECONDS)
    status = f"the server answered {response.status_code} {response.reason}"
    if response.status_code in TRANSIENT_STATUSES:
        raise requests.HTTPError(status)
    if not response.ok:
        raise _no_download(url, status)
    if response.headers.get("Content-Type", "").startswith("text/html"):
        # Networks with a log-in page answer every address with it; recorded, it would pass for the file.
        raise _no_download(url, "a web page came instead of the file (does the network want a log-in?)")
    # Servers give an archive's own compression as the transfer's; unpacked, it would not be the file.
    response.raw.headers.discard("Content-Encoding")
    return response


def _write(response: requests.Response, part: Path, start: int, update: Callable[..., None]) -> None:
    """Write the body of `response` to `part` from byte `start` on."""
    with open(part, "ab" if start else "wb") as file:
        for chunk in response.iter_content(CHUNK_BYTES):
            file.write(chunk)
            update(completed=file.tell())


def _reason(error: BaseException) -> str:
    """The cause in words: libraries wrap "Connection refused" in three layers of their own."""
    if isinstance(error, requests.exceptions.ChunkedEncodingError):
        return "the connection broke off"
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
