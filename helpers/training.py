"""Training: the loss, overfitting one batch, and a Trainer that evaluates generated captions."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import torch
from datasets import DatasetDict
from torch.nn.functional import cross_entropy
from transformers import PreTrainedModel, Trainer, TrainerCallback, TrainingArguments

from helpers.data import fingerprint
from helpers.device import choose_precision
from helpers.errors import DataError, enough_memory
from helpers.families import aligned, generation_inputs, vision_encoder_of
from helpers.metrics import make_compute_metrics
from helpers.paths import check_output
from helpers.resuming import checkpoints_folder, improved, resumable
from helpers.settings import Settings
from helpers.transforms import IGNORED, CaptionCollator, CaptionTransform, prepare_pictures
from helpers.vocabulary import check_captions

logger = logging.getLogger(__name__)


def training_arguments(settings: Settings) -> TrainingArguments:
    """The Trainer's arguments for these settings; every value not named here is the library's default.

    The defaults include a fused AdamW. Batches are not sorted by length: most positions are the picture's, so that
    padding to the longest caption of a batch costs little. Nor are there workers: prepared pictures are only copied.
    """
    precision = choose_precision(settings.precision)
    return TrainingArguments(
        output_dir=str(checkpoints_folder(settings)),
        num_train_epochs=settings.epochs,
        per_device_train_batch_size=settings.batch_size,
        per_device_eval_batch_size=2 * settings.batch_size,
        learning_rate=settings.learning_rate,
        lr_scheduler_type="cosine",
        warmup_steps=settings.warmup,
        weight_decay=settings.weight_decay,
        seed=settings.seed,
        bf16=precision == "bf16",
        fp16=precision == "fp16",
        eval_strategy="steps",
        eval_steps=0.25,
        eval_on_start=True,
        save_strategy="steps",
        save_steps=0.25,
        save_total_limit=2,
        load_best_model_at_end=True,
        metric_for_best_model="wer",
        greater_is_better=False,
        logging_steps=5,
        remove_unused_columns=False,
        dataloader_pin_memory=torch.cuda.is_available(),
        disable_tqdm=False,
        report_to="none",
    )


def caption_loss(model: PreTrainedModel, batch: Mapping[str, torch.Tensor]) -> torch.Tensor:
    """Mean cross-entropy of the next token, in nats, over the caption's tokens and never over padding."""
    logits, labels = aligned(model, batch)
    return cross_entropy(logits.float().flatten(0, 1), labels.flatten(), ignore_index=IGNORED)


class _Epochs(TrainerCallback):
    """Tells the training split's transform which epoch begins."""

    def __init__(self, transform: CaptionTransform):
        self.transform = transform

    def on_epoch_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Called by the Trainer."""
        self.transform.set_epoch((state.epoch or 0) + 1e-6)


class CaptionTrainer(Trainer):
    """A transformers.Trainer that evaluates the captions that the model generates from the picture alone.

    Args:
        model: a captioner.
        processor: its processor.
        dataset: the splits train and validation, as `load_captions` gives them.
        settings: what is trained, and for how long.
        data: the fingerprint of the split train, where it is known.
    """

    loss_is_scaled_for_ga = False  # caption_loss is a mean over its own batch

    def __init__(
        self, model: PreTrainedModel, processor: Any, dataset: DatasetDict, settings: Settings, data: str | None = None
    ):
        check_output(settings.output, settings.checkpoint)
        lacking = [split for split in ("train", "validation") if not len(dataset.get(split, ()))]
        if lacking:
            raise DataError(f"The data set has no {' and no '.join(lacking)} split; take one from load_captions.")
        self.settings, self.data = settings, data or fingerprint(dataset["train"])
        vision_encoder_of(model).requires_grad_(not settings.freeze_vision)
        train = prepare_pictures(dataset["train"], processor)
        transform = CaptionTransform(processor, seed=settings.seed)
        train.set_transform(transform)
        check_captions([text for captions in dataset["train"]["captions"] for text in captions], transform, settings)
        validation = prepare_pictures(dataset["validation"], processor)
        validation.set_transform(CaptionTransform(processor, sample=False))
        super().__init__(
            model=model,
            args=training_arguments(settings),
            data_collator=CaptionCollator(processor),
            train_dataset=train,
            eval_dataset=validation,
            processing_class=processor,
            compute_metrics=make_compute_metrics(processor, dataset["validation"]["captions"]),
            callbacks=[_Epochs(transform)],
        )
        self.model_accepts_loss_kwargs = False
        self.seconds, self.interrupted = 0.0, False

    def compute_loss(
        self, model: PreTrainedModel, inputs: dict[str, torch.Tensor], return_outputs: bool = False, **_: Any
    ) -> Any:
        """`caption_loss`, in place of the model's own loss."""
        loss = caption_loss(model, inputs)
        return (loss, {}) if return_outputs else loss

    def prediction_step(
        self, model: PreTrainedModel, inputs: dict[str, Any], prediction_loss_only: bool, ignore_keys: Any = None
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """The loss of one batch, the token ids generated from its pictures, and its labels. No logits are kept."""
        inputs = self._prepare_inputs(inputs)
        with torch.inference_mode(), self.compute_loss_context_manager():
            loss = caption_loss(model, inputs)
            made = model.generate(
                **generation_inputs(inputs),
                max_new_tokens=self.settings.max_new_tokens,
                num_beams=1,
                do_sample=False,
            )
        return loss, made, inputs["labels"]

    def train(self, resume_from_checkpoint: str | None = None, **kwargs: Any) -> Any:
        """Trains. It can be stopped and continued; see `resumable`."""
        values = {"batch_size": self.settings.batch_size, "max_new_tokens": self.settings.max_new_tokens}
        fresh = resume_from_checkpoint is None
        with resumable(self, fresh=fresh), enough_memory("training", **values):
            output = super().train(resume_from_checkpoint, **kwargs)
            if not improved(self.state.log_history):
                logger.warning(
                    "No step was better on the validation split than the model before training; the best of them is "
                    "kept. Train for more epochs, at another learning rate, or on more pictures."
                )
            return output


def overfit_one_batch(
    model: PreTrainedModel, batch: Mapping[str, torch.Tensor], *, steps: int = 60, learning_rate: float = 1e-3
) -> list[float]:
    """Trains on one batch again and again, as a check: a model that is able to learn brings the loss near zero.

    Args:
        model: is changed; give it a copy.
        batch: as `CaptionCollator` makes it.
        steps: how often.
        learning_rate: of AdamW.

    Returns:
        The loss before each step, in nats a token.
    """
    optimizer = torch.optim.AdamW(model.parameters(), lr=learning_rate)
    losses = []
    for _ in range(steps):
        loss = caption_loss(model, batch)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    model.eval()
    return losses
