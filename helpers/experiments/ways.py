"""Ways to fine-tune: everything, the decoder alone, LoRA, a random decoder, from scratch; what each begins with."""

from dataclasses import dataclass, field
from typing import Any

from transformers import (
    GitConfig,
    GitForCausalLM,
    GitProcessor,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    TrainerCallback,
    set_seed,
)

from helpers.families import load_checkpoint
from helpers.settings import Settings


@dataclass(frozen=True)
class Way:
    """A way to train a captioner.

    Attributes:
        settings: the values of Settings that it changes.
        kept: the parts of the base whose weights it begins with, as paths of modules; "" is the whole model. All other
            weights begin at random.
    """

    settings: dict[str, Any] = field(default_factory=dict)
    kept: tuple[str, ...] = ("",)


WAYS = {
    "everything": Way(),
    "decoder alone": Way({"freeze_vision": True}),
    "LoRA": Way({"lora_rank": 8}),
    # It begins with what sees the picture, and the layer that hands it on: GIT's names. What sees stays as it is, or
    # the first steps of a decoder that knows nothing would spoil it.
    "random decoder": Way({"freeze_vision": True}, kept=("git.image_encoder", "git.visual_projection")),
    "from scratch": Way(kept=()),
}


def begin(way: str, settings: Settings) -> tuple[PreTrainedModel, Any, Settings]:
    """What a training in one of the `WAYS` begins with: the model, its processor and the settings.

    Random weights are drawn as the library draws them, by `settings.seed`.

    Args:
        way: a name of `WAYS`.
        settings: of the training; the checkpoint is of the family GIT.
    """
    base, processor = load_checkpoint(settings.checkpoint)
    set_seed(settings.seed)
    model, _ = load_checkpoint(settings.checkpoint, random_weights=True)
    for part in WAYS[way].kept:
        model.get_submodule(part).load_state_dict(base.get_submodule(part).state_dict())
    return model, processor, settings.with_changes(**WAYS[way].settings)


def with_vocabulary(
    base: PreTrainedModel, processor: Any, tokenizer: PreTrainedTokenizerBase
) -> tuple[PreTrainedModel, Any]:
    """A captioner that sees as its base does, and begins at random to write with another tokenizer.

    Args:
        base, processor: a captioner of the family GIT and its processor, which stay as they are.
        tokenizer: as `new_tokenizer` makes it.
    """
    config = GitConfig.from_dict(base.config.to_dict() | {"vocab_size": len(tokenizer)})
    model = GitForCausalLM(config)
    for part in WAYS["random decoder"].kept:
        model.get_submodule(part).load_state_dict(base.get_submodule(part).state_dict())
    return model.eval(), GitProcessor(processor.image_processor, tokenizer)


class Held(TrainerCallback):
    """Measures after the first step what a training learns and holds.

    Attributes:
        parameters: the numbers that are learnt.
        megabytes: of the model's weights, the gradients and AdamW's two moments, in millions of bytes. What a batch
            needs on its way through the model comes on top.
    """

    parameters, megabytes = 0, 0.0

    def on_optimizer_step(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Measures once, when the optimizer has made its moments and the gradients are there."""
        if not self.parameters:
            weights = list(kwargs["model"].parameters())
            learnt = [weight for weight in weights if weight.requires_grad]
            moments = [each for kept in kwargs["optimizer"].state.values() for each in kept.values()]
            gradients = [weight.grad for weight in learnt if weight.grad is not None]
            self.parameters = sum(weight.numel() for weight in learnt)
            self.megabytes = sum(each.nbytes for each in (*weights, *gradients, *moments)) / 1e6
