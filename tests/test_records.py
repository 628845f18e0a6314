import json

from helpers.records import changed_values, same_training, save_evaluation
from helpers.settings import read_record
from helpers.training import load_or_train


def test_where_no_captioner_is_there_is_no_record(artifacts):
    assert read_record("artifacts/captioner") is None


def test_changed_values_are_told_by_name(settings):
    record = {"settings": settings.with_changes(epochs=5, num_beams=3).__dict__}
    assert not same_training(record, settings)
    assert same_training(record, settings.with_changes(epochs=5))
    told = changed_values(record, settings.with_changes(seed=9))
    assert "epochs 5" in told
    assert "seed 0" in told
    assert "num_beams" not in told


def test_a_value_that_an_older_record_lacks_counts_as_changed(settings):
    record = {"settings": {name: value for name, value in settings.__dict__.items() if name != "warmup"}}
    assert "warmup" in changed_values(record, settings)


def test_an_evaluation_says_what_was_measured_on_what(settings, artifacts, dataset):
    load_or_train(settings)
    systems = {"trained": {"wer": {"value": 0.5, "low": 0.4, "high": 0.6}}}
    first = json.loads(save_evaluation(settings, dataset["test"], systems).read_text(encoding="utf-8"))
    assert first["systems"] == systems
    assert (first["dataset"]["name"], first["dataset"]["pictures"]) == (settings.dataset, 4)
    assert first["captioner"]["settings"]["epochs"] == 1
    assert first["captioner"]["steps"] == 2
    assert (artifacts / "evaluation.json").is_file()
    load_or_train(settings.with_changes(seed=1))
    other = json.loads(
        save_evaluation(settings, dataset["validation"], systems, attributes={"color": 0.5}).read_text(encoding="utf-8")
    )
    assert other["attributes"] == {"color": 0.5}
    assert other["dataset"]["fingerprint"] != first["dataset"]["fingerprint"]
    assert other["captioner"]["fingerprint"] != first["captioner"]["fingerprint"]
