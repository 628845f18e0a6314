from collections import Counter
from functools import partial

import numpy as np
import pytest
import torch
from PIL import Image

from helpers.errors import CheckpointError, ImageError, SettingsError
from helpers.families import vision_encoder_of
from helpers.inference import Caption, caption_images, pictures_read_once
from tests.toolbox import FAMILIES, PICTURE, encoded, random_git

ROWS = 3


@pytest.fixture(scope="module")
def said(talker, processor, pictures):
    return caption_images(talker, processor, pictures, max_new_tokens=12)


def test_captions_keep_their_order_and_number_in_any_batch(talker, processor, pictures, said):
    assert len({caption.text for caption in said}) == len(pictures)
    for size in (1, 3, 100):
        again = caption_images(talker, processor, pictures, batch_size=size, max_new_tokens=12)
        assert [caption.text for caption in again] == [caption.text for caption in said]
        assert [c.confidence for c in again] == pytest.approx([c.confidence for c in said], rel=1e-4)
    assert caption_images(talker, processor, []) == []


def test_pictures_may_be_anything_that_can_be_read(talker, processor, pictures, said):
    mixed = [encoded(pictures[0]), np.asarray(pictures[1]), pictures[2].convert("RGBA")]
    again = caption_images(talker, processor, mixed, max_new_tokens=12)
    assert [caption.text for caption in again] == [caption.text for caption in said[:3]]


def test_an_unreadable_picture_among_others_is_named(talker, processor, pictures):
    with pytest.raises(ImageError, match=r"absent\.png"):
        caption_images(talker, processor, [pictures[0], "absent.png"])


@pytest.mark.parametrize("beams", [1, 4])
def test_text_confidence_and_words_are_those_of_the_generated_tokens(talker, processor, pictures, beams):
    tokenizer = processor.tokenizer
    ends = pieces = 0
    found = caption_images(talker, processor, pictures, num_beams=beams, batch_size=3, max_new_tokens=12)
    for picture, caption in zip(pictures, found, strict=True):
        pixels = processor(images=picture, return_tensors="pt").pixel_values
        ids = talker.generate(pixel_values=pixels, num_beams=beams, do_sample=False, max_new_tokens=12)
        ids = ids[:, : [*ids[0].tolist(), 3].index(3) + 1]
        with torch.inference_mode():
            logits = talker(pixel_values=pixels, input_ids=ids, use_cache=False).logits[0, -ids.shape[1] : -1]
        logs = torch.log_softmax(logits, dim=-1)[range(ids.shape[1] - 1), ids[0, 1:]]
        assert caption.text == str(caption) == tokenizer.decode(ids[0], skip_special_tokens=True)
        assert caption.confidence == pytest.approx(logs.mean().exp().item(), rel=1e-3)
        assert 0 <= caption.confidence <= 1

        words = []
        for token, log in zip(tokenizer.convert_ids_to_tokens(ids[0, 1:]), logs.tolist(), strict=True):
            if token == "[SEP]":
                ends += 1
            elif token.startswith("##") and words:
                words[-1] = (words[-1][0] + token[2:], words[-1][1] + log)
                pieces += 1
            else:
                words.append((token, log))
        assert [word for word, _ in caption.words] == [word for word, _ in words]
        assert [p for _, p in caption.words] == pytest.approx([np.exp(log) for _, log in words], rel=1e-3)
        assert "".join(word for word, _ in caption.words) == caption.text.replace(" ", "")
    assert 0 < ends < len(pictures)
    assert pieces


def test_an_early_end_counts_once_however_long_the_others_are(talker, processor, pictures, said):
    shortest = min(said, key=lambda caption: len(caption.words))
    [alone] = caption_images(talker, processor, [pictures[said.index(shortest)]], max_new_tokens=12)
    assert alone.text == shortest.text
    assert alone.confidence == pytest.approx(shortest.confidence, rel=1e-4)


def test_pictures_that_the_crop_cuts_are_counted_over_all_batches(talker, processor, pictures, log):
    mixed = [Image.new("RGB", (300, 100)), *pictures[:2]]
    caption_images(talker, processor, mixed, batch_size=1, max_new_tokens=1)
    [told] = log.messages
    assert "1 of 3 pictures" in told


def test_captioning_leaves_the_model_ready_to_caption(talker, processor, pictures, said):
    talker.train()
    assert caption_images(talker, processor, pictures[:1], max_new_tokens=12)[0].text == said[0].text
    assert not talker.training


