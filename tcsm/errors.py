"""The error for input that the user can correct."""


class InputError(Exception):
    """A bad file, key or value.

    The message is one line: the file or key, its value, and what is expected instead.
    The command line prints it as ``tcsm: error: …`` and exits with 2.
    """
