"""A search with several beams reads each picture once, and says what the library's own search says."""

import pytest
import torch
from conftest import PICTURE, random_blip, random_git, random_vision_encoder_decoder

from helpers import inference
from helpers.families import vision_encoder_of
from helpers.inference import caption_images, pictures_read_once

FAMILIES = {
    "git": lambda: random_git(0.5).double(),
    "blip": random_blip,
    "vision-encoder-decoder": random_vision_encoder_decoder,
}
ROWS = 3


@pytest.fixture(scope="module", params=FAMILIES)
def captioner(request):
    model = FAMILIES[request.param]()
    if request.param != "git":  # BLIP's weights start so small that a picture hardly counts
        torch.manual_seed(0)
        for parameter in model.parameters():
            torch.nn.init.normal_(parameter, std=0.3) if parameter.dim() > 1 else None
    return model


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


def test_only_git_reads_a_picture_again_for_each_beam(captioner, pixels, seen):
    searched(captioner, pixels, 4)
    again = captioner.config.model_type == "git"
    assert seen == [4 * ROWS if again else ROWS]
    with pictures_read_once(captioner, 4):
        assert bool(hooks(captioner)) == again


def test_without_a_cache_the_captions_are_the_same(captioner, pixels):
    expected, _ = searched(captioner, pixels, 4)
    with pictures_read_once(captioner, 4):
        said, _ = searched(captioner, pixels, 4, use_cache=False)
    assert torch.equal(said, expected)


def hooks(model):
    return [*model._forward_pre_hooks, *model._forward_hooks]


def test_nothing_stays_behind_even_after_an_error(captioner, pixels):
    with pictures_read_once(captioner, 4):
        searched(captioner, pixels, 4)
    assert not hooks(captioner)
    with pytest.raises(RuntimeError, match="stopped"), pictures_read_once(captioner, 4):
        raise RuntimeError("stopped")
    assert not hooks(captioner)


@pytest.mark.parametrize("beams", [1, 2, 4, 8])
def test_caption_images_reads_each_picture_once(talker, processor, pictures, monkeypatch, beams):
    given = []
    hook = vision_encoder_of(talker).register_forward_hook(lambda _, __, out: given.append(len(out.last_hidden_state)))
    said = caption_images(talker, processor, pictures[:5], num_beams=beams, batch_size=3, max_new_tokens=9)
    hook.remove()
    assert given == [3, 2]
    assert not hooks(talker)

    class Nothing:
        def __init__(self, *_):
            pass

        __enter__ = __exit__ = lambda *_: None

    monkeypatch.setattr(inference, "pictures_read_once", Nothing)
    own = caption_images(talker, processor, pictures[:5], num_beams=beams, batch_size=3, max_new_tokens=9)
    assert [caption.text for caption in said] == [caption.text for caption in own]
    assert [caption.confidence for caption in said] == pytest.approx([caption.confidence for caption in own], rel=1e-4)
