from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.stats import spearmanr

from helpers.attention import agreement, occlusion, patch_grid, split_agreement, word_attention
from helpers.attention.maps import ROUNDING, aligned_attention
from helpers.families import aligned, picture_tokens
from helpers.inference import caption_images

PATCH, SIDE = 16, 3  # of the random model: 48 x 48 pixels


@pytest.fixture(scope="module")
def found(talker, processor, pictures):
    return [word_attention(talker, processor, picture, max_new_tokens=12) for picture in pictures]


@pytest.fixture(scope="module")
def occluded(talker, processor, pictures, found):
    return occlusion(talker, processor, pictures[0], found[0])


def pieces_of(token_ids, tokenizer):
    """Each word with the positions of its pieces in the caption, found another way than the helpers do."""
    words = []
    for position, token in enumerate(tokenizer.convert_ids_to_tokens(token_ids)):
        if token.startswith("##") and words:
            words[-1][0] += token[2:]
            words[-1][1].append(position)
        elif not token.startswith("["):
            words.append([token, [position]])
    return [(word, positions) for word, positions in words if word.strip(",.")]


def log_probabilities(model, pixel_values, token_ids):
    """Of each token after the first, one forward pass a token, each with nothing but what stands before it."""
    logs = []
    for place in range(1, len(token_ids)):
        ids = torch.tensor([token_ids[:place]])
        with torch.inference_mode():
            logits = model(pixel_values=pixel_values, input_ids=ids, use_cache=False).logits[0, -1]
        logs.append(logits.log_softmax(dim=-1)[token_ids[place]].item())
    return logs


def test_words_and_probabilities_are_those_of_the_generated_caption(talker, processor, pictures, found):
    captions = caption_images(talker, processor, pictures, max_new_tokens=12)
    for caption, maps in zip(captions, found, strict=True):
        words = [pair for pair in caption.words if pair[0].strip(",.")]
        assert list(maps.words) == [word for word, _ in words]
        assert maps.probabilities == pytest.approx([p for _, p in words], rel=1e-3)


def test_a_map_is_read_one_position_before_each_piece(talker, processor, pictures, found):
    several = 0
    for picture, maps in zip(pictures, found, strict=True):
        pixels = processor(images=picture, return_tensors="pt").pixel_values
        words = pieces_of(maps.token_ids, processor.tokenizer)
        assert [word for word, _ in words] == list(maps.words)
        for i, (_, positions) in enumerate(words):
            several += len(positions) > 1
            rows = []
            for position in positions:
                # Only what stands before the piece: the last row of this pass is the one that predicts it.
                before = torch.tensor([maps.token_ids[:position]])
                with torch.inference_mode():
                    out = talker(pixel_values=pixels, input_ids=before, output_attentions=True, use_cache=False)
                for layer in out.attentions:
                    for head in layer[0]:
                        assert len(head) == 1 + SIDE**2 + position
                        rows.append(head[-1, 1 : 1 + SIDE**2].numpy())  # 0 is the class token
            assert len(rows) == 2 * 2 * len(positions)  # layers, heads
            mean = np.mean(rows, axis=0).reshape(SIDE, SIDE)
            np.testing.assert_allclose(maps.on_patches[i], mean.sum(), rtol=1e-4)
            np.testing.assert_allclose(maps.maps[i], mean / mean.sum(), rtol=1e-4)
    assert several


def test_each_map_is_shares_of_a_whole_over_the_grid(talker, found):
    assert patch_grid(talker) == (SIDE, SIDE)
    assert picture_tokens(talker) == SIDE**2 + 1
    for maps in found:
        assert maps.maps.shape == (len(maps.words), SIDE, SIDE)
        np.testing.assert_allclose(maps.maps.sum(axis=(1, 2)), 1)
        assert ((maps.on_patches > 0) & (maps.on_patches < 1)).all()
        assert maps.picture.shape == (48, 48, 3)


@pytest.mark.parametrize("place", range(SIDE**2))
def test_a_place_of_the_map_is_the_same_place_of_the_picture(talker, place):
    row, column = divmod(place, SIDE)
    pixels = torch.zeros(2, 3, 48, 48)
    pixels[1, :, row * PATCH : (row + 1) * PATCH, column * PATCH : (column + 1) * PATCH] = 1
    embedded = talker.git.image_encoder.vision_model.embeddings(pixels)
    assert (embedded[0] != embedded[1]).any(dim=1).nonzero().tolist() == [[1 + place]]


