import io
import socket
import threading

import numpy as np
import pytest
import torch
from PIL import Image

from helpers import inference
from helpers.inference import Caption, ImageError, caption_images, load_image, serve_folder

RED, BLUE, WHITE = (200, 30, 40), (30, 40, 200), (255, 255, 255)


@pytest.fixture
def two_colors():
    """12 x 8 pixels: red on the left, blue on the right."""
    picture = Image.new("RGB", (12, 8), RED)
    picture.paste(BLUE, (6, 0, 12, 8))
    return picture


def encoded(picture, kind="PNG", **options):
    content = io.BytesIO()
    picture.save(content, kind, **options)
    return content.getvalue()


def corners(picture):
    return picture.getpixel((0, 0)), picture.getpixel((picture.width - 1, picture.height - 1))


def near(color, other):
    return np.abs(np.subtract(color, other)).max() <= 12


def fails_in_one_line(source):
    with pytest.raises(ImageError) as caught:
        load_image(source)
    assert str(caught.value).strip()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_picture_is_read_from_wherever_it_is(tmp_path, two_colors):
    content = encoded(two_colors)
    (tmp_path / "two.png").write_bytes(content)
    for source in (tmp_path / "two.png", str(tmp_path / "two.png"), content, np.asarray(two_colors), two_colors):
        picture = load_image(source)
        assert (picture.mode, picture.size) == ("RGB", (12, 8))
        assert corners(picture) == (RED, BLUE)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF"])
def test_every_usual_format_is_read(two_colors, kind):
    picture = load_image(encoded(two_colors.resize((48, 32), Image.Resampling.NEAREST), kind))
    assert picture.size == (48, 32)
    assert near(corners(picture)[0], RED)
    assert near(corners(picture)[1], BLUE)


def test_an_address_is_read(tmp_path, two_colors):
    two_colors.save(tmp_path / "two.png")
    with serve_folder(tmp_path) as address:
        assert corners(load_image(f"{address}/two.png")) == (RED, BLUE)
        assert "absent.png" in fails_in_one_line(f"{address}/absent.png")
        (tmp_path / "text.png").write_text("no picture")
        assert "text.png" in fails_in_one_line(f"{address}/text.png")
    fails_in_one_line(f"{address}/two.png")


@pytest.mark.parametrize(
    "answer",
    [b"", b"no http\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nshort", b"HTTP/1.1 500 No\r\n\r\n"],
)
def test_a_server_that_answers_badly_is_named(answer):
    with socket.create_server(("127.0.0.1", 0)) as server:

        def reply():
            connection, _ = server.accept()
            with connection:
                connection.recv(4096)
                connection.sendall(answer)

        thread = threading.Thread(target=reply)
        thread.start()
        address = f"http://127.0.0.1:{server.getsockname()[1]}/picture.png"
        assert address in fails_in_one_line(address)
        thread.join()


@pytest.mark.parametrize("address", ["http://", "https://in valid/a.png", "http://127.0.0.1:port/a.png", "http://[/a"])
def test_an_address_that_is_none_is_named(address):
    assert address in fails_in_one_line(address)


def test_an_address_too_large_is_refused(tmp_path, two_colors, monkeypatch):
    two_colors.save(tmp_path / "two.png")
    monkeypatch.setattr(inference, "MAX_BYTES", 50)
    with serve_folder(tmp_path) as address:
        assert "50" in fails_in_one_line(f"{address}/two.png")
    assert "50" in fails_in_one_line(tmp_path / "two.png")


def test_a_picture_of_too_many_pixels_is_refused(two_colors, monkeypatch):
    monkeypatch.setattr(inference, "MAX_PIXELS", 95)
    assert "12 x 8" in fails_in_one_line(encoded(two_colors))


