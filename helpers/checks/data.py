"""Checks of notebooks 1 and 2: rows, values and copies in a data set; pieces of words, padding, pixels, labels."""

import random
from collections import Counter
from collections.abc import Callable, Sequence

import torch
from PIL import Image

from helpers.checks.verdicts import Verdict, check, tried
from helpers.transforms import IGNORED

Columns = dict[str, list[str]]  # name → one value per row
Bits = list[list[int]]  # one list per picture


@check
def check_matching(matching: Callable[[Columns, dict[str, str]], list[int]]) -> Verdict:
    """`matching(columns, wanted)`: the numbers of the rows that hold every wanted value."""

    def solution(columns: Columns, wanted: dict[str, str], enough: Callable = all) -> list[int]:
        rows = range(len(columns["hat"]))
        return [i for i in rows if enough(columns[name][i] == value for name, value in wanted.items())]

    def one_name(columns: Columns, wanted: dict[str, str], place: int = 0) -> list[int]:
        return solution(columns, dict([[*wanted.items()][place]]))

    # As in Pocket Creatures, one value may stand in two columns.
    hats = {
        "hat": ["cap", "none", "cap", "cap", "none"],
        "bag": ["red", "red", "none", "red", "none"],
        "legs": [*"24422"],
    }
    wanted = [{"hat": "cap", "legs": "2"}, {"bag": "none", "legs": "4"}, {"hat": "none"}, {"bag": "blue"}, {}]
    mistakes = [
        (lambda columns, wanted: solution(columns, wanted, any), "Is one wanted value enough? Every one has to hold."),
        (lambda columns, wanted: solution(columns, wanted)[:1], "Did you stop at the first row that matches?"),
        (one_name, "Does only the first wanted name count?"),
        (lambda *case: one_name(*case, -1), "Does only the last wanted name count?"),
        (
            lambda columns, wanted: [
                i for i, row in enumerate(zip(*columns.values(), strict=True)) if {*wanted.values()} <= {*row}
            ],
            "Did you look for the value in any column? It has to stand in its own.",
        ),
    ]
    shows = "It finds every row that holds all wanted values, and none where there is none."
    return tried(matching, solution, [(hats, each) for each in wanted], shows, mistakes)


@check
def check_laziest(laziest: Callable[[Columns], dict[str, str]]) -> Verdict:
    """`laziest(columns)`: the most frequent value of each column."""

    def solution(columns: Columns, of: Callable = lambda each: Counter(each).most_common(1)[0][0]) -> dict[str, str]:
        return {name: of(values) for name, values in columns.items()}

    cases = [
        ({"hat": ["top", "none", "cap", "cap", "none", "cap"], "legs": [*"466264"]},),
        ({"age": [*"bcbabc"]},),
        ({"hat": ["none"], "legs": ["2"], "age": ["a"]},),
    ]
    mistakes = [
        (lambda columns: solution(columns, lambda each: Counter(each).most_common(1)[0]), "Is the count still there?"),
        (
            lambda columns: solution(columns, lambda each: Counter(each).most_common(1)),
            "Is it still a list of one pair?",
        ),
        (lambda columns: solution(columns, lambda each: min(each, key=each.count)), "Did you take the rarest value?"),
        (lambda columns: solution(columns, max), "Did you take the last in the alphabet? Count the values."),
        (lambda columns: solution(columns, lambda each: each[0]), "Did you take the first row's values?"),
    ]
    return tried(laziest, solution, cases, "Whoever does not look says these, and is right most often.", mistakes)


@check
def check_nearest(nearest: Callable[[Bits, Bits], list[int]]) -> Verdict:
    """`nearest(train, test)`, bits of each picture: for each of test, the fewest bits that differ from one of train."""

    def solution(train: Bits, test: Bits, of: Callable = min, differ: Callable = int.__ne__) -> list[int]:
        return [of([sum(map(differ, one, other)) for other in train]) for one in test]

    draw = random.Random(0)
    sizes = [(4, 2, 9), (2, 3, 7), (3, 1, 12)]  # pictures in train and in test, bits
    cases = [[[draw.choices([0, 1], k=bits) for _ in range(n)] for n in pictures] for *pictures, bits in sizes]
    cases.append([[[0, 1, 1, 0], [1, 1, 0, 1]], [[1, 1, 0, 1]]])  # a copy
    mistakes = [
        (lambda train, test: solution(test, train), "Is it one number for each of train? Give one for each of test."),
        (lambda train, test: solution(train, test, max, int.__eq__), "Did you count the bits that are the same?"),
        (lambda train, test: solution(train, test, max), "Did you take the farthest of train? Take the nearest."),
        (
            lambda train, test: [sum(map(int.__ne__, *pair)) for pair in zip(train, test, strict=False)],
            "Did you compare rows of the same number only? A copy may stand anywhere.",
        ),
    ]
    return tried(nearest, solution, cases, "Wherever a copy stands, its distance is 0.", mistakes)


