"""A picture, read safely; captions, in batches."""

from __future__ import annotations

import http.client
import io
import threading
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageOps
from transformers import PreTrainedModel

from helpers.families import generation_inputs, tokenizer_of
from helpers.settings import resolve
from helpers.transforms import normalized_pixels, picture_pixels

MAX_BYTES = 20_000_000
MAX_PIXELS = 50_000_000
FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF")
TIMEOUT = 10  # seconds


class ImageError(ValueError):
    """A picture that cannot be used; the message says which and why."""


@dataclass(frozen=True)
class Caption:
    """What the model says of one picture.

    Attributes:
        text: the caption.
        confidence: geometric mean of the token probabilities, end token included, 0 to 1.
        words: each word with its probability, which multiplies those of its pieces.
    """

    text: str
    confidence: float
    words: tuple[tuple[str, float], ...]

    def __str__(self) -> str:
        return self.text


def load_image(source: Any) -> Image.Image:
    """Reads a picture from wherever it is.

    Args:
        source: a path, an http(s) address, bytes, an array (height, width[, channels]) or a PIL picture.

    Returns:
        An RGB picture, upright (EXIF), fully loaded; transparent parts are white.

    Raises:
        ImageError: there is no picture, it is damaged, or it is larger than MAX_BYTES or MAX_PIXELS.
    """
    if isinstance(source, Image.Image):
        try:
            return _upright(source, "The picture")
        except (OSError, SyntaxError) as error:
            raise ImageError(f"The picture is damaged: {error}.") from None
    if isinstance(source, np.ndarray):
        try:
            return _upright(Image.fromarray(source), "The array")
        except (TypeError, ValueError) as error:
            raise ImageError(f"An array of {source.shape} {source.dtype} is no picture: {error}.") from None
    if isinstance(source, bytes):
        return _opened(source, "The bytes")
    name = str(source)
    if name.startswith(("http://", "https://")):
        return _opened(_fetched(name), name)
    try:
        path = resolve(name)
        there = path.is_file()
    except OSError as error:
        raise ImageError(f"{name[:80]}… cannot be opened: {error.strerror}.") from None
    if not there:
        raise ImageError(f"{name} is no file; check the spelling (looked for {path}).")
    if path.stat().st_size > MAX_BYTES:
        raise ImageError(f"{name} has {path.stat().st_size:,} bytes; the limit is {MAX_BYTES:,}.")
    return _opened(path.read_bytes(), name)


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        """Says nothing: each request would print a line into the notebook."""


@contextmanager
def serve_folder(folder: str | Path) -> Iterator[str]:
    """Serves a folder on this machine while the block runs, and gives its address: http://127.0.0.1:port."""
    handler = partial(_Quiet, directory=str(resolve(folder)))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()


def _fetched(address: str) -> bytes:
    try:
        with urllib.request.urlopen(address, timeout=TIMEOUT) as answer:
            content = answer.read(MAX_BYTES + 1)
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise ImageError(f"{address} could not be read: {' '.join(str(error).split())}.") from None
    if len(content) > MAX_BYTES:
        raise ImageError(f"{address} has more than {MAX_BYTES:,} bytes, the limit.")
    return content


def _opened(content: bytes, name: str) -> Image.Image:
    try:
        picture = Image.open(io.BytesIO(content), formats=FORMATS)
        width, height = picture.size
        if width * height > MAX_PIXELS:
            raise ImageError(f"{name} has {width} x {height} pixels; the limit is {MAX_PIXELS:,}.")
        return _upright(picture, name)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        if isinstance(error, ImageError):
            raise
        raise ImageError(f"{name} is no picture that can be read ({', '.join(FORMATS)}), or it is damaged.") from None


def _upright(picture: Image.Image, name: str) -> Image.Image:
    if 0 in picture.size:
        raise ImageError(f"{name} has no pixels.")
    picture = ImageOps.exif_transpose(picture)
    if picture.mode.startswith("I;16") or picture.mode in ("I", "F"):
        values = np.asarray(picture, dtype=np.float64)
        span = max(values.max() - values.min(), 1e-9)
        picture = Image.fromarray(((values - values.min()) / span * 255).astype(np.uint8))
    if picture.has_transparency_data:
        picture = picture.convert("RGBA")
        white = Image.new("RGBA", picture.size, "white")
        picture = Image.alpha_composite(white, picture)
    return picture.convert("RGB")


@torch.inference_mode()
def caption_images(
    model: PreTrainedModel,
    processor: Any,
    images: Sequence[Any],
    *,
    batch_size: int = 8,
    num_beams: int = 1,
    max_new_tokens: int = 48,
) -> list[Caption]:
    """Captions pictures.

    Args:
        model: a captioner.
        processor: its processor.
        images: anything that `load_image` takes.
        batch_size: pictures at a time.
        num_beams: captions that the search keeps at a time; 1 is greedy.
        max_new_tokens: the most tokens of a caption, its end token included.

    Returns:
        A Caption for each picture, in order.
    """
    model.eval()
    said: list[Caption] = []
    for start in range(0, len(images), batch_size):
        pictures = [load_image(image) for image in images[start : start + batch_size]]
        pixels = normalized_pixels(picture_pixels(pictures, processor), processor).to(model.device)
        out = model.generate(
            **generation_inputs({"pixel_values": pixels}),
            num_beams=num_beams,
            max_new_tokens=max_new_tokens,
            do_sample=False,
            return_dict_in_generate=True,
            output_scores=True,
        )
        scores = model.compute_transition_scores(
            out.sequences, out.scores, getattr(out, "beam_indices", None), normalize_logits=True
        )
        made = out.sequences[:, -scores.shape[1] :]
        said += [_caption(ids, logs, processor) for ids, logs in zip(made.cpu(), scores.float().cpu(), strict=True)]
    return said


def _caption(token_ids: torch.Tensor, log_probabilities: torch.Tensor, processor: Any) -> Caption:
    """One Caption from its new tokens (tokens,) and their log-probabilities (tokens,)."""
    tokenizer = tokenizer_of(processor)
    ends = (token_ids == tokenizer.sep_token_id).nonzero()
    length = int(ends[0]) + 1 if len(ends) else len(token_ids)
    ids, logs = token_ids[:length].tolist(), log_probabilities[:length].tolist()
    words: list[list[Any]] = []
    for token, log in zip(tokenizer.convert_ids_to_tokens(ids), logs, strict=True):
        if token in tokenizer.all_special_tokens:
            continue
        if token.startswith("##") and words:
            words[-1] = [words[-1][0] + token[2:], words[-1][1] + log]
        else:
            words.append([token, log])
    return Caption(
        text=tokenizer.decode(ids, skip_special_tokens=True),
        confidence=float(np.exp(np.mean(logs))),
        words=tuple((word, float(np.exp(log))) for word, log in words),
    )
