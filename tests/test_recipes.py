"""The benchmark of recipes, on a random model of two layers: that it is fair, runs and counts rightly."""

import io
import json
import sys
from contextlib import contextmanager
from itertools import count

import pytest
import torch

from benchmarks import compare, recipes
from benchmarks.compare import captioning, measure
from benchmarks.pairs import in_turn, spread, worker
from benchmarks.recipes import RECIPES, Shape, evaluation_megabytes, train, trainer_of
from helpers import notebook
from helpers.families import aligned, load_checkpoint, vision_encoder_of
from helpers.training import caption_loss
from helpers.transforms import IGNORED
from tests.toolbox import PICTURE, POSITIONS


@pytest.fixture
def shape(checkpoint, artifacts):
    return Shape(lambda captions: load_checkpoint(checkpoint), batch=2, steps=2)


@pytest.fixture
def batches(shape, dataset):
    """The first batch of each recipe, as its own loop is given it."""
    return {name: next(iter(trainer_of(shape, name, dataset).get_train_dataloader())) for name in RECIPES}


def test_all_recipes_have_the_same_loss_once_padding_is_left_out(shape, batches):
    model, _ = shape.load([])
    own = caption_loss(model, batches["ours"])
    torch.testing.assert_close(model(**batches["stock"]).loss, own)
    popular = batches["popular"]
    assert (popular["labels"] == popular["input_ids"]).all()  # as guides have it: the padding is learnt too
    masked = popular["labels"].masked_fill(popular["attention_mask"] == 0, IGNORED)
    torch.testing.assert_close(model(**popular | {"labels": masked}).loss, own)


