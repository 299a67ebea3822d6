"""A model's vote: the same contract for the Llama and for its fake."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from ranking_repos import NOON, Change

from bot.app import open_ranker
from core.errors import ModelUnavailable
from core.model import Incident
from core.settings import read_settings
from ranking.llama import ELECTION_SIZE, LlamaVoter, WordModel, arrangements

INCIDENT = "Checkout: the connection pool is exhausted"
CANDIDATES = [
    f"shop {number:03d} | change the {word} of the page"
    for number, word in enumerate(["pool", "colour", "font", "header", "footer", "search", "price"])
]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory) -> Path:
    """A Llama of two thin layers with random weights, and a tokenizer of letters, in a folder."""
    import torch
    from tokenizers import Regex, Tokenizer, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    folder = tmp_path_factory.mktemp("tiny-llama")
    letters = {"<s>": 0, "</s>": 1, "<unk>": 2, **{chr(code): code - 29 for code in range(32, 127)}, "\n": 98}
    raw = Tokenizer(models.WordLevel(letters, unk_token="<unk>"))
    raw.pre_tokenizer = pre_tokenizers.Split(Regex(r"[\s\S]"), "isolated")
    PreTrainedTokenizerFast(tokenizer_object=raw, bos_token="<s>", eos_token="</s>", unk_token="<unk>").save_pretrained(
        folder
    )
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=99,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=1024,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    return folder


@pytest.fixture(params=["words", "llama"])
def model(request):
    return WordModel() if request.param == "words" else LlamaVoter(str(request.getfixturevalue("tiny")))


def test_a_vote_is_a_probability_over_the_candidates(model):
    """One log-probability for each, in the order given; together they are certain."""
    votes = model.vote(INCIDENT, CANDIDATES, budget_s=60)

    assert len(votes) == len(CANDIDATES)
    assert sum(map(math.exp, votes)) == pytest.approx(1)


@pytest.mark.parametrize("turn", [1, 3, -1])
def test_the_order_of_candidates_changes_no_vote(model, turn):
    """Each candidate keeps its vote wherever it stands."""
    votes = dict(zip(CANDIDATES, model.vote(INCIDENT, CANDIDATES, budget_s=60), strict=True))
    other = [*CANDIDATES[turn:], *CANDIDATES[:turn]] if turn > 0 else CANDIDATES[::-1]

    assert dict(zip(other, model.vote(INCIDENT, other, budget_s=60), strict=True)) == votes


@pytest.mark.parametrize("count", [0, 1, ELECTION_SIZE])
def test_an_election_may_have_any_size_up_to_its_limit(model, count):
    """None, one, or twenty; long texts are cut to what the model can read."""
    candidates = [f"{number} " + "a long message " * 200 for number in range(count)]

    assert len(model.vote("words " * 5000, candidates, budget_s=60)) == count


def test_more_than_an_election_is_the_callers_mistake(model):
    """The first stage chooses."""
    with pytest.raises(ValueError, match="the first stage must choose 20"):
        model.vote(INCIDENT, ["x"] * (ELECTION_SIZE + 1), budget_s=60)


def test_the_fake_prefers_shared_words():
    """Deterministic, so that tests of others can rely on it."""
    votes = WordModel().vote(INCIDENT, CANDIDATES, budget_s=1)

    assert votes.index(max(votes)) == 0


def test_no_time_is_no_vote(tiny):
    """A model that cannot finish within the budget is unavailable, not wrong."""
    with pytest.raises(ModelUnavailable, match="gave no vote: nothing within 0 s"):
        LlamaVoter(str(tiny)).vote(INCIDENT, CANDIDATES, budget_s=0.0)


def test_a_model_that_is_not_there_says_which_setting(tmp_path):
    """The message names the variable to check."""
    with pytest.raises(ModelUnavailable, match="check RUNDOWN_RANKER_MODEL"):
        LlamaVoter(str(tmp_path / "nothing")).vote(INCIDENT, CANDIDATES, budget_s=60)


@pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing:FutureWarning")
def test_a_lora_adapter_changes_the_votes(tiny, tmp_path):
    """The adapter is merged into the model, and named."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    tuned = get_peft_model(
        AutoModelForCausalLM.from_pretrained(tiny), LoraConfig(target_modules=["q_proj", "v_proj"], r=2)
    )
    for name, parameter in tuned.named_parameters():
        if "lora_B" in name:
            torch.nn.init.ones_(parameter)
    tuned.save_pretrained(tmp_path / "adapter")
    model = LlamaVoter(str(tiny), adapter=str(tmp_path / "adapter"))

    assert model.vote(INCIDENT, CANDIDATES, budget_s=60) != LlamaVoter(str(tiny)).vote(
        INCIDENT, CANDIDATES, budget_s=60
    )
    assert model.name == f"{tiny.name}+adapter"


def test_cached_votes_are_those_of_reading_everything_at_once(tiny):
    """The cache saves time, and changes nothing: one arrangement against one plain pass."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from ranking import llama

    votes = LlamaVoter(str(tiny), arrangements=1).vote(INCIDENT, CANDIDATES, budget_s=60)
    (order,) = arrangements(CANDIDATES, 1)
    tokenizer = AutoTokenizer.from_pretrained(tiny)
    network = AutoModelForCausalLM.from_pretrained(tiny, dtype=torch.bfloat16)
    listed = "".join(f"\n[{number:02d}] {CANDIDATES[index][:48]}" for number, index in enumerate(order, 1))
    prompt = tokenizer.encode(f"<s>{llama._TASK}{INCIDENT}{listed}{llama._ASK}", add_special_tokens=False)
    plain = {}
    for number, index in enumerate(order, 1):
        answer = tokenizer.encode(f"{number:02d}", add_special_tokens=False)
        with torch.inference_mode():
            logits = torch.log_softmax(network(torch.tensor([[*prompt, *answer]])).logits[0].float(), -1)
        plain[index] = sum(float(logits[len(prompt) - 1 + place, token]) for place, token in enumerate(answer))
    expected = llama.log_softmax([plain[index] for index in range(len(CANDIDATES))])

    assert votes == pytest.approx(expected, abs=0.02)


def test_arrangements_spread_each_candidate_over_the_list():
    """Every candidate stands in different places, chosen by what it says."""
    orders = arrangements(CANDIDATES, 3)

    assert [sorted(order) for order in orders] == [list(range(7))] * 3
    assert {len({order.index(index) for order in orders}) for index in range(7)} == {3}


@pytest.mark.model
def test_a_configured_llama_ranks_with_the_features(tiny, make_repo, home):
    """The setting is all it takes; the release says that the model had a vote."""
    changes = [
        Change(hours=hours, message=f"Change the pool {hours}", files={"pool.py": f"size = {hours}\n"})
        for hours in (3, 2, 1)
    ]
    shop = make_repo("shop", changes)
    settings = read_settings(ranker_model=str(tiny), repos=(shop[0],), home=home)
    ranker = open_ranker(settings)

    assert ranker is not None
    ranking = ranker.rank(Incident(id="local:1", title="the pool is exhausted", created_at=NOON))
    assert (ranking.release, ranking.gaps) == (f"features-1+{tiny.name}", ())
