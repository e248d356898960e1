"""LLaDA and Dream, whose own classes are code beside their weights, in classes of transformers.

LLaDA is a Llama and Dream a Qwen2, both without a causal mask. Names of LLaDA's weights:

    model.transformer.wte, .ln_f, .ff_out       model.embed_tokens, model.norm, lm_head
    model.transformer.blocks.N.                 model.layers.N.
        attn_norm, ff_norm                          input_layernorm, post_attention_layernorm
        q_proj, k_proj, v_proj, attn_out            self_attn.q_proj, .k_proj, .v_proj, .o_proj
        ff_proj, up_proj, ff_out                    mlp.gate_proj, .up_proj, .down_proj

Dream has the names of Qwen2, and gives the logits of a position one position earlier. Logits equal
those of both models' own code.
"""

import re
from typing import Any

import torch

from tcsm import huggingface
from tcsm.errors import InputError
from tcsm.nets.dit import read

BLOCK = {
    "attn_norm": "input_layernorm",
    "ff_norm": "post_attention_layernorm",
    "q_proj": "self_attn.q_proj",
    "k_proj": "self_attn.k_proj",
    "v_proj": "self_attn.v_proj",
    "attn_out": "self_attn.o_proj",
    "ff_proj": "mlp.gate_proj",
    "up_proj": "mlp.up_proj",
    "ff_out": "mlp.down_proj",
}
OUTER = {"wte": "model.embed_tokens", "ln_f": "model.norm", "ff_out": "lm_head"}
NAME = re.compile(r"model\.transformer\.(?:blocks\.(\d+)\.)?(\w+)\.(\w+)")
# Keys of a configuration, and the values that the classes of transformers compute.
FIXED: dict[str, dict[str, Any]] = {
    "llada": {
        "block_type": "llama",
        "activation_type": "silu",
        "layer_norm_type": "rms",
        "rope": True,
        "alibi": False,
        "input_emb_norm": False,
        "scale_logits": False,
        "attention_layer_norm": False,
        "include_bias": False,
        "include_qkv_bias": False,
    },
    "Dream": {"rope_scaling": None, "use_sliding_window": False, "hidden_act": "silu"},
}
# Our configuration's keys ↦ LLaDA's; Dream's are Qwen2's.
SIZES = {
    "hidden_size": "d_model",
    "intermediate_size": "mlp_hidden_size",
    "num_hidden_layers": "n_layers",
    "num_attention_heads": "n_heads",
    "num_key_value_heads": "n_kv_heads",
    "max_position_embeddings": "max_sequence_length",
    "vocab_size": "embedding_size",
    "rms_norm_eps": "rms_norm_eps",
    "tie_word_embeddings": "weight_tying",
}


def read_config(name: str) -> dict[str, Any] | None:
    """Return the ``config.json`` of a folder of LLaDA or Dream, None for any other model.

    Raises:
        InputError: It cannot be read, or has a value that the classes of transformers lack.
    """
    config = huggingface.config(name, "net.name")
    if config.get("model_type") not in FIXED:
        return None
    for key, value in FIXED[config["model_type"]].items():
        if config.get(key, value) != value:
            raise InputError(
                f"net.name: {name}: {key} of its config.json must be {value}, found {config[key]}"
            )
    return config


def mask_of(name: str, shift: bool) -> int | None:
    """Return the id of the mask of LLaDA or Dream, None for any other model.

    Args:
        name: The folder.
        shift: Whether logits are read one position earlier, as Dream's must be.

    Raises:
        InputError: As in `read_config`, or the other ``shift``.
    """
    config = read_config(name)
    if config is None:
        return None
    wanted = config["model_type"] == "Dream"
    if shift != wanted:
        raise InputError(
            f"net.shift must be {str(wanted).lower()} for {config['model_type']} ({name})"
            + ("; net.start is the id before a text" if wanted else "")
        )
    return int(config["mask_token_id"])


def load(name: str, config: dict[str, Any], dtype: str) -> Any:  # noqa: ANN401
    """Return the model of a folder, all weights of which come from its files.

    Args:
        name: The folder.
        config: Its configuration, of `read_config`.
        dtype: Type of the loaded weights.

    Raises:
        InputError: Weights are missing, left over, damaged or of other shapes.
    """
    place = f"net.name: {name} cannot be loaded"
    tensors = read(name)
    with huggingface.one_line(place), huggingface.quiet():
        import transformers  # noqa: PLC0415  seconds to load

        llada = config["model_type"] == "llada"
        kind: Any = transformers.LlamaForCausalLM if llada else transformers.Qwen2ForCausalLM
        sizes = {ours: config[key if llada else ours] for ours, key in SIZES.items()
                 if (key if llada else ours) in config}  # fmt: skip
        rope = {"rope_type": "default", "rope_theta": config.get("rope_theta", 10000.0)}
        loaded, report = kind.from_pretrained(
            None,
            config=kind.config_class(**sizes, rope_parameters=rope, use_cache=False),
            state_dict=rename(tensors) if llada else tensors,
            dtype=getattr(torch, dtype),
            output_loading_info=True,
            ignore_mismatched_sizes=True,
        )
    huggingface.require_whole(place, loaded, report)
    return loaded.eval()


def rename(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return LLaDA's weights under the names of a Llama; others keep theirs."""
    renamed = {}
    for name, tensor in tensors.items():
        if match := NAME.fullmatch(name):
            layer, part, kind = match.groups()
            names = OUTER if layer is None else BLOCK
            start = "" if layer is None else f"model.layers.{layer}."
            name = f"{start}{names.get(part, part)}.{kind}"  # noqa: PLW2901
        renamed[name] = tensor
    return renamed
