import gc
import json
import shutil
import sys
import weakref
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from subprocess import run

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from effects.base.errors import InputError
from model import inference
from model.config import AXIS, N_LATENTS
from model.inference import TimbreModel
from model.training.export import write_model_json
from tests.support.timbres import tiny_model


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("models") / "tiny"
    tiny_model(path)
    return path


@pytest.fixture
def copy(folder: Path, tmp_path: Path) -> Path:
    shutil.copytree(folder, tmp_path / "copy")
    return tmp_path / "copy"


def test_decodes_and_encodes(folder: Path) -> None:
    model = TimbreModel.load(folder)
    z = model.sample(5, np.random.default_rng(0))
    timbre = model.decode(z)
    assert timbre.shape == (5, AXIS.n_bands)
    assert timbre.dtype == np.float32
    assert timbre.min() >= 0.0
    assert timbre.max() <= 1.0
    mean, logvar = model.encode(timbre)
    assert mean.shape == logvar.shape == (5, N_LATENTS)


def test_models_of_the_same_files_share_what_they_hold(copy: Path) -> None:
    model = TimbreModel.load(copy)
    assert TimbreModel.load(copy) is model
    left = weakref.ref(model)
    wrong = json.loads((copy / "model.json").read_text())
    (copy / "model.json").write_text(json.dumps({**wrong, "name": "other"}))
    other = TimbreModel.load(copy)
    assert (other.name, model.name != "other") == ("other", True)
    del model
    gc.collect()
    assert left() is None, "only as long as it is in use"


def test_files_that_change_under_a_model_do_not_change_it(copy: Path) -> None:
    """They are read once, not mapped: a shorter one would end the process."""
    model = TimbreModel.load(copy)
    z = model.sample(3, np.random.default_rng(2))
    before = model.decode(z)
    for name in ("decoder.onnx", "encoder.onnx", "model.json"):
        (copy / name).write_bytes(b"")
    np.testing.assert_array_equal(model.decode(z), before)
    mean, _ = model.encode(before)
    assert np.all(np.isfinite(mean))


def test_large_batches_equal_small_ones(folder: Path) -> None:
    model = TimbreModel.load(folder)
    z = model.sample(inference.MAX_BATCH + 3, np.random.default_rng(1))
    whole = model.decode(z)
    assert np.allclose(whole[-5:], model.decode(z[-5:]), atol=1e-5)


def test_many_rows_at_once_are_the_same_to_the_bit_as_few(folder: Path) -> None:
    model = TimbreModel.load(folder)
    z = model.sample(2 * inference.MANY_ROWS + 1, np.random.default_rng(2))
    few = [model.decode(z[start : start + 50]) for start in range(0, len(z), 50)]
    assert np.array_equal(model.decode(z), np.concatenate(few))


def test_a_fault_in_either_half_of_many_rows_is_raised() -> None:
    def decode(rows: slice) -> None:
        if rows.start <= wrong < rows.stop:
            raise ValueError(f"row {wrong}")

    n = inference.MANY_ROWS
    for wrong in (0, n - 1):
        with pytest.raises(ValueError, match=f"row {wrong}"):
            inference._halves(decode, 0, n)
    wrong = n
    inference._halves(decode, 0, n)


def test_the_same_seed_draws_the_same_points(folder: Path) -> None:
    model = TimbreModel.load(folder)
    ours = model.sample(9, np.random.default_rng(4))
    assert np.array_equal(ours, model.sample(9, np.random.default_rng(4)))
    assert not np.array_equal(ours, model.sample(9, np.random.default_rng(5)))


def test_numbers_that_are_none_decode_to_something_finite(folder: Path) -> None:
    model = TimbreModel.load(folder)
    z = np.full((2, N_LATENTS), np.nan, np.float32)
    z[1] = np.inf
    assert np.all(np.isfinite(model.decode(z)))


@pytest.mark.parametrize("shape", [(N_LATENTS,), (2, 5), (1, 2, N_LATENTS)])
def test_other_shapes_are_refused(folder: Path, shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="expected shape"):
        TimbreModel.load(folder).decode(np.zeros(shape, np.float32))


def test_weirdness_is_the_distance_from_the_origin(folder: Path) -> None:
    z = np.zeros((2, N_LATENTS), np.float32)
    z[1, :2] = 3.0, 4.0
    assert TimbreModel.load(folder).weirdness(z).tolist() == [0.0, 5.0]


def test_playing_needs_no_torch(folder: Path) -> None:
    code = (
        "import sys; from pathlib import Path; import model.inference, model.guard;"
        "assert 'onnxruntime' not in sys.modules;"
        f"m = model.inference.TimbreModel.load(Path({str(folder)!r}));"
        "import numpy as np; m.decode(m.sample(2, np.random.default_rng(0)));"
        "bad = {'torch', 'librosa', 'matplotlib', 'onnx'} & set(sys.modules);"
        "assert not bad, bad"
    )
    root = Path(inference.__file__).parents[1]
    ended = run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr


def _refused(folder: Path) -> str:
    with pytest.raises(InputError) as caught:
        TimbreModel.load(folder)
    line = str(caught.value)
    assert "\n" not in line
    assert str(folder) in line
    return line


def test_a_missing_folder_or_file_is_named(copy: Path) -> None:
    assert "no model folder" in _refused(copy / "nowhere")
    for name in ("decoder.onnx", "encoder.onnx", "model.json"):
        kept = (copy / name).read_bytes()
        (copy / name).unlink()
        assert name in _refused(copy)
        (copy / name).mkdir()
        assert name in _refused(copy)
        (copy / name).rmdir()
        (copy / name).write_bytes(kept)