def test_a_caption_has_at_most_the_tokens_asked_for(talker, processor, pictures):
    lengths = [
        max(len(caption.words) for caption in caption_images(talker, processor, pictures, max_new_tokens=most))
        for most in (1, 3)
    ]
    assert lengths == [1, 3]


def test_a_caption_does_not_change():
    caption = Caption("a cat", 0.5, (("a", 1.0), ("cat", 0.25)))
    with pytest.raises(AttributeError):
        caption.text = "a dog"


@pytest.mark.parametrize(
    "images", ["a.png", b"bytes", Image.new("RGB", (8, 8)), None, np.zeros((8, 8)), torch.zeros(8, 8, 3)]
)
def test_one_picture_instead_of_a_list_is_said(talker, processor, images):
    with pytest.raises(ImageError, match="in brackets"):
        caption_images(talker, processor, images)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("batch_size", value) for value in (0, -1, None, 1.5, "4", True)),
        *(("temperature", value) for value in (0, -1, 1000, float("nan"), "hot", True)),
        *(("top_p", value) for value in (0, 1.5, float("nan"), "all", True)),
        ("num_beams", 0),
        ("max_new_tokens", 0),
        ("seed", -1),
    ],
)
def test_numbers_out_of_their_range_are_named(talker, processor, pictures, name, value):
    with pytest.raises(SettingsError, match=f"{name} is"):
        caption_images(talker, processor, pictures[:1], **{name: value})


@pytest.mark.parametrize(("how", "kept"), [({"temperature": 3}, 1.0), ({"temperature": 0.5, "top_p": 0.8}, 0.8)])
def test_words_are_drawn_with_the_probabilities_asked_for(talker, processor, pictures, how, kept):
    """Of all tokens, not only of the 50 best that the library draws from; top-p counts what the temperature made."""
    many, ordinary = 1000, slice(5, None)  # the special tokens before are no words
    found = caption_images(talker, processor, [pictures[0]] * many, batch_size=many, max_new_tokens=1, **how)
    pixels = processor(images=pictures[0], return_tensors="pt").pixel_values
    with torch.inference_mode():
        logits = talker(pixel_values=pixels, input_ids=torch.tensor([[2]])).logits[0, -1]
    own, expected = logits.softmax(dim=-1), (logits / how["temperature"]).softmax(dim=-1)
    best, order = expected.sort(descending=True)
    expected[order[1:][best.cumsum(dim=-1)[:-1] >= kept]] = 0
    expected /= expected.sum()
    drawn = Counter(caption.text for caption in found)
    words = processor.tokenizer.convert_ids_to_tokens(range(len(own)))[ordinary]
    for word, share in zip(words, expected[ordinary].tolist(), strict=True):
        assert drawn[word] == pytest.approx(many * share, abs=5 * (many * share) ** 0.5 + bool(share))
    assert len(drawn) > 60 if kept == 1 else 1 < len(drawn) < 10
    sure = dict(zip(words, own[ordinary].tolist(), strict=True))
    for caption in found:
        assert not caption.words or caption.confidence == pytest.approx(sure[caption.text], rel=1e-3)


@pytest.mark.parametrize("how", [{"temperature": 1}, {"top_p": np.float32(0.9)}])
def test_a_seed_gives_the_same_captions_and_nothing_else_is_drawn_otherwise(talker, processor, pictures, how):
    draw = partial(caption_images, talker, processor, pictures, batch_size=3, max_new_tokens=12, **how)
    state = torch.get_rng_state()
    first = draw(seed=1)
    assert torch.equal(torch.get_rng_state(), state)
    torch.rand(1)
    assert draw(seed=1) == first
    assert [caption.text for caption in draw(seed=2)] != [caption.text for caption in first]
    state = torch.get_rng_state()
    with pytest.raises(ImageError):
        caption_images(talker, processor, [*pictures[:3], "absent.png"], batch_size=3, **how)
    assert torch.equal(torch.get_rng_state(), state)


def test_each_batch_is_drawn_anew(talker, processor, pictures):
    found = caption_images(talker, processor, pictures[:1] * 6, batch_size=3, max_new_tokens=12, temperature=1)
    assert found[:3] != found[3:]


