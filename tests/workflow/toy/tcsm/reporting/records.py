"""Records."""


def write(path, cfg):
    """One record."""
    path.write_text(f"{cfg}")
