"""Formulas that torch's counter of floating-point operations lacks for a training step."""

from typing import Any

import torch
from torch.utils.flop_counter import sdpa_backward_flop_count, sdpa_flop_count

aten = torch.ops.aten


def attention_backward(*shapes: Any, **_: Any) -> int:
    """Count four of the five products in torch's kernel, which computes the scores a second time."""
    return sdpa_backward_flop_count(*shapes[:4]) * 4 // 5


COUNTED_TOO = {
    aten.addmm_: lambda total, left, right, **_: 2 * left[0] * left[1] * right[1],
    aten._scaled_dot_product_flash_attention_for_cpu: lambda q, k, v, *_, **__: sdpa_flop_count(q, k, v),
    aten._scaled_dot_product_flash_attention_for_cpu_backward: attention_backward,
}
"""FLOPs of operations that torch's counter does not know, by operation."""
