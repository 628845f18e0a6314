"""Vocabularies: which words of captions a tokenizer cannot write, and a new tokenizer that is learnt from captions.

A WordPiece vocabulary may lack whole scripts, and many take the accents off their letters. A caption that does not come
back cannot be learnt either: its words are missing from what the model reads, and it can never say them.
"""

import logging
from collections import Counter
from collections.abc import Sequence
from itertools import groupby, zip_longest
from typing import Any, NamedTuple

from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

from helpers.errors import DataError
from helpers.families import tokenizer_of
from helpers.metrics import align_words, normalize
from helpers.settings import Settings
from helpers.transforms import CaptionTransform

logger = logging.getLogger(__name__)

MOST_LOST = 0.5  # a share of lost words above this leaves nothing to learn
SPECIAL = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]"}  # ids 0 to 3, GIT's


class RoundTrip(NamedTuple):
    """What comes back of captions that became tokens."""

    captions: int  # how many were looked at
    changed: int  # how many of them came back with other words
    wer: float  # word error rate of what came back: about the best that a captioner with this vocabulary can reach
    example: tuple[str, str]  # the word that is changed most often, and what comes back in its place


def round_trip(
    captions: Sequence[str], processor: Any, *, most: int = 10_000, token_ids: Sequence[list[int]] | None = None
) -> RoundTrip:
    """Turns captions into tokens and back, and compares the words as the metrics do.

    Of more captions than `most` it looks at no more than that, evenly spaced. `token_ids` are theirs, where known.

    Raises:
        DataError: there is no list of captions.
    """
    if isinstance(captions, str) or not len(captions):
        raise DataError(f"The captions are {captions!r}; give a list of one or more texts.")
    step, tokenizer = -(-len(captions) // most), tokenizer_of(processor)
    texts = list(captions[::step])
    ids = token_ids[::step] if token_ids else tokenizer(texts, verbose=False).input_ids
    back = tokenizer.batch_decode(ids, skip_special_tokens=True)
    pairs = [(normalize(text), normalize(came)) for text, came in zip(texts, back, strict=True)]
    words = sum(len(text.split()) for text, _ in pairs)
    changed = [pair for pair in pairs if pair[0] != pair[1]]
    errors, examples = 0, Counter()
    for text, came in changed:
        out = align_words(text, came)
        errors += out.substitutions + out.deletions + out.insertions
        for differs, parts in groupby(out.alignments[0], key=lambda part: part.type != "equal"):
            if differs:
                run = list(parts)
                before = out.references[0][run[0].ref_start_idx : run[-1].ref_end_idx]
                after = out.hypotheses[0][run[0].hyp_start_idx : run[-1].hyp_end_idx]
                examples.update(_pairs(before, after))
    [(example, _)] = examples.most_common(1) or [(("", ""), 0)]
    return RoundTrip(len(texts), len(changed), errors / max(words, 1), example)


def _pairs(before: Sequence[str], after: Sequence[str]) -> list[tuple[str, str]]:
    """Each word and what became of it; all of them together where one word became several, or the reverse."""
    if len(after) in (0, len(before)):
        return list(zip_longest(before, after, fillvalue=""))
    return [(" ".join(before), " ".join(after))]


def check_captions(captions: Sequence[str], transform: CaptionTransform, settings: Settings) -> None:
    """Says what the checkpoint cannot write of the captions to learn, and what Settings.max_new_tokens cuts off.

    Raises:
        DataError: most of the words are lost, so that nothing can be learnt.
    """
    token_ids = transform.tokenizer(list(captions), verbose=False).input_ids
    trip = round_trip(captions, transform.processor, token_ids=token_ids)
    word, back = trip.example
    shown = f"{word[:40]!r} comes back as {repr(back[:40]) if back else 'nothing'}"
    if trip.wer > MOST_LOST:
        raise DataError(
            f"The vocabulary of {settings.checkpoint} cannot write most words of these captions: {shown}. Choose a "
            "checkpoint that knows their language, or one that reads text byte by byte, such as "
            "nlpconnect/vit-gpt2-image-captioning."
        )
    if trip.changed:
        logger.warning(
            "The vocabulary of %s cannot write %d of %d captions as they stand: %s. A captioner without a mistake of "
            "its own has a word error rate of about %.3f.",
            settings.checkpoint, trip.changed, trip.captions, shown, trip.wer,
        )  # fmt: skip
    # What stands before the end token of an empty caption is given to the model, which does not generate it.
    given = len(transform.tokenizer("").input_ids) - 1
    generated = [len(ids) - given for ids in transform.fitted(captions, token_ids)]
    if long := [tokens for tokens in generated if tokens > settings.max_new_tokens]:
        logger.warning(
            "%d of %d captions need more tokens than Settings.max_new_tokens, which is %d, so what the model says is "
            "cut off there; give %d.",
            len(long), len(generated), settings.max_new_tokens, max(long),
        )  # fmt: skip


def new_tokenizer(captions: Sequence[str], *, size: int = 600, positions: int = 512) -> PreTrainedTokenizerFast:
    """A tokenizer for captions in any script, learnt from them by byte-pair encoding (Sennrich et al., 2016).

    It begins with single signs, and joins the two neighbours that stand together most often into one token, again and
    again, inside words. A Chinese sign stays one token. A space counts as a sign (▁), so that tokens become text again
    as it was; capitals become small letters.

    Args:
        captions: what it shall be able to write. Of a sign that none of them holds it makes [UNK].
        size: the most tokens that it may have.
        positions: the most tokens that a caption may have.
    """
    tokenizer = Tokenizer(models.BPE(unk_token=SPECIAL["unk_token"]))
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Lowercase()])
    apart = [pre_tokenizers.Metaspace(), pre_tokenizers.Punctuation()]  # "woman:" is not another word than "woman"
    apart += [pre_tokenizers.Split(Regex(r"\p{Han}"), "isolated")]  # no space tells where a Chinese word ends
    tokenizer.pre_tokenizer, tokenizer.decoder = pre_tokenizers.Sequence(apart), decoders.Metaspace()
    special = list(SPECIAL.values())
    tokenizer.train_from_iterator(
        captions, trainers.BpeTrainer(vocab_size=size, special_tokens=special, show_progress=False)
    )
    edges = [(token, special.index(token)) for token in special[2:]]
    tokenizer.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=edges)
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, model_max_length=positions, **SPECIAL)
