"""A tiny real Llama and a small world of incidents that it can learn: whatever touches the cache breaks things."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from ranking.llama.examples import Example

MAY = datetime(2024, 5, 14, 12, 0, tzinfo=UTC)
PLACES = ("checkout", "search", "login", "basket", "invoice", "profile", "upload", "report")
HARMLESS = ("colour", "font", "header", "footer", "comment", "readme", "spelling", "icon")
SYMPTOMS = ("slow", "down", "failing", "broken")


def made_up(count: int, seed: int, *, size: int = 4) -> list[Example]:
    """Lists of `size` changes, one of which touches the cache: that one did it."""
    rng = random.Random(seed)
    examples = []
    for number in range(count):
        culprit = rng.randrange(size)
        words = ["cache" if place == culprit else rng.choice(HARMLESS) for place in range(size)]
        examples.append(
            Example(
                incident=f"{rng.choice(PLACES)} is {rng.choice(SYMPTOMS)} {seed} {number}",
                at=MAY,
                candidates=tuple(f"shop | change the {word} of {rng.choice(PLACES)}" for word in words),
                culprit=culprit,
            )
        )
    return examples


def make_llama(
    folder: Path,
    *,
    seed: int = 0,
    context: int = 512,
    hidden: int = 64,
    whole_numbers: bool = True,
    spread: float = 0.02,
) -> str:
    """A Llama of two thin layers with random weights, and a byte-level BPE tokenizer trained on that world.

    With `whole_numbers` "07" is one token, else two, as different Llamas have it. A `spread` of its weights wider than a
    training begins with makes it say something before it has learned anything.
    """
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    from ranking.llama import prompt

    texts = [text for example in made_up(50, 1) for text in (example.incident, *example.candidates)]
    texts += [prompt._TASK.replace("00", ""), prompt._LIST, prompt._ASK] * 20
    texts += [f"\n[{number:02d}] " for number in range(21)] * (20 if whole_numbers else 0)
    raw = Tokenizer(models.BPE())
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    raw.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    raw.train_from_iterator(
        texts,
        trainers.BpeTrainer(
            vocab_size=500, special_tokens=["<s>", "</s>"], initial_alphabet=alphabet, show_progress=False
        ),
    )
    PreTrainedTokenizerFast(tokenizer_object=raw, bos_token="<s>", eos_token="</s>").save_pretrained(folder)
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=raw.get_vocab_size(),
        hidden_size=hidden,
        intermediate_size=2 * hidden,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=context,
        initializer_range=spread,
        bos_token_id=0,
        eos_token_id=1,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    return str(folder)


def plain_poll(network, tokenizer, example: Example) -> list[float]:
    """The log-probability of each number, none first, by one whole pass for each answer over a row of training.

    The numbers stand as in the one arrangement of a vote; the candidates come back in the example's order.
    """
    import torch

    from ranking.llama import log_softmax
    from ranking.llama.recipe import Recipe
    from ranking.llama.train import rows_of

    found = []
    for culprit in (None, *range(len(example.candidates))):
        given = replace(example, culprit=culprit)
        (row,) = rows_of(
            [given], tokenizer, network.config.max_position_embeddings, Recipe(arrangements=1), as_voted=True
        )
        with torch.inference_mode():
            logits = torch.log_softmax(network(torch.tensor([row.tokens])).logits[0].float(), -1)
        places = range(len(row.tokens) - row.learned, len(row.tokens))
        found.append(sum(float(logits[place - 1, row.tokens[place]]) for place in places))
    return log_softmax(found)
