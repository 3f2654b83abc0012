"""int8 and fp16: what shrinks, what keeps its precision, and that inputs and outputs stay as they are."""

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, numpy_helper

from mtl_transformers.inference.onnx_graph import Graph
from mtl_transformers.inference.quantizing import in_precision


@pytest.fixture(scope="module")
def int8(exported_graph: Graph) -> onnx.ModelProto:
    return in_precision(exported_graph, "int8")


@pytest.fixture(scope="module")
def fp16(exported_graph: Graph) -> onnx.ModelProto:
    return in_precision(exported_graph, "fp16")


def interface(model: onnx.ModelProto) -> list[tuple[str, str]]:
    session = onnxruntime.InferenceSession(model.SerializeToString())
    return [(of.name, of.type) for of in (*session.get_inputs(), *session.get_outputs())]


def weights(model: onnx.ModelProto, kind: int) -> list[np.ndarray]:
    """Matrices of one type of number."""
    found = [of for of in model.graph.initializer if of.data_type == kind and len(of.dims) == 2]
    return [numpy_helper.to_array(of) for of in found]


def test_fp32_is_the_graph_itself(exported_graph: Graph) -> None:
    assert in_precision(exported_graph, "fp32") is exported_graph.model


def test_inputs_and_outputs_stay_as_they_are(
    exported_graph: Graph, int8: onnx.ModelProto, fp16: onnx.ModelProto
) -> None:
    assert interface(int8) == interface(fp16) == interface(exported_graph.model)


def test_making_another_precision_leaves_the_graph_as_it_was(exported_graph: Graph) -> None:
    before = exported_graph.model.SerializeToString(deterministic=True)
    for precision in ("int8", "fp16"):
        in_precision(exported_graph, precision)
    assert exported_graph.model.SerializeToString(deterministic=True) == before


def test_the_products_of_the_encoder_are_whole_and_those_of_heads_are_not(
    exported_graph: Graph, int8: onnx.ModelProto
) -> None:
    of_heads = [node for node in exported_graph.model.graph.node if node.name in exported_graph.head_nodes]
    assert {"MatMul", "Gemm"} <= {node.op_type for node in of_heads}
    whole = [node.name for node in int8.graph.node if node.op_type == "MatMulInteger"]
    assert len(whole) == 2 * 6  # of a layer: query, key, value, output, and two after
    assert not [name for name in whole for node in of_heads if name.startswith(node.name)]


def test_whole_weights_take_seven_bits(int8: onnx.ModelProto) -> None:
    found = [matrix for matrix in weights(int8, TensorProto.INT8) if matrix.size > 1]
    assert len(found) >= 12
    assert all(matrix.min() >= -64 and matrix.max() <= 64 for matrix in found)
    assert max(np.abs(matrix).max() for matrix in found) == 64


def test_every_matrix_of_fp16_has_half_the_size(exported_graph: Graph, fp16: onnx.ModelProto) -> None:
    assert not weights(fp16, TensorProto.FLOAT)
    assert len(weights(fp16, TensorProto.FLOAT16)) == len(weights(exported_graph.model, TensorProto.FLOAT))


def test_a_converter_sets_up_no_logging(exported_graph: Graph, caplog: pytest.LogCaptureFixture) -> None:
    in_precision(exported_graph, "int8")
    assert not caplog.records
