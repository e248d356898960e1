"""Commands that print and write nothing: ``tcsm config``, ``compare`` and ``doctor``.

A tool is a module of this package with ``main(arguments) -> int``, which returns the exit code. A
new file here is a new command.
"""
