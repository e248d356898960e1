"""Data: corpora, tokenizers, token files, and batches of training sequences."""
