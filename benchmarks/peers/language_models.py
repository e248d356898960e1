"""Write logits of the code of LLaDA and Dream at a tiny size, from a checkout of dLLM.

    python -m benchmarks.peers.language_models llada|dream CHECKOUT FILE

Weights are a function of their names, as in `benchmarks.peers.logits`.
"""

import json
import sys
from pathlib import Path

import torch
from torch import nn
from transformers import modeling_rope_utils

from benchmarks.peers.logits import waves
from benchmarks.peers.stand_ins import package

LLADA = {
    "model_type": "llada",
    "d_model": 8,
    "n_heads": 2,
    "n_kv_heads": 2,
    "n_layers": 2,
    "mlp_hidden_size": 16,
    "block_type": "llama",
    "activation_type": "silu",
    "layer_norm_type": "rms",
    "rope": True,
    "rope_theta": 500000.0,
    "rms_norm_eps": 1e-5,
    "weight_tying": False,
    "include_bias": False,
    "include_qkv_bias": False,
    "bias_for_layer_norm": False,
    "attention_dropout": 0.0,
    "residual_dropout": 0.0,
    "embedding_dropout": 0.0,
    "vocab_size": 12,
    "embedding_size": 12,
    "max_sequence_length": 16,
    "eos_token_id": 10,
    "pad_token_id": 10,
    "mask_token_id": 11,
}
DREAM = {
    "model_type": "Dream",
    "hidden_size": 8,
    "intermediate_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "max_position_embeddings": 16,
    "rope_theta": 1000000.0,
    "rms_norm_eps": 1e-6,
    "vocab_size": 12,
    "pad_token_id": 10,
    "mask_token_id": 11,
}


def frequencies(config, _device=None, **_):
    """The plain rotary frequencies, which transformers 5 no longer lists under a name."""
    width = config.hidden_size // config.num_attention_heads
    return 1 / config.rope_theta ** (torch.arange(0, width, 2) / width), 1.0


def build(peer: str, checkout: Path) -> nn.Module:
    """Return the language model of a peer, from its own code."""
    top = checkout / "dllm"
    for name in (".", "pipelines", f"pipelines/{peer}", f"pipelines/{peer}/models"):
        package(".".join(["dllm", *Path(name).parts]), top / name)
    if peer == "llada":
        from dllm.pipelines.llada.models import configuration_llada, modeling_llada

        config = configuration_llada.LLaDAConfig(**LLADA)
        config.use_cache = False  # which transformers 4 set by itself
        inner = modeling_llada.create_model_config_from_pretrained_config(config)
        inner.init_device = "cpu"
        model = modeling_llada.LLaDAModel(inner, init_params=False)
        return modeling_llada.LLaDAModelLM(config, model)
    modeling_rope_utils.ROPE_INIT_FUNCTIONS["default"] = frequencies
    from dllm.pipelines.dream.models import configuration_dream, modeling_dream

    return modeling_dream.DreamModel(configuration_dream.DreamConfig(**DREAM))


def main(peer: str, checkout: str, file: str) -> None:
    """Write configuration, shapes, inputs and logits."""
    model = build(peer, Path(checkout)).eval()
    shapes = {name: w.shape for name, w in model.state_dict().items()}
    model.load_state_dict(waves(shapes))
    ids = torch.tensor([[0, 11, 3, 11, 1], [2, 2, 11, 0, 5]])
    with torch.no_grad():
        logits = model(ids).logits.float()
    facts = {
        "config": LLADA if peer == "llada" else DREAM,
        "shapes": {name: list(shape) for name, shape in shapes.items()},
        "ids": ids.tolist(),
        "logits": [[[round(v, 5) for v in row] for row in text] for text in logits.tolist()],
    }
    Path(file).write_text(json.dumps(facts) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
