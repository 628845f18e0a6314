import io
import re
from collections import Counter

import numpy as np
import pytest
from datasets import Dataset, DatasetDict, concatenate_datasets
from huggingface_hub import DatasetCard
from PIL import Image

from helpers.paths import ROOT
from helpers.text import visible
from tests.toolbox import noise
from tools import emoji_sources as sources
from tools.emoji_card import LICENSE_OF_EMOJIONE, PACKAGE_OF_EMOJIONE, card, licenses
from tools.emoji_parts import Parts, combinations, held_out, shared
from tools.emoji_sources import ARTISTS, LANGUAGES, LICENSES, Emoji, bare, from_points, icon, read_list, slug, square
from tools.make_emoji import (
    DRAWING,
    FOLDER,
    MISLEADING,
    SAME,
    SIZE,
    by_artist,
    by_combination,
    check_quotes,
    features,
    nearest_share,
    repeats,
    save,
)

PICTURES = {"noto": 1555, "twemoji": 1557, "fluent": 1545, "emojione": 1076, "blob": 1134}
COUNTS = {
    "by_artist": {"train": 4790, "validation": 532, "test": 1545},
    "by_combination": {"train": 6497, "validation": 138, "test": 232},
}
# The end of each text, which a cut would lose, and its numbered parts.
WHOLE = {
    "Apache-2.0": ("limitations under the License.", range(1, 10)),
    "CC-BY-4.0": ("Creative Commons may be contacted at creativecommons.org.", range(1, 9)),
    "MIT": ("OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE", ()),
    "Unicode-3.0": ("authorization of the copyright holder. SPDX-License-Identifier: Unicode-3.0", ()),
}


@pytest.fixture(scope="module")
def splits():
    """The three files."""
    files = {split: str(FOLDER / "data" / f"{split}.parquet") for split in COUNTS["by_artist"]}
    return DatasetDict({split: Dataset.from_parquet(file) for split, file in files.items()})


@pytest.fixture(scope="module")
def whole(splits):
    return concatenate_datasets(list(splits.values()))


@pytest.fixture(scope="module")
def rows(whole):
    return whole.remove_columns("image").to_list()


@pytest.fixture(scope="module")
def stored(whole):
    """The bytes of each picture."""
    return [image["bytes"].as_py() for image in whole.with_format("arrow")[:]["image"]]


def test_each_artist_and_each_split_has_its_pictures(splits, rows):
    assert Counter(row["artist"] for row in rows) == PICTURES
    for division, counts in COUNTS.items():
        assert Counter(row[division] for row in rows) == counts
    assert len({row["emoji"] for row in rows}) == 1559
    for split, dataset in splits.items():
        assert set(dataset["by_artist"]) == {split}
        assert dataset.features == features()
        assert dataset.column_names[0] == "image"


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_name_belongs_to_one_emoji_and_every_emoji_has_keywords(rows, language):
    names = {(row["emoji"], row[f"name_{language}"]) for row in rows}
    assert len(names) == len({emoji for emoji, _ in names}) == len({name for _, name in names})
    for row in rows:
        assert row[f"keywords_{language}"]
        assert all(
            text == visible(text).strip() != "" for text in (row[f"name_{language}"], *row[f"keywords_{language}"])
        )


@pytest.mark.slow
def test_every_picture_is_small_and_in_colour_and_looks_like_no_other(stored):
    pictures = [Image.open(io.BytesIO(content)) for content in stored]
    assert {(p.size, p.mode, p.format) for p in pictures} == {((SIZE, SIZE), "RGB", "WEBP")}
    assert len(set(stored)) == sum(PICTURES.values())
    assert repeats(pictures) == {}


def test_no_artist_of_the_test_split_is_seen_before(rows):
    seen = {split: {row["artist"] for row in rows if row["by_artist"] == split} for split in COUNTS["by_artist"]}
    assert seen["test"] == {"fluent"}
    assert seen["train"] == seen["validation"] == PICTURES.keys() - seen["test"]
    known = {row["emoji"] for row in rows if row["by_artist"] == "train"}
    assert {row["emoji"] for row in rows} == known


def test_both_parts_of_a_name_that_is_held_out_are_in_training_and_the_name_is_not(rows):
    names = {
        split: {r["name_en"]: r for r in rows if r["by_combination"] == split} for split in COUNTS["by_combination"]
    }
    assert [len(found) for found in names.values()] == [1468, 33, 58]
    assert len({name for found in names.values() for name in found}) == 1559
    for row in (*names["validation"].values(), *names["test"].values()):
        family = [other for other in names["train"].values() if other["family"] == row["family"] != ""]
        assert any(other["first"] == row["first"] for other in family), row["name_en"]
        assert any(other["second"] == row["second"] for other in family), row["name_en"]


def test_every_row_has_the_licence_of_its_artist(rows):
    assert all(row["license"] == ARTISTS[row["artist"]].license for row in rows)
    assert {row["license"] for row in rows} | {"Unicode-3.0"} == LICENSES.keys()


