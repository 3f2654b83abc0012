"""``python -m mtl_transformers``, and what ``accelerate launch -m`` and ``torchrun -m`` start."""

from mtl_transformers.cli import main

main()
