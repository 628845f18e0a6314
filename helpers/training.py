"""Training: the loss, overfitting one batch, training arguments, and a Trainer that evaluates generated captions."""

from collections.abc import Mapping
from typing import Any

import torch
from datasets import DatasetDict
from torch.nn.functional import cross_entropy
from transformers import PreTrainedModel, Trainer, TrainerCallback, TrainingArguments

from helpers.creatures import attribute_columns
from helpers.data import fingerprint
from helpers.device import OneDevice, best_device, check_loss, choose_precision, processes
from helpers.errors import enough_memory
from helpers.families import aligned, generation_inputs, vision_encoder_of
from helpers.lora import low_rank
from helpers.metrics import decode, make_compute_metrics
from helpers.pairs import check_pair
from helpers.paths import check_output
from helpers.reading.given import own_splits
from helpers.reading.locate import fingerprint_of_weights
from helpers.resuming import best_row, checkpoints_folder, leave_for_table, resumable, say_if_worse, unfinished
from helpers.settings import Settings, own_settings
from helpers.transforms import IGNORED, CaptionCollator, CaptionTransform, prepare_pictures
from helpers.vocabulary import check_captions


def caption_loss(
    model: PreTrainedModel, batch: Mapping[str, torch.Tensor], tokens: torch.Tensor | int | None = None
) -> torch.Tensor:
    """Cross-entropy of the next token, in nats, over the captions' tokens and never over padding.

    It is a sum, divided by `tokens`: None takes those of this batch, which gives their mean. `model` may be wrapped.
    """
    logits, labels = aligned(model, batch)  # (batch, positions, vocabulary), (batch, positions)
    logits = logits.float().flatten(0, 1)  # (batch * positions, vocabulary); half precision is too coarse here
    total = cross_entropy(logits, labels.flatten(), ignore_index=IGNORED, reduction="sum")  # (), without -100
    return total / ((labels != IGNORED).sum() if tokens is None else tokens)


def overfit_one_batch(
    model: PreTrainedModel, batch: Mapping[str, torch.Tensor], *, steps: int = 60, learning_rate: float = 1e-3
) -> list[float]:
    """Trains on one batch again and again, as a check: a model that is able to learn brings the loss near zero.

    `model` is changed, so give it a copy; `batch` is a `CaptionCollator`'s. Gives the loss before each step, in nats.
    """
    optimizer = torch.optim.AdamW(model.float().parameters(), lr=learning_rate)  # half precision loses small steps
    losses = []
    for step in range(steps):
        loss = check_loss(caption_loss(model, batch), step, learning_rate)  # of all captions: (), in nats
        loss.backward()  # each parameter gets a gradient of its own shape
        optimizer.step()
        optimizer.zero_grad()  # or the next step would add to these gradients
        losses.append(loss.item())
    model.eval()
    return losses


def training_arguments(settings: Settings) -> TrainingArguments:
    """The Trainer's arguments for these settings; every value not named here is the library's default.

    The defaults include a fused AdamW. Batches are not sorted by length: most positions are the picture's, so that
    padding to the longest caption of a batch costs little. Nor are there workers: prepared pictures are only copied.
    """
    precision = choose_precision(settings.precision)
    return OneDevice(
        output_dir=str(checkpoints_folder(settings)),
        num_train_epochs=settings.epochs,
        per_device_train_batch_size=settings.batch_size,
        per_device_eval_batch_size=2 * settings.batch_size,  # no gradients to hold
        learning_rate=settings.learning_rate,
        lr_scheduler_type="cosine",  # after the warmup it falls to zero
        warmup_steps=settings.warmup,  # below 1, a share of all steps
        weight_decay=settings.weight_decay,
        seed=settings.seed,
        use_cpu=best_device() == "cpu",  # or bf16 is refused there
        bf16=precision == "bf16",
        fp16=precision == "fp16",
        eval_strategy="steps",
        eval_steps=0.25,  # of the training: four times
        eval_on_start=True,
        save_steps=0.25,
        save_total_limit=2,  # the best checkpoint and the newest
        load_best_model_at_end=True,
        metric_for_best_model="best_step",  # of generated captions, by `CaptionTrainer.evaluate`; else the loss
        logging_steps=5,  # a point of the loss curve is a mean over five
        remove_unused_columns=False,  # the transform needs columns that the model does not
        dataloader_pin_memory=torch.cuda.is_available(),
        disable_tqdm=False,
    )


