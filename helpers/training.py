"""Loss, arguments, Trainer; load a captioner or train it."""

from __future__ import annotations

import logging
import reprlib
import shutil
import time
from collections.abc import Mapping
from typing import Any

import torch
from datasets import DatasetDict
from torch.nn.functional import cross_entropy
from transformers import PreTrainedModel, Trainer, TrainerCallback, TrainingArguments, set_seed

from helpers.data import fingerprint, load_captions
from helpers.errors import CheckpointError, DataError, SettingsError, enough_memory
from helpers.families import aligned, generation_inputs, load_checkpoint, vision_encoder_of
from helpers.metrics import make_compute_metrics
from helpers.records import (
    CHECKPOINTS,
    begin_checkpoints,
    check_output,
    differences,
    learnt,
    move_aside,
    save_captioner,
    unfinished,
)
from helpers.settings import Settings, beside, captioner_folder, read_record
from helpers.transforms import IGNORED, CaptionCollator, CaptionTransform, prepare_pictures
from helpers.vocabulary import check_captions

logger = logging.getLogger(__name__)


def choose_precision(asked: str = "auto") -> str:
    """What the weights are multiplied in: "fp32" on a CPU and on Apple's chips, "bf16" or "fp16" on a GPU."""
    if asked != "auto":
        return asked
    if not torch.cuda.is_available():
        return "fp32"
    # Older GPUs (a T4) compute bf16 by emulation, many times slower than fp16.
    return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp16"


def training_arguments(settings: Settings) -> TrainingArguments:
    """The Trainer's arguments for these settings; every value not named here is the library's default.

    The defaults include a fused AdamW. Batches are not sorted by length: most positions are the picture's, so that
    padding to the longest caption of a batch costs little. Nor are there workers: prepared pictures are only copied.
    """
    precision = choose_precision(settings.precision)
    return TrainingArguments(
        output_dir=str(beside(captioner_folder(settings.output), CHECKPOINTS)),
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
    """

    loss_is_scaled_for_ga = False  # caption_loss is a mean over its own batch

    def __init__(self, model: PreTrainedModel, processor: Any, dataset: DatasetDict, settings: Settings):
        check_output(settings)
        lacking = [split for split in ("train", "validation") if not len(dataset.get(split, ()))]
        if lacking:
            raise DataError(f"The data set has no {' and no '.join(lacking)} split; take one from load_captions.")
        self.settings, self.data = settings, fingerprint(dataset["train"])
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
        """Trains. An interruption (the stop button) ends the training and keeps the model as far as it got.

        The Trainer's checkpoints stay after an interruption, or when the process dies, to continue from; they are
        removed after a training that came to its end.
        """
        folder, began = self.args.output_dir, time.perf_counter()
        values = {"batch_size": self.settings.batch_size, "max_new_tokens": self.settings.max_new_tokens}
        try:
            if resume_from_checkpoint is None:
                shutil.rmtree(folder, ignore_errors=True)
                begin_checkpoints(self.settings, self.data)
            with enough_memory("training", **values):
                output = super().train(resume_from_checkpoint, **kwargs)
            shutil.rmtree(folder, ignore_errors=True)
            if not learnt(self.state.log_history):
                logger.warning(
                    "No step was better on the validation split than the model before training; the best of them is "
                    "kept. Train for more epochs, at another learning rate, or on more pictures."
                )
            return output
        except KeyboardInterrupt:
            self.interrupted = True
            logger.warning(
                "Stopped at step %d of %d; the model keeps what it has learnt.",
                self.state.global_step,
                self.state.max_steps,
            )
        except OSError as error:
            where = f"Training stopped at step {self.state.global_step} of {self.state.max_steps}"
            raise SettingsError(f"{where}: {error.strerror or error}; mend that, and train again.") from None
        finally:
            self.seconds = time.perf_counter() - began
            self.model.eval()


def load_or_train(
    settings: Settings, *, dataset: DatasetDict | None = None, resume: bool = False
) -> tuple[PreTrainedModel, Any]:
    """The captioner that these settings train: loaded if it is there, trained and saved if it is not.

    Args:
        settings: what to train. Values that training does not depend on may differ from the saved ones.
        dataset: what `load_captions(settings.dataset)` gave, where you have it. A saved captioner that learnt from
            another training split is not used then: its score would mean nothing, because a picture that it learnt
            from may be a test picture now.
        resume: continue a training that was interrupted, where its captioner would be used as it is. A training that
            left no captioner, because its process died, is continued in any case.

    Returns:
        The model in evaluation mode and its processor.

    Raises:
        SettingsError: these are no Settings, or what they name cannot be written to.
    """
    if not isinstance(settings, Settings):
        raise SettingsError(f"{reprlib.repr(settings)} is no Settings; write load_or_train(Settings.tiny()).")
    record = read_record(settings.output)
    data = fingerprint(dataset["train"]) if record and dataset else None
    why = differences(record, settings, data) if record else ""
    if record and not why and not (resume and record["interrupted"]):
        if record["interrupted"]:
            steps = (record["steps"], record["planned_steps"])
            logger.warning("This captioner was stopped at step %d of %d; it is used as it is.", *steps)
        try:
            return load_checkpoint(settings.output)
        except CheckpointError as error:
            aside = move_aside(captioner_folder(settings.output))
            logger.warning("%s It was moved to %s; training another.", error, aside.name)
            record = None
    if why:
        logger.warning("The saved captioner was trained with %s. Training again.", why)
    elif not record:
        logger.warning("There is no finished captioner in %s yet: training one first.", settings.output)
    dataset = dataset or load_captions(settings.dataset)
    set_seed(settings.seed)
    model, processor = load_checkpoint(settings.checkpoint)
    trainer = CaptionTrainer(model, processor, dataset, settings)
    checkpoint = unfinished(settings, trainer.data)
    if checkpoint:
        logger.warning("Continuing the training that was stopped, from step %s.", checkpoint.name.rpartition("-")[2])
    elif record and not why:
        logger.warning("Nothing is left of the training that was stopped; beginning it anew.")
    trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    save_captioner(trainer)
    return trainer.model, processor


def learn_by_heart(
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


def parameters_by_part(model: PreTrainedModel) -> list[dict[str, Any]]:
    """How many parameters each part of a captioner has: rows with the keys part, parameters and share."""
    total = sum(p.numel() for p in model.parameters())
    counts: dict[str, int] = {}
    for name, parameter in model.named_parameters():
        part = ".".join(name.split(".")[:2]) if name.startswith(f"{model.base_model_prefix}.") else name.split(".")[0]
        counts[part] = counts.get(part, 0) + parameter.numel()
    return [{"part": part, "parameters": f"{n:,}", "share": f"{n / total:.0%}"} for part, n in counts.items()]
