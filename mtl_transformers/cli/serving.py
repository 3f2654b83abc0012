"""The command ``serve``."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from importlib.metadata import version
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from mtl_transformers.cli.arguments import ModelName, Revision, load_graph, names
from mtl_transformers.cli.libraries import keep_few_kernels, quiet_libraries
from mtl_transformers.errors import ConfigError

if TYPE_CHECKING:  # heavy, and only named here
    from mtl_transformers.runtime.answering import Answering
    from mtl_transformers.serving.settings import Info

BATCH_TOKENS = {"cpu": 1_024, "cuda": 16_384}  # a GPU needs more at once to be busy
OURS = ("mtl_transformers", "tokenizers", "numpy")
SIZE = re.compile(r"(\d+)\s*(KiB|MiB|GiB|B)?", re.IGNORECASE)
UNITS = {"b": 1, "kib": 1 << 10, "mib": 1 << 20, "gib": 1 << 30}


def serve(
    model: ModelName,
    onnx: Annotated[bool, typer.Option("--onnx", help="MODEL is a directory that mtl export wrote; no torch.")] = False,
    host: Annotated[str, typer.Option(help="Address to listen at; 0.0.0.0: all of this machine.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0: any free one.")] = 8080,
    tasks: Annotated[str | None, typer.Option(help="Names with commas; else all.")] = None,
    api_key_env: Annotated[
        str | None, typer.Option(metavar="NAME", help="Environment variable with the key that clients must give.")
    ] = None,
    max_queue: Annotated[int, typer.Option(min=1, help="Tokens that may wait; beyond it status 429.")] = 65_536,
    max_batch_tokens: Annotated[
        int | None, typer.Option(min=1, help="Padded tokens of one pass; else 1024, on a GPU 16384.")
    ] = None,
    max_rows: Annotated[int, typer.Option(min=1, help="Rows of one request.")] = 256,
    max_body: Annotated[str, typer.Option(metavar="SIZE", help="Of one request, as 512KiB or 4MiB.")] = "1MiB",
    deadline: Annotated[float, typer.Option(min=0.001, help="Seconds until a request is given up.")] = 30.0,
    drain_seconds: Annotated[float, typer.Option(min=0.0, help="For what is being answered at the end.")] = 30.0,
    threads: Annotated[int | None, typer.Option(min=1, help="Of one pass on a CPU; else one for each core.")] = None,
    device: Annotated[str | None, typer.Option(help="cpu, cuda or cuda:N; else a GPU where there is one.")] = None,
    precision: Annotated[
        Literal["auto", "fp32", "bf16", "fp16"] | None, typer.Option(help="Else the one that it was scored in.")
    ] = None,
    revision: Revision = None,
) -> None:
    """Answer over HTTP.

    POST /predict answers texts; /docs describes the rest. SIGTERM and Ctrl-C end it when what was taken is answered,
    with exit code 0; the second one ends it at once.
    """
    key, max_bytes = _key(api_key_env), _bytes(max_body)
    keep_few_kernels()
    if onnx:
        _refuse_with_onnx({"--device": device, "--precision": precision, "--revision": revision})
    try:
        from mtl_transformers.serving.app import create_app
        from mtl_transformers.serving.encoder_process import EncoderProcess
        from mtl_transformers.serving.run import Server, bound
        from mtl_transformers.serving.settings import Limits, Settings
    except ImportError as error:
        raise ConfigError(f"serve needs more packages ({error}): pip install 'mtl_transformers[serve]'") from error

    with bound(host, port) as listener, ExitStack() as ending:
        encoder = None
        if onnx:  # which lets go of Python's lock for a whole pass, and needs no process for it
            answering, info = _of_onnx(model, threads=threads)
        else:
            load = partial(_of_torch, model, threads=threads, device=device, precision=precision, revision=revision)
            encoder = ending.enter_context(EncoderProcess(load))
            answering, info = encoder.load()
        answering = answering.restricted(names(tasks))
        limits = Limits(
            max_queue_tokens=max_queue,
            max_batch_tokens=max_batch_tokens or BATCH_TOKENS[info.device.partition(":")[0]],
            max_rows=max_rows,
            max_body_bytes=max_bytes,
            deadline_s=deadline,
        )
        server = Server(create_app(answering, info, Settings(limits=limits, api_key=key)), listener)
        server.start()
        if key is None and not _is_loopback(host):
            typer.echo(f"warning: others can reach {host}, and no key is asked for: see --api-key-env", err=True)
        typer.echo(
            f"{server.url}: {', '.join(answering.tasks)} ({info.format}, {info.precision}, {info.device})", err=True
        )
        server.wait(encoder)
        if encoder is not None and encoder.exit_code is not None:
            server.stop(drain_s=drain_seconds)
            raise encoder.gone()
        typer.echo("answering what was taken; the same signal again ends at once", err=True)
        if not server.stop(drain_s=drain_seconds):
            typer.echo(f"not all was answered within {drain_seconds:g} s", err=True)
            raise typer.Exit(1)


def _key(variable: str | None) -> str | None:
    """Return the key of clients, which is never an argument: those can be read by everybody on the machine."""
    if variable is None:
        return None
    key = os.environ.get(variable, "").strip()
    if not key:
        raise ConfigError(f"--api-key-env {variable}: the environment variable is not set or empty")
    return key


def _bytes(text: str) -> int:
    match = SIZE.fullmatch(text.strip())
    if match is None or not int(match[1]):
        raise ConfigError(f"--max-body {text!r}: expected bytes, or a size as 512KiB or 4MiB")
    return int(match[1]) * UNITS[(match[2] or "b").lower()]


def _refuse_with_onnx(options: Mapping[str, str | None]) -> None:
    for option, value in options.items():
        if value is not None:
            raise ConfigError(f"{option} {value}: an exported graph is run as it was exported, by --onnx on the CPU")


def _of_torch(
    model: str,
    *,
    threads: int | None,
    device: str | None,
    precision: Literal["auto", "fp32", "bf16", "fp16"] | None,
    revision: str | None,
) -> tuple[Answering, Info]:
    from mtl_transformers.inference.casting import hold_weights
    from mtl_transformers.inference.multitask import MultiTaskModel
    from mtl_transformers.inference.precision import limit_threads, named_precision
    from mtl_transformers.serving.settings import Info

    quiet_libraries()  # of the process that this is called in
    limit_threads(threads)
    served = MultiTaskModel.from_pretrained(
        model, revision=revision, device=device, precision=named_precision(precision, device)
    )
    hold_weights(served)
    info = Info(
        model=_shown(model),
        encoder=served.encoder_name,
        format="torch",
        precision=served.precision,
        device=str(served.device),
        versions=_versions((*OURS, "torch", "transformers")),
    )
    return served.answering, info


def _shown(model: str) -> str:
    """Return what clients are told of where a model lies: a hub id, or the last two parts of a path."""
    return "/".join(Path(model).parts[-2:])


def _of_onnx(directory: str, *, threads: int | None) -> tuple[Answering, Info]:
    from mtl_transformers.serving.settings import Info

    served = load_graph(directory, num_threads=threads)
    info = Info(
        model=_shown(directory),
        encoder=served.directory.encoder,
        format="onnx",
        precision=served.directory.precision,
        device="cpu",
        versions=_versions((*OURS, "onnxruntime")),
    )
    return served.answering, info


def _versions(packages: Sequence[str]) -> dict[str, str]:
    return {package: version(package) for package in packages}


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