def test_confidence_is_the_models_own_where_few_tokens_are_left(talker, processor, pictures, said):
    """Among one token alone, its probability would be 1."""
    found = caption_images(talker, processor, pictures, max_new_tokens=12, top_p=1e-6)
    assert [caption.text for caption in found] == [caption.text for caption in said]
    assert [c.confidence for c in found] == pytest.approx([c.confidence for c in said], rel=1e-4)
    assert max(caption.confidence for caption in said) < 0.99


def test_beams_and_sampling_together_are_refused(talker, processor, pictures):
    with pytest.raises(SettingsError, match=r"num_beams is 4; leave it at 1 to sample"):
        caption_images(talker, processor, pictures, num_beams=4, top_p=0.9)


@pytest.fixture(scope="module", params=FAMILIES)
def captioner(request):
    return FAMILIES[request.param].model(0.5).double()


@pytest.fixture(scope="module")
def pixels():
    return torch.randn(ROWS, 3, PICTURE, PICTURE, generator=torch.Generator().manual_seed(0)).double()


def searched(model, pixels, beams, **options):
    """Token ids and their log-probabilities."""
    out = model.generate(
        pixel_values=pixels, num_beams=beams, do_sample=False, max_new_tokens=9,
        return_dict_in_generate=True, output_scores=True, **options,
    )  # fmt: skip
    places = getattr(out, "beam_indices", None)
    writer = getattr(model, "text_decoder", model)
    return out.sequences, writer.compute_transition_scores(out.sequences, out.scores, places, normalize_logits=True)


@pytest.fixture
def seen(captioner):
    """How many pictures the encoder is given, each time."""
    given = []
    encoder = vision_encoder_of(captioner)
    hook = encoder.register_forward_hook(lambda _, __, out: given.append(len(out.last_hidden_state)))
    yield given
    hook.remove()


@pytest.mark.parametrize("beams", [1, 2, 4, 8])
def test_captions_and_probabilities_are_those_of_the_librarys_search(captioner, pixels, seen, beams):
    expected, sure = searched(captioner, pixels, beams)
    seen.clear()
    with pictures_read_once(captioner, beams):
        said, as_sure = searched(captioner, pixels, beams)
    assert torch.equal(said, expected)
    torch.testing.assert_close(as_sure, sure, rtol=1e-9, atol=1e-9)
    assert len(set(as_sure.sum(dim=1).tolist())) == ROWS  # each picture counts
    assert seen == [ROWS]


def test_without_a_cache_the_captions_are_the_same(captioner, pixels):
    expected, _ = searched(captioner, pixels, 4)
    with pictures_read_once(captioner, 4):
        said, _ = searched(captioner, pixels, 4, use_cache=False)
    assert torch.equal(said, expected)


def test_the_librarys_search_is_as_it_was_even_after_an_error(captioner, pixels, seen):
    """By itself, only that of GIT reads a picture again for each beam."""
    own = [4 * ROWS if captioner.config.model_type == "git" else ROWS]
    searched(captioner, pixels, 4)
    assert seen == own
    seen.clear()
    with pytest.raises(RuntimeError, match="stopped"), pictures_read_once(captioner, 4):
        raise RuntimeError("stopped")
    searched(captioner, pixels, 4)
    assert seen == own


@pytest.mark.parametrize("beams", [1, 4])
def test_caption_images_reads_each_picture_once(talker, processor, pictures, beams):
    given = []
    hook = vision_encoder_of(talker).register_forward_hook(lambda _, __, out: given.append(len(out.last_hidden_state)))
    caption_images(talker, processor, pictures[:5], num_beams=beams, batch_size=3, max_new_tokens=9)
    hook.remove()
    assert given == [3, 2]


def test_one_caption_a_picture_whatever_the_checkpoint_says(processor, pictures):
    model = random_git(0.5)
    model.generation_config.num_beams, model.generation_config.num_return_sequences = 4, 3
    for beams in (1, 4):
        assert len(caption_images(model, processor, pictures, num_beams=beams, max_new_tokens=3)) == len(pictures)


@pytest.mark.parametrize("how", [{}, {"temperature": 1}])
def test_a_model_whose_weights_are_spoilt_says_so(processor, pictures, how):
    model = random_git(0.5)
    for weight in model.parameters():
        weight.data.fill_(float("nan"))
    with pytest.raises(CheckpointError, match="is nan"):
        caption_images(model, processor, pictures, **how)
