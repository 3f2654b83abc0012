"""``python -m mtl_transformers``, and what ``accelerate launch -m`` and ``torchrun -m`` start."""

from mtl_transformers.cli.main import main

if __name__ == "__main__":  # a worker that is spawned imports this file again
    main()
