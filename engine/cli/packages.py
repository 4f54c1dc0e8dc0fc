"""Packages that a command needs beside those of the runtime."""

import importlib.util
from collections.abc import Mapping

from effects.base.errors import RunError

TRANSIENTS = {"librosa": "librosa"}
CURATION = {"sklearn": "scikit-learn"}
CLUSTER = {"distributed": "distributed"}
TRAINING = {"torch": "torch", "onnx": "onnx", "sklearn": "scikit-learn"}


def check_packages(work: str, command: str, packages: Mapping[str, str]) -> None:
    """Find out early that packages are missing.

    Args:
        work: that needs them, as the subject of a sentence.
        command: of bin/latent that installs them.
        packages: name of each as it is installed, by that of its module.

    Raises:
        RunError: some are not installed.
    """
    missing = [
        package
        for module, package in packages.items()
        if importlib.util.find_spec(module) is None
    ]
    if missing:
        raise RunError(
            f"{work} needs {' and '.join(missing)}: start it as bin/latent {command}, "
            "which installs them"
        )
