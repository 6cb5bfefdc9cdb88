"""Film reviews from IMDB with their star ratings, from Stanford: 25,000 to train on, 25,000 to test.

Maas, Daly, Pham, Huang, Ng, Potts: Learning Word Vectors for Sentiment Analysis, ACL 2011;
https://ai.stanford.edu/~amaas/data/sentiment/. A review of 1 to 4 stars is negative, of 7 to 10 positive. The
raw texts, not the integers of `keras.datasets.imdb`: so the vocabulary can come from training texts only.
"""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import os
import re
import tarfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pooch

from sunhwan.data.sets.download import fetch, progress_bar
from sunhwan.data.texts.texts import Texts
from sunhwan.errors import SunhwanError

URL = "https://ai.stanford.edu/~amaas/data/sentiment/aclImdb_v1.tar.gz"  # the publisher gives no checksum
FILE = "aclImdb_v1.tar.gz"
PARTS = ("train", "test")
CLASSES = ("neg", "pos")
# Reviews are FOLDER/train/pos/ID_STARS.txt; hidden files (macOS adds ._ files to archives) are not reviews.
_REVIEW = re.compile(r"(?:.*/)?(train|test)/(neg|pos)/([^/.][^/]*\.txt)", re.DOTALL)
_ID_STARS = re.compile(r"([0-9]+)_(10|[1-9])\.txt")


def load(path: Path | None = None, *, progress: bool = True) -> Texts:
    """The labelled reviews, sorted by part (train, test), class (neg, pos) and number.

    An archive is read in one pass, and nothing is written. An archive and its unpacked folder give the same
    in the same order, except for `source`. The markup `<br />` becomes a line break; otherwise texts are as
    published. Reviews without a label (train/unsup) are left out.

    Args:
        path: the publisher's archive (.tar.gz, or .tar as some browsers leave it) or its unpacked folder; by
            default the archive is downloaded into the cache (84 MB).
        progress: whether to show bars on a terminal.

    Returns:
        `Texts` with classes ("neg", "pos"), 1 to 10 stars and ids such as "train/pos/127_7.txt"; `source` is
        the SHA-256 of the archive, or of the names and bytes of a folder's reviews, sorted by name.

    Raises:
        SunhwanError: no such file; an archive that is damaged or has unsafe members; a review without number
            or stars in its name, empty or not UTF-8; no reviews, or reviews of one class only.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> for name, text in [("pos/1_9.txt", "Well done!<br />See it."), ("neg/0_2.txt", "Dull.")]:
        ...     (folder / "train" / name).parent.mkdir(parents=True)
        ...     _ = (folder / "train" / name).write_text(text)
        >>> reviews = load(folder)
        >>> reviews.texts, reviews.labels.tolist(), reviews.stars.tolist()
        (('Dull.', 'Well done!\\nSee it.'), [0, 1], [2, 9])
    """
    remedy = f"get {FILE} from {URL} and pass it, or its unpacked folder"
    if path is None:
        path = fetch(URL, FILE, progress=progress)
        remedy = f"delete it and {FILE}.json beside it, and run again to download it again"
    try:
        if not path.exists():
            raise SunhwanError(f"there is no file or folder {str(path)!r}; {remedy}")
        files = _folder_reviews(path, progress) if path.is_dir() else _archive_reviews(path, progress, remedy)
        # Closed here, so that no bar is on the screen any more when an error is printed.
        with contextlib.closing(files):
            reviews, fingerprint = _sort(files, path, remedy)
        source = fingerprint if path.is_dir() else pooch.file_hash(str(path))
    except OSError as error:
        raise SunhwanError(f"cannot read {path}: {error.strerror or error}; {remedy}") from error
    part_indices, labels, _ = np.array(list(reviews), dtype=np.int64).T
    texts, stars, ids = zip(*reviews.values(), strict=True)
    return Texts(
        texts=texts,
        labels=labels.copy(),
        classes=CLASSES,
        stars=np.array(stars, dtype=np.int64),
        part=np.array(PARTS)[part_indices],
        ids=ids,
        source=source,
    )


Reviews = dict[tuple[int, int, int], tuple[str, int, str]]  # (part, label, number): (text, stars, id), sorted


