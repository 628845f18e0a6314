"""Right answers to all exercises, as they come to mind."""

import math
import random
import re
from collections import Counter

import numpy as np
import torch
from PIL import Image
from torch.nn.functional import cross_entropy, gelu

from helpers.by_hand import linear
from helpers.creatures import facts_of


def matching(columns, wanted):
    count = len(next(iter(columns.values())))
    rows = []
    for row in range(count):
        if all(columns[name][row] == value for name, value in wanted.items()):
            rows.append(row)
    return rows


def laziest(columns):
    return {name: Counter(values).most_common(1)[0][0] for name, values in columns.items()}


def nearest(train, test):
    distances = []
    for picture in test:
        distances.append(min(sum(a != b for a, b in zip(picture, other, strict=False)) for other in train))
    return distances


def pieces(word, vocabulary):
    found = []
    start = 0
    while start < len(word):
        end = len(word)
        while end > start:
            piece = word[start:end]
            if start > 0:
                piece = "##" + piece
            if piece in vocabulary:
                break
            end -= 1
        if end == start:
            return ["[UNK]"]
        found.append(piece)
        start = end
    return found


def padding_share(lengths, size):
    positions = 0
    for i in range(0, len(lengths), size):
        batch = lengths[i : i + size]
        positions += max(batch) * len(batch)
    return 1 - sum(lengths) / positions


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
    return {**batch, "pixel_values": batch["pixel_values"].roll(1, dims=0)}


def epochs_for(steps, pictures, batch_size):
    per_epoch = math.ceil(pictures / batch_size)
    return math.ceil(steps / per_epoch)


def training_step(model, batch, optimizer, loss_of):
    loss = loss_of(model, batch)
    loss.backward()
    optimizer.step()
    optimizer.zero_grad()
    return loss.item()


def whole_loss(parts):
    total = 0
    count = 0
    for logits, labels in parts:
        total += cross_entropy(logits, labels, reduction="sum")
        count += (labels != -100).sum()
    return total / count


def faults(named, truth):
    wrong = sum(part in named and named[part] != value for part, value in truth.items())
    left_out = sum(part not in named for part in truth)
    invented = sum(part not in truth for part in named)
    return wrong, left_out, invented


def fewest_errors(reference, caption):
    reference, caption = reference.split(), caption.split()
    row = list(range(len(caption) + 1))
    for i, word in enumerate(reference, 1):
        new = [i]
        for j, other in enumerate(caption, 1):
            new.append(min(row[j] + 1, new[j - 1] + 1, row[j - 1] + (word != other)))
        row = new
    return row[-1]


def interval(values, repeats, seed):
    rng = random.Random(seed)
    means = []
    for _ in range(repeats):
        drawn = rng.choices(values, k=len(values))
        means.append(sum(drawn) / len(drawn))
    low, high = np.percentile(means, [2.5, 97.5])
    return low, high


good_score = "a square creature, all blue, that frowns and has round ears"

good_facts = "a creature that has long ears, smiles, and is round and green"


def until_end(token_ids, end):
    rows = []
    for row in token_ids[:, 1:].tolist():
        if end in row:
            row = row[: row.index(end)]
        rows.append(row)
    return rows


def confidence_of(probabilities):
    return probabilities.log().mean().exp().item()


def keep_top(logits, top_p):
    probabilities, order = logits.softmax(dim=-1).sort(descending=True)
    before = probabilities.cumsum(dim=-1) - probabilities
    kept = order[before < top_p]
    out = torch.full_like(logits, -torch.inf)
    out[kept] = logits[kept]
    return out


def auroc(confidence, right):
    yes = [c for c, r in zip(confidence, right, strict=False) if r]
    no = [c for c, r in zip(confidence, right, strict=False) if not r]
    wins = 0
    for a in yes:
        for b in no:
            if a > b:
                wins += 1
            elif a == b:
                wins += 0.5
    return wins / (len(yes) * len(no))


def least_sure(confidences, share):
    places = sorted(range(len(confidences)), key=lambda i: confidences[i])
    return places[: round(share * len(places))]


def named_share(captions, keywords):
    shares = []
    for caption, wanted in zip(captions, keywords, strict=False):
        words = set(re.findall(r"\w+", caption.lower()))
        shares.append(sum(word.lower() in words for word in wanted) / len(wanted))
    return shares


def top_patch(falls, words):
    word, row, column = np.unravel_index(falls.argmax(), falls.shape)
    return words[word], row + 1, column + 1


def token_accuracy(predicted, labels, mask, image_positions):
    predicted = predicted[:, image_positions:-1]
    labels, mask = labels[:, 1:], mask[:, 1:]
    return (predicted == labels)[mask].float().mean()


