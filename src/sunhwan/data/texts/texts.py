"""Every dataset of labelled texts becomes `Texts`, which are checked here."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sunhwan.errors import SunhwanError


@dataclass(frozen=True, eq=False)
class Texts:
    """Labelled texts in a fixed order; entry i of every field belongs to the same text.

    Args:
        texts: n texts that are not blank.
        labels: (n,) int64, an index into `classes`.
        classes: the names of the classes; every part has texts of at least two of them.
        stars: (n,) int64, the author's rating, 0 where unknown.
        part: (n,) strings, the publisher's part ("train", "test") of a text, "" for no part.
        ids: n names, each once, by which messages call a text.
        source: SHA-256 of the source, in hexadecimal.

    Raises:
        SunhwanError: a blank text, or a part with a single class.
        ValueError: fields that do not fit each other.

    Example:
        >>> texts = Texts(
        ...     texts=("good", "bad"), labels=np.array([1, 0]), classes=("neg", "pos"),
        ...     stars=np.array([8, 2]), part=np.array(["", ""]), ids=("a", "b"), source="",
        ... )
        >>> len(texts)
        2
    """

    texts: tuple[str, ...]
    labels: np.ndarray
    classes: tuple[str, ...]
    stars: np.ndarray
    part: np.ndarray
    ids: tuple[str, ...]
    source: str

    def __post_init__(self) -> None:
        count = len(self.texts)
        lengths = {name: len(getattr(self, name)) for name in ("labels", "stars", "part", "ids")}
        if set(lengths.values()) != {count}:
            raise ValueError(f"{count} texts, but {lengths}")
        if len(set(self.ids)) != count:
            raise ValueError("two texts have the same id")
        if count and not 0 <= self.labels.min() <= self.labels.max() < len(self.classes):
            raise ValueError(f"labels {np.unique(self.labels).tolist()} for classes {self.classes}")
        for name, text in zip(self.ids, self.texts, strict=True):
            if not text.strip():
                raise SunhwanError(f"the text {name} is empty; remove it or add words")
        for part in np.unique(self.part):
            classes = np.unique(self.labels[self.part == part])
            if len(classes) < 2:
                where = f"the {part} part has" if part else "there are"
                name = self.classes[classes[0]]
                raise SunhwanError(f"{where} only texts of the class {name!r}; expected two or more classes")

    def __len__(self) -> int:
        return len(self.texts)