@check
def check_pieces(pieces: Callable[[str, set[str]], list[str]]) -> Verdict:
    """`pieces(word, vocabulary)`: always the longest piece that fits, as WordPiece does; ["[UNK]"] if none fits."""

    def solution(word: str, vocabulary: set[str], mark: str = "##", step: int = -1, whole: bool = True) -> list[str]:
        found, begin = [], 0
        while begin < len(word):
            ends = range(begin + 1, len(word) + 1)[::step]
            fits = (end for end in ends if (mark if begin else "") + word[begin:end] in vocabulary)
            if not (end := next(fits, 0)):
                return ["[UNK]"] if whole else [*found, "[UNK]"]
            found.append((mark if begin else "") + word[begin:end])
            begin = end
        return found

    cases = [
        ("hatter", {"hat", "h", "##at", "##t", "##ter", "##er"}),
        ("hats", {"hats", "hat", "##s"}),
        ("unhat", {"un", "unh", "##hat", "##a", "##t"}),
        ("hater", {"hat", "er", "##e", "##t"}),
        ("hatx", {"hat", "ha", "##tx"}),  # the longest first, also where a shorter one would lead further
    ]
    mistakes = [
        (lambda *case: solution(*case, mark=""), "Did you look for later pieces without ##?"),
        (lambda *case: solution(*case, step=1), "Did you take the shortest piece that fits? Begin with the longest."),
        (lambda *case: solution(*case, whole=False), "Did you keep the pieces before it? The whole word is unknown."),
    ]
    return tried(pieces, solution, cases, "Your function and the tokenizer cut words alike.", mistakes)


