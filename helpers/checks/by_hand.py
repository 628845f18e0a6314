"""Checks of notebook 8, GIT by hand: each step on small random cases, then with git-tiny's weights."""

import functools
import inspect
import logging
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, tensor

from helpers import by_hand
from helpers.checks.verdicts import Verdict, check, tried

logger = logging.getLogger(__name__)
WIDE, GELU = "wide * torch.sigmoid(1.702 * wide)", "torch.nn.functional.gelu(wide)"
MASKED = 'scores.masked_fill(~mask, float("-inf"))'
HEADS = "(block.heads, -1)).transpose(1, 2)"
PLACED = "row + git.word_places[: ids.shape[1]]"
SHIFT = "Did you shift? Position t predicts token t + 1."


def written(function: Any, verdict: Verdict) -> Any:
    """The learner's function where its check said "right", else that of helpers.by_hand, and says so."""
    name = verdict.check.removeprefix("check_")
    if not verdict:
        logger.info("Until yours is right, %s is that of helpers.by_hand.", name)
    return function if verdict else getattr(by_hand, name)


def _step(right: Callable, cases: Callable[..., list], shows: str, *slips: tuple) -> Callable[..., Verdict]:
    """The check of a step.

    `cases` gets a function that gives random numbers of a shape, git-tiny's weights, and a row of its vision encoder.
    A slip is a wrong function, or pairs of what the right source says and what it says instead; then what to ask.
    """

    def body(made: Any) -> Verdict:
        mistakes = [(wrong if callable(wrong) else _with(right, wrong, *to), asked) for wrong, *to, asked in slips]
        return tried(made, right, cases(_numbers(), *_tiny()), shows, mistakes, bound=1e-4)

    body.__name__, body.__doc__ = f"check_{right.__name__}", f"`{right.__name__}`: {right.__doc__}"
    return check(body)


def _with(function: Callable, *changes: str) -> Callable:
    names, source = dict(vars(by_hand)), inspect.getsource(function)
    for before, after in zip(changes[::2], changes[1::2], strict=True):
        source = source.replace(before, after)
    exec(source, names)
    return names[function.__name__]


def _numbers() -> Callable[..., Tensor]:
    generator = torch.Generator().manual_seed(8)
    return lambda *shape: torch.randn(shape, generator=generator)


@functools.cache
def _tiny() -> tuple[by_hand.Git, Tensor]:
    git = by_hand.read_weights("models/git-tiny")
    return git, by_hand.embed_patches(by_hand.patches_of(_numbers()(1, 3, 96, 96), git.patch_size), git)


def _block(n: Callable[..., Tensor], width: int = 12, wide: int = 7, heads: int = 3) -> by_hand.Block:
    shapes = [(width, width)] * 4 + [(wide, width), (width, wide)]
    *layers, up, down = [(n(*shape), n(shape[0])) for shape in shapes]
    norms = [(n(width), n(width), eps) for eps in (0.5, 0.25)]
    return by_hand.Block(layers, heads, norms[0], up, down, norms[1])


def _some(look: int, looked: int) -> Tensor:
    """A mask with both kinds in every row."""
    return torch.arange(looked) % 3 != torch.arange(look)[:, None] % 3


def _blocks(n: Callable[..., Tensor]) -> list[tuple[Tensor, by_hand.Block, Tensor]]:
    return [(n(2, 5, 12), _block(n), _some(5, 5)), (n(3, 4, 10), _block(n, 10, 6, 5), _some(4, 4))]


def _says(ids: Sequence[int]) -> Tensor:
    """Logits of seven tokens, which depend on all ids so far."""
    return torch.eye(7)[sum(place * number for place, number in enumerate(ids, 1)) % 7]


def _tiny_says(ids: Sequence[int]) -> Tensor:
    return by_hand.logits_of(_tiny()[1], tensor([list(ids)]), _tiny()[0])[0, -1]


