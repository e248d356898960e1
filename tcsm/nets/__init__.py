"""Networks: features at every position, logits at the selected ones."""

from tcsm.public import importer

__all__ = [
    "BERT",
    "GPT2",
    "Energy",
    "Hollow",
    "Net",
    "Network",
    "Pairwise",
    "Pretrained",
    "Transformer",
]
__getattr__ = importer(
    __name__,
    {
        "BERT": "hub",
        "Energy": "energy",
        "GPT2": "hub",
        "Hollow": "hollow",
        "Net": "base",
        "Network": "base",
        "Pairwise": "pairwise",
        "Pretrained": "hub",
        "Transformer": "transformer",
    },
)
