"""microsoft/git-base's shape, with random weights: what can be built of it without the network."""

from collections.abc import Iterable
from typing import Any

from transformers import BertTokenizer, GitConfig, GitForCausalLM, GitProcessor, set_seed
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

from helpers.metrics import normalize

# The config.json of microsoft/git-base. transformers' models/git/convert_git_to_pytorch.py made that checkpoint from
# GitConfig() as it is, so the library's defaults are these values; a test holds the two equal.
GIT_BASE = {
    "vocab_size": 30522,
    "hidden_size": 768,
    "num_hidden_layers": 6,
    "num_attention_heads": 12,
    "intermediate_size": 3072,
    "hidden_act": "gelu",
    "hidden_dropout_prob": 0.1,
    "attention_probs_dropout_prob": 0.1,
    "max_position_embeddings": 1024,
    "layer_norm_eps": 1e-12,
    "tie_word_embeddings": False,
    "pad_token_id": 0,
    "bos_token_id": 101,
    "eos_token_id": 102,
}
VISION = {
    "hidden_size": 768,
    "intermediate_size": 3072,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "num_channels": 3,
    "image_size": 224,
    "patch_size": 16,
    "hidden_act": "quick_gelu",
    "layer_norm_eps": 1e-5,
}
# Its preprocessor_config.json, from the same script: the shorter side to 224 (bicubic), the middle, CLIP's colours.
PICTURES = {
    "size": {"shortest_edge": 224},
    "crop_size": {"height": 224, "width": 224},
    "resample": 3,
    "image_mean": [0.48145466, 0.4578275, 0.40821073],
    "image_std": [0.26862954, 0.26130258, 0.27577711],
}
# Its tokenizer is that of bert-base-uncased: 512 positions, and the special tokens at these places.
SPECIAL = {"[PAD]": 0, "[UNK]": 100, "[CLS]": 101, "[SEP]": 102, "[MASK]": 103}
POSITIONS = 512


def tokenizer_of_full_size(captions: Iterable[Iterable[str]]) -> BertTokenizer:
    """A BERT tokenizer with the captions' words, padded to the true size with tokens that no text has."""
    places = dict(SPECIAL)
    words = sorted({word for group in captions for text in group for word in normalize(text).split()} | {",", "."})
    places |= {word: 1000 + place for place, word in enumerate(words)}
    taken = set(places.values())
    places |= {f"[unused{place}]": place for place in range(GIT_BASE["vocab_size"]) if place not in taken}
    return BertTokenizer(vocab=places, do_lower_case=True, model_max_length=POSITIONS)


def git_base(captions: Iterable[Iterable[str]], seed: int = 0, **changes: Any) -> tuple[GitForCausalLM, GitProcessor]:
    """A model of that shape with random weights, in evaluation mode, and a processor that knows the captions' words.

    Args:
        captions: those of each picture.
        seed: of the weights.
        changes: values of the config that shall differ.
    """
    set_seed(seed)
    model = GitForCausalLM(GitConfig(vision_config=VISION, **{**GIT_BASE, **changes})).eval()
    return model, GitProcessor(CLIPImageProcessorPil(**PICTURES), tokenizer_of_full_size(captions))
