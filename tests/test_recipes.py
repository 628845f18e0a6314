"""The benchmark of recipes, on a random model of two layers: that it runs, and that it counts rightly."""

import json
from itertools import count

import pytest
import torch

from benchmarks import compare, recipes
from benchmarks.compare import captioning, evaluation_bytes, machine, rows_of, side_by_side, spread
from benchmarks.recipes import RECIPES, Shape, batches, one_repeat
from helpers import notebook
from helpers.families import load_checkpoint, vision_encoder_of
from helpers.training import CaptionTrainer
from tests.toolbox import PICTURE

TEXT = 64


@pytest.fixture
def shape(checkpoint, artifacts):
    return Shape(lambda captions: load_checkpoint(checkpoint), batch=2, steps=2)


@pytest.fixture
def ask(shape, dataset):
    """`one_repeat` of the small shape, in this process."""
    return lambda name, recipe, repeat: one_repeat(shape, recipe, dataset, repeat)


def test_the_recipes_train_in_turn_on_the_same_pictures(ask, monkeypatch):
    asked = []
    monkeypatch.setattr(recipes, "clock", count().__next__)
    step = recipes.Recipe.step
    monkeypatch.setattr(recipes.Recipe, "step", lambda self, rows: asked.append(rows) or step(self, rows))
    found = side_by_side("small", repeats=2, ask=ask)
    assert asked[0:3] == asked[3:6]
    assert asked[6:9] == asked[9:12]
    assert asked[0] == asked[6]
    assert asked[1:3] != asked[7:9]
    for repeats in found.values():
        assert len(repeats) == 2
        for each in repeats:
            # Of nine ticks each of the two steps has three, one a part; the others stand around and between them.
            assert (each["batch"], each["model"], each["optimizer"], each["step"]) == (1, 1, 1, 4.5)
            assert each["pictures_a_second"] == pytest.approx(2 / 4.5)
            assert each["outside"] == pytest.approx(1 - 2 / 4.5)
            assert each["megabytes"] > 100


@pytest.mark.parametrize("recipe", RECIPES)
def test_both_recipes_learn(shape, dataset, recipe):
    made = RECIPES[recipe](*shape.load([]), dataset)
    losses = [made.step([0, 1])["loss"] for _ in range(6)]
    assert losses[-1] < losses[0]
    assert all(p.grad is None for p in made.model.parameters())


def test_the_popular_recipe_pads_to_the_limit_and_ours_does_not(shape, dataset):
    made = {name: recipe(*shape.load([]), dataset) for name, recipe in RECIPES.items()}
    batch = {name: recipe.batch([0, 1]) for name, recipe in made.items()}
    assert batch["popular"]["input_ids"].shape == (2, TEXT)
    assert batch["ours"]["input_ids"].shape[1] == batch["ours"]["attention_mask"].sum(dim=1).max() < TEXT
    torch.testing.assert_close(batch["popular"]["pixel_values"], batch["ours"]["pixel_values"], atol=1e-5, rtol=0)
    assert made["ours"].optimizer.defaults["fused"]
    assert all(p.requires_grad for p in made["ours"].model.parameters())


def test_bytes_of_an_evaluation_are_those_of_its_arrays(shape, dataset, settings):
    model, processor = shape.load([])
    trainer = CaptionTrainer(model, processor, dataset, settings)
    found = trainer.predict(trainer.eval_dataset)
    counted = evaluation_bytes(
        model,
        pictures=len(dataset["validation"]),
        caption_tokens=found.label_ids.shape[1],
        padded_tokens=TEXT,
        max_new_tokens=settings.max_new_tokens,
    )
    assert counted["ours"] >= found.predictions.nbytes + found.label_ids.nbytes
    assert counted["ours"] == pytest.approx(found.predictions.nbytes + found.label_ids.nbytes, rel=0.2)
    popular = RECIPES["popular"](model, processor, dataset)
    batch = popular.batch(list(range(len(dataset["validation"]))))
    with torch.inference_mode():
        logits = model(**batch).logits
    assert counted["popular"] == logits.nbytes + batch["input_ids"].nbytes


def test_captions_are_timed_both_ways_and_compared(talker, monkeypatch):
    monkeypatch.setattr(compare, "NEW_TOKENS", 5)
    pixels = torch.randn(2, 3, PICTURE, PICTURE, generator=torch.Generator().manual_seed(0))
    read = []
    hook = vision_encoder_of(talker).register_forward_hook(lambda _, __, out: read.append(len(out.last_hidden_state)))
    seconds = captioning(talker, pixels, num_beams=3, repeats=2)
    hook.remove()
    assert [len(times) for times in seconds.values()] == [2, 2]
    assert read == [6, 2, 6, 2]  # ours reads each picture once, and not once for each beam
    said = iter([torch.tensor([1]), torch.tensor([2])])
    monkeypatch.setattr(talker, "generate", lambda **_: next(said))
    with pytest.raises(AssertionError, match="different captions"):
        captioning(talker, pixels, repeats=1)


def test_ratios_are_taken_a_repeat():
    assert spread([6.0, 8.0, 9.0], [2.0, 2.0, 1.0]) == {"min": 3.0, "median": 4.0, "max": 9.0}


def test_batches_are_shuffled_and_whole():
    found = batches(7, 3)
    assert [len(rows) for rows in found] == [3, 3]
    assert found == batches(7, 3) != batches(7, 3, seed=1)


def test_the_table_is_what_the_notebook_reads(ask, tmp_path, monkeypatch):
    found = {
        "training": {
            "git-base": {
                "repeats": side_by_side("small", repeats=1, ask=ask),
                "speed": spread([3.0, 4.0, 8.0], [1.0, 1.0, 1.0]),
                "megabytes": {"popular": 7200.0, "ours": 3600.0},
            }
        },
        "evaluation": {"popular": 8_000_000, "ours": 1_000},
        "generation": {"seconds": {"popular": [8.0, 9.0, 90.0], "ours": [3.0] * 3}, "speed": spread([9.0], [3.0])},
        "machine": machine(),
    }
    table = rows_of(found)
    by_name = {row[""]: row for row in table}
    assert by_name["git-base: memory, GB"] | {"": ""} == {
        "": "",
        "popular recipe": "7.2",
        "ours": "3.6",
        "ratio": "2.0",
    }
    assert by_name["git-base: seconds a step"]["ratio"] == "4.0 (3.0 to 8.0)"
    assert by_name["git-base: 4 captions with 4 beams, seconds"]["popular recipe"] == "9.00"
    assert by_name["git-base: evaluating 1,000 pictures, MB kept"]["ratio"] == "8,000"

    monkeypatch.setattr(notebook, "ROOT", tmp_path)
    (tmp_path / "benchmarks" / "results").mkdir(parents=True)
    text = json.dumps(found | {"table": table})
    (tmp_path / "benchmarks" / "results" / "recipes.json").write_text(text, encoding="utf-8")
    rows, where = notebook.measured_recipes()
    assert rows == table
    assert "cores" in where
    assert len(notebook.markdown_table(rows).data.splitlines()) == 2 + len(table)