@check
def check_padding_share(padding_share: Callable[[Sequence[int], int], float]) -> Verdict:
    """`padding_share(lengths, size)`: of all positions in batches of `size` captions, the share that is padding."""

    def batches(lengths: Sequence[int], size: int) -> list[Sequence[int]]:
        return [lengths[i : i + size] for i in range(0, len(lengths), size)]

    def solution(lengths: Sequence[int], size: int) -> float:
        return 1 - sum(lengths) / sum(max(batch) * len(batch) for batch in batches(lengths, size))

    def of_each(lengths: Sequence[int], size: int) -> float:
        return sum(solution(batch, size) for batch in batches(lengths, size)) / len(batches(lengths, size))

    cases = [([4, 9, 2, 7, 3, 3, 8], 3), ([5, 1, 6, 2], 2), ([3, 8, 5], 1), ([2, 7, 4], 16)]
    mistakes = [
        (lambda lengths, _: solution(lengths, len(lengths)), "Is every batch padded to the longest of all captions?"),
        (of_each, "Is that the mean of the batches' shares? A batch of more positions has to count for more."),
        (lambda *case: 1 - solution(*case), "Is that the share of tokens?"),
        (
            lambda lengths, size: 1 - sum(lengths) / sum(max(batch) * size for batch in batches(lengths, size)),
            "Is the last batch counted as full? It may hold fewer captions.",
        ),
        (
            lambda lengths, size: solution(lengths[: len(lengths) // size * size], size),
            "Did you drop the last batch? It counts, also where it holds fewer captions.",
        ),
        (lambda lengths, size: solution(sorted(lengths), size), "Did you sort the captions? Keep their order."),
    ]
    return tried(padding_share, solution, cases, "Each batch is as wide as its own longest caption.", mistakes)


@check
def check_pad_to_square(pad_to_square: Callable[[Image.Image], Image.Image]) -> Verdict:
    """`pad_to_square(picture)`, RGB: the picture in the middle of a white square as wide as its longer side."""

    def solution(picture: Image.Image, color: str = "white", step: int = 1, share: int = 2) -> Image.Image:
        side = max(picture.size)
        square = Image.new("RGB", (side, side), color)
        square.paste(picture, tuple((side - length) // share for length in picture.size[::step]))
        return square

    def cropped(picture: Image.Image) -> Image.Image:
        left, top = [(length - min(picture.size)) // 2 for length in picture.size]
        return picture.crop((left, top, left + min(picture.size), top + min(picture.size)))

    # An odd pixel may stand on either side of half a pixel: 1 and 5 are rounded alike by // and by round.
    draw, sizes = random.Random(0), [(9, 3), (2, 6), (5, 5), (8, 3), (6, 7)]
    cases = [(Image.frombytes("RGB", (w, h), draw.randbytes(3 * w * h)),) for w, h in sizes]
    mistakes = [
        (lambda picture: picture.resize([max(picture.size)] * 2), "Did you stretch it? Its shape should stay."),
        (lambda picture: solution(picture, share=99), "Does it stand in the corner? Move it to the middle."),
        (lambda picture: solution(picture, share=1), "Did you halve what is left? Half of it goes to each side."),
        (lambda picture: solution(picture, step=-1), "Did you swap the two places? `paste` takes left, then top."),
        (lambda picture: solution(picture, "black"), "Is the rest black? Make it white."),
        (cropped, "Did you cut something off? The square is as wide as the longer side."),
    ]
    return tried(pad_to_square, solution, cases, "Nothing is cut off, and nothing is stretched.", mistakes)


@check
def check_normalized(normalized: Callable[[torch.Tensor, list[float], list[float]], torch.Tensor]) -> Verdict:
    """`normalized(pixels, mean, std)`: uint8 (3, height, width), three numbers each → float, the same shape."""

    def solution(pixels: torch.Tensor, mean: list[float], std: list[float]) -> torch.Tensor:
        mean, std = (torch.tensor(values).view(3, 1, 1) for values in (mean, std))
        return (pixels / 255 - mean) / std

    generator, sizes = torch.Generator().manual_seed(0), [(3, 2, 3), (3, 5, 4), (3, 1, 6)]
    pixels = [torch.randint(256, size, generator=generator, dtype=torch.uint8) for size in sizes]
    cases = [(pixels[0], [0.5, 0.4, 0.3], [0.2, 0.3, 0.25]), (pixels[1], [0.1, 0.6, 0.2], [0.5, 0.2, 0.4])]
    cases.append((pixels[2], [0.0, 0.2, 0.9], [1.0, 0.5, 0.1]))
    mistakes = [
        (
            lambda pixels, mean, std: (pixels[..., :3] / 255 - torch.tensor(mean)) / torch.tensor(std),
            "Did mean and deviation go along the width? Each belongs to a colour: (3,) becomes (3, 1, 1).",
        ),
        (lambda pixels, *each: solution(pixels * 255.0, *each), "Did you divide by 255 first?"),
        (lambda pixels, mean, std: solution(pixels, mean, [1 / each for each in std]), "Did you multiply by std?"),
    ]
    return tried(normalized, solution, cases, "Each colour has its own mean and its own deviation.", mistakes)


@check
def check_labels(labels_of: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]) -> Verdict:
    """`labels_of(input_ids, attention_mask)`, both (batch, tokens): the ids, -100 where the mask is 0."""

    def solution(input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        return input_ids.masked_fill(attention_mask == 0, IGNORED)

    # Token 3 ends a caption, and in the second case it is the padding too.
    cases = [
        (torch.tensor([[2, 7, 3, 0, 0], [2, 8, 9, 5, 3]]), torch.tensor([[1, 1, 1, 0, 0], [1, 1, 1, 1, 1]])),
        (torch.tensor([[2, 7, 3, 3], [2, 3, 3, 3]]), torch.tensor([[1, 1, 1, 0], [1, 1, 0, 0]])),
        (torch.tensor([[2, 9, 9, 3, 0, 0, 0]]), torch.tensor([[1, 1, 1, 1, 0, 0, 0]])),
    ]
    mistakes = [
        (lambda ids, mask: ids.masked_fill(mask == 1, IGNORED), "Did you leave out the tokens, and keep the padding?"),
        (
            lambda ids, mask: ids.masked_fill(ids == ids[0, -1], IGNORED),
            "Did you go by the token? It may end a caption, too.",
        ),
        (lambda ids, mask: ids.masked_fill(ids == 0, IGNORED), "Did you go by the token 0? Padding may be another."),
        (lambda ids, mask: ids * mask, "Did you multiply? What does not count has the label -100, not 0."),
    ]
    return tried(labels_of, solution, cases, "Padding counts no more, and the end token is still learnt.", mistakes)
