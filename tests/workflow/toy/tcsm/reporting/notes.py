"""Notes."""

import time


def write(path, cfg):
    """One note; what it cost is another number each time."""
    path.write_text(str(time.time_ns()) if "telemetry" in path.name else f"{cfg}")
