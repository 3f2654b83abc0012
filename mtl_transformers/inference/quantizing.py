"""Smaller graphs: int8 by dynamic quantisation, and fp16. Owns which nodes keep their precision; measures nothing.

In int8 the weights of matrix products and the vectors of the vocabulary are whole numbers; activations are quantised
anew in each product, over the whole batch, so an answer may depend a little on the batch that it stands in. A weight
takes 7 of the 8 bits: processors without VNNI add two products of bytes in 16 bits and would saturate, so that another
machine would give other answers than the one that scored the graph (onnxruntime, "Quantize ONNX models", on
``reduce_range``). Heads are small and stay in fp32.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Literal

import onnx
from onnxruntime.quantization import QuantType, quantize_dynamic
from onnxruntime.transformers.float16 import convert_float_to_float16

from mtl_transformers.inference.onnx_graph import Graph

GraphPrecision = Literal["fp32", "int8", "fp16"]
QUANTIZED = ("MatMul", "Gather")  # of the operators that can be, those that an encoder has

_PREPARED = {"onnx.quant.pre_process": "onnxruntime.quant"}  # else it advises in the root logger, and sets that up


def in_precision(graph: Graph, precision: GraphPrecision) -> onnx.ModelProto:
    """Return the graph in a precision; inputs and outputs stay as they are."""
    match precision:
        case "int8":
            return _quantized(graph)
        case "fp16":
            return _halved(graph)
    return graph.model


def _quantized(graph: Graph) -> onnx.ModelProto:
    copied = _copy(graph.model)
    onnx.helper.set_model_props(copied, _PREPARED)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "int8.onnx")
        quantize_dynamic(
            copied,
            path,
            op_types_to_quantize=list(QUANTIZED),
            nodes_to_exclude=[
                *graph.head_nodes,
                *(f"{name}_MatMul" for name in graph.head_nodes),
            ],  # a Gemm becomes two
            weight_type=QuantType.QInt8,
            per_channel=True,
            reduce_range=True,
        )
        quantized = onnx.load(path)
    del quantized.metadata_props[:]
    return quantized


def _halved(graph: Graph) -> onnx.ModelProto:
    halved: onnx.ModelProto = convert_float_to_float16(_copy(graph.model), keep_io_types=True)
    return halved


def _copy(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return a copy: both converters change what they are given."""
    copied = onnx.ModelProto()
    copied.CopyFrom(model)
    return copied