def test_the_class_token_has_no_part_in_a_map(talker, processor, pictures, found, monkeypatch):
    """All attention on one position of the picture: on a patch the map shows it, on the class token it shows none."""
    forward = type(talker).forward
    position = 0

    def staring(self, *arguments, **options):
        out = forward(self, *arguments, **options)
        if out.attentions:
            out.attentions = tuple(torch.zeros_like(layer) for layer in out.attentions)
            for layer in out.attentions:
                layer[..., position] = 1
        return out

    monkeypatch.setattr(type(talker), "forward", staring)
    ids = torch.tensor([found[0].token_ids])
    pixels = processor(images=pictures[0], return_tensors="pt").pixel_values
    batch = {"pixel_values": pixels, "input_ids": ids, "attention_mask": torch.ones_like(ids), "labels": ids}
    for position in range(SIDE**2 + 2):  # the class token, the patches, the first token of the text
        logits, labels, attended = aligned_attention(talker, batch)
        shown = torch.zeros(SIDE**2)
        if 1 <= position <= SIDE**2:
            shown[position - 1] = 1
        assert attended.shape == (1, ids.shape[1] - 1, SIDE, SIDE)
        assert torch.equal(attended, shown.view(SIDE, SIDE).expand_as(attended))
    expected = aligned(talker, batch)
    assert torch.equal(labels, expected[1])
    torch.testing.assert_close(logits, expected[0])


def test_a_word_that_looks_at_no_patch_has_an_empty_map(talker, processor, pictures, monkeypatch):
    def blind(model, batch):
        logits, labels, attended = aligned_attention(model, batch)
        return logits, labels, torch.zeros_like(attended)

    monkeypatch.setattr("helpers.attention.maps.aligned_attention", blind)
    maps = word_attention(talker, processor, pictures[0], max_new_tokens=12)
    assert not maps.maps.any()
    assert not maps.on_patches.any()


def test_another_caption_can_be_looked_for(talker, processor, pictures):
    maps = word_attention(talker, processor, pictures[0], caption="A blue creature, with wings.")
    assert maps.words == ("a", "blue", "creature", "with", "wings")
    assert maps.maps.shape == (5, SIDE, SIDE)
    by_text = occlusion(talker, processor, pictures[0], "a blue creature, with wings.")
    np.testing.assert_allclose(by_text, occlusion(talker, processor, pictures[0], maps))


def test_a_picture_of_which_nothing_is_said_has_no_maps(talker, processor, pictures):
    silent = word_attention(talker, processor, pictures[0], caption="")
    assert silent.words == ()
    assert silent.maps.shape == (0, SIDE, SIDE)
    assert occlusion(talker, processor, pictures[0], silent).shape == (0, SIDE, SIDE)
    assert agreement(silent.maps, silent.maps).shape == (0, 0)


@pytest.mark.parametrize("window", [1, 3])
def test_occlusion_equals_a_slow_loop_over_single_pictures(talker, processor, pictures, found, window):
    ids = found[0].token_ids
    words = pieces_of(ids, processor.tokenizer)
    fast = occlusion(talker, processor, pictures[0], found[0], window=window, batch_size=4)
    seen = found[0].picture
    ring = window // 2 * PATCH
    prepare = {"do_resize": False, "do_center_crop": False, "return_tensors": "pt"}

    def word_logs(picture):
        pixels = processor.image_processor(picture, **prepare).pixel_values
        logs = log_probabilities(talker, pixels, ids)
        return np.array([sum(logs[position - 1] for position in positions) for _, positions in words])

    whole = word_logs(seen)
    assert fast.shape == (len(words), SIDE, SIDE)
    for row, column in np.ndindex(SIDE, SIDE):
        covered = seen.copy()
        y, x = row * PATCH, column * PATCH
        covered[max(y - ring, 0) : y + PATCH + ring, max(x - ring, 0) : x + PATCH + ring] = seen.mean((0, 1)).round()
        np.testing.assert_allclose(fast[:, row, column], whole - word_logs(covered), atol=1e-3)
    assert np.ptp(fast) > 0.1


