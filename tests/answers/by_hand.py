"""Answers to the exercises of notebook 8."""

import inspect
import math

import torch
from torch.nn import functional

from helpers import by_hand
from helpers.by_hand import layer_norm, linear, several_heads


def changed(function, *pairs):
    """The right source with something else in some places."""
    source = inspect.getsource(function)
    for before, after in pairs:
        assert before in source, before
        source = source.replace(before, after)
    names = dict(vars(by_hand))
    exec(source, names)
    return names[function.__name__]


def normed_in_place(x, weight, bias, eps):
    x -= x.mean(dim=-1, keepdim=True)
    x /= (x.square().mean(dim=-1, keepdim=True) + eps).sqrt()
    return x * weight + bias


def softmax_in_place(scores):
    scores -= scores.max(dim=-1, keepdim=True).values
    return scores.exp() / scores.exp().sum(dim=-1, keepdim=True)


def attends_without_mask(queries, keys, values, mask):
    shares = (queries @ keys.mT / queries.shape[-1] ** 0.5).softmax(dim=-1)
    return shares @ values, shares


def attends_with_zeros(queries, keys, values, mask):
    shares = (queries @ keys.mT / queries.shape[-1] ** 0.5 * mask).softmax(dim=-1)
    return shares @ values, shares


def attends_with_the_keys_width(queries, keys, values, mask):
    scores = queries @ keys.mT / keys.shape[-2] ** 0.5
    shares = scores.masked_fill(~mask, -math.inf).softmax(dim=-1)
    return shares @ values, shares


def one_head(x, block, mask):
    query, key, value, last = block.attention
    mixed, shares = by_hand.attend(linear(x, query), linear(x, key), linear(x, value), mask)
    return linear(mixed, last), shares


def heads_from_the_first(x, block, mask):
    new, shares = several_heads(x, block, mask)
    return new, shares[:, :1]


def never_appends(next_logits, start, end, longest):
    ids = [start]
    for _ in range(longest - 1):
        token = int(next_logits(ids).argmax())
        if token == end:
            break
    return ids


def of_fixed_tokens(next_logits, start, end, longest):
    return by_hand.write(next_logits, 2, 3, longest)


def told_by_probability(next_logits, start, end, longest):
    ids = [start]
    while ids[-1] != end and len(ids) < longest:
        ids.append(float(next_logits(ids).softmax(-1).max()))
    return ids


def with_its_end_left_out(next_logits, start, end, longest):
    ids = [start]
    while len(ids) < longest:
        token = int(next_logits(ids).argmax())
        if token == end:
            return ids
        ids.append(token)
    return ids


