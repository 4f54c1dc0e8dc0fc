"""The schema of model.json, which may come from anywhere."""

from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeAlias

import msgspec
from msgspec import Meta

from effects.base.errors import InputError
from effects.base.schema import decode_json
from model.config import N_LATENTS
from model.guard import UNITS
from model.refinement import MAX_STEPS

FORMAT = "latent-model"
FORMAT_VERSION = 1
MAX_COMPONENTS = 256  # of the prior
MAX_RAISED_DB = 6.0

Values: TypeAlias = Annotated[list[float], Meta(max_length=1 << 12)]
Point: TypeAlias = Annotated[
    list[float], Meta(min_length=N_LATENTS, max_length=N_LATENTS)
]


@dataclass(frozen=True)
class _FileFields:
    """The identity of a network's file."""

    sha256: Annotated[str, Meta(pattern=r"^[0-9a-f]{64}$")]


@dataclass(frozen=True)
class _PriorFields:
    """The fields of a prior; `Prior.from_json` checks how they fit together."""

    kind: str
    weights: Annotated[list[float], Meta(min_length=1, max_length=MAX_COMPONENTS)]
    means: Annotated[list[Point], Meta(min_length=1, max_length=MAX_COMPONENTS)]
    factors: Annotated[list[Values], Meta(min_length=1, max_length=MAX_COMPONENTS)]
    examples: str = ""
    component_of: str = ""


@dataclass(frozen=True)
class _FeatureFields:
    """Statistics of one feature over the prior's samples."""

    quantiles: Values


@dataclass(frozen=True)
class _StatisticsFields:
    """What the guard and the percentiles need."""

    anchor: Point
    limits: dict[str, float]
    features: dict[str, _FeatureFields]
    quantiles_at: list[Annotated[float, Meta(ge=0.0, le=1.0)]]


@dataclass(frozen=True)
class _ModelJson:
    """The fields of model.json that are used."""

    format: Literal["latent-model"]
    format_version: int
    n_latents: int
    axis: dict[str, float]
    prior: _PriorFields
    statistics: dict[str, Any]
    files: dict[str, _FileFields]
    name: Annotated[str, Meta(max_length=200)] = ""
    refinements: Annotated[int, Meta(ge=0, le=MAX_STEPS)] = 0
    raised_db: Annotated[float, Meta(ge=0.0, le=MAX_RAISED_DB)] = 0.0


def parse_model_json(
    content: bytes, where: str, *, unfinished: bool = False
) -> dict[str, Any]:
    """The content of a model.json whose fields are of the right types.

    Args:
        content: of the file.
        where: its path, for messages.
        unfinished: whether the statistics may be empty, as while a model is exported.

    Raises:
        InputError: no description of a model, or one that does not fit.
    """
    metadata = decode_json(content, dict[str, Any], where)
    if metadata.get("format") != FORMAT:
        raise InputError(f"{where} does not describe a model")
    if metadata.get("format_version") != FORMAT_VERSION:
        raise InputError(
            f"{where} has format version {metadata.get('format_version')!r:.20}; "
            f"this program reads {FORMAT_VERSION}"
        )
    if metadata.get("n_latents") != N_LATENTS:
        raise InputError(
            f"{where} has {metadata.get('n_latents')!r:.20} latents, not {N_LATENTS}"
        )
    for key in ("axis", "prior", "statistics", "files"):
        if not isinstance(metadata.get(key), dict):
            raise InputError(f"{where} lacks {key!r}")
    decode_json(content, _ModelJson, where)
    if metadata["statistics"] or not unfinished:
        _check_statistics(metadata["statistics"], where)
    return metadata


def _check_statistics(stored: dict[str, Any], where: str) -> None:
    try:
        statistics = msgspec.convert(stored, _StatisticsFields)
    except msgspec.ValidationError as error:
        raise InputError(f"{where}: statistics: {error}") from None
    missing = [
        name
        for name in UNITS
        if name not in statistics.limits or name not in statistics.features
    ]
    if missing:
        raise InputError(f"{where}: its statistics lack the {missing[0]}")
    n = len(statistics.quantiles_at)
    if n < 2 or any(len(f.quantiles) != n for f in statistics.features.values()):
        raise InputError(f"{where}: its statistics have other quantiles than it says")
