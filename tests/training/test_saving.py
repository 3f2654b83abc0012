"""Lines of ``metrics.jsonl``."""

import json

from mtl_transformers.training.saving import log_line


def test_a_number_that_json_has_not_is_null(tmp_path):
    log_line(tmp_path, {"step": 3, "lr": 0.5, "gradient_norm": float("inf"), "eval/mean": float("nan")})
    log_line(tmp_path, {"step": 4})
    lines = (tmp_path / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line, parse_constant=str) for line in lines] == [
        {"step": 3, "lr": 0.5, "gradient_norm": None, "eval/mean": None},
        {"step": 4},
    ]
