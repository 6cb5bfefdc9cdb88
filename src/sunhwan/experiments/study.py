"""A study as it is declared: a question, data, preparation, models, baselines, seeds, epochs, a metric.

A study is a TOML file; the shipped ones lie in `studies/`. Its keys:

    question           str     what the study answers, in one sentence
    kind               str     "forecast", "text" or "adding"
    models             [str]   builders of that kind (see `models.py`), or names that [model.NAME] defines
    baselines          [str]   which baselines stand beside them
    seeds              int     each model is trained with seeds 0 .. seeds - 1
    epochs             int     epochs a model, unless [model.NAME] says otherwise
    batch_size         int     examples a batch (128)
    steps_per_epoch    int     batches an epoch (absent: all training examples)
    unit               str     the target's unit (absent: read out of its name)
    [data]             name = "newyork" | "jena" | "imdb" | "table" | "adding"; for a table also
                       path, time = [..], series
    [prepare]          forecast: see `sunhwan.data.series.Preparation`; text: num_words, length, padding,
                       truncating, validation; adding: timesteps = [..], updates
    [model.NAME]       builder = "gru" (absent: NAME), epochs, and the builder's own options

What the command line is given (`--epochs 3`) overrides the file; the run directory keeps the result.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from importlib.resources import files
from pathlib import Path

from sunhwan.errors import SunhwanError

KINDS = ("forecast", "text", "adding")


@dataclass(frozen=True)
class Study:
    """A declared study; the module's text says what each attribute means."""

    name: str
    question: str
    kind: str
    models: tuple[str, ...]
    epochs: int
    data: dict
    prepare: dict
    baselines: tuple[str, ...] = ()
    seeds: int = 1
    batch_size: int = 128
    steps_per_epoch: int | None = None
    unit: str = ""
    model: dict[str, dict] = field(default_factory=dict)

    def __post_init__(self):
        if self.kind not in KINDS:
            raise SunhwanError(f"study {self.name!r} is of kind {self.kind!r}; expected one of {', '.join(KINDS)}")
        for key in ("epochs", "seeds", "batch_size"):
            value = getattr(self, key)
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise SunhwanError(f"{key} is {value!r}; expected a whole number, at least 1")

    def options(self, model: str) -> dict:
        """What `[model.NAME]` says of a model."""
        return dict(self.model.get(model, {}))

    def epochs_of(self, model: str) -> int:
        """How many epochs a model is trained for."""
        return self.options(model).get("epochs", self.epochs)

    def with_models(self, wanted: list[str]) -> Study:
        """The study with some of its models, in the order asked for."""
        for name in wanted:
            if name not in self.models:
                raise SunhwanError(f"study {self.name!r} has no model {name!r}; it has {', '.join(self.models)}")
        return replace(self, models=tuple(wanted))

    def with_epochs(self, epochs: int) -> Study:
        """The study with the same number of epochs for every model."""
        options = {name: {k: v for k, v in given.items() if k != "epochs"} for name, given in self.model.items()}
        return replace(self, epochs=epochs, model=options)

    def with_prepare(self, **values: object) -> Study:
        """The study with other preparation."""
        return replace(self, prepare={**self.prepare, **values})

    def with_data(self, **values: object) -> Study:
        """The study on other data."""
        return replace(self, data={**self.data, **values})

    def as_dict(self) -> dict:
        """The study as a TOML file would hold it."""
        return {key: plain(value) for key, value in asdict(self).items() if value not in (None, (), {}, "")}


def plain(value: object) -> object:
    """Tuples as lists and paths as text, which TOML and JSON know."""
    if isinstance(value, Mapping):
        return {key: plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [plain(inner) for inner in value]
    return str(value) if isinstance(value, Path) else value


def shipped() -> dict[str, Study]:
    """The studies that come with the package, by name."""
    folder = files("sunhwan.experiments") / "studies"
    found = sorted((entry for entry in folder.iterdir() if entry.name.endswith(".toml")), key=lambda e: e.name)
    return {entry.name[:-5]: parse(entry.read_text(encoding="utf-8"), entry.name[:-5]) for entry in found}


def load(name: str) -> Study:
    """A shipped study by name, or one's own by the path of its TOML file.

    Raises:
        SunhwanError: there is no such study or file, or the file does not follow the schema.

    Example:
        >>> load("newyork_temperature").models[:2]
        ('dense', 'gru')
    """
    path = Path(name)
    if path.suffix == ".toml" or path.is_file():
        try:
            return parse(path.read_text(encoding="utf-8"), path.stem)
        except FileNotFoundError:
            raise SunhwanError(f"there is no study file {name!r}; give the path of a TOML file") from None
        except (UnicodeDecodeError, IsADirectoryError) as error:
            raise SunhwanError(f"{name!r} cannot be read as a study ({error}); expected a TOML file") from None
    studies = shipped()
    if name not in studies:
        raise SunhwanError(f"there is no study {name!r}; there are {', '.join(studies)}, or give your own TOML file")
    return studies[name]


def parse(text: str, name: str) -> Study:
    """The study that a TOML text declares.

    Raises:
        SunhwanError: the text is no TOML, lacks a key, or has one that no study has.
    """
    try:
        declared = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SunhwanError(f"the study file {name!r} is no valid TOML: {error}") from None
    known = {item.name for item in fields(Study)}
    unknown = sorted(declared.keys() - known)
    if unknown:
        raise SunhwanError(f"study {name!r} has an unknown key {unknown[0]!r}; a study has {', '.join(sorted(known))}")
    for key in ("question", "kind", "models", "epochs", "data", "prepare"):
        if key not in declared:
            raise SunhwanError(f"study {name!r} lacks the key {key!r}; `sunhwan study show newyork_temperature` is an example")
    for key, kind in (("data", dict), ("prepare", dict), ("model", dict), ("models", list), ("baselines", list)):
        if key in declared and not isinstance(declared[key], kind):
            raise SunhwanError(f"{key!r} of study {name!r} is {declared[key]!r}; expected a TOML {'table' if kind is dict else 'array'}")
    declared = {key: tuple(value) if isinstance(value, list) else value for key, value in declared.items()}
    return Study(**{"name": name, **declared})