WRONG = {
    "check_patches_of": [
        lambda pictures, size: pictures.reshape(len(pictures), -1, pictures.shape[1] * size * size),
        lambda pictures, size: functional.unfold(pictures, size, stride=size),
        lambda pictures, size: functional.unfold(pictures, size, stride=size).mT.tolist(),
        lambda pictures, size: functional.unfold(pictures.mT, size, stride=size).mT,
        lambda pictures, size: by_hand.patches_of(pictures, size).flatten(0, 1),
        lambda pictures, size: by_hand.patches_of(pictures, size)[0],
        changed(by_hand.patches_of, ("0, 2, 4, 1, 3, 5", "0, 2, 4, 3, 5, 1")),
    ],
    "check_embed_patches": [
        lambda patches, git: patches @ git.projection.T + git.patch_places[1:],
        lambda patches, git: patches @ git.projection + git.patch_places,
        changed(by_hand.embed_patches, ("len(patches), 1, -1", "1, 1, -1")),
        changed(by_hand.embed_patches, ("[first, projected]", "[projected, first]")),
        changed(by_hand.embed_patches, ("row + git", "row * git")),
        changed(by_hand.embed_patches, ("row + git.patch_places", "row + git.patch_places.flip(0)")),
    ],
    "check_layer_norm": [
        normed_in_place,
        lambda x, weight, bias, eps: (x - x.mean()) / (x.var(correction=0) + eps).sqrt() * weight + bias,
        lambda x, weight, bias, eps: (x - x.mean(-1, keepdim=True)) / (x.std(-1, keepdim=True) + eps) * weight + bias,
        lambda x, weight, bias, eps: functional.layer_norm(x, x.shape[-1:], weight, bias),
        lambda x, weight, bias, eps: functional.layer_norm(x, x.shape[-1:], eps=eps),
        lambda x, weight, bias, eps: functional.layer_norm(x, x.shape[-1:], weight, bias, eps).tolist(),
        lambda x, weight, bias, eps: (x - x.mean(1, keepdim=True)) * weight + bias,
    ],
    "check_softmax": [
        softmax_in_place,
        lambda scores: scores.exp() / scores.exp().sum(dim=-1, keepdim=True),
        lambda scores: scores.softmax(dim=0),
        lambda scores: scores / scores.sum(dim=-1, keepdim=True),
        lambda scores: scores.log_softmax(dim=-1),
        lambda scores: scores.flatten().softmax(0).view(scores.shape),
        lambda scores: (scores - scores.max()).exp() / (scores - scores.max()).exp().sum(-1, keepdim=True),
    ],
    "check_attend": [
        attends_without_mask,
        attends_with_zeros,
        attends_with_the_keys_width,
        lambda *given: by_hand.attend(*given)[0],
        lambda *given: by_hand.attend(*given)[::-1],
        changed(by_hand.attend, ("** 0.5", "")),
        changed(by_hand.attend, ("softmax(scores)", "scores.softmax(dim=1)")),
    ],
    "check_several_heads": [
        one_head,
        heads_from_the_first,
        lambda *given: several_heads(*given)[0],
        changed(several_heads, ("split(linear(x, value))", "split(linear(x, key))")),
        changed(several_heads, ("mixed.transpose(1, 2).flatten(2)", "mixed.flatten(1, 2)")),
        changed(
            several_heads,
            (".unflatten(-1, (block.heads, -1)).transpose(1, 2)", ".view(len(x), block.heads, x.shape[1], -1)"),
        ),
    ],
    "check_vision_block": [
        lambda x, block: several_heads(x, block, torch.ones(x.shape[1], x.shape[1]).bool())[0],
        lambda x, block: by_hand.text_block(x, block, torch.ones(x.shape[1], x.shape[1]).bool()),
        changed(by_hand.vision_block, (".bool)", ".bool).tril()")),
        changed(by_hand.vision_block, ("1.702", "1")),
        changed(by_hand.vision_block, ("block.norm_2", "block.norm_1")),
        changed(by_hand.vision_block, ("x = x + seen", "x += seen")),
    ],
    "check_see": [
        changed(
            by_hand.see,
            ("    for block in git.vision:\n        row = ", "    for block in git.vision[:4]:\n        x = "),
        ),
        changed(by_hand.see, ("git.patch_size", "12")),
        changed(by_hand.see, ("row = vision_block(row, block)", "row = vision_block(row, git.vision[0])")),
        changed(
            by_hand.see,
            ("return layer_norm(row, *git.to_text_norm)", "return row"),
        ),
        changed(by_hand.see, ("    row = layer_norm(row, *git.norm_after)\n", "")),
        lambda pictures, git: by_hand.see(pictures, git)[:, 1:],
    ],
    "check_embed_tokens": [
        lambda ids, git: git.words[ids],
        lambda ids, git: git.words[ids] + git.word_places[: ids.shape[1]],
        lambda ids, git: layer_norm(git.words[ids] + git.word_places[1 : 1 + ids.shape[1]], *git.text_norm),
        lambda ids, git: layer_norm(git.words[ids], *git.text_norm) + git.word_places[: ids.shape[1]],
        lambda ids, git: layer_norm(git.words[ids] + git.word_places[len(ids)], *git.text_norm),
        lambda ids, git: layer_norm(git.words[ids[0]] + git.word_places[: ids.shape[1]], *git.text_norm),
    ],
    "check_mask_of": [
        lambda picture, text: torch.ones(picture + text, picture + text).tril(),
        lambda picture, text: torch.ones(picture + text, picture + text).bool(),
        lambda picture, text: torch.ones(text, text).bool().tril(),
        lambda picture, text: ~by_hand.mask_of(picture, text),
        lambda picture, text: by_hand.mask_of(picture, text).T,
        lambda picture, text: by_hand.mask_of(picture, text).int(),
        lambda picture, text: by_hand.mask_of(text, picture),
        lambda picture, text: by_hand.mask_of(3, 4),
    ],
    "check_text_block": [
        lambda x, block, mask: by_hand.vision_block(x, block),
        lambda x, block, mask: several_heads(x, block, mask)[0],
        changed(by_hand.text_block, ("block, mask", "block, ~mask")),
        changed(by_hand.text_block, ("x + seen", "seen")),
        changed(by_hand.text_block, (".gelu", ".relu")),
        changed(by_hand.text_block, ("block.norm_1", "block.norm_2")),
    ],
    "check_logits_of": [
        lambda seen, ids, git: linear(by_hand.embed_tokens(ids, git), git.output),
        lambda seen, ids, git: by_hand.logits_of(seen, ids, git)[:, -1],
        lambda seen, ids, git: by_hand.logits_of(seen, ids, git).softmax(dim=-1),
        lambda seen, ids, git: by_hand.logits_of(seen, ids, git).argmax(dim=-1),
        changed(by_hand.logits_of, ("seen.shape[1] :", "65:")),
        changed(by_hand.logits_of, ("mask_of(seen.shape[1], ids.shape[1])", "mask_of(0, row.shape[1])")),
        changed(by_hand.logits_of, ("git.text:", "git.text[:1]:")),
    ],
    "check_loss_of": [
        lambda logits, ids, mask: functional.cross_entropy(logits.flatten(0, 1), ids.flatten()),
        lambda logits, ids, mask: functional.cross_entropy(logits[:, 1:].flatten(0, 1), ids[:, :-1].flatten()),
        lambda logits, ids, mask: functional.cross_entropy(logits[:, :-1].mT, ids[:, 1:], ignore_index=0),
        lambda logits, ids, mask: functional.cross_entropy(logits[:, :-1].mT, ids[:, 1:], reduction="sum"),
        lambda logits, ids, mask: -by_hand.loss_of(logits, ids, mask),
        changed(by_hand.loss_of, ("- logits.logsumexp(dim=-1, keepdim=True)", ".softmax(-1).log()")),
        changed(by_hand.loss_of, ("counted = attention_mask[:, 1:]", "counted = attention_mask[:, :-1]")),
        changed(by_hand.loss_of, ("-right[counted].mean()", "-(right * counted).mean()")),
    ],
    "check_write": [
        never_appends,
        of_fixed_tokens,
        told_by_probability,
        with_its_end_left_out,
        lambda next_logits, start, end, longest: [start],
        lambda next_logits, start, end, longest: torch.tensor(by_hand.write(next_logits, start, end, longest)),
        changed(by_hand.write, ("argmax", "argmin")),
    ],
}
