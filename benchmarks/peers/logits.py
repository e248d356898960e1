"""Write logits of a peer's own DiT at a tiny size.

    python -m benchmarks.peers.logits mdlm|sedd|duo CHECKOUT FILE

Weights are a fixed function of their names' order, so that a test can make them again:
entry k of the n-th tensor of the state dict, by name, is sin(1 + 37 n + k) / 2.
"""

import json
import sys
from pathlib import Path

import torch
from torch import Tensor, nn

from benchmarks.peers.mdlm import prepare
from benchmarks.peers.stand_ins import Node, package

SIZES = {"hidden_size": 8, "n_blocks": 2, "n_heads": 2, "cond_dim": 6}


def waves(shapes: dict[str, torch.Size]) -> dict[str, torch.Tensor]:
    """Return a tensor of each shape, by the rule above."""
    return {
        name: (torch.arange(shapes[name].numel(), dtype=torch.float64) + 1 + 37 * n)
        .sin()
        .div(2)
        .float()
        .view(shapes[name])
        for n, name in enumerate(sorted(shapes))
    }


def build(peer: str, checkout: str) -> nn.Module:
    """Return the network of a peer, from its own code."""
    prepare(Path(checkout))
    sys.modules["huggingface_hub"].PyTorchModelHubMixin = type("Mixin", (), {})
    sys.modules["flash_attn.layers.rotary"].apply_rotary_emb_torch = turn
    model = Node(**SIZES, dropout=0.0, scale_by_sigma=peer == "sedd")
    if peer == "sedd":
        package("model", Path(checkout) / "model")  # its __init__ imports more
        from model.transformer import SEDD

        return SEDD(Node(model=model, tokens=5, graph=Node(type="absorb")))
    from models import dit

    return dit.DIT(Node(model=model, algo=Node(causal_attention=False)), vocab_size=6)


def turn(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotary positions on the halves of the features: (B, L, H, E), (L, E/2)."""
    (left, right), cos, sin = x.chunk(2, -1), cos[:, None], sin[:, None]
    return torch.cat([left * cos - right * sin, left * sin + right * cos], -1)


def main(peer: str, checkout: str, file: str) -> None:
    """Write shapes, inputs and logits; of SEDD log-scores log p(x_t with y at i) − log p(x_t)."""
    model = build(peer, checkout).eval()
    shapes = {name: w.shape for name, w in model.state_dict().items() if "inv_freq" not in name}
    model.load_state_dict(waves(shapes), strict=False)
    ids, sigma = (
        torch.tensor([[0, 5, 3, 5, 1], [2, 2, 4, 0, 5]]),
        torch.tensor([0.5, 1.25] if peer == "sedd" else [0.0, 1.25]),
    )
    with torch.no_grad():
        logits = model(ids, sigma).float()
    facts = {
        "shapes": {name: list(shape) for name, shape in shapes.items()},
        "inv_freq": model.rotary_emb.inv_freq.tolist(),
        "ids": ids.tolist(),
        "sigma": sigma.tolist(),
        "logits": [[[round(v, 5) for v in row] for row in text] for text in logits.tolist()],
    }
    Path(file).write_text(json.dumps(facts) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
