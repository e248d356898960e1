"""Text to token files."""

READS = ("out", "corpus", "data.root")


def main(cfg, out):
    """Write three files."""
    out.mkdir(parents=True, exist_ok=True)
    for split in ("train", "valid", "test"):
        (out / f"{split}.tok").write_text(f"{cfg.corpus.text} {split}")