check_patches_of = _step(
    by_hand.patches_of,
    lambda n, git, row: [(n(2, 3, 20, 30), 5), (n(1, 4, 6, 4), 2), (n(1, 3, 96, 96), git.patch_size)],
    "Each patch is a row of numbers, and they stand line by line.",
    ("0, 2, 4, 1, 3, 5", "0, 4, 2, 1, 3, 5", "Do your patches stand column by column?"),
    ("0, 2, 4, 1, 3, 5", "0, 2, 4, 3, 5, 1", "Do your colours come last? They come first, as in the picture."),
    (".permute(0, 2, 4, 1, 3, 5)", "", "Did you reshape alone? The axes have to be reordered, too."),
)

check_embed_patches = _step(
    by_hand.embed_patches,
    lambda n, git, row: [
        (n(3, 2, 4), git._replace(projection=n(6, 4), class_token=n(6), patch_places=n(3, 6))),
        (n(1, 64, 432), git),
    ],
    "A class token, then the patches, each with its place.",
    ("row + git.patch_places", "row", "Did you forget the places?"),
    ("[first, projected]", "[projected, first]", "Did you put the class token last? It comes first."),
    ("return row", "row[:, 1:] += git.patch_places[1:]\n    return row #", "Has the class token got its place?"),
)

check_layer_norm = _step(
    by_hand.layer_norm,
    lambda n, git, row: [(3 * n(2, 5, 4) + 1, n(4), n(4), 0.5), (n(3, 6), n(6), n(6), 1e-5), (row, *git.norm_before)],
    "Each position has a mean and a deviation of its own.",
    ("((x - mean) ** 2).mean(", "x.var(", "Did you divide by one less? The variance is the mean of the squares."),
    ("(variance + eps).sqrt()", "(variance.sqrt() + eps)", "Did you add eps outside the root?"),
    ("(variance + eps).sqrt()", "(x.std(-1, keepdim=True) + eps)", "Is this `std() + eps`? It is the root of a sum."),
    ("variance + eps", "variance", "Did you forget eps?"),
    ("(variance + eps).sqrt()", "(variance + eps)", "Did you forget the root?"),
)

check_softmax = _step(
    by_hand.softmax,
    lambda n, git, row: [(n(2, 3, 4),), (tensor([[1e3, 1e3 + 1, 998], [-1e3, -1002, -torch.inf]]),), (row @ row.mT,)],
    "Shares that add up to 1, also of scores whose power would be infinite.",
    ("dim=-1", "dim=-2", "Do your columns add up to 1, and not your rows?"),
    ("max(dim=-1, keepdim=True).values", "max()", "Is the largest that of all? Each row needs its own."),
    ("(scores - highest).exp()", "scores.exp()", "Did you subtract the largest? e to a large number is infinite."),
    ("powers.sum(dim=-1, keepdim=True)", "powers.sum()", "Does all together add up to 1, and not each row?"),
)

check_attend = _step(
    by_hand.attend,
    lambda n, git, row: [
        (n(2, 3, 5), n(2, 6, 5), n(2, 6, 4), _some(3, 6)),
        (n(4, 7, 2), n(4, 5, 2), n(4, 5, 3), _some(7, 5)),
        (row, row, row, by_hand.mask_of(40, 25)),
    ],
    "Each position mixes the values of those that it may look at.",
    ("** 0.5", "", "Did you divide by the width and not by its root?"),
    ("/ queries.shape[-1] ** 0.5", "", "Did you forget to divide by the root of the width?"),
    ("softmax(scores)", "softmax(scores.mT).mT", "Did you take the softmax over those who look?"),
    (MASKED, "scores", "Did you use the mask, before the softmax?"),
    (MASKED, "scores", "softmax(scores)", "softmax(scores) * mask", "Did you mask the shares? Mask the scores."),
    (MASKED, "scores * mask", "Is a masked score 0? Then its share is not; it takes minus infinity."),
    ("~mask", "mask", "Is your mask upside down? True means that it may be looked at."),
    (MASKED, "scores + mask", "Did you add the mask as 0 and 1? That forbids nothing."),
)

