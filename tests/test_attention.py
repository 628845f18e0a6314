from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from helpers.attention import Pointing, occlusion, patch_grid, pointing, pointing_game, word_attention
from helpers.attention.maps import aligned_attention
from helpers.attention.pointing import SEEN, changed_patches
from helpers.families import aligned, picture_tokens
from helpers.inference import caption_images
from helpers.metrics import wilson_interval
from tests.toolbox import noise, random_git

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


def test_a_patch_holds_a_part_where_a_tenth_of_its_pixels_differ_visibly():
    before = np.full((3, 24, 60), 100, dtype=np.uint8)  # 2 rows and 5 columns of patches of 12 x 12 pixels
    after = before.copy()
    after[1, 12:24, 36:38] += 9  # a sixth of the patch in row 1, column 3
    after[:, :, 12:24] -= SEEN  # too little in a whole column of patches
    after[2, 0:12, 0] = 200  # a twelfth of a patch
    expected = np.zeros((2, 5), dtype=bool)
    expected[1, 3] = True
    assert np.array_equal(changed_patches(before, after, (2, 5)), expected)


@pytest.fixture
def scenes():
    """Gray pictures of two parts, and the same without one part: what is at the right of the middle, and lower left."""
    made = []
    for i in range(3):
        whole = np.asarray(noise(i, (48, 48))) // 4 + 96
        whole[16:32, 32:] = whole[32:, :16] = 250
        right, lower = whole.copy(), whole.copy()
        right[16:32, 32:] = lower[32:, :16] = 0
        made.append((Image.fromarray(whole), {"right": Image.fromarray(right), "lower": Image.fromarray(lower)}))
    return made


def maps_that_point(monkeypatch, words, places):
    """Makes each word's map, of model → method, have its top at a place; each part decides the word of its number."""
    real = pointing.word_attention

    def looks(model, processor, picture, *, caption=None, **options):
        maps = np.stack([np.eye(1, SIDE**2, place).reshape(SIDE, SIDE) for place in places[model]["attention"]])
        caption = caption or real(model, processor, picture, caption=" ".join(words))
        return replace(caption, maps=maps)

    def covered(model, processor, picture, caption, **options):
        return np.stack([np.eye(1, SIDE**2, place).reshape(SIDE, SIDE) for place in places[model]["occlusion"]])

    monkeypatch.setattr(pointing, "word_attention", looks)
    monkeypatch.setattr(pointing, "occlusion", covered)


def test_the_top_patch_of_the_word_that_a_part_decides_hits_or_misses(talker, processor, scenes, monkeypatch):
    """The word "right" falls without the right part, "lower" without the lower one, which are the patches 5 and 6."""
    twin = random_git()
    words = ("lower", "a", "right")
    places = {
        talker: {"attention": (6, 0, 0), "occlusion": (0, 6, 5)},
        twin: {"attention": (5, 5, 6), "occlusion": (6, 6, 5)},
    }
    maps_that_point(monkeypatch, words, places)
    falls = np.array([[0.6, 0.1, 0.7], [0.8, 0.0, -3.0]])  # right, lower; log 2 is 0.69
    monkeypatch.setattr(pointing, "word_falls", lambda *given, **options: falls)
    found = pointing_game(talker, processor, scenes, twin=twin)
    assert found["right"] == Pointing(
        pictures=3,
        chance=pytest.approx(1 / 9),
        hits={
            "attention": 0,
            "occlusion": 3,
            "attention of random weights": 0,
            "occlusion of random weights": 3,
            "one fixed patch": 3,
        },
        words={"right": 3},
    )
    assert list(found["lower"].hits.values()) == [3, 0, 0, 3, 3]
    assert found["lower"].words == {"lower": 3}
    falls[1, 0] = 0.68  # now the lower part decides no word
    assert list(pointing_game(talker, processor, scenes, twin=twin)) == ["right"]


def test_the_fixed_patch_is_the_one_of_the_other_pictures(talker, processor, scenes, monkeypatch):
    maps_that_point(monkeypatch, ["a"], {talker: {"attention": [0], "occlusion": [0]}})
    monkeypatch.setattr(pointing, "word_falls", lambda *given, **options: np.ones((1, 1)))
    places = ["right", "right", "lower"]
    scenes = [(whole, {"part": without[place]}) for (whole, without), place in zip(scenes, places, strict=True)]
    found = pointing_game(talker, processor, scenes, twin=talker)
    assert found["part"].hits["one fixed patch"] == 2
    alone = pointing_game(talker, processor, [scenes[0]], twin=talker)
    assert alone["part"].hits["one fixed patch"] == 0  # nothing is known from other pictures


def test_without_scenes_nothing_is_found(talker, processor):
    assert pointing_game(talker, processor, [], twin=talker) == {}


def test_random_maps_hit_about_as_often_as_chance(talker, processor, scenes, monkeypatch):
    rng = np.random.default_rng(0)
    real = pointing.word_attention
    monkeypatch.setattr(
        pointing,
        "word_attention",
        lambda *given, caption=None, **options: replace(
            caption or real(*given, caption="a"), maps=rng.random((1, SIDE, SIDE))
        ),
    )
    monkeypatch.setattr(pointing, "occlusion", lambda *given, **options: rng.random((1, SIDE, SIDE)))
    monkeypatch.setattr(pointing, "word_falls", lambda *given, **options: np.ones((1, 1)))
    many = [(scenes[0][0], {"right": scenes[0][1]["right"]})] * 200
    found = pointing_game(talker, processor, many, twin=talker)["right"]
    for name, hits in found.hits.items():
        low, high = wilson_interval(hits, found.pictures)
        assert (low < found.chance < high) == (name != "one fixed patch"), name


def test_a_caption_of_another_model_can_be_looked_for(talker, processor, pictures, found):
    again = word_attention(random_git(), processor, pictures[1], caption=found[0])
    assert (again.words, again.token_ids) == (found[0].words, found[0].token_ids)
    assert not np.allclose(again.maps, found[0].maps, atol=1e-3)


def test_another_family_is_named_before_anything_runs(processor, pictures, found):
    class Other:
        class config:
            model_type = "blip"

    for attempt in (
        lambda: word_attention(Other, processor, pictures[0]),
        lambda: occlusion(Other, processor, pictures[0], replace(found[0])),
        lambda: pointing_game(Other, processor, [], twin=Other),
        lambda: aligned_attention(Other, {}),
    ):
        with pytest.raises(ValueError, match=r"blip.* git\b"):
            attempt()
