"""Tiny checkpoints of `transformers`, written to a folder as users have them."""

from pathlib import Path

import torch
from torch import nn

TEXT = {
    "hidden_size": 8,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 16,
}
GROUPED = {**TEXT, "num_key_value_heads": 2, "head_dim": 4}
BART = {"d_model": 8, "decoder_layers": 2, "decoder_attention_heads": 2, "decoder_ffn_dim": 16}
FAMILIES = {  # model, settings, the key of its number of positions
    "gpt2": ("GPT2LMHeadModel", {"n_embd": 8, "n_layer": 2, "n_head": 2}, "n_positions"),
    "gemma": ("GemmaForCausalLM", GROUPED, "max_position_embeddings"),
    "gemma3": ("Gemma3ForCausalLM", GROUPED, "max_position_embeddings"),
    "gemma3n": (
        "Gemma3nForCausalLM",
        {
            **GROUPED,
            "hidden_size_per_layer_input": 4,
            "layer_types": ["full_attention"] * 2,
            "num_kv_shared_layers": 0,
            "laurel_rank": 2,
            "activation_sparsity_pattern": [0.0, 0.0],
        },
        "max_position_embeddings",
    ),
    "xglm": (
        "XGLMForCausalLM",
        {"d_model": 8, "ffn_dim": 16, "num_layers": 2, "attention_heads": 2},
        "max_position_embeddings",
    ),
    "bart": (
        "BartForCausalLM",
        {**BART, "scale_embedding": True, "is_decoder": True, "is_encoder_decoder": False},
        "max_position_embeddings",
    ),
    "opt": (
        "OPTForCausalLM",
        {**TEXT, "ffn_dim": 16, "word_embed_proj_dim": 8},
        "max_position_embeddings",
    ),
    "mamba": (
        "MambaForCausalLM",
        {"hidden_size": 8, "num_hidden_layers": 2, "state_size": 4},
        None,
    ),
    "xlnet": ("XLNetLMHeadModel", {"d_model": 8, "n_layer": 2, "n_head": 2, "d_inner": 16}, None),
    "bert": ("BertForMaskedLM", TEXT, "max_position_embeddings"),
    "roberta": ("RobertaForMaskedLM", TEXT, "max_position_embeddings"),
    "longformer": (
        "LongformerForMaskedLM",
        {**TEXT, "attention_window": [4, 4]},
        "max_position_embeddings",
    ),
    "esm": (
        "EsmForMaskedLM",
        {
            **TEXT,
            "token_dropout": True,
            "mask_token_id": 4,
            "pad_token_id": 1,
            "position_embedding_type": "absolute",
        },
        "max_position_embeddings",
    ),
}


def make(family: str, *, vocabulary: int = 64, places: int = 32, **settings: object) -> nn.Module:
    """A model of a family with random weights, awake and far from symmetric."""
    import transformers

    name, fixed, key = FAMILIES[family]
    kind = getattr(transformers, name)
    known = {"pad_token_id": 0, "bos_token_id": 2, "eos_token_id": 3, "vocab_size": vocabulary}
    config = kind.config_class(**{**known, **fixed, **({key: places} if key else {}), **settings})
    torch.manual_seed(0)
    model = kind(config).eval()
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(0.3 * torch.randn_like(weight))
    return model


def save(folder: Path, *, causal: bool, vocabulary: int, places: int) -> type:
    """A GPT-2 or a BERT with random weights; returns its class."""
    from transformers import BertConfig, BertForMaskedLM, GPT2Config, GPT2LMHeadModel

    config = (
        GPT2Config(vocab_size=vocabulary, n_positions=places, n_embd=8, n_layer=1, n_head=2)
        if causal
        else BertConfig(
            vocab_size=vocabulary,
            hidden_size=8,
            num_hidden_layers=1,
            num_attention_heads=2,
            intermediate_size=16,
            max_position_embeddings=places,
        )
    )
    kind = GPT2LMHeadModel if causal else BertForMaskedLM
    kind(config).save_pretrained(folder)
    return kind
