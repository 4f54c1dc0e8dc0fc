"""What a network in an ONNX file consists of, read without running it."""

from collections.abc import Iterator

from effects.base.errors import InputError

MAX_NODES = 5000  # of a graph; the bundled decoder has 79
# Their work depends on numbers, not on shapes alone, so that no trial can bound it.
FORBIDDEN = frozenset(("If", "Loop", "Scan", "SequenceMap"))
OWN_DOMAINS = frozenset(("", "ai.onnx"))

# Field numbers of onnx.proto3: of ModelProto, GraphProto, NodeProto and AttributeProto.
GRAPH, FUNCTIONS = 7, 25
NODE = 1
OP_TYPE, ATTRIBUTE, DOMAIN = 4, 5, 7
SUBGRAPH, SUBGRAPHS = 6, 11


def check_graph(content: bytes) -> None:
    """Check that a network's work does not depend on more than its shapes.

    Raises:
        InputError: the end of a sentence about what is wrong.
    """
    from google.protobuf.message import DecodeError

    try:
        _check_model(content)
    except DecodeError as error:
        raise InputError("is no readable ONNX file") from error


def _check_model(content: bytes) -> None:
    model = list(_fields(content))
    if any(number == FUNCTIONS for number, _ in model):
        raise InputError("has functions of its own: refused")
    n_nodes = 0
    for number, graph in model:
        if number != GRAPH:
            continue
        for part, value in _fields(graph):
            if part == NODE:
                n_nodes += 1
                _check_node(value)
    if not 0 < n_nodes <= MAX_NODES:
        raise InputError(f"has {n_nodes} operators; 1 to {MAX_NODES} are allowed")


def _check_node(node: bytes) -> None:
    fields = list(_fields(node))
    named = {number: value for number, value in fields if number in (OP_TYPE, DOMAIN)}
    kind = named.get(OP_TYPE, b"").decode(errors="replace")
    domain = named.get(DOMAIN, b"").decode(errors="replace")
    if kind in FORBIDDEN or domain not in OWN_DOMAINS:
        raise InputError(
            f"uses the operator {f'{domain}.{kind}'.strip('.'):.60}: refused"
        )
    for number, attribute in fields:
        if number != ATTRIBUTE:
            continue
        if any(part in (SUBGRAPH, SUBGRAPHS) for part, _ in _fields(attribute)):
            raise InputError(f"has a graph within {kind:.60}: refused")


def _fields(message: bytes) -> Iterator[tuple[int, bytes]]:
    """Numbers and contents of the fields of a protobuf message that have a length."""
    from google.protobuf.empty_pb2 import Empty
    from google.protobuf.unknown_fields import UnknownFieldSet

    parsed = Empty()
    parsed.ParseFromString(message)
    for field in UnknownFieldSet(parsed):
        if isinstance(field.data, bytes):
            yield field.field_number, field.data
