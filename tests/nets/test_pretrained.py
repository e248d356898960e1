"""A checkpoint is what it is taken for: its own logits, all its weights, its sight, its length."""

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch.testing import assert_close

from tcsm.errors import InputError
from tcsm.models.autoregressive import Autoregressive
from tcsm.nets.hub import Pretrained
from tcsm.targets.adapters import Exact, OneSided, Taylor
from tests.checkpoints import FAMILIES, make

V, EXTRA = 7, 40
TOKENS = [30, 8, 21, 17, 9, 50, 12]
MASKED = {"bert", "roberta", "longformer", "esm"}


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """The folder of a family's checkpoint; to be read only."""
    known = {}

    def folder(family, **settings):
        name = f"{family}{sorted(settings.items())}"
        if name not in known:
            known[name] = tmp_path_factory.mktemp(family)
            make(family, **settings).save_pretrained(known[name])
        return known[name]

    return folder


@pytest.fixture
def copied(saved, tmp_path):
    """The same, to be damaged."""

    def folder(family, **settings):
        return shutil.copytree(saved(family, **settings), tmp_path / "copy")

    return folder


def opened(folder, family, **fields):
    masked = family in MASKED
    fields = {"before": [2], "after": [3], **fields} if masked else fields
    given = {"tokens": TOKENS, "extra": EXTRA, "vocabulary": V, "causal": not masked, **fields}
    return Pretrained(name=str(folder), **given)


def refusal(folder, family, **fields):
    with pytest.raises(InputError) as raised:
        opened(folder, family, **fields)
    message = str(raised.value)
    assert "\n" not in message
    assert str(folder) in message
    return message


def logits(net, x):
    return net(x, None, torch.ones_like(x, dtype=torch.bool)).view(*x.shape, V)


@pytest.mark.parametrize("family", sorted(FAMILIES.keys() - {"xlnet"}))
@torch.no_grad()
def test_logits_are_the_library_s_for_its_own_numbers(saved, family):
    """Up to the longest text: Gemma, XGLM and BART scale embeddings, ESM drops them."""
    masked = family in MASKED
    net = opened(saved(family), family)
    expected = None if family == "mamba" else 32 - offset_of(family) - 2 * masked
    assert net.longest == expected
    x = torch.arange(2 * (net.longest or 40)).view(2, -1) * 5 % V
    x[0, 1] = V  # the mask or the start, where a model may act on it
    ids = torch.tensor([*TOKENS, EXTRA])[x]
    if masked:
        ids = torch.nn.functional.pad(
            torch.nn.functional.pad(ids, (1, 0), value=2), (0, 1), value=3
        )
    raw = make(family)(input_ids=ids).logits[..., TOKENS]
    assert_close(logits(net, x), raw[:, 1:-1] if masked else raw, atol=1e-4, rtol=1e-4)


def offset_of(family):
    return {"roberta": 1, "longformer": 1, "esm": 2}.get(family, 0)


@pytest.mark.parametrize("family", ["gpt2", "bart"])
@torch.no_grad()
def test_teachers_agree_on_scaled_embeddings(saved, family):
    """Taylor's slope is that of differences of the embedding: against finite differences."""
    model = Autoregressive(opened(saved(family), family).double())
    x = torch.tensor([[0, 3, 1, 6]])
    assert_close(model.log_next_of(model.embedding[x])[0], model.log_next_at(x, x >= 0))
    slope = Taylor().attach(model).log_conditionals(x, x >= 0)

    def log_p(embedded):
        return model.log_next_of(embedded).gather(-1, x[..., None]).sum()

    table, step = model.embedding, 1e-6
    own = model.log_next_at(x, x >= 0)
    for position in range(4):
        moved = table[x].repeat(V, 1, 1)
        moved[:, position] += step * table
        rise = torch.stack([log_p(row[None]) - log_p(table[x]) for row in moved]) / step
        assert_close(
            slope[position], torch.log_softmax(rise + own[position], -1), atol=1e-4, rtol=1e-4
        )
    everything = Exact().attach(model).log_conditionals(x, x >= 0)
    assert_close(everything.exp().sum(-1), torch.ones(4).double())


def test_taylor_refuses_what_reads_more_than_embeddings(saved):
    model = Autoregressive(opened(saved("gemma3n"), "gemma3n"))
    OneSided().attach(model)
    with pytest.raises(InputError, match="teacher=taylor"):
        Taylor().attach(model)


@pytest.mark.parametrize("family", ["xlnet", "bert"])
def test_a_model_that_sees_the_future_is_not_causal(saved, family):
    assert refusal(saved(family), family, causal=True).startswith("net.causal: found true")


def test_a_model_that_sees_the_past_alone_fills_no_masks(saved):
    message = refusal(saved("bert", is_decoder=True), "bert")
    assert message.startswith("net.causal: found false")


@pytest.mark.parametrize("family", ["gpt2", "bert"])
@pytest.mark.parametrize("part", ["base", "classifier"])
def test_a_checkpoint_without_its_head_is_refused(tmp_path, family, part):
    import transformers

    model = make(family)
    short = {"gpt2": "GPT2", "bert": "Bert"}[family]
    name = f"{short}Model" if part == "base" else f"{short}ForSequenceClassification"
    getattr(transformers, name)(model.config).save_pretrained(tmp_path)
    message = refusal(tmp_path, family)
    assert message.startswith("net.name: ")
    assert name in message or "cls.predictions" in message


