"""The card of a trained model: base, data, recipe and numbers, written by code from what was measured.

Does: turn the facts of a training into Markdown.
Does not: claim anything that is not among them.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

_KINDS = (("sampled", "sampled lists"), ("ranked", "ranked lists"), ("held out", "held-out lists, measured only"))


def write_card(path: Path, facts: Mapping[str, Any]) -> None:
    """Write the card of a training.

    Args:
        facts: what `ranking.llama.train` keeps beside the weights.
    """
    path.write_text(
        "\n".join([*_head(facts), *_data(facts), *_numbers(facts), *_recipe(facts)]) + "\n", encoding="utf8"
    )


def _head(facts: Mapping[str, Any]) -> list[str]:
    kind = "a LoRA adapter for" if facts["adapter"] else "all weights trained from"
    settings = [f"RUNDOWN_RANKER_MODEL={facts['model']}"]
    settings += [f"RUNDOWN_RANKER_ADAPTER={facts['adapter']}"] if facts["adapter"] else []
    return [
        "---",
        f"base_model: {facts['base']}",
        "library_name: " + ("peft" if facts["adapter"] else "transformers"),
        "---",
        "",
        "# A Llama that votes on culprits",
        "",
        f"Trained by Rundown, finished on {facts['finished']}: {kind} `{facts['base']}` (weights {facts['base_digest']}).",
        "It is shown an incident and up to 20 numbered changes, and is asked only how likely each number is. It writes nothing.",
        "",
        "```sh",
        *settings,
        "```",
        "",
        "Its folder holds no training text. What it learned from may be private all the same: keep it as you keep that.",
        "",
    ]


def _data(facts: Mapping[str, Any]) -> list[str]:
    data = facts["data"]
    lines = ["## Data", "", "| what | lists | incidents | from | to | digest |", "|---|---|---|---|---|---|"]
    for key, name in _KINDS:
        row = data[key]
        span = f"{row['from'] or '-'} | {row['to'] or '-'}"
        lines.append(
            f"| {name} | {row['count']} | {row['incidents']} | {span} | {row['digest'] if row['count'] else '-'} |"
        )
    texts = data["texts"]
    told = f"{texts['count']} texts, digest {texts['digest']}" if texts["count"] else "none"
    return [
        *lines,
        "",
        f"Texts for continued pre-training: {told}. Secrets were redacted before anything was learned.",
        "",
    ]


def _numbers(facts: Mapping[str, Any]) -> list[str]:
    lines = ["## Numbers", ""]
    before, after = facts["before"], facts["after"]
    if before and after:
        count = f"{after['lists']} held-out lists with a culprit, {after['without']} without"
        lines += [f"On {count}:", "", "| | guessing | before | after |", "|---|---|---|---|"]
        lines.append(f"| culprit first | {after['guessing']:.3f} | {before['first']:.3f} | {after['first']:.3f} |")
        lines.append(
            f"| nats to the culprit | {after['guessing_nats']:.3f} | {before['nats']:.3f} | {after['nats']:.3f} |"
        )
        if after["none_area"] is not None:
            lines.append(
                f"| tells lists without a culprit (area) | .5 | {before['none_area']:.3f} | {after['none_area']:.3f} |"
            )
    else:
        lines.append("No held-out lists were given, so nothing is known about its quality.")
    lines += ["", "| pass | rows | updates | nats a token before | after | seconds |", "|---|---|---|---|---|---|"]
    for stage in facts["stages"]:
        losses = " | ".join("-" if stage[key] is None else f"{stage[key]:.3f}" for key in ("before", "after"))
        lines.append(f"| {stage['name']} | {stage['rows']} | {stage['steps']} | {losses} | {stage['seconds']} |")
    return [*lines, "", "The losses are of rows kept aside from each pass's own data, to stop early.", ""]


def _recipe(facts: Mapping[str, Any]) -> list[str]:
    rows = [f"| {name} | {value} |" for name, value in facts["recipe"].items()]
    return ["## Recipe", "", f"Plan {facts['plan']}.", "", "| choice | value |", "|---|---|", *rows]
