"""Answers to the exercises of notebooks 6 and 7."""

import re

import numpy as np


def sorts_in_place(confidences, share):
    places = [confidences.index(each) for each in sorted(confidences)]
    confidences.sort()
    return places[: round(share * len(confidences))]


def one_at_a_time(captions, keywords):
    shares = []
    for caption, wanted in zip(captions, keywords, strict=True):
        words = {word.strip(".,!?()").lower() for word in caption.split()}
        shares.append(len(words & {word.lower() for word in wanted}) / len(wanted))
    return shares


def named(words_of):
    def share(captions, keywords):
        return [
            sum(word in words_of(text) for word in wanted) / len(wanted)
            for text, wanted in zip(captions, keywords, strict=True)
        ]

    return share


def marks_padding_in_place(predicted, labels, mask, image_positions):
    labels[~mask] = -1
    return (predicted[:, image_positions:-1] == labels[:, 1:]).sum() / mask[:, 1:].sum()


def mean_of_pictures(predicted, labels, mask, image_positions):
    right = (predicted[:, image_positions:-1] == labels[:, 1:]) & mask[:, 1:]
    return (right.sum(dim=1) / mask[:, 1:].sum(dim=1)).mean()


def looks_everywhere(falls, words):
    best, highest = None, None
    for place in np.ndindex(falls.shape):
        if best is None or falls[place] > highest:
            highest, best = falls[place], (words[place[0]], place[1] + 1, place[2] + 1)
    return best


def starts_at_zero(falls, words):
    best, highest = ("", 0, 0), 0
    for place in np.ndindex(falls.shape):
        if falls[place] > highest:
            highest, best = falls[place], (words[place[0]], place[1] + 1, place[2] + 1)
    return best


WRONG = {
    "check_least_sure": [
        sorts_in_place,
        lambda sure, share: np.argsort(sure)[::-1][: round(share * len(sure))].tolist(),
        lambda sure, share: sorted(sure)[: round(share * len(sure))],
        lambda sure, share: [place for place, each in enumerate(sure) if each < share],
        lambda sure, share: sorted(np.argsort(sure)[: round(share * len(sure))].tolist()),
        lambda sure, share: np.argsort(sure).tolist(),
        lambda sure, share: np.argsort(sure, kind="stable")[: int(share * len(sure))].tolist(),
        lambda sure, share: int(np.argmin(sure)),
        lambda sure, share: [3, 1, 2],
    ],
    "check_named_share": [
        named(lambda text: text),
        named(str.lower),
        named(lambda text: text.lower().split()),
        named(lambda text: re.findall(r"\w+", text)),
        named(lambda text: re.findall(r"\w+", text.lower())),
        lambda captions, keywords: sum(one_at_a_time(captions, keywords)) / len(captions),
        lambda captions, keywords: [
            len(set(keywords[i]) & set(text.lower().split())) / len(text.split()) for i, text in enumerate(captions)
        ],
        lambda captions, keywords: [len(set(re.findall(r"\w+", text.lower()))) for text in captions],
        lambda captions, keywords: [
            sum(word in [each.lower() for each in wanted] for word in re.findall(r"\w+", text.lower())) / len(wanted)
            for text, wanted in zip(captions, keywords, strict=True)
        ],
    ],
    "check_token_accuracy": [
        marks_padding_in_place,
        mean_of_pictures,
        lambda said, ids, mask, at: (said[:, at:] == ids)[mask].float().mean(),
        lambda said, ids, mask, at: (said[:, at:-1] == ids[:, 1:]).float().mean(),
        lambda said, ids, mask, at: (said[:, : ids.shape[1] - 1] == ids[:, 1:])[mask[:, 1:]].float().mean(),
        lambda said, ids, mask, at: (said[:, at - 1 : -1] == ids)[mask].float().mean(),
        lambda said, ids, mask, at: (said[:, at + 1 :] == ids[:, :-1])[mask[:, :-1]].float().mean(),
        lambda said, ids, mask, at: (said[:, at:-1] == ids[:, 1:])[mask[:, 1:]].sum(),
        lambda said, ids, mask, at: ((said[:, at:-1] == ids[:, 1:]) & mask[:, 1:]).float().mean(),
    ],
    "check_top_patch": [
        starts_at_zero,
        lambda falls, words: np.unravel_index(falls.argmax(), falls.shape),
        lambda falls, words: (words[0], *(int(i) + 1 for i in np.unravel_index(falls[0].argmax(), falls[0].shape))),
        lambda falls, words: (words[falls.max((1, 2)).argmax()], 1, 1),
        lambda falls, words: looks_everywhere(falls.transpose(0, 2, 1), words),
        lambda falls, words: looks_everywhere(np.abs(falls), words),
        lambda falls, words: looks_everywhere(-falls, words),
        lambda falls, words: (looks_everywhere(falls, words)[0], int(falls.argmax())),
        lambda falls, words: (looks_everywhere(falls, words)[0], *(i - 1 for i in looks_everywhere(falls, words)[1:])),
        lambda falls, words: "mouth",
    ],
}
