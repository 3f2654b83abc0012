"""What a process tells the libraries before it imports them: how much they say, and how much they keep."""

from __future__ import annotations

import logging
import os
import sys
import warnings

from mtl_transformers.cli.arguments import rank
from mtl_transformers.cli.progress import Messages

KERNELS = "64"  # that oneDNN keeps: of its 1,024 one for each shape of a batch, hardly any is used again


def quiet_libraries() -> None:
    """Let our own messages through to stderr, and of the libraries errors only."""
    for variable in ("TRANSFORMERS_VERBOSITY", "DATASETS_VERBOSITY", "HF_HUB_VERBOSITY"):
        os.environ.setdefault(variable, "error")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")  # tokenizers warns about it after a fork
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")
    if not sys.warnoptions:
        warnings.simplefilter("ignore")
    logging.basicConfig(level=logging.ERROR, format="%(message)s", handlers=[Messages()])
    logging.getLogger("mtl_transformers").setLevel(logging.INFO if rank("RANK") == 0 else logging.ERROR)


def keep_few_kernels() -> None:
    """Let memory stand still soon while batches differ in shape."""
    os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", KERNELS)
