"""One pass of training: rows of tokens through a model, with checkpoints, until done or no better.

Does: open a base with or without an adapter, run `transformers.Trainer` (so accelerate: one device or several), go on from
the last whole checkpoint after a kill, stop early, and leave the weights in a folder.
Does not: make rows (`ranking.llama.train`), or measure elections.

`trl` would bring 273 MB of packages for what is a dozen lines here: a loss on the answer alone, and packing.
"""

from __future__ import annotations

import gc
import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from core.errors import UsageError
from ranking.llama.recipe import Recipe
from ranking.llama.voter import quiet_peft

if TYPE_CHECKING:
    from ranking.ranker import Progress

_REPORT = "report.json"
#: A label that is not learned from: what `transformers` calls "ignore".
_SILENT = -100
_FULL_BELOW = 300_000_000


@dataclass(frozen=True, kw_only=True)
class Row:
    """One sequence: the model learns its last `learned` tokens, given all before."""

    tokens: list[int]
    learned: int


@dataclass(frozen=True, kw_only=True)
class Stage:
    """A pass: what is read, what is watched to stop early, and how often it is read."""

    name: str
    rows: Sequence[Row]
    watched: Sequence[Row]
    epochs: float


@dataclass(frozen=True, kw_only=True)
class StageReport:
    """What a pass did. Losses are nats a learned token on the watched rows; None when none were watched."""

    name: str
    rows: int
    steps: int
    before: float | None
    after: float | None
    seconds: float


def open_base(base: str, recipe: Recipe) -> tuple[Any, Any, Literal["lora", "full"]]:
    """A model to train, its tokenizer, and how it will be trained.

    Args:
        base: hub id or folder.

    Raises:
        UsageError: there is no such model.
    """
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(base)
        method = recipe.method
        if method == "auto":
            with torch.device("meta"):
                weights = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(base)).num_parameters()
            method = "full" if weights < _FULL_BELOW else "lora"
        # With all weights trained, small updates would be lost in bf16: they are kept in fp32 and computed in bf16.
        dtype = torch.bfloat16 if method == "lora" and _bf16(recipe) else torch.float32
        return AutoModelForCausalLM.from_pretrained(base, dtype=dtype), tokenizer, method
    except (OSError, ValueError, ImportError) as error:  # a quantized base asks for packages of its own
        raise UsageError(
            f"cannot load the base model '{base}'",
            why=" ".join(str(error).split())[:300],
            way_out="give a folder with config.json, weights and tokenizer, or a hub id this machine can reach",
        ) from error


def run_stage(
    stage: Stage, base: str, start: Path | None, work: Path, recipe: Recipe, progress: Progress | None = None
) -> StageReport:
    """Train one pass, or go on with it; a pass that is done is only told about.

    Args:
        base: hub id or folder of the base.
        start: where the pass before left its weights; None for the first.
        work: the pass's own folder; the weights end up in `work/final`.

    Raises:
        UsageError: the base cannot be loaded, or has no layers of the names in `recipe.targets`.
    """
    report = work / "final" / _REPORT
    if report.is_file():
        return StageReport(**json.loads(report.read_text(encoding="utf8")))
    model, tokenizer, method = open_base(base if start is None or _is_adapter(start) else str(start), recipe)
    if method == "lora":
        model = _with_lora(model, start, recipe)
    trainer = _trainer(model, tokenizer, stage, work, recipe, progress)
    with quiet_peft():
        before = _watched_loss(trainer, work / "before.json") if stage.watched else None
        done = trainer.train(resume_from_checkpoint=_last_checkpoint(work))
        after = trainer.evaluate()["eval_loss"] if stage.watched else None
        trainer.save_model(str(work / "final"))
    found = StageReport(
        name=stage.name,
        rows=len(stage.rows),
        steps=trainer.state.global_step,
        before=before,
        after=after,
        seconds=round(done.metrics["train_runtime"], 1),
    )
    if trainer.is_world_process_zero():
        tokenizer.save_pretrained(work / "final")
        report.write_text(json.dumps(asdict(found)), encoding="utf8")
    trainer.accelerator.wait_for_everyone()
    del trainer, model
    free_memory()
    return found


def _is_adapter(folder: Path) -> bool:
    return (folder / "adapter_config.json").is_file()


def _with_lora(model: Any, start: Path | None, recipe: Recipe) -> Any:
    """The model with a new adapter, or with the one an earlier pass trained."""
    from peft import LoraConfig, PeftModel, get_peft_model
    from transformers import set_seed

    set_seed(recipe.seed)  # an adapter begins with random numbers

    config = LoraConfig(
        task_type="CAUSAL_LM",
        r=recipe.rank,
        lora_alpha=recipe.alpha,
        lora_dropout=recipe.dropout,
        target_modules=list(recipe.targets) or None,
    )
    with quiet_peft():
        if start is not None:
            return PeftModel.from_pretrained(model, str(start), is_trainable=True)
        try:
            return get_peft_model(model, config)
        except ValueError as error:
            raise UsageError(
                "cannot put an adapter on the base model",
                why=str(error).partition("\n")[0],
                way_out="name its layers with --targets, or train all weights with --method full",
            ) from error