def test_what_is_padded_and_what_the_head_reads(shape, batches):
    model, _ = shape.load([])
    longest = batches["ours"]["attention_mask"].sum(dim=1).max()
    widths = {name: batch["input_ids"].shape[1] for name, batch in batches.items()}
    assert widths == {"popular": POSITIONS, "stock": longest, "ours": longest}
    for name in ("popular", "stock"):
        torch.testing.assert_close(batches[name]["pixel_values"], batches["ours"]["pixel_values"], atol=1e-5, rtol=0)
    patches = (PICTURE // 16) ** 2 + 1
    assert model(**batches["stock"]).logits.shape[1] == patches + longest
    assert aligned(model, batches["ours"])[0].shape[1] == longest - 1


@pytest.mark.parametrize("recipe", RECIPES)
def test_each_recipe_is_timed_step_by_step_in_the_librarys_own_loop(shape, dataset, recipe, monkeypatch):
    monkeypatch.setattr(recipes, "clock", map(float, count()).__next__)
    trainer, told = trainer_of(shape, recipe, dataset), []
    train(trainer, lambda step: told.append(step) or len(told) < 3)
    assert [step["step"] for step in told] == [3.0, 3.0, 3.0]  # four ticks a step, three spans between them
    assert all((step["batch"], step["model"], step["optimizer"]) == (1, 1, 1) for step in told)
    assert trainer.state.global_step == 3
    assert trainer.optimizer.optimizer.defaults["fused"]
    assert all(p.requires_grad for p in trainer.model.parameters())
    # Each weight of a linear layer is multiplied thrice (forward, and two gradients), once for each row that it reads.
    vision = sum(m.weight.numel() for m in vision_encoder_of(trainer.model).modules() if type(m) is torch.nn.Linear)
    rows = shape.batch * ((PICTURE // 16) ** 2 + 1)
    assert told[0]["operations"] > 3 * 2 * vision * rows
    assert told[0]["operations"] == told[2]["operations"]
    assert told[0]["megabytes"] > 100


def test_the_rows_are_the_same_for_all_and_go_on(shape, dataset):
    seen = {}
    for name in RECIPES:
        batches = iter(trainer_of(shape, name, dataset).get_train_dataloader())
        seen[name] = [next(batches)["pixel_values"] for _ in range(2)]
    for first, second in zip(seen["stock"], seen["ours"], strict=True):
        torch.testing.assert_close(first, second, atol=1e-5, rtol=0)
    assert not torch.equal(*seen["stock"])


def test_bf16_reaches_the_multiplications(shape, dataset):
    kinds = []
    for name in ("stock", "ours"):
        trainer = trainer_of(shape, name, dataset, "bf16")
        layer = next(m for m in vision_encoder_of(trainer.model).modules() if isinstance(m, torch.nn.Linear))
        hook = layer.register_forward_hook(lambda _, __, out: kinds.append(out.dtype))
        train(trainer, lambda step: False)
        hook.remove()
    assert kinds == [torch.bfloat16, torch.bfloat16]


def test_an_evaluation_keeps_what_its_recipe_keeps(shape, dataset):
    kept = {}
    for name in RECIPES:
        trainer = trainer_of(shape, name, dataset)
        kept[name] = trainer.predict(trainer.eval_dataset).predictions
    pictures, patches = len(dataset["validation"]), (PICTURE // 16) ** 2 + 1
    words = trainer.model.config.vocab_size
    assert kept["popular"].shape == (pictures, patches + POSITIONS, words)
    assert evaluation_megabytes(trainer) >= 0
    assert kept["stock"].ndim == kept["ours"].ndim == 2
    assert kept["stock"].dtype == kept["ours"].dtype == "int64"


def test_the_order_turns_round_and_the_first_is_thrown_away():
    asked, numbers = [], count()
    asks = {name: lambda name=name: asked.append(name) or next(numbers) for name in "abc"}
    assert in_turn(asks, 2) == {"a": [5, 6], "b": [4, 7], "c": [3, 8]}
    assert "".join(asked) == "abccbaabc"
    first = {"a": lambda: asked.append("first")}
    assert in_turn(asks, 1, first=first)["a"] == [13]
    assert asked.count("first") == 1


def test_ratios_are_taken_a_repeat():
    assert spread([6.0, 8.0, 9.0], [2.0, 2.0, 1.0]) == {"min": 3.0, "median": 4.0, "max": 9.0}


def test_a_process_answers_once_for_each_question_and_says_that_it_stopped(shape, dataset, monkeypatch):
    asked, answers = io.StringIO("\n" * 3), io.StringIO()
    monkeypatch.setattr(recipes, "SHAPES", {"small": shape})
    monkeypatch.setattr(recipes, "pictures", lambda: dataset)
    monkeypatch.setattr(recipes, "matrix_speed", lambda precision: 2.0)
    monkeypatch.setattr(sys, "stdin", asked)
    monkeypatch.setattr(sys, "stdout", answers)
    monkeypatch.setenv("CAPTIONING_ARTIFACTS", "")
    recipes.main("small", "stock", "fp32", "train")
    told = [json.loads(line) for line in answers.getvalue().splitlines()]
    assert len(told) == 3
    assert all(each["matrix"] == 2.0 for each in told)
    monkeypatch.setattr(recipes, "evaluation_megabytes", lambda trainer: 5.0)
    recipes.main("small", "ours", "fp32", "evaluate")
    assert json.loads(answers.getvalue().splitlines()[-1]) == {"megabytes": 5.0, "matrix": 2.0}
    monkeypatch.setattr(sys, "executable", "false")  # a program that stops at once
    with worker("small", "stock") as ask, pytest.raises(RuntimeError, match="recipe stock at the shape small"):
        ask()


def test_captions_are_timed_both_ways_and_compared(talker, monkeypatch):
    pixels = torch.randn(2, 3, PICTURE, PICTURE, generator=torch.Generator().manual_seed(0))
    read = []
    hook = vision_encoder_of(talker).register_forward_hook(lambda _, __, out: read.append(len(out.last_hidden_state)))
    found = captioning(talker, pixels, 5, repeats=1)
    hook.remove()
    assert [len(times) for times in found["seconds"].values()] == [1, 1]
    assert sorted(read) == [2, 2, 8, 8]  # ours reads each picture once, and not once for each beam
    said = iter([torch.tensor([1]), torch.tensor([2])] * 2)
    monkeypatch.setattr(talker, "generate", lambda **_: next(said))
    with pytest.raises(AssertionError, match="different captions"):
        captioning(talker, pixels, 5, repeats=1)


@contextmanager
def quick_worker(name, recipe, precision="fp32", what="train"):
    """`worker`, with figures of its own: stock takes 6 seconds a step, ours 3, the popular recipe 30, bf16 a third."""
    seconds = {"popular": 30.0, "stock": 6.0, "ours": 3.0}[recipe] / (3 if precision == "bf16" else 1)
    step = {"batch": 0.0, "model": seconds / 2, "optimizer": seconds / 4, "step": seconds}
    yield lambda: step | {"operations": 12e9, "megabytes": 1000 * seconds, "matrix": 4.0}


@pytest.mark.parametrize("fast", [True, False])
def test_the_table_has_a_row_for_each_quantity_and_the_notebook_reads_it(
    dataset, checkpoint, tmp_path, monkeypatch, fast
):
    monkeypatch.setattr(compare, "worker", quick_worker)
    monkeypatch.setattr(compare, "bf16_is_fast", lambda: fast)
    monkeypatch.setattr(compare, "git_base", lambda captions: load_checkpoint(checkpoint))
    monkeypatch.setattr(compare, "pictures", lambda: dataset)
    monkeypatch.setattr(compare, "matrix_speed", lambda precision: 1.0)
    monkeypatch.setattr(compare, "LENGTHS", (2, 3, 4))
    found = measure(repeats=1)
    by_name = {row.pop(""): list(row.values()) for row in map(dict, found["table"])}
    step = ["30.00", "6.00", "3.00", "2.00 (2.00 to 2.00)"]
    assert by_name["git-base: seconds a step"] == by_name["git-tiny: seconds a step"] == step
    assert by_name["git-base: pictures a second"][1:3] == ["0.67", "1.33"]
    assert by_name["git-base: billion operations a step"] == ["12", "12", "12", "1.00"]
    assert by_name["git-base: share of a matrix product's speed"][:3] == ["10%", "50%", "100%"]
    assert by_name["git-base: outside the model"][2] == "25.0%"
    assert by_name["git-base: memory, GB"] == ["30.0", "6.0", "3.0", "2.00"]
    assert by_name["git-base: memory that an evaluation of 8 pictures adds, MB"][3] == "2.00"
    beams = [by_name[f"git-base: captions a second, 4 beams, {length} tokens"] for length in (2, 3, 4)]
    assert all(not row[0] and all(row[1:]) for row in beams)
    in_bf16 = "git-base: pictures a second, stock in fp32, ours in bf16"
    assert by_name.get(in_bf16) == (["", "0.67", "4.00", "6.00 (6.00 to 6.00)"] if fast else None)
    assert any("both in bf16" in name for name in by_name) == fast
    assert any("bf16 is left out" in name for name in by_name) == (not fast)
    assert any("greedy" in name and "ours in bf16" in name for name in by_name) == fast
    assert any("1 paired repeats" in name for name in by_name)

    monkeypatch.setattr(notebook, "ROOT", tmp_path)
    (tmp_path / "benchmarks" / "results").mkdir(parents=True)
    (tmp_path / "benchmarks" / "results" / "recipes.json").write_text(json.dumps(found), encoding="utf-8")
    rows, where = notebook.measured_recipes()
    assert rows == found["table"]
    assert "cores" in where
    assert len(notebook.markdown_table(rows).data.splitlines()) == 2 + len(rows)