def edit(folder, **values):
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"n_layer": 3}, "transformer.h.2."),
        ({"n_layer": 1}, "transformer.h.1."),
        ({"n_positions": 8}, "transformer.wpe.weight"),
        ({"vocab_size": 80}, "transformer.wte.weight"),
        ({"model_type": "martian"}, "martian"),
        ({"model_type": "t5"}, "T5"),
        ({"n_head": 3}, "num_heads"),
        ({"n_layer": "many"}, "n_layer"),
        ({"quantization_config": {"quant_method": "gptq", "bits": 4}}, "gptq"),
    ],
)
def test_a_configuration_of_another_model_is_refused(copied, values, said):
    folder = copied("gpt2")
    edit(folder, **values)
    message = refusal(folder, "gpt2")
    assert message.startswith("net.name: ")
    assert said.lower() in message.lower()


def test_weights_that_are_no_numbers_are_named(copied):
    folder = copied("gpt2")
    weights = load_file(folder / "model.safetensors")
    weights["transformer.h.1.mlp.c_fc.weight"][0, 0] = torch.nan
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    assert "transformer.h.1.mlp.c_fc.weight" in refusal(folder, "gpt2")


def test_a_missing_or_broken_part_of_the_weights_is_named(tmp_path):
    make("gpt2").save_pretrained(tmp_path, max_shard_size="3KB")
    parts = sorted(tmp_path.glob("model-*.safetensors"))
    assert len(parts) > 2
    opened(tmp_path, "gpt2")
    parts[1].write_bytes(parts[1].read_bytes()[:-9])
    assert parts[1].name in refusal(tmp_path, "gpt2")
    parts[1].unlink()
    assert parts[1].name in refusal(tmp_path, "gpt2")


@pytest.mark.parametrize("name", ["pytorch_model.bin", "adapter_model.safetensors"])
def test_a_folder_of_other_weights_says_what_it_has(copied, name):
    folder = copied("gpt2")
    (folder / "model.safetensors").rename(folder / name)
    if name.startswith("adapter"):
        (folder / "config.json").unlink()
        (folder / "adapter_config.json").write_text('{"peft_type": "LORA"}')
    assert name in refusal(folder, "gpt2")


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_weights_are_read_in_float32_unless_asked(tmp_path, dtype):
    make("gpt2").to(dtype).save_pretrained(tmp_path)
    assert {p.dtype for p in opened(tmp_path, "gpt2").parameters()} == {torch.float32}
    expected = opened(tmp_path, "gpt2", dtype="bfloat16")
    assert {p.dtype for p in expected.parameters()} == {torch.bfloat16}
    with pytest.raises(InputError, match=r"net\.dtype .*float16"):
        opened(tmp_path, "gpt2", dtype="float16")


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_it_runs_under_autocast(saved, dtype):
    net, x = opened(saved("gemma3"), "gemma3", dtype=dtype), torch.tensor([[0, 3, 1, 6]])
    with torch.autocast("cpu", dtype=torch.bfloat16):
        teacher = Taylor().attach(Autoregressive(net))
        assert teacher.log_conditionals(x, x >= 0).isfinite().all()


def test_a_table_that_is_padded_to_a_multiple_is_read_in_part(saved):
    """As Pythia's: 50,304 rows for 50,277 tokens."""
    net = opened(saved("gpt2"), "gpt2", tokens=None, vocabulary=V, extra=V)
    assert (net.vocabulary, net.states) == (V, V + 1)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"tokens": [30, 8, 21, 17, 9, 50, 30]}, "net.tokens: 30"),
        ({"tokens": [30, 8, 21, 17, 9, 50]}, "net.tokens must be 7 .* found 6"),
        ({"tokens": [30, 8, 21, 17, 9, 50, 64]}, "net.tokens .* below 64"),
        ({"tokens": None, "vocabulary": 65}, "net.tokens .* below 64"),
        ({"extra": -1}, "net.tokens .* below 64"),
    ],
)
def test_wrong_numbers_of_tokens_are_refused(saved, fields, said):
    with pytest.raises(InputError, match=said):
        opened(saved("gpt2"), "gpt2", **fields)


def test_a_state_may_also_be_a_clean_token(saved):
    """GPT-2 starts a text with the token that ends one."""
    assert opened(saved("gpt2"), "gpt2", extra=TOKENS[0]).states == V + 1


def test_nothing_is_drawn(saved):
    folder = saved("bert")
    before = torch.get_rng_state()
    opened(folder, "bert")
    assert torch.equal(torch.get_rng_state(), before)


def test_a_head_beside_that_for_tokens_does_not_matter(tmp_path):
    import transformers

    model = transformers.GPT2DoubleHeadsModel(make("gpt2").config).eval()
    model.save_pretrained(tmp_path)
    x = torch.arange(6)[None] % V
    raw = model.transformer(input_ids=torch.tensor(TOKENS)[x]).last_hidden_state
    assert_close(logits(opened(tmp_path, "gpt2"), x), model.lm_head(raw)[..., TOKENS])


def test_a_model_without_a_table_of_embeddings_is_refused_in_one_line(tmp_path):
    import transformers

    size = {"d_model": 8, "num_latents": 2, "d_latents": 8, "num_self_attends_per_block": 1}
    size |= {"num_self_attention_heads": 2, "num_cross_attention_heads": 2}
    config = transformers.PerceiverConfig(vocab_size=64, max_position_embeddings=32, **size)
    transformers.PerceiverForMaskedLM(config).save_pretrained(tmp_path)
    assert "cannot be evaluated" in refusal(tmp_path, "bert")
