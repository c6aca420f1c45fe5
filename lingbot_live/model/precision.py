"""How exactly the network computes."""

from __future__ import annotations

from enum import Enum

import torch


class Precision(str, Enum):
    """Arithmetic of the network's matrix products.

    ``FP16`` and ``BF16`` hold weights and the operands of matrix products in 16 bits, where nearly
    all time goes. What would lose visible detail stays fp32: patch embeddings (linear depth may
    exceed fp16), position tables, the residual stream of the transformer, every norm, the last
    two levels of each decoder stack (with the output convolution), the resize to the picture, exp.
    Casts are explicit: layers compute in the dtype of their input, so no autocast is involved.
    """

    FP32 = "fp32"
    FP16 = "fp16"
    BF16 = "bf16"

    @property
    def dtype(self) -> torch.dtype:
        """Of the operands of matrix products."""
        return {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}[self.value]