def _sort(files: Iterator[tuple[str, bytes]], path: Path, remedy: str) -> tuple[Reviews, str]:
    """The reviews in their order, and the SHA-256 of their names and bytes in the order of `files`."""
    reviews: Reviews = {}
    fingerprint = hashlib.sha256()
    for name, content in files:
        part, label, file_name = _REVIEW.fullmatch(name).groups()
        numbers = _ID_STARS.fullmatch(file_name)
        if numbers is None:
            raise SunhwanError(
                f"{name!r} in {path} is not named ID_STARS.txt with 1 to 10 stars, such as 127_7.txt; rename "
                "or remove it"
            )
        try:
            text = content.decode("utf-8")
        except UnicodeDecodeError as error:
            raise SunhwanError(
                f"{name} in {path} is not valid UTF-8 (at byte {error.start}); save it as UTF-8, or {remedy}"
            ) from error
        key = (PARTS.index(part), CLASSES.index(label), int(numbers[1]))
        if key in reviews:
            raise SunhwanError(
                f"{path} has two reviews numbered {key[2]} in {part}/{label}; remove one of them"
            )
        identity = f"{part}/{label}/{file_name}"
        reviews[key] = (text.replace("<br />", "\n"), int(numbers[2]), identity)
        for field in (identity.encode(), content):
            fingerprint.update(len(field).to_bytes(8, "little") + field)
    if not reviews:
        raise SunhwanError(
            f"{path} has no reviews; files such as aclImdb/train/pos/127_7.txt were expected; {remedy}"
        )
    return dict(sorted(reviews.items())), fingerprint.hexdigest()


def _folder_reviews(folder: Path, progress: bool) -> Iterator[tuple[str, bytes]]:
    """(name from train or test on, content) of the reviews in an unpacked folder, sorted by name."""
    root = folder / "aclImdb" if (folder / "aclImdb").is_dir() else folder
    folders = [f"{part}/{label}" for part in PARTS for label in CLASSES if (root / part / label).is_dir()]
    files = [f"{folder}/{name}" for folder in folders for name in os.listdir(root / folder)]
    names = sorted(name for name in files if _REVIEW.fullmatch(name))
    with progress_bar("reading reviews", total=len(names), shown=progress) as update:
        for done, name in enumerate(names):
            yield name, (root / name).read_bytes()
            if done % 256 == 0:
                update(completed=done)


def _archive_reviews(path: Path, progress: bool, remedy: str) -> Iterator[tuple[str, bytes]]:
    """(name in the archive, content) of the reviews in the archive's order; it is read to its end."""
    try:
        with (
            open(path, "rb") as file,
            progress_bar("reading reviews", total=path.stat().st_size, shown=progress) as update,
            _unpacked(file) as stream,
            tarfile.open(fileobj=stream, mode="r|", tarinfo=_StrictMember) as archive,
        ):
            for done, member in enumerate(archive):
                _refuse_unsafe(member, path, remedy)
                if member.isreg() and _REVIEW.fullmatch(member.name):
                    yield member.name, archive.extractfile(member).read()
                if done % 256 == 0:
                    update(completed=file.tell())
            while stream.read(1 << 20):  # to the end, where gzip has its checksum
                pass
    except (gzip.BadGzipFile, zlib.error, EOFError, tarfile.TarError) as error:
        raise SunhwanError(
            f"{path} is truncated, damaged or not a tar archive ({error}); {FILE} was expected; {remedy}"
        ) from error


class _StrictMember(tarfile.TarInfo):
    """A member whose damaged header is an error; `tarfile` alone takes it for the end of the archive."""

    @classmethod
    def frombuf(cls, buf: bytes, encoding: str, errors: str) -> tarfile.TarInfo:
        try:
            return super().frombuf(buf, encoding, errors)
        except tarfile.HeaderError as error:
            if buf.count(0) == tarfile.BLOCKSIZE:
                raise  # a block of zeros is the end
            raise tarfile.ReadError(str(error)) from error


def _unpacked(file: BinaryIO) -> BinaryIO:
    """The tar stream of `file`, compressed with gzip or not, as its first bytes show."""
    packed = file.read(2) == b"\x1f\x8b"
    file.seek(0)
    return gzip.GzipFile(fileobj=file) if packed else file


def _refuse_unsafe(member: tarfile.TarInfo, path: Path, remedy: str) -> None:
    """Raise if unpacking `member` could write outside the folder; the publisher's archive is safe."""
    steps = re.split(r"[/\\]", member.name)
    if ".." in steps or steps[0] == "" or re.match(r"[A-Za-z]:", member.name):
        fault = "points outside the archive"
    elif not (member.isreg() or member.isdir()):
        fault = "is a link or a device"
    else:
        return
    raise SunhwanError(f"the archive {path} is not safe: its member {member.name!r} {fault}; {remedy}")