check_several_heads = _step(
    by_hand.several_heads,
    lambda n, git, row: [*_blocks(n), (row, git.vision[0], by_hand.mask_of(40, 25))],
    "Heads look for themselves, side by side, and are joined in order.",
    ("mixed.transpose(1, 2).flatten(2)", "mixed.reshape(x.shape)", "Did you join the heads without transposing back?"),
    (HEADS, "(-1,)).reshape(len(row), block.heads, len(row[0]), -1)", "Did you split by reshaping alone? Transpose."),
    (HEADS, "(-1, block.heads)).movedim(-1, 1)", "ed.transpose(1, 2)", "ed.movedim(1, -1)", "Is each head one piece?"),
    ("query, key,", "key, query,", "Did you swap queries and keys?"),
    ("linear(joined, last)", "joined", "Did you forget the last layer?"),
)

check_vision_block = _step(
    by_hand.vision_block,
    lambda n, git, row: [*(case[:2] for case in _blocks(n)), (row, git.vision[1])],
    "What came in is kept, and what was seen is added.",
    ("x = x + seen", "x = seen", "Did you forget to add what came in?"),
    ("return x + linear", "return linear", "Did you forget the second sum?"),
    ("x + seen", "seen", "x + linear", "linear", "Did you forget to add what came in, twice?"),
    ("x + seen", "normed + seen", "x + linear", "normed + linear", "Do you add to the norm? Add to what came in."),
    (_with(by_hand.text_block, GELU, WIDE, "mask: Tensor", "mask=torch.ones(1) > 0"), "Does each norm come first?"),
    (WIDE, GELU, "Is this gelu itself? Here it is the quick one."),
)

check_see = _step(
    by_hand.see,
    lambda n, git, row: [
        (n(3, 3, 96, 96), git._replace(vision=git.vision[:1])),
        (n(2, 3, 96, 96), git._replace(patch_size=8, projection=n(128, 192), patch_places=n(145, 128))),
        (n(1, 3, 96, 96), git),
    ],
    "The picture is a row of tokens that the decoder can read.",
    ("layer_norm(row, *git.norm_before)", "row", "Did you forget the norm before the blocks?"),
    ("layer_norm(row, *git.norm_after)", "row", "Did you forget the norm after the blocks?"),
    ("linear(row, git.to_text)", "row", "layer_norm(row, *git.to_text_norm)", "row", "Is `to_text` there?"),
    ("layer_norm(row, *git.to_text_norm)", "row", "Did you forget the last norm?"),
)

check_embed_tokens = _step(
    by_hand.embed_tokens,
    lambda n, git, row: [
        (tensor([[5, 6, 1], [5, 0, 0]]), git._replace(words=n(7, 6), word_places=n(3, 6), text_norm=(n(6), n(6), 0.1))),
        (tensor([[2, 40, 7, 300]]), git),
    ],
    "Numbers that tell which token it is, and where it stands.",
    (PLACED, "row", "Did you forget the places?"),
    ("return layer_norm(row, *git.text_norm)", "return row", "Did you forget the norm?"),
    (PLACED, "row", "git.text_norm)", f"git.text_norm) + {PLACED[6:]}", "Do the places come before the norm?"),
)

check_mask_of = _step(
    by_hand.mask_of,
    lambda n, git, row: [(3, 4), (5, 2), (1, 6), (65, 9)],
    "Words see the picture and what was said; the picture sees itself.",
    ("    mask[:picture, :picture] = True\n", "", "May a patch look at the patches behind it?"),
    (".tril()", "", "May a word look at later words?"),
    (".tril()", ".triu()", "Is your mask upside down? Row i tells whom position i may look at."),
    (".tril()", ".tril(-1)", "May a word look at itself?"),
    ("[:picture, :picture]", "[:picture]", "May the picture look at the words? Then it would hold the answer."),
)

