"""The model card, CARD.md: what a model was made from, its licence and its measures."""

from pathlib import Path
from typing import Any

from effects.base.whole_file import write_whole

ROWS = (
    ("rmse_db", "RMSE on held-out clips, dB", "{:.2f}"),
    ("rmse_pca_db", "RMSE of PCA with 32 components, dB", "{:.2f}"),
    ("rmse_ratio", "RMSE over PCA's", "{:.2f}"),
    ("detail_data_db", "tonal detail of held-out clips, dB", "{:.2f}"),
    ("detail_reconstruction", "detail kept by reconstructions", "{:.0%}"),
    ("detail_prior", "detail of prior samples", "{:.0%}"),
    ("detail_between", "detail halfway between prior samples", "{:.0%}"),
    ("prior_gap_ratio", "prior gap over the gap between two halves", "{:.2f}"),
    ("classifier_accuracy", "prior told from data by a classifier", "{:.0%}"),
    ("active_latents", "active latents of 32", "{:d}"),
)


def write_model_card(path: Path, metadata: dict[str, Any]) -> None:
    """Write the card of a model, whole or not at all.

    Args:
        path: of the file.
        metadata: content of model.json, as for `model_card`.

    Raises:
        RunError: the disk is full, or the folder cannot be written.
    """
    write_whole(path, model_card(metadata))


def model_card(metadata: dict[str, Any]) -> str:
    """Describe a model in Markdown.

    Args:
        metadata: content of model.json. `about` may hold the texts `description`,
            `licence` and `command`, and the dicts of facts `corpus` and `training`.
    """
    about = metadata.get("about", {})
    lines = [f"# Model card: {metadata['name']}", ""]
    if about.get("description"):
        lines += [str(about["description"]), ""]
    lines += [
        f"- Licence: {about.get('licence', 'not stated')}",
        f"- Made by: `{about.get('command', 'latent train')}`",
        f"- Latents: {metadata['n_latents']}; bands: {metadata['axis']['n_bands']}, "
        f"{metadata['axis']['low_hz']:g} to {metadata['axis']['high_hz']:g} Hz",
    ]
    for title in ("corpus", "training", "distilled"):
        facts = about.get(title, {})
        if facts:
            lines += ["", f"## {title.capitalize()}", ""]
            lines += [f"- {key.replace('_', ' ')}: {facts[key]}" for key in facts]
    lines += ["", "## Figures", "", *_figures(metadata.get("figures", {}))]
    lines += ["", "## Files", ""]
    for name, file in metadata["files"].items():
        lines.append(f"- `{name}`: {file['bytes']:,} bytes, sha256 {file['sha256']}")
    return "\n".join(lines) + "\n"


def _figures(figures: dict[str, Any]) -> list[str]:
    if not figures:
        return ["Not measured yet: `latent model bench` does."]
    rows = [*_compared(figures), "| measure | value |", "| --- | --- |"]
    for key, label, form in ROWS:
        if figures.get(key) is not None:
            rows.append(f"| {label} | {form.format(figures[key])} |")
    guard = figures.get("guard")
    if guard:
        rows.append(f"| prior samples that the guard moves | {guard['touched']:.1%} |")
    return rows


def _compared(figures: dict[str, Any]) -> list[str]:
    """The first line of the figures: is the model better than others?"""
    given = figures.get("comparison")
    return [given["line"][0].upper() + given["line"][1:] + ".", ""] if given else []