def _trainer(model: Any, tokenizer: Any, stage: Stage, work: Path, recipe: Recipe, progress: Progress | None) -> Any:
    import torch
    from transformers import EarlyStoppingCallback, PrinterCallback, Trainer, TrainingArguments

    cuda = torch.cuda.is_available()
    if cuda if recipe.checkpointing is None else recipe.checkpointing:
        model.activation_checkpointing_enable(activation_checkpointing_kwargs={"use_reentrant": False})
        model.enable_input_require_grads()
    watching = bool(stage.watched)
    look = _look_every(stage, recipe)
    when = {"save_strategy": "steps", "save_steps": look, "logging_strategy": "no"}
    if watching:
        when |= {"eval_strategy": "steps", "eval_steps": look, "load_best_model_at_end": True}
    arguments = TrainingArguments(
        output_dir=str(work),
        num_train_epochs=stage.epochs,
        learning_rate=recipe.rate or (2e-4 if hasattr(model, "peft_config") else 2e-5),
        lr_scheduler_type="cosine",
        warmup_steps=0.05,
        weight_decay=recipe.weight_decay,
        per_device_train_batch_size=recipe.batch,
        per_device_eval_batch_size=recipe.batch,
        gradient_accumulation_steps=recipe.accumulation,
        bf16=_bf16(recipe),
        seed=recipe.seed,
        data_seed=recipe.seed,
        use_cpu=not cuda,
        save_total_limit=2,
        restore_callback_states_from_checkpoint=True,
        prediction_loss_only=True,
        remove_unused_columns=False,
        dataloader_pin_memory=cuda,
        ddp_find_unused_parameters=False,
        disable_tqdm=True,
        report_to="none",
        **when,
    )
    callbacks = [_teller(stage.name, progress)] if progress else []
    if watching:
        callbacks.append(EarlyStoppingCallback(early_stopping_patience=recipe.patience))
    trainer = Trainer(
        model=model,
        args=arguments,
        train_dataset=list(stage.rows),
        eval_dataset=list(stage.watched) if watching else None,
        data_collator=_collate,
        callbacks=callbacks,
    )
    trainer.remove_callback(PrinterCallback)
    return trainer


def _look_every(stage: Stage, recipe: Recipe) -> int:
    """Updates between two looks, so that a pass has about `recipe.looks` of them."""
    from accelerate import PartialState

    batches = math.ceil(len(stage.rows) / (recipe.batch * PartialState().num_processes))
    return max(1, int(math.ceil(batches / recipe.accumulation) * stage.epochs / recipe.looks))


def _teller(name: str, progress: Progress) -> Any:
    """A callback that tells how far a pass is, once for all devices."""
    from transformers import TrainerCallback

    class Teller(TrainerCallback):  # type: ignore[misc]
        def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            if state.is_world_process_zero:
                progress(name, state.global_step, state.max_steps)

    return Teller()


def _collate(rows: Sequence[Row]) -> dict[str, Any]:
    """Rows of different lengths as one batch, padded before their first token.

    So all answers end in the last columns, and the model need only say what it expects there: with a large vocabulary
    the logits of a whole prompt would outweigh everything else in memory.
    """
    import torch

    longest = max(len(row.tokens) for row in rows)
    # One more than is learned: the loss compares each place with the next token.
    kept = min(longest, max(row.learned for row in rows) + 1)
    tokens = torch.zeros(len(rows), longest, dtype=torch.long)
    mask = torch.zeros_like(tokens)
    labels = torch.full((len(rows), kept), _SILENT)
    for place, row in enumerate(rows):
        tokens[place, longest - len(row.tokens) :] = torch.tensor(row.tokens)
        mask[place, longest - len(row.tokens) :] = 1
        labels[place, kept - row.learned :] = torch.tensor(row.tokens[-row.learned :])
    places = (mask.cumsum(-1) - 1).clamp(min=0)
    return {
        "input_ids": tokens,
        "attention_mask": mask,
        "position_ids": places,
        "labels": labels,
        "logits_to_keep": kept,
    }


def _watched_loss(trainer: Any, kept: Path) -> float:
    """The loss before the first step, measured once however often the pass is started."""
    if kept.is_file():
        return float(json.loads(kept.read_text(encoding="utf8")))
    loss = float(trainer.evaluate()["eval_loss"])
    if trainer.is_world_process_zero():
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.write_text(json.dumps(loss), encoding="utf8")
    trainer.accelerator.wait_for_everyone()
    return loss


def _last_checkpoint(work: Path) -> str | None:
    """The newest checkpoint that was written to its end: its state is the last file of it."""
    whole = []
    for state in work.glob("checkpoint-*/trainer_state.json"):
        try:
            whole.append((json.loads(state.read_text(encoding="utf8"))["global_step"], str(state.parent)))
        except (ValueError, KeyError):
            continue
    return max(whole)[1] if whole else None


def _bf16(recipe: Recipe) -> bool:
    import torch

    if recipe.precision != "auto":
        return recipe.precision == "bf16"
    return torch.cuda.is_available() and torch.cuda.is_bf16_supported()


def free_memory() -> None:
    """Give a GPU's memory back once a model is let go, so that the next one fits beside it."""
    import torch

    if torch.cuda.is_available():
        gc.collect()  # a trainer and its model refer to each other
        torch.cuda.empty_cache()
