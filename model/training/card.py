"""CARD.md: what a model was made of, by whom it may be used, how good it is."""

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


def write_card(path: Path, card: dict[str, Any]) -> None:
    """Write the card of a model.json's content.

    Raises:
        RunError: the disk is full, or the folder cannot be written.
    """
    write_whole(path, card_text(card).encode())


def card_text(card: dict[str, Any]) -> str:
    """The card as Markdown.

    Args:
        card: content of model.json. `about` may hold `description`, `licence`,
            `command`, `corpus` (a dict of facts) and `training` (likewise).
    """
    about = card.get("about", {})
    lines = [f"# Model card: {card['name']}", ""]
    if about.get("description"):
        lines += [str(about["description"]), ""]
    lines += [
        f"- Licence: {about.get('licence', 'not stated')}",
        f"- Made by: `{about.get('command', 'latent train')}`",
        f"- Latents: {card['n_latents']}; bands: {card['axis']['n_bands']}, "
        f"{card['axis']['low_hz']:g} to {card['axis']['high_hz']:g} Hz",
    ]
    for title in ("corpus", "training"):
        facts = about.get(title, {})
        if facts:
            lines += ["", f"## {title.capitalize()}", ""]
            lines += [f"- {key.replace('_', ' ')}: {facts[key]}" for key in facts]
    lines += ["", "## Figures", "", *_figures(card.get("figures", {}))]
    lines += ["", "## Files", ""]
    for name, file in card["files"].items():
        lines.append(f"- `{name}`: {file['bytes']:,} bytes, sha256 {file['sha256']}")
    return "\n".join(lines) + "\n"


def _figures(figures: dict[str, Any]) -> list[str]:
    if not figures:
        return ["Not measured yet: `latent model bench` does."]
    rows = ["| measure | value |", "| --- | --- |"]
    for key, label, form in ROWS:
        if figures.get(key) is not None:
            rows.append(f"| {label} | {form.format(figures[key])} |")
    guard = figures.get("guard")
    if guard:
        rows.append(f"| prior samples that the guard moves | {guard['touched']:.1%} |")
    return rows
