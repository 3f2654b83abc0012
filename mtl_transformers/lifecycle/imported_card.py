"""The README.md of a model directory that was put together from plain ones: what is known of it, and what is not."""

from __future__ import annotations

from collections.abc import Mapping

from mtl_transformers.inference.served import ServedTask
from mtl_transformers.model.card import LIBRARY
from mtl_transformers.model.native_parity import Parity

_MORE = {
    "multi_label": "A label of a multi-label task is predicted from the probability 0.5 on.",
    "question_answering": "A question always gets an answer: whether it may have none is not told either.",
}


def imported_card(name: str, tasks: Mapping[str, ServedTask], parities: Mapping[str, Parity]) -> str:
    """Write the text of README.md: the hub's metadata block, then a page for a person.

    Args:
        name: of the model.
        tasks: by name.
        parities: between each task's logits and those of the directory it came from, as measured.
    """
    rows = [
        f"| `{task}` | {served.task.kind} | {', '.join(served.input.columns)} | {served.input.max_length} "
        f"| {parities[task]} |"
        for task, served in tasks.items()
    ]
    first = next(iter(tasks))
    kinds = {served.task.kind for served in tasks.values()}
    more = [_MORE[kind] for kind in _MORE if kind in kinds]
    sections = [
        f"# {name}",
        f"{len(tasks)} tasks on one encoder, put together by `{LIBRARY}` from plain transformers directories that "
        "share it byte for byte.",
        "| task | kind | columns | tokens | largest difference of the logits |\n| --- | --- | --- | --- | --- |\n"
        + "\n".join(rows),
        "## How to use it",
        f"```python\nfrom {LIBRARY} import MultiTaskModel\n\nmodel = MultiTaskModel.from_pretrained(directory)\n"
        f'model.predict(rows, tasks=["{first}"])\n```',
        "## Not known",
        "A plain directory does not tell on how many rows a task was trained, how often each label occurred, or how "
        "the data were cleaned: in `tasks.json` every count is 1 and `rows_seen` 0. A baseline that answers the most "
        "frequent label means nothing here, and there are no scores until `mtl evaluate` has made some.",
        *more,
    ]
    return f"---\nlibrary_name: {LIBRARY}\ntags:\n- multi-task\n---\n\n" + "\n\n".join(sections) + "\n"
