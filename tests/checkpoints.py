"""Tiny checkpoints of `transformers`, written to a folder as users have them."""

from pathlib import Path


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