@pytest.mark.parametrize("name", LICENSES)
def test_every_licence_lies_beside_the_data_whole(name):
    text = " ".join((FOLDER / "licenses" / f"{name}.txt").read_text(encoding="utf-8").split())
    end, parts = WHOLE[name]
    assert end in text
    heads = [re.search(rf"(Section )?\b{part}( –|\.) [A-Z]", text) for part in parts]
    assert all(heads)
    assert [head.start() for head in heads] == sorted(head.start() for head in heads)
    assert name != "MIT" or text.startswith(
        "MIT License Copyright (c) Microsoft Corporation. Permission is hereby granted"
    )


def test_what_people_left_out_is_not_there(rows):
    assert not {row["name_en"] for row in rows} & sources.LEFT_OUT
    assert not {(row["artist"], row["name_en"]) for row in rows} & MISLEADING
    assert all(row["group"] != "Flags" and row["version"] <= sources.NEWEST for row in rows)
    assert not any(sources.TONES.search(row["emoji"]) for row in rows)


def test_the_card_says_what_the_files_hold(splits):
    text = (FOLDER / "README.md").read_text(encoding="utf-8")
    head = DatasetCard(text).data.to_dict()
    assert head["license"] == "other"
    assert (FOLDER / head["license_link"]).read_text(encoding="utf-8") == licenses()
    assert head["language"] == list(LANGUAGES)
    paths = {entry["split"]: FOLDER / entry["path"] for entry in head["configs"][0]["data_files"]}
    sizes = {split: path.stat().st_size for split, path in paths.items()}
    # What only the builder can know is read from the card.
    left_out = re.findall(r"^\| (.+) \| ([\d,]+) \|$", text.split("| left out |")[1].split("## ")[0], re.MULTILINE)
    left_out = {reason: int(count.replace(",", "")) for reason, count in left_out}
    of_validation, of_test = re.findall(r"([\d.]+)% of the\s(?:validation|test)", text)
    line = {"validation": float(of_validation) / 100, "test": float(of_test) / 100}
    assert card(splits, sizes, left_out, line, **DRAWING) == text
    repeated = {who: left_out[f"pictures that repeat another, by {who}"] for who in PICTURES}
    assert sum(repeated.values()) > 0


def test_other_pages_count_the_same(rows):
    counts = f"{len(rows):,} pictures of {len({row['emoji'] for row in rows}):,} emoji by five artists"
    assert len(PICTURES) == 5
    assert counts in (ROOT / "README.md").read_text(encoding="utf-8")


def test_everything_together_is_small():
    assert sum(path.stat().st_size for path in FOLDER.rglob("*") if path.is_file()) <= 7_800_000


@pytest.mark.slow
def test_the_line_to_beat_is_as_the_card_says(splits):
    text = (FOLDER / "README.md").read_text(encoding="utf-8")
    for split in ("validation", "test"):
        assert f"{nearest_share(splits['train'], splits[split]):.1%} of the" in text


LIST = """\
# group: Smileys & Emotion
# subgroup: cat-face
1F600                                                  ; fully-qualified     # 😀 E1.0 grinning face
263A FE0F                                              ; fully-qualified     # ☺️ E0.6 smiling face
263A                                                   ; unqualified         # ☺ E0.6 smiling face
# group: People & Body
# subgroup: hand-fingers-open
1F44B                                                  ; fully-qualified     # 👋 E0.6 waving hand
1F44B 1F3FB                                            ; fully-qualified     # 👋🏻 E1.0 waving hand: light skin tone
1F595                                                  ; fully-qualified     # 🖕 E1.0 middle finger
1FAE9                                                  ; fully-qualified     # 🫩 E16.0 face with bags under eyes
# group: Component
1F3FB                                                  ; component           # 🏻 E1.0 light skin tone
# group: Flags
1F3C1                                                  ; fully-qualified     # 🏁 E0.6 chequered flag
"""


def test_a_list_of_emoji_is_read():
    kept, left_out = read_list(LIST)
    assert [emoji.name for emoji in kept] == ["grinning face", "smiling face", "waving hand"]
    assert kept[1] == Emoji("☺️", "smiling face", "Smileys & Emotion", "cat-face", 0.6, False)
    assert [emoji.skin_tone for emoji in kept] == [False, False, True]
    assert sorted(left_out.values()) == [1] * 5
    assert "newer than Emoji 15.0" in left_out


def test_an_emoji_is_known_by_its_bare_text():
    assert bare("☺️") == from_points("263a-fe0f") == from_points("263A") == "☺"
    assert from_points("1f468-200d-1f680") == "👨‍🚀"
    assert slug("Côte d’Ivoire: king's") == "cote-divoire-kings"


def test_an_icon_may_be_another_one_in_a_mirror():
    icons = {"width": 16, "height": 16, "icons": {"left": {"body": "<a/>"}, "tall": {"body": "<b/>", "height": 20}}}
    icons["aliases"] = {"right": {"parent": "left", "hFlip": True}, "again": {"parent": "right", "hFlip": True}}
    assert icon(icons, "again") == icon(icons, "left") == square("<a/>", 16, 16)
    assert "scale(-1 1)" in icon(icons, "right")
    assert 'viewBox="-2 0 20 20"' in icon(icons, "tall")
    assert icon(icons, "none") is None


