"""Counts, sizes and versions that README, CONTRIBUTING and the cards give by hand; tools/results.py writes the others.

`tests/test_creatures.py` holds most of the data set's card, `tests/test_notebooks.py` what results.py writes.
"""

import json
import re

import pyarrow.parquet
import pytest
import yaml

from helpers.creatures import UNSEEN
from tools import base_captions, make_base_model, results
from tools import notebooks as tool

WORDS = {1: "one", 2: "two", 3: "three", 4: "four", 5: "five", 6: "six", 12: "twelve", 20: "twenty"}
FOLDER = tool.ROOT / "models" / "git-tiny"


def page(*parts):
    return tool.ROOT.joinpath(*parts).read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def captions():
    files = (tool.ROOT / "data" / "pocket-creatures" / "data").glob("*.parquet")
    return [row for file in files for row in pyarrow.parquet.read_table(file)["captions"].to_pylist()]


def test_one_version_everywhere():
    _, version = tool.project()
    assert yaml.safe_load(page("CITATION.cff"))["version"] == version
    assert re.search(r"^## (\S+)", page("CHANGELOG.md"), re.MULTILINE)[1] == version
    named = re.findall(r"/blob/v([\d.]+)/", page("README.md"))
    assert len(named) == len(tool.paths())
    for path in tool.paths():
        text = path.read_text(encoding="utf-8")
        named += [*re.findall(r"/blob/v([\d.]+)/", text), *re.findall(r"--branch v([\d.]+)\\", text)]
    assert len(named) == 3 * len(tool.paths())
    assert set(named) == {version}


def test_pictures_and_captions_of_the_data_set(captions):
    [each] = {len(row) for row in captions}
    for text in (page("README.md"), page("data", "pocket-creatures", "README.md")):
        assert re.search(rf"\b{len(captions):,} drawings [^.:]*\b{WORDS[each]} captions", text)


def test_the_card_of_git_tiny_gives_its_shape():
    config = json.loads((FOLDER / "config.json").read_text(encoding="utf-8"))
    size = json.loads((FOLDER / "processor_config.json").read_text(encoding="utf-8"))["image_processor"]["crop_size"]
    heads, width = config["num_attention_heads"], config["hidden_size"]
    vision, patch = config["vision_config"], config["vision_config"]["patch_size"]
    assert (vision["num_attention_heads"], vision["hidden_size"]) == (heads, width)
    assert (
        f"A vision encoder of {vision['num_hidden_layers']} layers and a text decoder of "
        f"{config['num_hidden_layers']}, both {width} wide with {heads} heads. Pictures of {size['width']} x "
        f"{size['height']} pixels in patches of {patch} x {patch}; captions of up to "
        f"{config['max_position_embeddings']} tokens"
    ) in page("models", "git-tiny", "README.md")


def test_the_card_of_git_tiny_tells_how_it_was_made():
    card = page("models", "git-tiny", "README.md")
    assert f"in {WORDS[len(make_base_model.STAGES)]} stages" in card
    assert re.search(rf"\b{WORDS[base_captions.CAPTIONS]} captions\b", card)
    assert f"one caption in {WORDS[round(1 / base_captions.MISTAKEN)]} " in card
    assert re.findall(r"steps of (\d+) drawings", card) == [str(make_base_model.BATCH)] * 2


@pytest.mark.parametrize("folder", ["models/git-tiny", "data/pocket-creatures"])
def test_both_cards_tell_what_the_base_model_never_saw(folder):
    values = {value for _, value in UNSEEN}
    lines = [{*re.findall(r"\w+", line)} for line in page(folder, "README.md").splitlines()]
    assert any({"never", *values} <= words for words in lines)


def test_what_the_readme_says_of_notebooks_by_number():
    text = page("README.md")
    sources = {path.stem: path.read_text(encoding="utf-8") for path in tool.paths()}
    asking = [str(int(stem[:2])) for stem in tool.ON_GPU]
    sharing = [str(int(stem[:2])) for stem, source in sources.items() if re.search(r"\bshare\(", source)]
    assert f"notebooks {' and '.join(asking)} ask Colab for one" in text
    assert f"in the settings of notebook {', '.join(sharing[:-1])} or {sharing[-1]}." in text


def test_the_page_on_models_tells_what_was_measured():
    text, card = page("docs", "which-model.md"), page("models", "git-tiny", "README.md")
    rows = [row for row in json.loads(page("docs", "fine-tuning.json"))["rows"] if "steps" in row]
    whole, lora = ([row for row in rows if row["way"] == way] for way in ("everything", "LoRA"))
    for [row, *_] in (whole, lora):
        assert f"{row['megabytes']} MB" in text
        assert f"{row['parameters']:,}" in text
    longest = max(row["steps"] for row in rows)
    ours, theirs = ([row["seconds"] for row in way if row["steps"] == longest] for way in (lora, whole))
    assert f"{ours[0]:.0f} seconds against {theirs[0]:.0f} for {longest} steps" in text
    drawn = [row["right"] for row in rows if row["way"] == "from scratch"]
    assert f"{WORDS[len(drawn)]} trainings" in text
    assert set("".join(drawn)) == {"0"}
    assert f"not one of {len(drawn[0])} captions" in text
    [drawings] = re.findall(r"Drawings: (\S+),", card)
    steps = sum(stage["steps"] for stage in make_base_model.STAGES.values())
    assert f"{drawings} drawings and {steps:,} steps" in text
    for name in ("recipes", "recipes-h200"):
        table = {row[""]: row["ours"] for row in json.loads(page("benchmarks", "results", f"{name}.json"))["table"]}
        assert f"[{table['git-base: memory, GB']} GB and {float(table['git-base: seconds a step']):.2g} seconds" in text


def test_the_popular_word_error_rate_is_far_beyond_1():
    steps = json.loads(results.FILE.read_text(encoding="utf-8"))["behind_the_numbers"]["steps"]
    assert next(iter(steps.values())) > 5


def test_python_versions():
    oldest = re.search(r'requires-python = ">=(.+)"', page("pyproject.toml"))[1]
    assert f"Python {oldest} or newer" in page("README.md")
    jobs = yaml.safe_load(page(".github", "workflows", "ci.yml"))["jobs"]
    names = {"ubuntu-latest": "Linux", "macos-latest": "macOS"}
    run = {(names[job["os"]], job["python"]) for job in jobs["test"]["strategy"]["matrix"]["include"]}
    rows = re.findall(r"^\| (Linux|macOS), (?:x86-64, )?Python ([\d.]+)", page("CONTRIBUTING.md"), re.MULTILINE)
    assert set(rows) == run
