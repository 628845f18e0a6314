"""Right answers to all exercises, by somebody who worked through the course."""

import math
import re

import numpy as np
import torch
from PIL import Image
from torch.nn import functional as F
from torch.nn.functional import cross_entropy

from helpers.creatures import facts_of


def matching(columns, wanted):
    rows = []
    for i in range(len(next(iter(columns.values())))):
        if all(columns[name][i] == value for name, value in wanted.items()):
            rows.append(i)
    return rows


def laziest(columns):
    return {name: max(set(values), key=values.count) for name, values in columns.items()}


def nearest(train, test):
    return [min(sum(a != b for a, b in zip(p, q, strict=False)) for q in train) for p in test]


def pieces(word, vocabulary):
    found = []
    start = 0
    while start < len(word):
        for end in range(len(word), start, -1):
            piece = word[start:end] if start == 0 else "##" + word[start:end]
            if piece in vocabulary:
                found.append(piece)
                break
        else:
            return ["[UNK]"]
        start = end
    return found


def padding_share(lengths, size):
    total = 0
    for i in range(0, len(lengths), size):
        batch = lengths[i : i + size]
        total += max(batch) * len(batch)
    return 1 - sum(lengths) / total


def pad_to_square(picture):
    side = max(picture.size)
    square = Image.new("RGB", (side, side), "white")
    square.paste(picture, ((side - picture.width) // 2, (side - picture.height) // 2))
    return square


def labels_of(input_ids, attention_mask):
    return input_ids.masked_fill(attention_mask == 0, -100)


def normalized(pixels, mean, std):
    mean = torch.tensor(mean)[:, None, None]
    std = torch.tensor(std)[:, None, None]
    return (pixels / 255 - mean) / std


def with_other_pictures(batch):
    changed = {name: batch[name].roll(1, 0) for name in ("input_ids", "attention_mask", "labels")}
    return {**batch, **changed}


def epochs_for(steps, pictures, batch_size):
    batches = math.ceil(pictures / batch_size)
    return math.ceil(steps / batches)


def training_step(model, batch, optimizer, loss_of):
    loss = loss_of(model, batch)
    loss.backward()
    optimizer.step()
    optimizer.zero_grad()
    return loss.item()


def whole_loss(parts):
    parts = list(parts)
    total = sum(cross_entropy(logits, labels, reduction="sum") for logits, labels in parts)
    tokens = sum((labels != -100).sum() for _, labels in parts)
    return total / tokens


def faults(named, truth):
    wrong = sum(1 for part, value in named.items() if part in truth and truth[part] != value)
    left_out = sum(1 for part in truth if part not in named)
    invented = sum(1 for part in named if part not in truth)
    return wrong, left_out, invented


def fewest_errors(reference, caption):
    reference, caption = reference.split(), caption.split()
    row = list(range(len(caption) + 1))
    for i, word in enumerate(reference, start=1):
        new = [i]
        for j, said in enumerate(caption, start=1):
            new.append(min(row[j - 1] + (word != said), row[j] + 1, new[j - 1] + 1))
        row = new
    return row[-1]


def interval(values, repeats, seed):
    generator = np.random.default_rng(seed)
    means = [generator.choice(values, len(values)).mean() for _ in range(repeats)]
    low, high = np.percentile(means, [2.5, 97.5])
    return low, high


def until_end(token_ids, end):
    said = []
    for row in token_ids.tolist():
        row = row[1:]
        said.append(row[: row.index(end)] if end in row else row)
    return said


def confidence_of(probabilities):
    logs = probabilities.log()
    return logs.mean().exp().item()


def keep_top(logits, top_p):
    probabilities = logits.softmax(dim=-1)
    values, places = probabilities.sort(descending=True)
    kept = torch.full_like(logits, float("-inf"))
    total = 0.0
    for value, place in zip(values.tolist(), places.tolist(), strict=False):
        kept[place] = logits[place]
        total = total + value
        if total >= top_p:
            break
    return kept


def auroc(confidence, right):
    good = [c for c, r in zip(confidence, right, strict=False) if r]
    bad = [c for c, r in zip(confidence, right, strict=False) if not r]
    won = sum((g > b) + 0.5 * (g == b) for g in good for b in bad)
    return won / (len(good) * len(bad))


def least_sure(confidences, share):
    places = sorted(range(len(confidences)), key=lambda place: confidences[place])
    return places[: round(share * len(places))]


def named_share(captions, keywords):
    shares = []
    for caption, wanted in zip(captions, keywords, strict=True):
        said = re.findall(r"\w+", caption.lower())
        shares.append(sum(word.lower() in said for word in wanted) / len(wanted))
    return shares


def top_patch(falls, words):
    word, row, column = np.unravel_index(falls.argmax(), falls.shape)
    return words[word], int(row) + 1, int(column) + 1


def token_accuracy(predicted, labels, mask, image_positions):
    text = predicted[:, image_positions:]
    right = text[:, :-1] == labels[:, 1:]
    return right[mask[:, 1:]].float().mean().item()


def linear(x, layer):
    weight, bias = layer
    return x @ weight.T + bias


def patches_of(pictures, size):
    batch, colours, height, width = pictures.shape
    cut = pictures.reshape(batch, colours, height // size, size, width // size, size)
    cut = cut.permute(0, 2, 4, 1, 3, 5)
    return cut.reshape(batch, (height // size) * (width // size), colours * size * size)


def embed_patches(patches, git):
    x = patches @ git.projection.T
    first = git.class_token.expand(len(x), 1, -1)
    x = torch.cat([first, x], dim=1)
    return x + git.patch_places


def layer_norm(x, weight, bias, eps):
    mean = x.mean(dim=-1, keepdim=True)
    variance = ((x - mean) ** 2).mean(dim=-1, keepdim=True)
    return (x - mean) / (variance + eps).sqrt() * weight + bias


def softmax(scores):
    largest = scores.max(dim=-1, keepdim=True).values
    powers = (scores - largest).exp()
    return powers / powers.sum(dim=-1, keepdim=True)


def attend(queries, keys, values, mask):
    scores = queries @ keys.transpose(-1, -2) / math.sqrt(queries.shape[-1])
    scores = scores.masked_fill(~mask, -math.inf)
    shares = softmax(scores)
    return shares @ values, shares


def several_heads(x, block, mask):
    batch, positions, width = x.shape
    *three, last = block.attention
    split = [
        linear(x, layer).reshape(batch, positions, block.heads, width // block.heads).transpose(1, 2) for layer in three
    ]
    mixed, shares = attend(*split, mask)
    joined = mixed.transpose(1, 2).reshape(batch, positions, width)
    return linear(joined, last), shares


def vision_block(x, block):
    everyone = torch.ones(x.shape[1], x.shape[1], dtype=torch.bool)
    mixed, _ = several_heads(layer_norm(x, *block.norm_1), block, everyone)
    x = x + mixed
    wide = linear(layer_norm(x, *block.norm_2), block.up)
    wide = wide * torch.sigmoid(1.702 * wide)
    return x + linear(wide, block.down)


def see(pictures, git):
    x = embed_patches(patches_of(pictures, git.patch_size), git)
    x = layer_norm(x, *git.norm_before)
    for block in git.vision:
        x = vision_block(x, block)
    x = layer_norm(x, *git.norm_after)
    x = linear(x, git.to_text)
    return layer_norm(x, *git.to_text_norm)


def embed_tokens(ids, git):
    x = git.words[ids]
    x = x + git.word_places[: ids.shape[1]]
    return layer_norm(x, *git.text_norm)


def mask_of(picture, text):
    mask = torch.ones(picture + text, picture + text, dtype=torch.bool).tril()
    mask[:, :picture] = True
    return mask


def text_block(x, block, mask):
    mixed, _ = several_heads(x, block, mask)
    x = layer_norm(x + mixed, *block.norm_1)
    wide = F.gelu(linear(x, block.up))
    return layer_norm(x + linear(wide, block.down), *block.norm_2)


def logits_of(seen, ids, git):
    x = torch.cat([seen, embed_tokens(ids, git)], dim=1)
    mask = mask_of(seen.shape[1], ids.shape[1])
    for block in git.text:
        x = text_block(x, block, mask)
    return linear(x[:, seen.shape[1] :], git.output)


def loss_of(logits, ids, attention_mask):
    logs = logits - logits.logsumexp(dim=-1, keepdim=True)
    right = logs[:, :-1].gather(-1, ids[:, 1:, None])[..., 0]
    real = attention_mask[:, 1:].bool()
    return -right[real].mean()


def write(next_logits, start, end, longest):
    ids = [start]
    while len(ids) < longest and (len(ids) == 1 or ids[-1] != end):
        ids.append(int(next_logits(ids).argmax()))
    return ids


def lora_numbers(rank, inputs, outputs):
    return rank * inputs + outputs * rank


def ways_apart(first, second):
    low1 = min(low for low, high in first)
    high1 = max(high for low, high in first)
    low2 = min(low for low, high in second)
    high2 = max(high for low, high in second)
    return low1 > high2 or low2 > high1


def recall_lost(before, after, true, value):
    asked = 0
    hits_before = 0
    hits_after = 0
    for i in range(len(true)):
        if true[i] == value:
            asked = asked + 1
            if before[i] == value:
                hits_before = hits_before + 1
            if after[i] == value:
                hits_after = hits_after + 1
    return (hits_before - hits_after) / asked


def contradictions(captions, creatures):
    rows = []
    for row in range(len(captions)):
        for part, value in facts_of(captions[row]).named:
            if creatures[row][part] != value:
                rows.append(row)
                break
    return rows


def never_named(captions, truth):
    there_all = set()
    named_all = set()
    for row in range(len(captions)):
        there = set()
        for part, values in truth.items():
            if values[row] not in ("none", "plain"):
                there.add((part, values[row]))
        named = set(facts_of(captions[row]).named)
        there_all = there_all | there
        named_all = named_all | (there & named)
    return there_all - named_all


def leaked(train, test):
    seen = set()
    for picture in train:
        seen.add((picture.size, picture.tobytes()))
    places = []
    for i in range(len(test)):
        if (test[i].size, test[i].tobytes()) in seen:
            places.append(i)
    return places


def known_words_only(names, known):
    words = set()
    for name in known:
        words.update(name.split())
    answers = []
    for name in names:
        answers.append(words.issuperset(name.split()))
    return answers


ANSWERS = {
    "check_lora_numbers": lora_numbers,
    "check_apart": ways_apart,
    "check_recall_lost": recall_lost,
    "check_matching": matching,
    "check_laziest": laziest,
    "check_nearest": nearest,
    "check_pieces": pieces,
    "check_padding_share": padding_share,
    "check_pad_to_square": pad_to_square,
    "check_labels": labels_of,
    "check_normalized": normalized,
    "check_with_other_pictures": with_other_pictures,
    "check_epochs_for": epochs_for,
    "check_training_step": training_step,
    "check_whole_loss": whole_loss,
    "check_faults": faults,
    "check_alignment": (1, 2, 3),
    "check_word_errors": fewest_errors,
    "check_interval": interval,
    "check_contradiction": (
        "a square creature, all red, that frowns and has pointy ears",
        "with a smile, long ears and a round body a creature all green",
    ),
    "check_until_end": until_end,
    "check_confidence": confidence_of,
    "check_auroc": auroc,
    "check_top_p": keep_top,
    "check_least_sure": least_sure,
    "check_named_share": named_share,
    "check_top_patch": top_patch,
    "check_token_accuracy": token_accuracy,
    "check_patches_of": patches_of,
    "check_embed_patches": embed_patches,
    "check_layer_norm": layer_norm,
    "check_softmax": softmax,
    "check_attend": attend,
    "check_several_heads": several_heads,
    "check_vision_block": vision_block,
    "check_see": see,
    "check_embed_tokens": embed_tokens,
    "check_mask_of": mask_of,
    "check_text_block": text_block,
    "check_logits_of": logits_of,
    "check_loss_of": loss_of,
    "check_write": write,
    "check_diagnosis": ({"A": 6, "B": 5, "C": 2, "D": 7, "E": 1, "F": 3},),
    "check_contradictions": contradictions,
    "check_never_named": never_named,
    "check_leaked": leaked,
    "check_put_together": known_words_only,
}
