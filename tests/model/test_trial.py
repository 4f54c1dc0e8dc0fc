"""Networks that ask for too much are refused before this process runs them."""

import itertools
import os
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import psutil
import pytest
from onnx import TensorProto, helper, numpy_helper

from effects.base.errors import InputError
from model import trial
from model.config import AXIS, N_LATENTS
from model.onnx_graph import MAX_NODES
from model.onnx_session import open_session

Nodes = tuple[list[onnx.NodeProto], list[onnx.TensorProto]]


def network(
    nodes: list[onnx.NodeProto], weights: list[onnx.TensorProto], name: str, width: int
) -> onnx.ModelProto:
    graph = helper.make_graph(
        nodes,
        "graph",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", width])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        weights,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)])


def plain(name: str, width: int) -> bytes:
    model = network([helper.make_node("Identity", [name], ["y"])], [], name, width)
    return bytes(model.SerializeToString())


def verdict(decoder: bytes) -> str:
    encoder = plain("spectrum", AXIS.n_bands)
    return trial.check_trial(
        decoder, encoder, n_latents=N_LATENTS, n_bands=AXIS.n_bands
    )


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LATENT_HOME", str(tmp_path))
    return tmp_path


def _constant_of_shape() -> Nodes:
    """2.5 GB out of a file of some hundred bytes, made while it is read."""
    shape = numpy_helper.from_array(np.array([2**20, 600], np.int64), "shape")
    nodes = [
        helper.make_node("ConstantOfShape", ["shape"], ["large"]),
        helper.make_node("ReduceSum", ["large"], ["sum"], keepdims=0),
        helper.make_node("Add", ["z", "sum"], ["y"]),
    ]
    return nodes, [shape]


def _expanded() -> Nodes:
    """The same when it is run: each row becomes ten million numbers."""
    shape = numpy_helper.from_array(np.array([10_000_000, 1, 1], np.int64), "shape")
    nodes = [
        helper.make_node("Expand", ["z", "shape"], ["large"]),
        helper.make_node("ReduceSum", ["large"], ["sum"], keepdims=0),
        helper.make_node("Add", ["z", "sum"], ["y"]),
    ]
    return nodes, [shape]


def _products() -> Nodes:
    """Sixty products of matrices of 3,000 x 3,000: minutes on one thread."""
    shape = numpy_helper.from_array(np.array([3000, 3000], np.int64), "shape")
    side = numpy_helper.from_array(np.array([3000, 1], np.int64), "side")
    nodes = [
        helper.make_node("ReduceSum", ["z"], ["one"], keepdims=0),
        helper.make_node("Expand", ["one", "shape"], ["m0"]),
    ]
    nodes += [
        helper.make_node("MatMul", [f"m{i}", "m0"], [f"m{i + 1}"]) for i in range(60)
    ]
    nodes += [
        helper.make_node("ReduceSum", ["m60"], ["sum"], keepdims=0),
        helper.make_node("Add", ["z", "sum"], ["y"]),
    ]
    return nodes, [shape, side]


def _foreign() -> Nodes:
    return [helper.make_node("Identity", ["z"], ["y"], domain="com.example")], []


def _branch() -> Nodes:
    def graph(name: str) -> onnx.GraphProto:
        value = helper.make_tensor_value_info(name, TensorProto.FLOAT, None)
        return helper.make_graph(
            [helper.make_node("Identity", ["z"], [name])], name, [], [value]
        )

    yes = helper.make_tensor("yes", TensorProto.BOOL, [], [1])
    branch = helper.make_node(
        "If", ["yes"], ["y"], then_branch=graph("a"), else_branch=graph("b")
    )
    return [branch], [yes]


def _many() -> Nodes:
    names = ["z", *(f"x{i}" for i in range(MAX_NODES)), "y"]
    pairs = itertools.pairwise(names)
    return [helper.make_node("Identity", [a], [b]) for a, b in pairs], []


def _of_another_file(name: str) -> onnx.TensorProto:
    weight = numpy_helper.from_array(np.ones(4, np.float32), name)
    onnx.external_data_helper.set_external_data(weight, "../other.bin")
    weight.data_location = TensorProto.EXTERNAL
    return weight


def _elsewhere() -> Nodes:
    return [helper.make_node("Add", ["z", "w"], ["y"])], [_of_another_file("w")]


def _attribute_elsewhere() -> Nodes:
    node = helper.make_node("Constant", [], ["w"], value=_of_another_file("w"))
    return [node, helper.make_node("Add", ["z", "w"], ["y"])], []


def _list_elsewhere() -> Nodes:
    node = helper.make_node("Identity", ["z"], ["y"])
    tensors = helper.make_attribute("others", [_of_another_file("w")])
    node.attribute.append(tensors)
    return [node], []


def _sparse_elsewhere() -> Nodes:
    """Half of a sparse tensor, its values, in another file."""
    indices = numpy_helper.from_array(np.arange(4, dtype=np.int64), "i")
    sparse = helper.make_sparse_tensor(_of_another_file("v"), indices, [4])
    node = helper.make_node("Constant", [], ["w"], sparse_value=sparse)
    return [node, helper.make_node("Add", ["z", "w"], ["y"])], []


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (_constant_of_shape, "within 2048 MB"),
        (_expanded, "within 2048 MB"),
        (_products, "longer than 10 s"),
        (_foreign, "operator com.example.Identity: refused"),
        (_branch, "operator If: refused"),
        (_many, f"has {MAX_NODES + 1} operators"),
        (_elsewhere, "another file: refused"),
        (_attribute_elsewhere, "another file: refused"),
        (_list_elsewhere, "another file: refused"),
        (_sparse_elsewhere, "another file: refused"),
    ],
)
def test_what_asks_for_too_much_is_refused(
    make: Callable[[], Nodes], said: str, home: Path
) -> None:
    content = network(*make(), "z", N_LATENTS).SerializeToString()
    before = psutil.Process().memory_info().rss
    assert said in verdict(content)
    assert psutil.Process().memory_info().rss - before < 100 * 2**20
    assert not list(home.rglob("*.passed"))


def test_no_opening_reads_another_file() -> None:
    """Without a trial, too: what has passed once is opened directly."""
    for make in (_elsewhere, _attribute_elsewhere, _list_elsewhere, _sparse_elsewhere):
        content = network(*make(), "z", N_LATENTS).SerializeToString()
        with pytest.raises(InputError, match="another file"):
            open_session(content)


@pytest.mark.parametrize("content", [b"", b"\x08", bytes(500), os.urandom(4000)])
def test_what_is_no_network_is_refused(content: bytes) -> None:
    assert verdict(content).startswith("decoder.onnx ")


def test_functions_are_refused() -> None:
    model = network([helper.make_node("Twice", ["z"], ["y"])], [], "z", N_LATENTS)
    body = [helper.make_node("Add", ["x", "x"], ["y"])]
    opset = [helper.make_opsetid("", 18)]
    model.functions.append(helper.make_function("", "Twice", ["x"], ["y"], body, opset))
    assert "functions" in verdict(model.SerializeToString())


def test_what_has_passed_is_not_run_again(home: Path) -> None:
    decoder = plain("z", N_LATENTS)
    assert verdict(decoder) == ""
    assert len(list(home.rglob("*.passed"))) == 1
    began = time.process_time()
    assert verdict(decoder) == ""
    assert time.process_time() - began < 0.1
    assert len(list(home.rglob("*.passed"))) == 1


def test_a_cache_that_cannot_be_written_is_no_reason(home: Path) -> None:
    (home / "cache").touch()
    assert verdict(plain("z", N_LATENTS)) == ""
