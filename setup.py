"""A built package holds params/ and what makes a report; an editable one has them beside it."""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

SHIPPED = ("params", "reports/template", "reports/chapters")


class WithFolders(build_py):
    """The modules, and these folders inside the package."""

    def run(self) -> None:
        """Copy all of them."""
        super().run()
        for folder in () if self.editable_mode else SHIPPED:
            target = Path(self.build_lib, "tcsm", folder)
            shutil.rmtree(target, ignore_errors=True)
            shutil.copytree(folder, target, ignore=shutil.ignore_patterns(".*", "__pycache__"))


setup(cmdclass={"build_py": WithFolders})
