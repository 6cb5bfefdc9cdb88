"""The declaration of a study: question, data, preparation, models, baselines, seeds and epochs.

A study is a TOML file; the shipped ones are in `studies/shipped/`. Its keys:

    question           str     what the study answers, in one sentence
    kind               str     "forecast", "text" or "adding"
    models             [str]   builders of that kind (see `models.py`), or names defined by [model.NAME]
    baselines          [str]   what they are compared with
    seeds              int     each model is trained with seeds 0 .. seeds - 1
    epochs             int     epochs of each model, unless [model.NAME] has its own
    batch_size         int     examples in a batch (128)
    steps_per_epoch    int     batches in an epoch (default: all training examples)
    unit               str     the target's unit (default: from its name)
    [data]             name, and the keys of that data: see `sunhwan.data.sets.catalog`
    [prepare]          forecast: see `sunhwan.data.preparation.ForecastSpec`; text: num_words, length,
                       padding, truncating, validation; adding: timesteps = [..]
    [model.NAME]       builder = "gru" (default: NAME), epochs, and the options of the builder

Options of the command line (`--epochs 3`) override the file; the run directory has the study as it ran.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from importlib.resources import files
from pathlib import Path

from sunhwan.data.sets.catalog import of_kind
from sunhwan.errors import SunhwanError

KINDS = ("forecast", "text", "adding")

TYPES = {
    "name": str,
    "question": str,
    "kind": str,
    "models": tuple,
    "baselines": tuple,
    "unit": str,
    "data": dict,
    "prepare": dict,
    "model": dict,
}
"""The types of keys: text, array (a tuple here) and table; the other keys are whole numbers."""

TOML_NAMES = {str: "a text", tuple: "an array", dict: "a table"}

NAME = re.compile(r"""(?![.-])[^/\\:*?"<>|,\x00-\x1f]+""")
"""Names of studies and models become file names, on every system, and parts of comma-separated lists."""


@dataclass(frozen=True)
class Study:
    """A declared study; the module's docstring explains the attributes.

    Raises:
        SunhwanError: a value is of the wrong type, or out of range.
    """

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
        for key, kind in TYPES.items():
            if not isinstance(getattr(self, key), kind):
                self.refuse(f"{key} is {getattr(self, key)!r}; expected {TOML_NAMES[kind]}")
        for key in ("epochs", "seeds", "batch_size", "steps_per_epoch"):
            value = getattr(self, key)
            if not whole(value) and not (key == "steps_per_epoch" and value is None):
                self.refuse(f"{key} is {value!r}; expected a whole number, at least 1")
        if self.kind not in KINDS:
            self.refuse(f"kind is {self.kind!r}; expected one of {', '.join(KINDS)}")
        if not NAME.fullmatch(self.name):
            self.refuse("the name cannot name a file; expected letters, digits, spaces and _ + - .")
        for key in ("models", "baselines"):
            names = getattr(self, key)
            if not all(isinstance(name, str) and NAME.fullmatch(name) for name in names):
                self.refuse(f"{key} is {list(names)}; expected names of letters, digits, spaces and _ + - .")
            if len(set(names)) < len(names):
                self.refuse(f"{key} is {list(names)}, which has a name twice; expected each once")
        both = sorted(set(self.models) & set(self.baselines))
        if both:
            self.refuse(f"{both[0]!r} is both a model and a baseline; rename the model (with builder = ..)")
        if not self.models:
            self.refuse("models is []; expected at least one")
        for name, options in self.model.items():
            if name not in self.models or not isinstance(options, dict):
                self.refuse(f"[model] has {name!r}; expected a table for one of {', '.join(self.models)}")
            if not whole(options.get("epochs", 1)):
                self.refuse(
                    f"epochs in [model.{name}] is {options['epochs']!r}; expected a whole number, at least 1"
                )
            if not isinstance(options.get("builder", name), str):
                self.refuse(f"builder in [model.{name}] is {options['builder']!r}; expected a model's name")
        self.check_data()

    def check_data(self) -> None:
        """Refuse data of another kind of study, and keys that the data does not have."""
        name, known = self.data.get("name"), of_kind(self.kind)
        if name not in known:
            self.refuse(f"name in [data] is {name!r}; a {self.kind} study has {' or '.join(known)}")
        for key, value in self.data.items():
            several = key == "time" and isinstance(value, list | tuple)
            if not all(isinstance(item, str) for item in (value if several else [value])):
                self.refuse(f"{key} in [data] is {value!r}; expected a text")
            if key not in ("name", *known[name].takes):
                takes = (
                    f"takes {', '.join(known[name].takes)}"
                    if known[name].takes
                    else "ships with the package and takes nothing"
                )
                self.refuse(
                    f"[data] has {key!r}, but the data {name} {takes}; "
                    "for a file of yours use `sunhwan study run table_temperature --data FILE`"
                )

    def refuse(self, what: str) -> None:
        raise SunhwanError(f"in study {self.name!r}, {what}")

    def options(self, model: str) -> dict:
        """The options of a model in `[model.NAME]`."""
        return dict(self.model.get(model, {}))

    def epochs_of(self, model: str) -> int:
        """The number of epochs that a model is trained for."""
        return self.options(model).get("epochs", self.epochs)

    def with_models(self, wanted: list[str]) -> Study:
        """The study with some of its models, in this order."""
        for name in wanted:
            if name not in self.models:
                self.refuse(f"there is no model {name!r}; there are {', '.join(self.models)}")
        options = {name: options for name, options in self.model.items() if name in wanted}
        return replace(self, models=tuple(wanted), model=options)

    def with_epochs(self, epochs: int) -> Study:
        """The study with the same number of epochs for every model."""
        options = {
            name: {key: value for key, value in options.items() if key != "epochs"}
            for name, options in self.model.items()
        }
        return replace(self, epochs=epochs, model=options)

    def with_prepare(self, **values: object) -> Study:
        """The study with other preparation."""
        return replace(self, prepare={**self.prepare, **values})

    def with_data(self, **values: object) -> Study:
        """The study on other data."""
        return replace(self, data={**self.data, **values})

    def to_dict(self) -> dict:
        """The study as a dictionary for a TOML file."""
        return {key: plain(value) for key, value in asdict(self).items() if value not in (None, (), {}, "")}


