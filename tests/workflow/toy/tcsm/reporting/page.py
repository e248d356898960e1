"""Pages."""


def write(path, runs):
    """One page."""
    path.write_text("<br>".join(runs))
