"""GIT by hand equals the library at each step, and notebook 8's solutions are its source."""

import inspect
import re
import subprocess
import sys

import pytest
import torch
from safetensors.torch import save

from helpers import by_hand, checks
from helpers.checks import by_hand as by_hand_checks
from helpers.checks.verdicts import Verdict, tried
from helpers.errors import CheckpointError
from helpers.families import load_checkpoint
from helpers.paths import ROOT
from helpers.transforms import normalized_pixels, picture_pixels
from tools import exercises
from tools import notebooks as tool

BASE = "models/git-tiny"
STEPS = sorted(name.removeprefix("check_") for name in dir(by_hand_checks) if name.startswith("check_"))
CAPTIONS = ["a red round creature with a curly tail", "a blue one"]


@pytest.fixture(scope="module")
def git():
    return by_hand.read_weights(BASE)


@pytest.fixture(scope="module")
def library():
    return load_checkpoint(BASE)


@pytest.fixture(scope="module")
def told(library, pictures):
    """Pixels of two pictures, a caption of each, and what the library's parts took and gave: name → (input, output)."""
    model, processor = library
    pixels = normalized_pixels(picture_pixels(pictures[:2], processor), processor)
    tokens = processor.tokenizer(CAPTIONS, padding=True, return_tensors="pt")
    seen, handles = {}, []
    for name, module in model.named_modules():

        def keep(module, given, named, made, name=name):
            seen[name] = (
                given[0] if given else named.get("hidden_states"),
                made[0] if isinstance(made, tuple) else made,
            )

        handles.append(module.register_forward_hook(keep, with_kwargs=True))
    with torch.inference_mode():
        made = model(pixel_values=pixels, **tokens, output_attentions=True)
    for handle in handles:
        handle.remove()
    return {"pixels": pixels, "tokens": tokens, "made": made, "seen": seen}


def near(given, expected, bound=2e-5):
    assert given.shape == expected.shape
    assert (given - expected).abs().max() < bound


def test_the_patches_and_their_embedding(git, told):
    _, made = told["seen"]["git.image_encoder.vision_model.embeddings"]
    patches = by_hand.patches_of(told["pixels"], git.patch_size)
    near(by_hand.embed_patches(patches, git), made)


@pytest.mark.parametrize(
    ("name", "norm"),
    [
        ("git.image_encoder.vision_model.pre_layrnorm", "norm_before"),
        ("git.image_encoder.vision_model.post_layernorm", "norm_after"),
        ("git.visual_projection.visual_projection.1", "to_text_norm"),
        ("git.embeddings.LayerNorm", "text_norm"),
    ],
)
def test_a_layer_norm(git, told, name, norm):
    given, made = told["seen"][name]
    near(by_hand.layer_norm(given, *getattr(git, norm)), made)


@pytest.mark.parametrize("i", range(4))
def test_a_block_of_the_vision_encoder(git, told, i):
    name = f"git.image_encoder.vision_model.encoder.layers.{i}"
    near(by_hand.vision_block(told["seen"][name][0], git.vision[i]), told["seen"][name][1])
    normed, made = told["seen"][f"{name}.layer_norm1"][1], told["seen"][f"{name}.self_attn"][1]
    near(by_hand.several_heads(normed, git.vision[i], torch.ones(65, 65).bool())[0], made)


def test_the_picture_tokens(git, told):
    near(by_hand.see(told["pixels"], git), told["seen"]["git.visual_projection"][1])


def test_the_embedded_tokens(git, told):
    near(by_hand.embed_tokens(told["tokens"].input_ids, git), told["seen"]["git.embeddings"][1])


@pytest.mark.parametrize("i", range(2))
def test_a_block_of_the_text_decoder_and_what_it_attends_to(git, told, i):
    given, made = told["seen"][f"git.encoder.layer.{i}"]
    real = torch.cat([torch.ones(2, 65), told["tokens"].attention_mask], dim=1).bool()
    mask = by_hand.mask_of(65, told["tokens"].input_ids.shape[1])
    new = by_hand.text_block(given, git.text[i], mask)
    near(new[real], made[real])  # padding comes last: what is before it never sees it
    shares = by_hand.several_heads(given, git.text[i], mask)[1].transpose(1, 2)
    near(shares[real], told["made"].attentions[i].transpose(1, 2)[real])
    assert (shares > 0)[real][:, 0].equal(mask.expand(2, -1, -1)[real])


