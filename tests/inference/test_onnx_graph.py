"""The exported graph gives torch's logits for every head, number of sequences and length, under the tasks' names."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from tiny import FAMILIES, MAX_LENGTH
from transformers import AutoConfig, AutoModel

import mtl_transformers
from mtl_transformers.batch import MicroBatch, Target
from mtl_transformers.errors import ModelError
from mtl_transformers.inference import onnx_graph
from mtl_transformers.inference.onnx_graph import export_graph
from mtl_transformers.model.encoder import Encoder, load_encoder
from mtl_transformers.model.head_spec import head_spec
from mtl_transformers.model.heads import build_head
from mtl_transformers.model.network import Network
from mtl_transformers.runtime.onnx_model import INPUTS

SEQUENCE = {"head": "sequence", "vectors": "sequence", "out_features": 3}
HEADS = {
    "label": SEQUENCE,
    "linear_3": SEQUENCE,  # as values of the graph are called, like the next two
    "tanh": {**SEQUENCE, "pooling": "max"},
    "softmax": {**SEQUENCE, "pooling": "attention"},
    "mean": {**SEQUENCE, "pooling": "mean"},
    "mixed": {**SEQUENCE, "layer": "mix"},
    "lower": {**SEQUENCE, "layer": 1},
    "embedded": {**SEQUENCE, "layer": 0, "pooling": "mean"},
    "scale": {"head": "ordinal", "vectors": "sequence", "out_features": 4},
    "vector": {"head": "embedding", "vectors": "sequence", "out_features": 32},
    "options": {"head": "choice", "vectors": "sequences", "out_features": 1},
    "words": {"head": "token", "vectors": "token", "out_features": 5},
    "span": {"head": "answer", "vectors": "token", "out_features": 2},
}
FEW = {name: HEADS[name] for name in ("label", "options", "words", "span")}
SIZES = ((1, 2), (1, 1), (3, 5), (2, 33), (5, MAX_LENGTH))


def network(path: Path, heads=HEADS) -> Network:
    return with_heads(load_encoder(str(path)), heads)


def with_heads(encoder: Encoder, heads) -> Network:
    specs = {name: head_spec(encoder.config, **parts) for name, parts in heads.items()}
    built = {name: build_head(spec, seed=3, task=name, initializer_range=0.3) for name, spec in specs.items()}
    for head in built.values():
        for parameter in (head.mix, head.query):  # which begin as zeros
            if parameter is not None:
                torch.nn.init.normal_(parameter, generator=torch.Generator().manual_seed(1))
    return Network(encoder, built).eval()


def batch_of(num_sequences: int, length: int) -> MicroBatch:
    """Random tokens; the last of several sequences is half padding, and the second half of each a second text."""
    generator = torch.Generator().manual_seed(length)
    ids = torch.randint(5, 200, (num_sequences, length), generator=generator)
    mask, types = torch.ones_like(ids), torch.zeros_like(ids)
    types[:, length // 2 :] = 1
    if num_sequences > 1:
        mask[-1, (length + 1) // 2 :] = 0
    return MicroBatch(ids, mask, types)


def largest_difference(net: Network, session: onnxruntime.InferenceSession, batch: MicroBatch) -> dict[str, float]:
    """Compare with the logits that the network gives for targets on every sequence, or on every real token."""
    real = batch.attention_mask.nonzero()
    targets = {
        name: Target(real[:, 0], real[:, 1])
        if net.head(name).spec.vectors == "token"
        else Target(torch.arange(len(batch.input_ids)))
        for name in net.task_names
    }
    with torch.inference_mode():
        expected = net(MicroBatch(batch.input_ids, batch.attention_mask, batch.token_type_ids, targets))
    arrays = (batch.input_ids, batch.attention_mask, batch.token_type_ids)
    inputs = {name: array.numpy() for name, array in zip(INPUTS, arrays, strict=True)}
    taken = [given.name for given in session.get_inputs()]
    outputs = session.run(list(net.task_names), {name: inputs[name] for name in taken})
    return {
        name: np.abs(found[tuple(real.T)] - logits.numpy()).max()
        if net.head(name).spec.vectors == "token"
        else np.abs(found - logits.numpy()).max()
        for (name, logits), found in zip(expected.items(), outputs, strict=True)
    }


def session_of(model: onnx.ModelProto) -> onnxruntime.InferenceSession:
    return onnxruntime.InferenceSession(model.SerializeToString())


@pytest.fixture(scope="module")
def bert(tiny_bert: Path) -> Network:
    return network(tiny_bert)


@pytest.fixture(scope="module")
def graph(bert: Network) -> onnx_graph.Graph:
    return export_graph(bert, bert.task_names)


@pytest.fixture(scope="module")
def session(graph: onnx_graph.Graph) -> onnxruntime.InferenceSession:
    return session_of(graph.model)


@pytest.mark.parametrize("size", SIZES)
def test_every_head_gives_torchs_logits_for_any_number_of_sequences_of_any_length(
    bert: Network, session: onnxruntime.InferenceSession, size: tuple[int, int]
) -> None:
    differences = largest_difference(bert, session, batch_of(*size))
    assert differences.keys() == HEADS.keys()
    assert max(differences.values()) < 2e-5


def test_the_logits_of_another_head_are_noticed(bert: Network, session: onnxruntime.InferenceSession) -> None:
    with torch.no_grad():
        bias = bert.head("scale").cuts
        assert bias is not None
        bias.add_(1e-3)
        differences = largest_difference(bert, session, batch_of(3, 5))
        bias.sub_(1e-3)
    assert [name for name, value in differences.items() if value > 1e-4] == ["scale"]


def test_inputs_are_whole_numbers_and_outputs_fractions_of_any_number_and_length(
    session: onnxruntime.InferenceSession,
) -> None:
    assert [(of.name, of.type, of.shape) for of in session.get_inputs()] == [
        (name, "tensor(int64)", ["batch", "length"]) for name in INPUTS
    ]
    outputs = {of.name: (of.type, of.shape) for of in session.get_outputs()}
    assert list(outputs) == list(HEADS)
    assert outputs["label"] == ("tensor(float)", ["batch", 3])
    assert outputs["words"] == ("tensor(float)", ["batch", "length", 5])


def test_the_graph_tells_nothing_of_the_machine_that_it_was_made_on(graph: onnx_graph.Graph) -> None:
    content = graph.model.SerializeToString()
    for word in (str(Path(mtl_transformers.__file__).parent), "site-packages", ".py", "_Traced"):
        assert word.encode() not in content


def test_the_nodes_of_heads_are_told_from_those_of_the_encoder(graph: onnx_graph.Graph) -> None:
    by_head = [node for node in graph.model.graph.node if node.name in graph.head_nodes]
    assert len(by_head) == len(graph.head_nodes)
    products = [node for node in graph.model.graph.node if node.op_type == "MatMul" and node not in by_head]
    assert len(products) == 2 * (4 + 2 + 2)  # of a layer: four in the attention, its two of activations, and two after


def test_the_encoder_attends_afterwards_as_it_did_before(bert: Network, graph: onnx_graph.Graph) -> None:
    assert bert.encoder.config._attn_implementation == "sdpa"


def test_a_task_with_the_name_of_an_input_is_refused(tiny_bert: Path) -> None:
    net = network(tiny_bert, {"input_ids": SEQUENCE})
    with pytest.raises(ModelError, match="'input_ids' has the name of an input of the graph; rename the task"):
        export_graph(net, net.task_names)


def test_a_graph_that_is_too_large_for_a_file_is_refused(bert: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnx_graph, "MOST_BYTES", 100_000)
    with pytest.raises(ModelError, match=r"would hold 0\.0 GB of weights, and one ONNX file holds 0\.0 GB"):
        export_graph(bert, bert.task_names)


@pytest.mark.slow
@pytest.mark.parametrize("family", [name for name in FAMILIES if name != "bert"])
def test_every_family_gives_torchs_logits(encoder_dir: Callable[[str], Path], family: str) -> None:
    net = network(encoder_dir(family), FEW)
    found = session_of(export_graph(net, net.task_names).model)
    assert (INPUTS[2] in [given.name for given in found.get_inputs()]) == net.encoder.uses_token_types
    for size in SIZES:
        assert max(largest_difference(net, found, batch_of(*size)).values()) < 2e-5


@pytest.mark.slow
def test_a_family_that_pytorch_cannot_export_is_refused_in_a_line(capfd: pytest.CaptureFixture[str]) -> None:
    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64}
    config = AutoConfig.for_model("longformer", vocab_size=250, pad_token_id=1, attention_window=[8, 8], **sizes)
    net = with_heads(Encoder(AutoModel.from_config(config).eval(), pooler={}, source="here"), FEW)
    capfd.readouterr()
    with pytest.raises(
        ModelError, match=r"PyTorch cannot export this encoder \(longformer\): .+ with torch$"
    ) as refused:
        export_graph(net, net.task_names)
    assert "\n" not in str(refused.value)
    assert len(capfd.readouterr().err.splitlines()) <= 1  # of transformers, on what it pads
