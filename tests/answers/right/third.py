"""Right answers in less usual ways."""

import functools
import heapq
import re
import statistics
from collections import defaultdict
from functools import reduce
from hashlib import sha256

import numpy as np
import pandas as pd
import scipy.spatial
import scipy.stats
import torch
import torch.nn.functional as F
from PIL import ImageOps

from helpers import by_hand
from helpers.by_hand import linear
from helpers.creatures import facts_of


def matching_items(columns, wanted):
    rows = (dict(zip(columns, row, strict=False)) for row in zip(*columns.values(), strict=False))
    return [i for i, row in enumerate(rows) if wanted.items() <= row.items()]


def laziest_mode(columns):
    return dict(zip(columns, map(statistics.mode, columns.values()), strict=False))


def nearest_products(train, test):
    a, b = np.array(train), np.array(test)
    return (b @ (1 - a).T + (1 - b) @ a.T).min(axis=1).tolist()


def pieces_recursion(word, vocabulary, mark=""):
    if not word:
        return []
    for end in range(len(word), 0, -1):
        if mark + word[:end] in vocabulary:
            rest = pieces_recursion(word[end:], vocabulary, "##")
            return rest if rest == ["[UNK]"] else [mark + word[:end], *rest]
    return ["[UNK]"]


def padding_share_tensor(lengths, size):
    batches = torch.tensor(lengths).split(size)
    return 1 - sum(map(torch.sum, batches)) / sum(b.max() * len(b) for b in batches)


