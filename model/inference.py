"""Running a model: latents to timbres and back, on one thread.

It needs numpy and onnxruntime, and imports the latter only when a model is loaded.
A model folder holds `decoder.onnx`, `encoder.onnx`, `model.json` and `CARD.md`. All of
it is checked before it is used, since it may come from anywhere.
"""

import hashlib
import threading
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

import numpy as np
from numpy.typing import NDArray

from effects.base.errors import InputError
from effects.base.open_file import read_bytes
from effects.base.streams import Purpose, stream
from model.config import AXIS, Axis
from model.model_json import parse_model_json
from model.onnx_session import open_session
from model.prior import Latents, Prior
from model.refinement import refine
from model.spectrum import raised
from model.trial import check_trial, remember

Timbres = NDArray[np.float32]  # (n, n_bands), 0..1

ONNX_FILES = ("decoder.onnx", "encoder.onnx")
BUNDLED = Path(__file__).parent / "bundled"
MAX_BYTES = 128 * 2**20  # of one network; the bundled ones have under 20 MB
MAX_JSON_BYTES = 16 * 2**20  # the bundled one has 0.3 MB
MANY_ROWS = 192  # that are worth a thread more
MAX_BATCH = 1024  # rows decoded at once, so that memory stays bounded


class TimbreModel:
    """Decoder, encoder, prior and statistics of one model folder.

    Attributes:
        axis: bands and scale of the timbres.
        n_latents: dimensions of `z`.
        n_refinements: steps by which what the encoder says is refined; models from
            before there were any have none.
        raised_db: by which the decoder makes bands stand out farther.
        name: as model.json has it.
        hash: SHA-256 over model.json and both networks, in hexadecimal.
        metadata: content of model.json.
        prior: the distribution that `sample` draws from.
    """

    def __init__(
        self,
        folder: Path,
        files: dict[str, bytes],
        digest: str,
        *,
        unfinished: bool = False,
    ) -> None:
        self.metadata: dict[str, Any] = parse_model_json(
            files["model.json"], str(folder / "model.json"), unfinished=unfinished
        )
        self.axis = _axis(folder, self.metadata)
        self.n_latents = int(self.metadata["n_latents"])
        self.name = str(self.metadata.get("name", folder.name))
        self.n_refinements = int(self.metadata.get("refinements", 0))
        self.raised_db = float(self.metadata.get("raised_db", 0.0))
        self.prior = _prior(folder, self.metadata)
        self.hash = digest
        _check_hashes(folder, self.metadata, files)
        self._try(folder, files, unfinished=unfinished)
        self._folder = folder
        self._decoder = _session(folder / "decoder.onnx", files["decoder.onnx"])
        self._probe_decoder()
        if not folder.samefile(BUNDLED):  # a foreign model is refused now or never
            self._probe_encoder()

    @classmethod
    def load(
        cls, folder: Path | None = None, *, unfinished: bool = False
    ) -> "TimbreModel":
        """Load and check a model folder.

        As long as a model is in use, the same files in the same folder are the same
        model: each takes 40 MB, and caches of songs hold on to theirs.

        Args:
            folder: the model folder; None for the bundled model.
            unfinished: whether it may lack statistics, as while it is exported.

        Raises:
            InputError: a file is missing, damaged, or does not fit.
        """
        folder = BUNDLED if folder is None else folder
        if not folder.is_dir():
            raise InputError(f"no model folder at {folder}")
        names = ("model.json", *ONNX_FILES)
        files = {name: _read(folder / name) for name in names}
        digest = _digest(files)
        key = (folder, digest, unfinished)
        model = _in_use.get(key)
        if model is None:
            model = _in_use[key] = cls(folder, files, digest, unfinished=unfinished)
        return model

    @property
    def statistics(self) -> dict[str, Any]:
        """Statistics of the prior's samples, and the guard's limits."""
        statistics: dict[str, Any] = self.metadata["statistics"]
        return statistics

    def decode(self, z: Latents) -> Timbres:
        """Decode latent points to timbres.

        Args:
            z: shape (n, n_latents).

        Returns:
            Shape (n, n_bands), 0..1; NaN becomes 0.

        Raises:
            ValueError: another shape.
        """
        points = self._rows(z, self.n_latents)
        timbre = np.empty((len(points), self.axis.n_bands), np.float32)

        def decode(rows: slice) -> None:
            timbre[rows] = self._decoder.run(["spectrum"], {"z": points[rows]})[0]

        for start in range(0, len(points), MAX_BATCH):
            _halves(decode, start, min(start + MAX_BATCH, len(points)))
        np.nan_to_num(timbre, copy=False, nan=0.0)
        return np.clip(timbre, 0.0, 1.0, out=timbre)

    def encode(
        self, timbre: Timbres, *, refined: bool = True
    ) -> tuple[Latents, Latents]:
        """Encode timbres to their posteriors.

        Args:
            timbre: shape (n, n_bands), 0..1.
            refined: whether to take the model's `n_refinements` steps from what the
                encoder says; each of them costs 33 decoded points a timbre.

        Returns:
            Mean and logarithm of the variance, each of shape (n, n_latents).

        Raises:
            ValueError: another shape.
        """
        timbres = np.clip(self._rows(timbre, self.axis.n_bands), 0.0, 1.0)
        mean = np.empty((len(timbres), self.n_latents), np.float32)
        logvar = np.empty_like(mean)
        for start in range(0, len(timbres), MAX_BATCH):
            rows = slice(start, start + MAX_BATCH)
            mean[rows], logvar[rows] = self._encoder.run(
                ["mean", "logvar"], {"spectrum": timbres[rows]}
            )
        if refined and self.n_refinements:
            # Or it would find points whose sounds are blurred as much as they are
            # raised.
            wanted = raised(timbres, self.raised_db, self.axis)
            mean = refine(self.decode, mean, wanted, self.n_refinements)
        return mean, logvar

    def sample(self, n: int, rng: np.random.Generator) -> Latents:
        """Draw points from the prior, float32 of shape (n, n_latents)."""
        return self.prior.sample(n, rng)

    def weirdness(self, z: Latents) -> NDArray[np.float32]:
        """Distance of points (n, n_latents) from the origin, shape (n,).

        Each latent is scaled to variance 1 when a model is exported, so most points
        lie near sqrt(32) = 5.7.
        """
        norm: NDArray[np.float32] = np.linalg.norm(z, axis=-1).astype(np.float32)
        return norm

    def _rows(self, values: NDArray[np.float32], width: int) -> NDArray[np.float32]:
        if values.ndim != 2 or values.shape[1] != width:
            raise ValueError(f"expected shape (n, {width}), got {values.shape}")
        rows = np.ascontiguousarray(values, np.float32)
        return np.nan_to_num(rows) if not np.all(np.isfinite(rows)) else rows

    def _try(self, folder: Path, files: dict[str, bytes], *, unfinished: bool) -> None:
        """Let networks that nobody here has made or run pass a trial first."""
        if folder.samefile(BUNDLED):
            return
        networks = files["decoder.onnx"], files["encoder.onnx"]
        if unfinished:  # it is made here and now
            remember(*networks)
            return
        wrong = check_trial(
            *networks, n_latents=self.n_latents, n_bands=self.axis.n_bands
        )
        if wrong:
            raise InputError(f"{folder}: {wrong}")

    @cached_property
    def _encoder(self) -> Any:
        """The encoder: playing does not need it, and it is large."""
        content = _read(self._folder / "encoder.onnx")
        _check_hash(self._folder, self.metadata, "encoder.onnx", content)
        return _session(self._folder / "encoder.onnx", content)

    def _probe_decoder(self) -> None:
        """Run the decoder once on known points, and check what it gives."""
        folder = self._folder
        rng = stream(Purpose.MODEL_CHECK)
        z = np.concatenate(
            [np.zeros((1, self.n_latents), np.float32), self.sample(2, rng)]
        )
        spectrum = _run(folder / "decoder.onnx", self._decoder, {"z": z})
        _check_output(folder / "decoder.onnx", spectrum, (3, self.axis.n_bands))
        if spectrum[0].min() < 0.0 or spectrum[0].max() > 1.0:
            raise InputError(f"{folder / 'decoder.onnx'}: output is not within 0..1")
        if float(np.ptp(spectrum[0])) < 1e-6:
            raise InputError(f"{folder / 'decoder.onnx'}: output is constant")

    def _probe_encoder(self) -> None:
        """Run the encoder once on known timbres, and check what it gives."""
        path = self._folder / "encoder.onnx"
        timbres = np.linspace(0.0, 1.0, 3 * self.axis.n_bands, dtype=np.float32)
        posterior = _run(
            path, self._encoder, {"spectrum": timbres.reshape(3, self.axis.n_bands)}
        )
        both = ((3, self.n_latents), (3, self.n_latents))
        _check_output(path, posterior, *both)