@pytest.mark.parametrize("mode", ["L", "1", "P", "LA", "RGBA", "CMYK", "YCbCr", "I;16", "I", "F"])
def test_every_kind_of_picture_becomes_rgb(mode):
    gray = Image.linear_gradient("L").resize((16, 16))
    if mode == "I;16":
        source = Image.fromarray(np.asarray(gray).astype(np.uint16) * 256)
    else:
        source = gray.convert("RGB").convert(mode) if mode in ("CMYK", "YCbCr", "P") else gray.convert(mode)
    picture = load_image(source)
    assert (picture.mode, picture.size) == ("RGB", (16, 16))
    values = np.asarray(picture, dtype=int)
    assert values[0].max() < 40
    assert values[-1].min() > 215


def test_a_16_bit_file_keeps_its_shades(tmp_path):
    values = np.linspace(0, 65535, 64).astype(np.uint16).reshape(8, 8)
    Image.fromarray(values).save(tmp_path / "deep.png")
    read = np.asarray(load_image(tmp_path / "deep.png"))[:, :, 0]
    assert np.abs(read.astype(float) - values / 257).max() <= 1


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_transparent_parts_become_white(mode):
    picture = Image.new("RGBA", (8, 8), (*RED, 255))
    picture.paste((0, 0, 0, 0), (4, 0, 8, 8))
    source = {"RGBA": picture, "LA": picture.convert("LA"), "P": picture.quantize()}[mode]
    read = load_image(encoded(source))
    assert read.getpixel((7, 7)) == WHITE
    assert read.getpixel((0, 0)) != WHITE


def test_half_transparent_parts_are_mixed_with_white():
    assert load_image(Image.new("RGBA", (2, 2), (0, 0, 0, 128))).getpixel((0, 0)) == (127, 127, 127)


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_a_rotated_picture_is_turned_upright(two_colors, kind):
    exif = Image.Exif()
    exif[0x0112] = 6
    large = two_colors.resize((48, 32), Image.Resampling.NEAREST)
    picture = load_image(encoded(large, kind, exif=exif))
    assert picture.size == (32, 48)
    assert near(picture.getpixel((16, 0)), RED)
    assert near(picture.getpixel((16, 47)), BLUE)


@pytest.mark.parametrize(
    ("array", "size"),
    [
        (np.zeros((4, 6, 3), np.uint8), (6, 4)),
        (np.zeros((4, 6, 4), np.uint8), (6, 4)),
        (np.zeros((4, 6), np.uint8), (6, 4)),
        (np.zeros((4, 6), np.float32), (6, 4)),
        (np.zeros((4, 6), bool), (6, 4)),
    ],
)
def test_arrays_are_read(array, size):
    assert load_image(array).size == size


@pytest.mark.parametrize("shape", [(4, 6, 3, 1), (4, 6, 7), (0, 6, 3), (4, 0)])
def test_arrays_that_are_no_pictures_are_named(shape):
    fails_in_one_line(np.zeros(shape, np.uint8))


@pytest.mark.parametrize(
    "source",
    ["absent.png", "", ".", "x" * 5000, "a\0b.png", None, 3, b"", b"This is a text."],
)
def test_what_is_no_picture_is_refused_in_one_line(source):
    fails_in_one_line(source)


def test_files_that_hold_no_picture_are_refused_by_name(tmp_path):
    cut = encoded(Image.new("RGB", (64, 64)))[:60]
    for name, content in (("story.txt", b"Once upon a time"), ("empty.png", b""), ("cut.png", cut)):
        (tmp_path / name).write_bytes(content)
        assert name in fails_in_one_line(tmp_path / name)


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF"])
def test_a_damaged_picture_never_ends_in_another_error(creatures, kind):
    content = encoded(creatures["test"][0]["image"].resize((32, 32)), kind)
    rng = np.random.default_rng(0)
    refused = 0
    for turn in range(60):
        damaged = np.frombuffer(content, np.uint8).copy()
        if turn % 2:
            damaged = damaged[: rng.integers(len(damaged))]
        else:
            damaged[rng.integers(len(damaged), size=8)] = rng.integers(0, 256, 8)
        try:
            assert load_image(damaged.tobytes()).mode == "RGB"
        except ImageError:
            refused += 1
    assert refused


def test_a_damaged_picture_that_pillow_opened_is_refused_too(pictures):
    cut = Image.open(io.BytesIO(encoded(pictures[0])[:2000]))
    fails_in_one_line(cut)


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