@pytest.mark.parametrize("name", ["decoder.onnx", "encoder.onnx"])
def test_one_flipped_bit_or_lost_byte_is_found(copy: Path, name: str) -> None:
    content = bytearray((copy / name).read_bytes())
    (copy / name).write_bytes(content[:-1])
    assert "truncated" in _refused(copy)
    content[len(content) // 2] ^= 1
    (copy / name).write_bytes(content)
    assert "damaged" in _refused(copy)


@pytest.mark.parametrize(
    "content", [b"", b"null", b"[" * 100_000, b"\xff\xfe", b'{"format": "other"}']
)
def test_a_damaged_model_json_is_one_line(copy: Path, content: bytes) -> None:
    (copy / "model.json").write_bytes(content)
    _refused(copy)


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("format_version", 99, "format version 99"),
        ("n_latents", 16, "16 latents"),
        ("prior", {"kind": "gaussian-mixture"}, "weights"),
        ("prior", 3, "lacks 'prior'"),
        ("axis", {"n_bands": 12}, "other bands"),
        ("axis", {"octaves": 3}, "axis"),
        ("files", {}, "not the file"),
    ],
)
def test_numbers_that_do_not_fit_are_named(
    copy: Path, key: str, value: object, said: str
) -> None:
    card = json.loads((copy / "model.json").read_text())
    card[key] = value
    write_model_json(copy / "model.json", card)
    assert said in _refused(copy)


Change = Callable[[onnx.ModelProto], None]


def _renamed(model: onnx.ModelProto) -> None:
    model.graph.input[0].name = "latent"
    for node in model.graph.node:
        node.input[:] = ["latent" if name == "z" else name for name in node.input]


def _elsewhere(model: onnx.ModelProto) -> None:
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", "../../etc/passwd"


def _ends_with(model: onnx.ModelProto, *nodes: onnx.NodeProto) -> None:
    for node in model.graph.node:
        node.output[:] = ["raw" if n == "spectrum" else n for n in node.output]
    model.graph.node.extend(nodes)


def _not_a_number(model: onnx.ModelProto) -> None:
    """The square root of the spectrum less two."""
    two = helper.make_tensor("two", TensorProto.FLOAT, [], [2.0])
    model.graph.initializer.append(two)
    _ends_with(
        model,
        helper.make_node("Sub", ["raw", "two"], ["less"]),
        helper.make_node("Sqrt", ["less"], ["spectrum"]),
    )


def _too_loud(model: onnx.ModelProto) -> None:
    nine = helper.make_tensor("nine", TensorProto.FLOAT, [], [9.0])
    model.graph.initializer.append(nine)
    _ends_with(model, helper.make_node("Add", ["raw", "nine"], ["spectrum"]))


def _constant(model: onnx.ModelProto) -> None:
    nought = helper.make_tensor("nought", TensorProto.FLOAT, [], [0.0])
    model.graph.initializer.append(nought)
    _ends_with(model, helper.make_node("Mul", ["raw", "nought"], ["spectrum"]))


def _transposed(model: onnx.ModelProto) -> None:
    _ends_with(model, helper.make_node("Transpose", ["raw"], ["spectrum"]))
    dims = model.graph.output[0].type.tensor_type.shape.dim
    dims[0].Clear()
    dims[1].Clear()


def _endless(model: onnx.ModelProto) -> None:
    """A loop of 2^62 rounds that adds nothing."""
    body = helper.make_graph(
        [
            helper.make_node("Identity", ["going"], ["still_going"]),
            helper.make_node("Identity", ["x"], ["y"]),
        ],
        "body",
        [
            helper.make_tensor_value_info("i", TensorProto.INT64, []),
            helper.make_tensor_value_info("going", TensorProto.BOOL, []),
            helper.make_tensor_value_info("x", TensorProto.FLOAT, None),
        ],
        [
            helper.make_tensor_value_info("still_going", TensorProto.BOOL, []),
            helper.make_tensor_value_info("y", TensorProto.FLOAT, None),
        ],
    )
    model.graph.initializer.append(
        helper.make_tensor("rounds", TensorProto.INT64, [], [2**62])
    )
    model.graph.initializer.append(helper.make_tensor("yes", TensorProto.BOOL, [], [1]))
    loop = helper.make_node("Loop", ["rounds", "yes", "raw"], ["spectrum"], body=body)
    _ends_with(model, loop)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (_renamed, "does not fit: needs z"),
        (_elsewhere, "another file"),
        (_not_a_number, "NaN"),
        (_too_loud, "within 0..1"),
        (_constant, "constant"),
        (_transposed, "does not fit"),
        (_endless, "uses the operator Loop"),
    ],
)
def test_a_foreign_decoder_is_refused(copy: Path, change: Change, said: str) -> None:
    model = onnx.load(str(copy / "decoder.onnx"))
    change(model)
    _replace_decoder(copy, model.SerializeToString())
    assert said in _refused(copy)


@pytest.mark.parametrize(
    "content", [b"", b"\x89PNG\r\n\x1a\n", b"version https://git-lfs", bytes(500)]
)
def test_what_is_no_onnx_file_is_refused(copy: Path, content: bytes) -> None:
    _replace_decoder(copy, content)
    assert "decoder.onnx" in _refused(copy)


def _replace_decoder(folder: Path, content: bytes) -> None:
    """Put a decoder in the folder, with the hash that it should have."""
    (folder / "decoder.onnx").write_bytes(content)
    card = json.loads((folder / "model.json").read_text())
    card["files"]["decoder.onnx"]["sha256"] = sha256(content).hexdigest()
    write_model_json(folder / "model.json", card)