class _Progress(TrainerCallback):
    """Tells the training split's transform which epoch begins, and the notebook's table what there is room for."""

    def __init__(self, transform: CaptionTransform):
        self.transform = transform

    def on_epoch_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.transform.set_epoch((state.epoch or 0) + 1e-6)  # the Trainer's epoch is a fraction: 0.9999… means 1

    def on_evaluate(self, args: Any, state: Any, control: Any, metrics: dict[str, Any], **kwargs: Any) -> None:
        leave_for_table(metrics)  # the table is made of this very dictionary


class CaptionTrainer(Trainer):
    """A transformers.Trainer that evaluates the captions that the model generates from the picture alone.

    Args:
        model, processor: a captioner and its processor.
        dataset: the splits train and validation, as `load_captions` gives them.
        settings: what is trained, and for how long.
        data: the fingerprint of the split train, where it is known.
    """

    loss_is_scaled_for_ga = True  # compute_loss divides by the tokens of all batches of a step

    def __init__(
        self, model: PreTrainedModel, processor: Any, dataset: DatasetDict, settings: Settings, data: str | None = None
    ):
        check_output(own_settings(settings).output, settings.checkpoint)
        check_pair(model, processor, learn=True)
        learnt, held_out = own_splits(dataset, "train", "validation").values()
        self.settings, self.data = settings, data or fingerprint(learnt)
        self.base = fingerprint_of_weights(settings.checkpoint)
        vision_encoder_of(model.float()).requires_grad_(not settings.freeze_vision)
        transform = CaptionTransform(processor, seed=settings.seed)
        check_captions([text for captions in learnt["captions"] for text in captions], transform, settings)
        with processes().main_process_first():  # the others find what it has prepared
            train = prepare_pictures(learnt, processor).with_transform(transform)
            validation = prepare_pictures(held_out, processor).with_transform(CaptionTransform(processor, sample=False))
        scores = make_compute_metrics(processor, held_out["captions"], attribute_columns(held_out))
        super().__init__(
            model=model,
            args=training_arguments(settings),
            data_collator=CaptionCollator(processor),
            train_dataset=train,
            eval_dataset=validation,
            processing_class=processor,
            compute_metrics=lambda made: scores(made) | {"first_picture": decode(processor, made.predictions[:1])[0]},
            callbacks=[_Progress(transform)],
        )
        self.model_accepts_loss_kwargs = True  # so that the Trainer counts the tokens of a step
        self.seconds, self.interrupted = 0.0, False

    def compute_loss(
        self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        """`caption_loss` in place of the model's own; each token of a step counts the same, in whichever process."""
        values = self.settings.learning_rate, self.settings.precision
        loss = check_loss(caption_loss(model, inputs, num_items_in_batch), self.state.global_step, *values)
        if num_items_in_batch is not None:  # counted over all processes, whose gradients are averaged
            loss = loss * self.accelerator.num_processes
        return (loss, {}) if return_outputs else loss

    def prediction_step(
        self, model: PreTrainedModel, inputs: dict[str, Any], prediction_loss_only: bool, ignore_keys: Any = None
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """The loss of one batch, the token ids generated from its pictures, and its labels. No logits are kept."""
        inputs = self._prepare_inputs(inputs)
        greedy = {"max_new_tokens": self.settings.max_new_tokens, "num_beams": 1, "do_sample": False}
        with torch.inference_mode(), self.compute_loss_context_manager():
            loss = self.compute_loss(model, inputs)  # given all earlier words
            predictions = model.generate(**generation_inputs(inputs), **greedy)  # (batch, tokens)
        return loss, predictions, inputs["labels"]  # the Trainer pads both with -100 to join batches

    def evaluate(self, *args: Any, **kwargs: Any) -> dict[str, float]:
        """Evaluates, and adds the best step so far, by `helpers.resuming.order`. It grows when this step is better."""
        scores = super().evaluate(*args, **kwargs) | self.state.log_history[-1]  # which has all of them
        return scores | {"eval_best_step": (best_row(self.state.log_history) or {"step": 0})["step"]}

    def train(self, resume_from_checkpoint: str | bool | None = None, **kwargs: Any) -> Any:
        """Trains. It can be stopped and continued; see `resumable`. True continues where there is what to continue."""
        at = resume_from_checkpoint
        at = unfinished(self.settings, self.data, self.base) if at is True else at
        values = {"batch_size": self.settings.batch_size, "max_new_tokens": self.settings.max_new_tokens}
        with resumable(self, fresh=at is None), enough_memory("training", **values), low_rank(self):
            output = super().train(at and str(at), **kwargs)
            if self.args.load_best_model_at_end:
                say_if_worse(self.state.log_history)
            return output
