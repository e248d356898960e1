"""Commands that run no stage, such as ``tcsm config``, ``compare``, ``export`` and ``doctor``.

A tool is a module of this package with ``main(arguments) -> int``, which returns the exit code. A
new file here is a new command.
"""