def _halves(decode: Callable[[slice], None], start: int, stop: int) -> None:
    """Decode rows, many of them in two threads; each row comes out the same.

    A session begins with some hundreds, and is heard so much sooner.
    """
    middle = (start + stop) // 2
    if stop - start < MANY_ROWS:
        decode(slice(start, stop))
        return
    failed: list[Exception] = []

    def second_half() -> None:
        try:
            decode(slice(middle, stop))
        except Exception as error:  # whatever it is: raised where it is waited for
            failed.append(error)

    beside = threading.Thread(target=second_half, name="decode")
    try:
        beside.start()
    except RuntimeError:  # the machine has no thread left
        decode(slice(start, stop))
        return
    try:
        decode(slice(start, middle))
    finally:
        beside.join()
    if failed:
        raise failed[0]


_in_use: "WeakValueDictionary[tuple[Path, str, bool], TimbreModel]"
_in_use = WeakValueDictionary()


def _read(path: Path) -> bytes:
    if not path.exists():
        raise InputError(f"{path} is missing: not a model folder")
    limit = MAX_BYTES if path.suffix == ".onnx" else MAX_JSON_BYTES
    return read_bytes(path, limit, "file of a model")


def _axis(folder: Path, metadata: dict[str, Any]) -> Axis:
    try:
        axis = Axis(**metadata["axis"])
    except TypeError as error:
        raise InputError(f"{folder / 'model.json'}: axis {error}") from error
    if axis != AXIS:
        raise InputError(f"{folder / 'model.json'}: made for other bands than ours")
    return axis


