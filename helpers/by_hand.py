"""GIT by hand: the image captioning transformer in plain torch, one short function a step; notebook 8 writes them."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from helpers.errors import CheckpointError
from helpers.paths import resolve

Linear = tuple[Tensor, Tensor]  # weight (out, in) and bias (out,)
Norm = tuple[Tensor, Tensor, float]  # weight and bias, (width,) each, and what is added to the variance

# What the parts of a block are called in a saved model, in the order in which `Block` has them.
VISION_NAMES = [f"self_attn.{name}_proj" for name in ("q", "k", "v", "out")]
VISION_NAMES += ["layer_norm1", "mlp.fc1", "mlp.fc2", "layer_norm2"]
TEXT_NAMES = [f"attention.{name}" for name in ("self.query", "self.key", "self.value", "output.dense")]
TEXT_NAMES += ["attention.output.LayerNorm", "intermediate.dense", "output.dense", "output.LayerNorm"]


class Block(NamedTuple):
    """An attention, a layer up to a larger width and one down again, and two norms."""

    attention: list[Linear]  # of queries, keys and values, and the one at its end
    heads: int
    norm_1: Norm
    up: Linear
    down: Linear
    norm_2: Norm


class Git(NamedTuple):
    """The weights of a GIT, in the order in which they are used."""

    patch_size: int  # pixels
    projection: Tensor  # (width, colours * patch_size * patch_size)
    class_token: Tensor  # (width,)
    patch_places: Tensor  # (1 + patches, width)
    norm_before: Norm
    vision: list[Block]
    norm_after: Norm
    to_text: Linear
    to_text_norm: Norm
    words: Tensor  # (vocabulary, width)
    word_places: Tensor  # (longest text, width)
    text_norm: Norm
    text: list[Block]
    output: Linear  # to the vocabulary


def read_weights(folder: str | Path) -> Git:
    """The weights of a saved GIT, on the CPU; CheckpointError where the folder holds none."""
    place = resolve(folder)

    def layer(name: str) -> Linear:
        return weights[f"{name}.weight"], weights[f"{name}.bias"]

    def norm(name: str, part: dict) -> Norm:
        return *layer(name), part["layer_norm_eps"]

    def blocks(start: str, names: list[str], part: dict) -> Iterator[Block]:
        for i in range(part["num_hidden_layers"]):
            *four, norm_1, up, down, norm_2 = (f"{start}.{i}.{name}" for name in names)
            attention, heads = [layer(name) for name in four], part["num_attention_heads"]
            yield Block(attention, heads, norm(norm_1, part), layer(up), layer(down), norm(norm_2, part))

    eye, projected, told = "git.image_encoder.vision_model", "git.visual_projection.visual_projection", "git.embeddings"
    try:
        text = json.loads((place / "config.json").read_text(encoding="utf-8"))
        weights, vision = load_file(place / "model.safetensors"), text["vision_config"]
        return Git(
            vision["patch_size"], weights[f"{eye}.embeddings.patch_embedding.weight"].flatten(1),
            weights[f"{eye}.embeddings.class_embedding"], weights[f"{eye}.embeddings.position_embedding.weight"],
            norm(f"{eye}.pre_layrnorm", vision), list(blocks(f"{eye}.encoder.layers", VISION_NAMES, vision)),
            norm(f"{eye}.post_layernorm", vision), layer(f"{projected}.0"), norm(f"{projected}.1", vision),
            weights[f"{told}.word_embeddings.weight"], weights[f"{told}.position_embeddings.weight"],
            norm(f"{told}.LayerNorm", text), list(blocks("git.encoder.layer", TEXT_NAMES, text)), layer("output"),
        )  # fmt: skip
    except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
        raise CheckpointError(f"{place} holds no GIT; give the folder of a saved one, as models/git-tiny.") from error


def linear(x: Tensor, layer: Linear) -> Tensor:
    """(..., in) -> (..., out)."""
    weight, bias = layer
    return x @ weight.T + bias


def patches_of(pictures: Tensor, size: int) -> Tensor:
    """(batch, colours, height, width) -> (batch, patches, colours * size * size), line by line."""
    batch, colours, height, width = pictures.shape
    rows, columns = height // size, width // size
    cut = pictures.reshape(batch, colours, rows, size, columns, size)
    cut = cut.permute(0, 2, 4, 1, 3, 5)  # (batch, rows, columns, colours, size, size)
    return cut.reshape(batch, rows * columns, colours * size * size)


def embed_patches(patches: Tensor, git: Git) -> Tensor:
    """(batch, patches, numbers) -> (batch, 1 + patches, width): a class token comes first."""
    projected = patches @ git.projection.T  # (batch, patches, width)
    first = git.class_token.expand(len(patches), 1, -1)  # (batch, 1, width)
    row = torch.cat([first, projected], dim=1)
    return row + git.patch_places


def layer_norm(x: Tensor, weight: Tensor, bias: Tensor, eps: float) -> Tensor:
    """(..., width), (width,), (width,) -> (..., width)."""
    mean = x.mean(dim=-1, keepdim=True)
    variance = ((x - mean) ** 2).mean(dim=-1, keepdim=True)
    normed = (x - mean) / (variance + eps).sqrt()
    return normed * weight + bias


def softmax(scores: Tensor) -> Tensor:
    """(..., looked at) -> the same shape: shares, which add up to 1."""
    highest = scores.max(dim=-1, keepdim=True).values  # e to a large number would be infinite
    powers = (scores - highest).exp()
    return powers / powers.sum(dim=-1, keepdim=True)


def attend(queries: Tensor, keys: Tensor, values: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """(..., look, width), twice (..., looked at, width) and (look, looked at) -> mixed values, shares."""
    scores = queries @ keys.transpose(-1, -2)  # (..., look, looked at)
    scores = scores / queries.shape[-1] ** 0.5
    scores = scores.masked_fill(~mask, float("-inf"))
    shares = softmax(scores)
    return shares @ values, shares


def several_heads(x: Tensor, block: Block, mask: Tensor) -> tuple[Tensor, Tensor]:
    """(batch, positions, width) -> the same shape, and shares (batch, heads, positions, positions)."""

    def split(row: Tensor) -> Tensor:  # (batch, positions, width) -> (batch, heads, positions, width / heads)
        return row.unflatten(-1, (block.heads, -1)).transpose(1, 2)

    query, key, value, last = block.attention
    queries = split(linear(x, query))
    keys = split(linear(x, key))
    values = split(linear(x, value))
    mixed, shares = attend(queries, keys, values, mask)
    joined = mixed.transpose(1, 2).flatten(2)  # (batch, positions, width)
    return linear(joined, last), shares


def vision_block(x: Tensor, block: Block) -> Tensor:
    """(batch, positions, width) -> the same shape: the norms come first, and all see each other."""
    everyone = torch.ones(x.shape[1], x.shape[1], dtype=torch.bool)
    normed = layer_norm(x, *block.norm_1)
    seen, _ = several_heads(normed, block, everyone)
    x = x + seen
    normed = layer_norm(x, *block.norm_2)
    wide = linear(normed, block.up)
    wide = wide * torch.sigmoid(1.702 * wide)  # quick GELU
    return x + linear(wide, block.down)


def see(pictures: Tensor, git: Git) -> Tensor:
    """(batch, colours, height, width) -> picture tokens, (batch, 1 + patches, width of the text)."""
    patches = patches_of(pictures, git.patch_size)
    row = embed_patches(patches, git)
    row = layer_norm(row, *git.norm_before)
    for block in git.vision:
        row = vision_block(row, block)
    row = layer_norm(row, *git.norm_after)
    row = linear(row, git.to_text)
    return layer_norm(row, *git.to_text_norm)


def embed_tokens(ids: Tensor, git: Git) -> Tensor:
    """(batch, tokens) -> (batch, tokens, width)."""
    row = git.words[ids]
    row = row + git.word_places[: ids.shape[1]]
    return layer_norm(row, *git.text_norm)


def mask_of(picture: int, text: int) -> Tensor:
    """Numbers of positions -> bool, (picture + text, picture + text): who may look at whom."""
    length = picture + text
    mask = torch.ones(length, length, dtype=torch.bool).tril()
    mask[:picture, :picture] = True
    return mask


def text_block(x: Tensor, block: Block, mask: Tensor) -> Tensor:
    """(batch, positions, width) -> the same shape: each norm comes after its sum."""
    seen, _ = several_heads(x, block, mask)
    x = layer_norm(x + seen, *block.norm_1)
    wide = linear(x, block.up)
    wide = torch.nn.functional.gelu(wide)
    x = x + linear(wide, block.down)
    return layer_norm(x, *block.norm_2)


def logits_of(seen: Tensor, ids: Tensor, git: Git) -> Tensor:
    """Picture tokens (batch, picture, width) and ids (batch, tokens) -> (batch, tokens, vocabulary)."""
    told = embed_tokens(ids, git)
    row = torch.cat([seen, told], dim=1)
    mask = mask_of(seen.shape[1], ids.shape[1])
    for block in git.text:
        row = text_block(row, block, mask)
    text = row[:, seen.shape[1] :]
    return linear(text, git.output)


def loss_of(logits: Tensor, ids: Tensor, attention_mask: Tensor) -> Tensor:
    """(batch, tokens, vocabulary), (batch, tokens), 1 on tokens and 0 on padding -> nats per token."""
    logs = logits - logits.logsumexp(dim=-1, keepdim=True)  # logarithms of probabilities
    logs, following = logs[:, :-1], ids[:, 1:]
    right = logs.gather(-1, following[..., None]).squeeze(-1)  # (batch, tokens - 1)
    counted = attention_mask[:, 1:] == 1
    return -right[counted].mean()


def write(next_logits: Callable[[list[int]], Tensor], start: int, end: int, longest: int) -> list[int]:
    """`next_logits(ids)` gives (vocabulary,) -> ids from `start` to `end`, at most `longest` of them."""
    ids = [start]
    while ids[-1] != end and len(ids) < longest:
        logits = next_logits(ids)
        ids.append(int(logits.argmax()))
    return ids