def patches_of(pictures, size):
    batch, colours, height, width = pictures.shape
    cut = pictures.reshape(batch, colours, height // size, size, width // size, size)
    cut = cut.permute(0, 2, 4, 1, 3, 5)
    return cut.reshape(batch, -1, colours * size * size)


def embed_patches(patches, git):
    x = patches @ git.projection.T
    first = git.class_token.expand(len(x), 1, -1)
    x = torch.cat([first, x], dim=1)
    return x + git.patch_places


def layer_norm(x, weight, bias, eps):
    mean = x.mean(dim=-1, keepdim=True)
    var = x.var(dim=-1, keepdim=True, correction=0)
    return (x - mean) / torch.sqrt(var + eps) * weight + bias


def softmax(scores):
    scores = scores - scores.max(dim=-1, keepdim=True).values
    powers = scores.exp()
    return powers / powers.sum(dim=-1, keepdim=True)


def attend(queries, keys, values, mask):
    scores = queries @ keys.transpose(-2, -1)
    scores = scores / math.sqrt(queries.shape[-1])
    scores = scores.masked_fill(~mask, -math.inf)
    shares = softmax(scores)
    return shares @ values, shares


def several_heads(x, block, mask):
    batch, positions, width = x.shape
    split = []
    for layer in block.attention[:3]:
        split.append(linear(x, layer).reshape(batch, positions, block.heads, -1).transpose(1, 2))
    mixed, shares = attend(*split, mask)
    joined = mixed.transpose(1, 2).reshape(batch, positions, width)
    return linear(joined, block.attention[3]), shares


def vision_block(x, block):
    everyone = torch.ones(x.shape[1], x.shape[1], dtype=torch.bool)
    x = x + several_heads(layer_norm(x, *block.norm_1), block, everyone)[0]
    wide = linear(layer_norm(x, *block.norm_2), block.up)
    wide = wide * torch.sigmoid(1.702 * wide)
    return x + linear(wide, block.down)


def see(pictures, git):
    x = embed_patches(patches_of(pictures, git.patch_size), git)
    x = layer_norm(x, *git.norm_before)
    for block in git.vision:
        x = vision_block(x, block)
    x = layer_norm(x, *git.norm_after)
    return layer_norm(linear(x, git.to_text), *git.to_text_norm)


def embed_tokens(ids, git):
    x = git.words[ids] + git.word_places[: ids.shape[1]]
    return layer_norm(x, *git.text_norm)


def mask_of(picture, text):
    mask = torch.zeros(picture + text, picture + text, dtype=torch.bool)
    mask[:, :picture] = True
    mask[picture:, picture:] = torch.ones(text, text).tril().bool()
    return mask


def text_block(x, block, mask):
    x = layer_norm(x + several_heads(x, block, mask)[0], *block.norm_1)
    wide = gelu(linear(x, block.up))
    return layer_norm(x + linear(wide, block.down), *block.norm_2)


def logits_of(seen, ids, git):
    text = embed_tokens(ids, git)
    x = torch.cat([seen, text], dim=1)
    mask = mask_of(seen.shape[1], ids.shape[1])
    for block in git.text:
        x = text_block(x, block, mask)
    return linear(x[:, seen.shape[1] :], git.output)


def loss_of(logits, ids, attention_mask):
    logs = logits.log_softmax(dim=-1)[:, :-1]
    right = logs.gather(-1, ids[:, 1:, None]).squeeze(-1)
    counts = attention_mask[:, 1:]
    return -(right * counts).sum() / counts.sum()


def write(next_logits, start, end, longest):
    ids = [start]
    for _ in range(longest - 1):
        token = int(next_logits(ids).argmax())
        ids.append(token)
        if token == end:
            break
    return ids


def adapter_size(rank, inputs, outputs):
    return rank * (inputs + outputs)


def no_overlap(first, second):
    (low1, high1), (low2, high2) = ((np.min(way, axis=0)[0], np.max(way, axis=0)[1]) for way in (first, second))
    return low1 > high2 or low2 > high1


def forgotten(before, after, true, value):
    before, after, true = map(np.array, (before, after, true))
    asked = true == value
    return (before[asked] == value).mean() - (after[asked] == value).mean()


def contradictions(captions, creatures):
    return [
        row
        for row, (caption, creature) in enumerate(zip(captions, creatures, strict=True))
        if any(creature[part] != value for part, value in facts_of(caption).named)
    ]


def never_named(captions, truth):
    there, named = set(), set()
    for caption, values in zip(captions, zip(*truth.values(), strict=True), strict=True):
        here = {(part, value) for part, value in zip(truth, values, strict=True) if value not in ("none", "plain")}
        there |= here
        named |= here & set(facts_of(caption).named)
    return there - named


def leaked(train, test):
    known = {(picture.size, picture.tobytes()) for picture in train}
    return [i for i, picture in enumerate(test) if (picture.size, picture.tobytes()) in known]


def every_word_counted(names, known):
    count = Counter(" ".join(known).split())
    return [all(count[word] > 0 for word in name.split()) for name in names]


ANSWERS = {
    "check_lora_numbers": adapter_size,
    "check_apart": no_overlap,
    "check_recall_lost": forgotten,
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
    "check_contradiction": (good_score, good_facts),
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
    "check_diagnosis": ({"F": 3, "E": 1, "D": 7, "C": 2, "B": 5, "A": 6}, 9),
    "check_contradictions": contradictions,
    "check_never_named": never_named,
    "check_leaked": leaked,
    "check_put_together": every_word_counted,
}
