"""The one error of the house: something the user can mend."""


class InputError(Exception):
    """A bad file, key or value.

    The message is one line that says which file or key, what was found, and what would be right.
    The command line prints it as ``tcsm: error: …`` and exits with 2.
    """