def whole(value: object) -> bool:
    """Whether `value` is a whole number of at least 1; TOML's true is not."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def plain(value: object) -> object:
    """Tuples as lists, for TOML and JSON."""
    if isinstance(value, Mapping):
        return {key: plain(inner) for key, inner in value.items()}
    return [plain(inner) for inner in value] if isinstance(value, list | tuple) else value


def shipped() -> dict[str, Study]:
    """The studies that come with the package, by name."""
    folder = files("sunhwan.studies") / "shipped"
    names = sorted(
        entry.name.removesuffix(".toml") for entry in folder.iterdir() if entry.name.endswith(".toml")
    )
    return {name: parse((folder / f"{name}.toml").read_text(encoding="utf-8"), name) for name in names}


def load(name: str) -> Study:
    """A shipped study by its name, or another by the path of its TOML file.

    Raises:
        SunhwanError: there is no such study or file, or the file is not a valid study.

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
            raise SunhwanError(
                f"{name!r} cannot be read as a study ({error}); expected a TOML file"
            ) from None
    studies = shipped()
    if name not in studies:
        raise SunhwanError(
            f"there is no study {name!r}; there are {', '.join(studies)}, or give your own TOML file"
        )
    return studies[name]


def parse(text: str, name: str) -> Study:
    """The study declared by a TOML text.

    Args:
        text: TOML.
        name: of the study, unless the text has one.

    Raises:
        SunhwanError: the text is not TOML, lacks a key, has an unknown one, or a value is out of range.
    """
    try:
        declared = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SunhwanError(f"the study file {name!r} is not valid TOML: {error}") from None
    known = {item.name for item in fields(Study)}
    unknown = sorted(declared.keys() - known)
    if unknown:
        raise SunhwanError(
            f"in study {name!r}, the key {unknown[0]!r} is unknown; a study has {', '.join(sorted(known))}"
        )
    for key in ("question", "kind", "models", "epochs", "data", "prepare"):
        if key not in declared:
            raise SunhwanError(
                f"study {name!r} lacks the key {key!r}; `sunhwan study show adding_problem` is an example"
            )
    declared = {key: tuple(value) if isinstance(value, list) else value for key, value in declared.items()}
    return Study(**{"name": name, **declared})