def test_the_logits_and_the_loss(git, told, library):
    tokens = told["tokens"]
    logits = by_hand.logits_of(by_hand.see(told["pixels"], git), tokens.input_ids, git)
    real = tokens.attention_mask.bool()
    near(logits[real], told["made"].logits[:, 65:][real], 5e-5)
    labels = tokens.input_ids.masked_fill(~real, -100)
    with torch.inference_mode():
        expected = library[0](pixel_values=told["pixels"], **tokens, labels=labels).loss
    near(by_hand.loss_of(logits, tokens.input_ids, tokens.attention_mask), expected)


def test_softmax_is_that_of_torch():
    scores = torch.randn(3, 4, 5, generator=torch.Generator().manual_seed(0)) * 100
    near(by_hand.softmax(scores), torch.softmax(scores, dim=-1))


def test_the_captions_are_those_of_generate(git, library, pictures):
    model, processor = library
    pixels = normalized_pixels(picture_pixels(pictures, processor), processor)
    with torch.inference_mode():
        made = model.generate(pixel_values=pixels, do_sample=False, num_beams=1, max_new_tokens=48)
        seen = by_hand.see(pixels, git)
    for row, expected in zip(seen, made.tolist(), strict=True):

        def next_logits(ids, row=row):
            return by_hand.logits_of(row[None], torch.tensor([ids]), git)[0, -1]

        assert by_hand.write(next_logits, 2, 3, 49) == [token for token in expected if token != 0]
        assert by_hand.write(next_logits, 2, 3, 5) == expected[:5]


@pytest.mark.parametrize(
    "config", ["{", "[]", "{}", (ROOT / BASE / "config.json").read_text(encoding="utf-8")], ids=range(4)
)
@pytest.mark.parametrize("weights", [None, b"no weights", save({})], ids=["none", "damaged", "empty"])
def test_a_folder_without_a_git_is_refused(config, weights, tmp_path):
    (tmp_path / "config.json").write_text(config, encoding="utf-8")
    if weights is not None:
        (tmp_path / "model.safetensors").write_bytes(weights)
    with pytest.raises(CheckpointError, match="holds no GIT; give"):
        by_hand.read_weights(tmp_path)


def test_it_is_torch_alone():
    code = "import sys, helpers.by_hand; print(sorted({'transformers', 'datasets'} & set(sys.modules)))"
    found = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert found.stdout == "[]\n"


def test_the_folded_solutions_are_its_source():
    notebook = tool.read(tool.FOLDER / "08_git_by_hand.ipynb")
    shown = {}
    for cell, solution in exercises.with_checks(notebook):
        shown[re.search(r"check_(\w+)\(", cell.source)[1]] = solution.strip()
    assert shown == {name: inspect.getsource(getattr(by_hand, name)).strip() for name in STEPS}


def test_each_step_asks_for_the_lines_that_carry_its_idea():
    sources = {name: inspect.getsource(getattr(by_hand, name)) for name in STEPS}
    bodies = {
        name: sum(bool(line.strip()) for line in text.split('"""')[2].splitlines()) for name, text in sources.items()
    }
    assert min(bodies.values()) >= 3
    assert sum(bodies.values()) + 2 * len(STEPS) >= 100  # with what is completed: the heads and their shapes


@pytest.mark.parametrize("name", STEPS)
def test_each_likely_mistake_is_asked_about(name, monkeypatch):
    kept = []

    def keep(*given, **named):
        kept.extend(given[4])
        return tried(*given, **named)

    monkeypatch.setattr(by_hand_checks, "tried", keep)
    check = getattr(checks, f"check_{name}")
    assert check(getattr(by_hand, name))
    for wrong, question in list(kept):
        verdict = check(wrong)
        assert verdict.kind == "almost"
        assert question in verdict.sentence


def test_what_is_not_written_is_replaced_and_said(log):
    def softmax(scores):
        return scores

    assert checks.written(softmax, checks.check_softmax(softmax)) is by_hand.softmax
    assert log.messages == ["Until yours is right, softmax is that of helpers.by_hand."]
    log.clear()
    assert checks.written(softmax, Verdict("right", "It is.", "check_softmax")) is softmax
    assert log.messages == []
