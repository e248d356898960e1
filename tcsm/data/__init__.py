"""Data: corpora, tokenizers, token files, and batches of training sequences."""

from tcsm.public import importer

__all__ = [
    "Batch",
    "BatchSource",
    "Buffer",
    "Bytes",
    "DataContext",
    "HuggingFace",
    "Letters",
    "TokenFile",
    "Tokenizer",
    "WindowBatches",
    "open_tokens",
]
__getattr__ = importer(
    __name__,
    {
        "Batch": "batches",
        "BatchSource": "batch_sources",
        "Buffer": "buffer",
        "Bytes": "tokenizers",
        "DataContext": "batch_sources",
        "HuggingFace": "tokenizers",
        "Letters": "tokenizers",
        "TokenFile": "tokenfile",
        "Tokenizer": "tokenizers",
        "WindowBatches": "batches",
        "open_tokens": "tokenfile",
    },
)