def square_expand(picture):
    w, h = picture.size
    dx, dy = max(h - w, 0), max(w - h, 0)
    return ImageOps.expand(picture, (dx // 2, dy // 2, dx - dx // 2, dy - dy // 2), "white")


def labels_where(input_ids, attention_mask):
    return torch.where(attention_mask > 0, input_ids, -100)


def normalized_batch_norm(pixels, mean, std):
    variance = torch.tensor(std) ** 2
    return F.batch_norm(pixels[None] / 255, torch.tensor(mean), variance, eps=0)[0]


def others_pixels(batch):
    return {**batch, "pixel_values": batch["pixel_values"].roll(1, 0)}


def epochs_range(steps, pictures, batch_size):
    return -(-steps // len(range(0, pictures, batch_size)))


def step_closure(model, batch, optimizer, loss_of):
    def closure():
        optimizer.zero_grad()
        loss = loss_of(model, batch)
        loss.backward()
        return loss

    loss = optimizer.step(closure)
    optimizer.zero_grad()
    return loss.item()


def whole_cat(parts):
    return F.cross_entropy(*map(torch.cat, zip(*parts, strict=False)))


def faults_sets(named, truth):
    both = named.keys() & truth.keys()
    return (
        len(both) - len(named.items() & truth.items()),
        len(truth.keys() - named.keys()),
        len(named.keys() - truth.keys()),
    )


def errors_reduce(reference, caption):
    words = caption.split()

    def step(row, word):
        new = [row[0] + 1]
        for j, other in enumerate(words):
            new.append(min(new[-1] + 1, row[j + 1] + 1, row[j] + (word != other)))
        return new

    return functools.reduce(step, reference.split(), list(range(len(words) + 1)))[-1]


def interval_multinomial(values, repeats, seed):
    n = len(values)
    counts = np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), size=repeats)
    return tuple(np.quantile(counts @ np.asarray(values) / n, [0.025, 0.975]))


def until_iter(token_ids, end):
    return [list(iter(iter(row[1:]).__next__, end)) for row in token_ids.tolist()]


def confidence_statistics(probabilities):
    return statistics.geometric_mean(probabilities.tolist())


def keep_top_by_mass_above(logits, top_p):
    """No sort: compares every pair of tokens; a tie goes to the lower index."""
    p = logits.double().softmax(dim=-1)
    place = torch.arange(len(p))
    ahead = (p[None, :] > p[:, None]) | ((p[None, :] == p[:, None]) & (place[None, :] < place[:, None]))
    before = (ahead * p[None, :]).sum(dim=-1)
    keep = (before < top_p) | ~ahead.any(dim=-1)
    return torch.where(keep, logits, torch.full_like(logits, float("-inf")))


def auroc_mann_whitney(confidence, right):
    confidence, right = np.array(confidence), np.array(right)
    u = scipy.stats.mannwhitneyu(confidence[right], confidence[~right]).statistic
    return u / (right.sum() * (~right).sum())


def sure_nsmallest(confidences, share):
    return heapq.nsmallest(round(share * len(confidences)), range(len(confidences)), key=confidences.__getitem__)


def named_findall(captions, keywords):
    found = [set(re.findall(r"\w+", c.casefold())) for c in captions]
    return [statistics.fmean(k.casefold() in f for k in ks) for f, ks in zip(found, keywords, strict=False)]


def top_unravel(falls, words):
    word, row, column = np.unravel_index(np.argmax(falls), falls.shape)
    return words[word], row + 1, column + 1


def accuracy_masked(predicted, labels, mask, image_positions):
    said = predicted[:, image_positions:-1].masked_select(mask[:, 1:].bool())
    return said.eq(labels[:, 1:].masked_select(mask[:, 1:].bool())).float().mean()


def patches_unshuffle(pictures, size):
    return F.pixel_unshuffle(pictures, size).flatten(2).transpose(1, 2)


def embed_pad(patches, git):
    row = F.pad(F.linear(patches, git.projection), (0, 0, 1, 0))
    row[:, 0] += git.class_token
    return row + git.patch_places


def norm_functional(x, weight, bias, eps):
    return F.layer_norm(x, x.shape[-1:], weight, bias, eps)


def softmax_functional(scores):
    return F.softmax(scores, dim=-1)


def attend_sdpa(queries, keys, values, mask):
    one = torch.eye(keys.shape[-2], dtype=keys.dtype).expand(*keys.shape[:-1], -1)
    shares = F.scaled_dot_product_attention(queries, keys, one, attn_mask=mask)
    return shares @ values, shares


def heads_library(x, block, mask):
    (q, qb), (k, kb), (v, vb), (o, ob) = block.attention
    rows = x.transpose(0, 1)
    mixed, shares = F.multi_head_attention_forward(
        rows, rows, rows, x.shape[-1], block.heads,
        torch.cat([q, k, v]), torch.cat([qb, kb, vb]), None, None, False, 0.0, o, ob,
        training=False, attn_mask=~mask, average_attn_weights=False,
    )  # fmt: skip
    return mixed.transpose(0, 1), shares


several_heads = by_hand.several_heads


def vision_silu(x, block):
    everyone = torch.ones(x.shape[1], x.shape[1], dtype=torch.bool)
    x = x + several_heads(F.layer_norm(x, x.shape[-1:], *block.norm_1), block, everyone)[0]
    up = F.linear(F.layer_norm(x, x.shape[-1:], *block.norm_2), *block.up)
    return x + F.linear(F.silu(1.702 * up) / 1.702, *block.down)


def see_reduce(pictures, git):
    row = by_hand.embed_patches(by_hand.patches_of(pictures, git.patch_size), git)
    row = functools.reduce(by_hand.vision_block, git.vision, by_hand.layer_norm(row, *git.norm_before))
    return by_hand.layer_norm(linear(by_hand.layer_norm(row, *git.norm_after), git.to_text), *git.to_text_norm)


def tokens_embedding(ids, git):
    rows = F.embedding(ids, git.words) + git.word_places[: ids.shape[1]]
    return F.layer_norm(rows, rows.shape[-1:], *git.text_norm)


def mask_clamp(picture, text):
    place = torch.arange(picture + text)
    return place < (place + 1).clamp(min=picture)[:, None]


def text_functional(x, block, mask):
    x = F.layer_norm(x + several_heads(x, block, mask)[0], x.shape[-1:], *block.norm_1)
    return F.layer_norm(x + F.linear(F.gelu(F.linear(x, *block.up)), *block.down), x.shape[-1:], *block.norm_2)


def logits_reduce(seen, ids, git):
    mask = by_hand.mask_of(seen.shape[1], ids.shape[1])
    row = torch.cat([seen, by_hand.embed_tokens(ids, git)], dim=1)
    row = functools.reduce(lambda x, block: by_hand.text_block(x, block, mask), git.text, row)
    return F.linear(row[:, -ids.shape[1] :], *git.output)


def loss_cross_entropy(logits, ids, attention_mask):
    labels = ids.masked_fill(attention_mask == 0, -100)[:, 1:]
    return F.cross_entropy(logits[:, :-1].mT, labels)


def write_recursion(next_logits, start, end, longest):
    def go(ids):
        if len(ids) >= longest or ids[-1] == end:
            return ids
        return go([*ids, int(next_logits(ids).argmax())])

    return go([start])


def low_rank_count(rank, inputs, outputs):
    """Lays the matrices out in no memory and counts their cells."""
    a = torch.empty(rank, inputs, device="meta")
    b = torch.empty(outputs, rank, device="meta")
    return reduce(lambda total, matrix: total + matrix.numel(), (a, b), 0)


def bands_apart(first, second):
    """Sorts the four ends: apart if the two lowest belong to one band, and do not touch."""
    bands = [(float(np.min(way)), float(np.max(way))) for way in (first, second)]
    (_, end), (begin, _) = sorted(bands)
    return end < begin


def less_recall(before, after, true, value):
    """Pandas: group mean of hits."""
    t = pd.DataFrame({"b": list(before), "a": list(after), "t": list(true)})
    t = t[t["t"] == value]
    return (t["b"] == value).mean() - (t["a"] == value).mean()


def contradictions_judge(captions, creatures):
    """Pandas: one row for each named fact, joined with the truth."""
    table = pd.DataFrame(
        [(row, part, value) for row, c in enumerate(captions) for part, value in facts_of(c).named],
        columns=["row", "part", "said"],
    )
    true = [creatures[row][part] for row, part in zip(table["row"], table["part"], strict=False)]
    return np.unique(table["row"][table["said"] != pd.Series(true, dtype=object)].to_numpy(dtype=int))


def never_named_counts(captions, truth):
    """Counts by fact: how often there, how often there and named; zero hits are never named."""
    counts = defaultdict(int)
    for row, values in enumerate(zip(*truth.values(), strict=False)):
        named = frozenset(facts_of(captions[row]).named)
        for fact in zip(truth, values, strict=False):
            if fact[1] not in ("none", "plain"):
                counts[fact] += fact in named
    return sorted(fact for fact, hits in counts.items() if not hits)


def leaked_differences(train, test):
    """Hashes of mode, size and pixels; numpy's isin; an array."""

    def key(picture):
        return sha256(repr((picture.mode, picture.size)).encode() + picture.tobytes()).hexdigest()

    return np.flatnonzero(np.isin([*map(key, test)], [*map(key, train)]))


def no_stranger_isin(names, known):
    """numpy's isin; an array."""
    words = np.array(" ".join(known).split(), dtype=str)
    return np.array([np.isin(np.array(name.split(), dtype=str), words).all() for name in names], dtype=bool)


ANSWERS = {
    "check_lora_numbers": low_rank_count,
    "check_apart": bands_apart,
    "check_recall_lost": less_recall,
    "check_matching": matching_items,
    "check_laziest": laziest_mode,
    "check_nearest": nearest_products,
    "check_pieces": pieces_recursion,
    "check_padding_share": padding_share_tensor,
    "check_pad_to_square": square_expand,
    "check_labels": labels_where,
    "check_normalized": normalized_batch_norm,
    "check_with_other_pictures": others_pixels,
    "check_epochs_for": epochs_range,
    "check_training_step": step_closure,
    "check_whole_loss": whole_cat,
    "check_faults": faults_sets,
    "check_word_errors": errors_reduce,
    "check_interval": interval_multinomial,
    "check_until_end": until_iter,
    "check_confidence": confidence_statistics,
    "check_auroc": auroc_mann_whitney,
    "check_top_p": keep_top_by_mass_above,
    "check_least_sure": sure_nsmallest,
    "check_named_share": named_findall,
    "check_top_patch": top_unravel,
    "check_token_accuracy": accuracy_masked,
    "check_patches_of": patches_unshuffle,
    "check_embed_patches": embed_pad,
    "check_layer_norm": norm_functional,
    "check_softmax": softmax_functional,
    "check_attend": attend_sdpa,
    "check_several_heads": heads_library,
    "check_vision_block": vision_silu,
    "check_see": see_reduce,
    "check_embed_tokens": tokens_embedding,
    "check_mask_of": mask_clamp,
    "check_text_block": text_functional,
    "check_logits_of": logits_reduce,
    "check_loss_of": loss_cross_entropy,
    "check_write": write_recursion,
    "check_alignment": (5, 0, 1),
    "check_contradiction": (
        "a drawing of a square red creature with pointy ears and a frown",
        "with a smile and long ears, a round creature, all green",
    ),
    "check_diagnosis": (dict(zip("ABCDEF", np.array([6, 5, 2, 7, 1, 3]), strict=True)),),
    "check_contradictions": contradictions_judge,
    "check_never_named": never_named_counts,
    "check_leaked": leaked_differences,
    "check_put_together": no_stranger_isin,
}
