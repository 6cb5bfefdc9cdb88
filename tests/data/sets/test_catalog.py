"""The datasets by name: each line of the catalog against its module."""

import inspect
from importlib import import_module

import pytest

from sunhwan.data.sets import catalog
from sunhwan.studies.study import KINDS

LOADED = [name for name, dataset in catalog.DATASETS.items() if dataset.module]


@pytest.mark.parametrize("name", LOADED)
def test_a_dataset_s_module_takes_the_keys_of_a_study(name):
    module = import_module(catalog.DATASETS[name].module)
    takes = catalog.DATASETS[name].takes
    parameters = inspect.signature(module.load).parameters
    assert set(takes) <= set(parameters)
    must = {key for key, parameter in parameters.items() if parameter.default is parameter.empty}
    assert must <= set(takes)


@pytest.mark.parametrize("name", LOADED)
def test_a_dataset_with_a_url_is_fetched(name):
    module = import_module(catalog.DATASETS[name].module)
    assert catalog.source(name) == ((module.URL, module.FILE) if hasattr(module, "URL") else None)


def test_every_kind_of_study_has_data():
    assert {dataset.kind for dataset in catalog.DATASETS.values()} == set(KINDS)


def test_a_file_at_home_is_found(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "a.csv").write_text("time,T (degC)\n2024-01-01 00:00,1\n2024-01-01 01:00,2\n")
    assert len(catalog.load("table", path="~/a.csv", time=["time"])) == 2