check_text_block = _step(
    by_hand.text_block,
    lambda n, git, row: [*_blocks(n), (row, git.text[0], by_hand.mask_of(40, 25))],
    "Here each sum is normed.",
    ("block, mask)", "block, mask | True)", "Did you use the mask?"),
    ("layer_norm(x + seen, *block.norm_1)", "x + layer_norm(seen, *block.norm_1)", "Is it the sum that is normed?"),
    (_with(by_hand.vision_block, WIDE, GELU, "Block)", "Block, mask)", "everyone)", "mask)"), "Did you norm first?"),
    (GELU, WIDE, "Is this the quick gelu?"),
)

check_logits_of = _step(
    by_hand.logits_of,
    lambda n, git, row: [
        (n(3, 7, 128), tensor([[2, 9, 5, 3]] * 3), git._replace(text=git.text[:1])),
        (row, tensor([[2, 8, 8, 30, 3]]), git),
    ],
    "For each token so far, a number for every possible next one.",
    ("row[:, seen.shape[1] :]", "row", "Did you keep the picture's positions? Only the text goes on."),
    ("[seen, told]", "[told, seen]", "seen.shape[1] :", ": ids.shape[1]", "Does the picture come first?"),
    ("block, mask", "block, mask | True", "May a word look at later ones?"),
)

check_loss_of = _step(
    by_hand.loss_of,
    lambda n, git, row: [
        (n(2, 5, 7), tensor([[2, 6, 4, 5, 3], [2, 5, 3, 0, 0]]), tensor([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]])),
        (n(1, 6, 8), tensor([[2, 3, 5, 3, 3, 3]]), tensor([[1, 1, 1, 1, 0, 0]])),
        (300 * torch.eye(4)[None], tensor([[1, 3, 1, 2]]), tensor([[1, 1, 1, 1]])),  # probabilities of 0
        (by_hand.logits_of(row, tensor([[2, 40, 7]]), git), tensor([[2, 40, 7]]), tensor([[1, 1, 1]])),
    ],
    "Each token is predicted from those before it, and padding does not count.",
    ("logs[:, :-1], ids[:, 1:]", "logs[:, 1:], ids[:, 1:]", SHIFT),
    ("logs, following = logs[:, :-1], ids[:, 1:]", "following = ids", "k[:, 1:]", "k", SHIFT),
    ("logs[:, :-1], ids[:, 1:]", "logs[:, 1:], ids[:, :-1]", "Did you shift the other way? " + SHIFT[15:]),
    ("attention_mask[:, 1:]", "attention_mask[:, :-1]", "Is the mask that of the token that is predicted?"),
    ("right[counted]", "((right * counted).sum(1) / counted.sum(1))", "Is this a mean of means? Tokens count alike."),
    ("- logits.logsumexp(dim=-1, keepdim=True)", ".softmax(-1).log()", "Is a probability 0? Use `logsumexp`."),
    ("[counted].mean()", ".mean()", "Did you count the padding?"),
    ("-right[counted]", "right[counted]", "Did you forget the minus?"),
)

check_write = _step(
    by_hand.write,
    lambda n, git, row: [(_says, 1, 0, 20), (_says, 4, 1, 6), (_says, 3, 5, 30), (_tiny_says, 2, 3, 12)],
    "The model reads what it has written, until it says the end.",
    ("next_logits(ids)", "next_logits(ids[-1:])", "Did you show it the last token alone? It needs all of them."),
    ("ids[-1] != end and ", "", "Does it stop at the end token?"),
    ("return ids", "return ids[: -1 if ids[-1] == end else None]", "Did you leave out the end token?"),
    ("return ids", "return ids[1:]", "Did you leave out the start token?"),
    ("< longest", "<= longest", "Did you write one token too many? The start token counts."),
)