def test_batches_do_not_change_what_occlusion_finds(talker, processor, pictures, found, occluded):
    for size in (1, 7):
        again = occlusion(talker, processor, pictures[0], found[0], batch_size=size)
        np.testing.assert_allclose(again, occluded, atol=1e-4)


@pytest.mark.parametrize("window", [0, 2, -1])
def test_a_window_has_a_patch_in_its_middle(talker, processor, pictures, found, window):
    with pytest.raises(ValueError, match=rf"window is {window}; "):
        occlusion(talker, processor, pictures[0], found[0], window=window)
    with pytest.raises(ValueError, match=rf"window is {window}; "):
        split_agreement(talker, processor, pictures[:1], window=window)


def test_agreement_is_spearmans_correlation_of_every_pair():
    rng = np.random.default_rng(0)
    left, right = rng.normal(size=(2, 4, SIDE, SIDE))
    right[1, 0] = right[1, 1]  # ties
    table = agreement(left, right)
    for i, j in np.ndindex(4, 4):
        assert table[i, j] == pytest.approx(spearmanr(left[i].ravel(), right[j].ravel()).statistic)


def test_only_the_order_of_the_patches_counts():
    rng = np.random.default_rng(0)
    maps = rng.random((3, SIDE, SIDE))
    np.testing.assert_allclose(np.diag(agreement(maps, 5 * maps**3 - 1)), 1)
    np.testing.assert_allclose(np.diag(agreement(maps, -np.exp(maps))), -1)


def test_a_constant_map_agrees_with_nothing():
    maps = np.random.default_rng(0).random((3, SIDE, SIDE))
    flat = maps.copy()
    flat[0] = 0.5
    still = maps.copy()
    still[2] *= ROUNDING / 10
    assert np.isnan(np.diag(agreement(flat, still))).tolist() == [True, False, True]
    with pytest.raises(ValueError, match="shapes"):
        agreement(maps, maps[:2])


def test_the_agreement_of_a_split_is_the_mean_over_its_pictures(talker, processor, pictures, found):
    result = split_agreement(talker, processor, pictures[:3], max_new_tokens=12)
    own, others, words = [], [], []
    for picture, maps in zip(pictures[:3], found, strict=False):
        falls = occlusion(talker, processor, picture, maps)
        pairs = {
            (i, j): spearmanr(maps.maps[i].ravel(), falls[j].ravel()).statistic
            for i, j in np.ndindex(len(maps.words), len(maps.words))
        }
        own.append(np.mean([value for (i, j), value in pairs.items() if i == j]))
        others.append(np.mean([value for (i, j), value in pairs.items() if i != j]))
        words += maps.words
    assert result.per_picture == pytest.approx(own, abs=1e-6)
    assert result.mean == pytest.approx(np.mean(own), abs=1e-6)
    assert result.other_word == pytest.approx(np.mean(others), abs=1e-6)
    assert result.low <= result.mean <= result.high
    assert [word for word, _ in result.words] == words


def test_words_that_cannot_be_compared_are_left_out_and_counted(talker, processor, pictures, found):
    """Covering a part of a picture of one colour changes nothing, so no word of it depends on any patch."""
    gray = Image.new("RGB", (48, 48), (128, 128, 128))
    result = split_agreement(talker, processor, [pictures[0], gray, pictures[2]], max_new_tokens=12)
    assert result.left_out == len(word_attention(talker, processor, gray, max_new_tokens=12).words) > 0
    assert np.isnan(result.per_picture).tolist() == [False, True, False]
    assert result.mean == pytest.approx(np.nanmean(result.per_picture))
    assert [word for word, _ in result.words] == [*found[0].words, *found[2].words]
    with pytest.raises(ValueError, match="constant"):
        split_agreement(talker, processor, [gray] * 2, max_new_tokens=12)


def test_another_family_is_named_before_anything_runs(processor, pictures, found):
    class Other:
        class config:
            model_type = "blip"

    for attempt in (
        lambda: word_attention(Other, processor, pictures[0]),
        lambda: occlusion(Other, processor, pictures[0], replace(found[0])),
        lambda: split_agreement(Other, processor, pictures[:1]),
        lambda: aligned_attention(Other, {}),
    ):
        with pytest.raises(ValueError, match=r"blip.* git\b"):
            attempt()