def people(*names, group="People & Body", subgroup=""):
    return [Emoji(name, name, group, subgroup, 1.0) for name in names]


def test_names_are_taken_apart_only_where_both_parts_come_back():
    listed = people(
        "singer", "man singer", "woman singer", "judge", "man judge", "woman judge", "person: beard", "woman"
    )
    listed += people("blue heart", "red heart", "blue book", "red book", "red apple", group="Objects")
    listed += people(
        "grinning cat", "grinning face", "kissing cat", "kissing face", "sleeping cat", subgroup="cat-face"
    )
    found = combinations(listed)
    assert found["singer"] == Parts("what they do × who", "singer", "person")
    assert found["blue book"] == Parts("colour × thing", "blue", "book")
    assert found["kissing cat"] == Parts("expression × face", "kissing", "cat")
    assert not found.keys() & {"person: beard", "woman", "red apple", "sleeping cat"}


def test_what_is_held_out_leaves_both_parts_in_other_names():
    found = {
        f"{a} {b}": Parts("colour × thing", a, b) for a in ("red", "blue", "green") for b in ("heart", "book", "dot")
    }
    test = held_out(found, 1 / 3)
    later = held_out(found, 1 / 9, test)
    assert len(test) == 3
    assert len(later) <= 1
    assert not test & later
    left = {name: parts for name, parts in found.items() if name not in test | later}
    assert all(min(shared(found[name], left.values())) >= 2 for name in test | later)


def test_nothing_is_held_out_where_a_part_would_be_lost():
    found = {
        "red heart": Parts("f", "red", "heart"),
        "red book": Parts("f", "red", "book"),
        "dot": Parts("f", "a", "dot"),
    }
    assert held_out(found, 1.0) == set()
    assert set(by_combination(found).values()) == {"train"}


def test_a_tenth_of_the_known_artists_pictures_is_for_validation():
    drawn = [(artist, f"emoji {i}") for i in range(40) for artist in ("noto", "twemoji", "fluent")]
    drawn += [("blob", f"rare {i}") for i in range(20)]
    found = by_artist(drawn)
    assert Counter(found.values()) == {"train": 90, "validation": 10, "test": 40}
    assert all((split == "test") == (artist == "fluent") for (artist, _), split in found.items())
    assert all(found[key] == "train" for key in drawn if key[0] == "blob")
    trained = {emoji for (_, emoji), split in found.items() if split == "train"}
    assert {emoji for _, emoji in drawn} == trained
    assert by_artist(drawn[::-1]) == found


def test_a_picture_that_is_shown_again_is_found():
    first, other = noise(1, (64, 64)).resize((96, 96)), noise(2, (64, 64)).resize((96, 96))
    again = Image.fromarray((np.asarray(first, np.int16) + 2).clip(0, 255).astype(np.uint8))
    away = Image.fromarray((np.asarray(first, np.int16) + int(SAME) + 3).clip(0, 255).astype(np.uint8))
    assert repeats([first, other, again, away, first]) == {2: 0, 4: 0}


def test_a_split_is_written_and_read_as_it_was(tmp_path):
    row = dict.fromkeys(features(), "text") | {"version": 1.0, "skin_tone": True}
    row |= {f"keywords_{language}": ["a", "b"] for language in LANGUAGES}
    content = io.BytesIO()
    noise(0).save(content, "PNG")
    made = Dataset.from_list([row | {"image": {"bytes": content.getvalue(), "path": "a.png"}}] * 3, features=features())
    save(made.select([0, 2]), tmp_path / "train.parquet")
    found = Dataset.from_parquet(str(tmp_path / "train.parquet"), cache_dir=str(tmp_path))
    assert found.features == features()
    assert len(found) == 2
    assert found[0]["image"].tobytes() == noise(0).tobytes()
    assert found[1]["keywords_ar"] == ["a", "b"]


def test_a_package_that_says_another_thing_of_its_licence_stops_the_build(tmp_path):
    (tmp_path / "LICENSE.md").write_text(LICENSE_OF_EMOJIONE, encoding="utf-8")
    (tmp_path / "package.json").write_text(f"{{{PACKAGE_OF_EMOJIONE}}}", encoding="utf-8")
    check_quotes(tmp_path)
    for name in ("LICENSE.md", "package.json"):
        kept = (tmp_path / name).read_text(encoding="utf-8")
        (tmp_path / name).write_text("All rights reserved.", encoding="utf-8")
        with pytest.raises(SystemExit, match="quote it anew"):
            check_quotes(tmp_path)
        (tmp_path / name).write_text(kept, encoding="utf-8")


def test_what_the_builder_lacks_is_said_in_one_sentence(tmp_path, monkeypatch):
    monkeypatch.setattr(sources.shutil, "which", lambda program: None)
    with pytest.raises(SystemExit, match=r"^`make emoji` needs npm; install it, .*\.$"):
        sources.npm(tmp_path, "@iconify-json/noto", "1.2.9")
    with pytest.raises(SystemExit, match=r"^`make emoji` needs apt-get; .*unicode-data.*\.$"):
        sources.list_of_emoji(tmp_path)
