"""Text in, batches out: corpora, tokenizers, token files, and the order they are read in."""