def _prior(folder: Path, metadata: dict[str, Any]) -> Prior:
    try:
        prior = Prior.from_json(metadata["prior"])
        if prior.n_latents != metadata["n_latents"]:
            raise ValueError(f"prior of {prior.n_latents} latents")
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{folder / 'model.json'}: {error}") from error
    return prior


def _digest(files: dict[str, bytes]) -> str:
    digest = hashlib.sha256()
    for name in sorted(files):
        digest.update(files[name])
    return digest.hexdigest()


def _check_hashes(
    folder: Path, metadata: dict[str, Any], files: dict[str, bytes]
) -> None:
    for name in ONNX_FILES:
        _check_hash(folder, metadata, name, files[name])


def _check_hash(
    folder: Path, metadata: dict[str, Any], name: str, content: bytes
) -> None:
    stored = metadata["files"].get(name)
    expected = stored.get("sha256") if isinstance(stored, dict) else None
    if hashlib.sha256(content).hexdigest() != expected:
        raise InputError(
            f"{folder / name} is not the file that model.json describes: "
            "damaged, truncated or replaced"
        )


def _session(path: Path, content: bytes) -> Any:
    try:
        return open_session(content)
    except InputError as error:
        raise InputError(f"{path} {error}") from error


def _run(path: Path, session: Any, feed: dict[str, NDArray[np.float32]]) -> Any:
    expected = {"z": ["spectrum"], "spectrum": ["mean", "logvar"]}
    (name,) = feed
    try:
        return session.run(expected[name], feed)
    except Exception as error:  # the same
        raise InputError(
            f"{path} does not fit: needs {name} float32 [n, {feed[name].shape[1]}]"
            f" -> {', '.join(expected[name])}"
        ) from error


def _check_output(path: Path, outputs: Any, *shapes: tuple[int, int]) -> None:
    for output, shape in zip(outputs, shapes, strict=True):
        if getattr(output, "shape", None) != shape or output.dtype != np.float32:
            raise InputError(f"{path} does not fit: output is not float32 {shape}")
        if not np.all(np.isfinite(output)):
            raise InputError(f"{path} gives NaN or infinite numbers")
