"""Notes."""


def write(path, cfg):
    """One note."""
    path.write_text(f"{cfg}")
