"""The cache of the datasets library: a place that cannot be written to, a disk that becomes full."""

import pytest
from datasets import Dataset, config

from helpers.data import load_captions
from helpers.errors import DataError, SettingsError, readable
from helpers.paths import usable_cache
from helpers.transforms import prepare_pictures


def test_a_cache_that_cannot_be_written_to_is_named_with_the_variable(tmp_path, monkeypatch, dataset, processor):
    (tmp_path / "file").touch()
    monkeypatch.setattr(config, "HF_DATASETS_CACHE", tmp_path / "file" / "cache")
    for use in (lambda: load_captions("data/mine"), lambda: prepare_pictures(dataset["train"], processor)):
        with pytest.raises(SettingsError, match=rf"(?=.*cache)(?=.*{tmp_path})(?=.*HF_DATASETS_CACHE)"):
            use()


def test_a_disk_that_becomes_full_is_said(monkeypatch, dataset, processor):
    def full(*_, **__):
        try:
            raise OSError(28, "No space left on device")
        except OSError:
            raise RuntimeError("An error occurred while generating the dataset")  # noqa: B904 (as the library does)

    with pytest.raises(SettingsError, match=r"(?=.*full)(?=.*HF_HOME)"), readable(DataError, str):
        full()
    monkeypatch.setattr(Dataset, "map", full)
    with pytest.raises(SettingsError, match=r"(?=.*full)(?=.*HF_HOME)"):
        prepare_pictures(dataset["train"], processor)
    with pytest.raises(RuntimeError, match="shapes"), usable_cache():
        raise RuntimeError("shapes do not fit")
