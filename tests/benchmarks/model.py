"""How good timbre space is: the figures on the bundled model's card.

Run as `bin/bench model [CORPUS] [MODEL]`. With a corpus (the demo one, say, made by
`latent corpus demo`), all measures are taken on its held-out patches; without one, the
card is printed.
"""

import os
import sys
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from rich.console import Console
from rich.table import Table

from model.inference import TimbreModel


def measured(model: TimbreModel, corpus: Path) -> dict[str, object]:
    """Every measure on the clips of a corpus that training leaves out."""
    from model.corpus import Corpus
    from model.dataset import split
    from model.evaluate import evaluate, heard_round_trip

    opened = Corpus.open(corpus)
    parts = split(opened.timbres(), opened.groups())
    rng = np.random.default_rng(0)
    figures = evaluate(model, parts.train, parts.test, parts.test_groups, rng)
    return figures | heard_round_trip(model, parts.test[:64].astype(np.float32), rng)


def main() -> None:
    """Print the table."""
    arguments = [Path(a) for a in sys.argv[1:]]
    model = TimbreModel.load(arguments[1] if len(arguments) > 1 else None)
    figures: dict[str, object] = dict(model.card.get("figures", {}))
    if arguments:
        figures = measured(model, arguments[0])
    source = f"measured on {arguments[0].name}" if arguments else "as its card has it"
    table = Table("model", "value", title=f"{model.name} ({model.hash[:12]}), {source}")
    for name, value in figures.items():
        if isinstance(value, int | float):
            table.add_row(name, f"{value:.3g}")
    Console().print(table)


if __name__ == "__main__":
    main()
