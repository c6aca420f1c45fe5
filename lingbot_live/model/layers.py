"""The layers that encoder and decoder are made of.

Each computes in the dtype of its input, whatever dtype its weights are stored in; norms compute in
fp32. Symbols: B batch, N tokens, C width, H heads.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

HEAD_WIDTH = 64
BACKBONE_EPS = 1e-6


class Linear(nn.Linear):
    """``x @ weight.T + bias`` over the last axis."""

    def forward(self, x: Tensor) -> Tensor:
        """(..., in) to (..., out)."""
        return F.linear(x, self.weight.to(x.dtype), self.bias.to(x.dtype))


class Conv2d(nn.Conv2d):
    """A convolution; at stride 1 it keeps the size, repeating the border pixels."""

    bias: Tensor

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1) -> None:
        super().__init__(inputs, outputs, kernel, stride)
        self.margin_px = (kernel - 1) // 2 if stride == 1 else 0

    def forward(self, x: Tensor) -> Tensor:
        """(B, in, h, w) to (B, out, h / stride, w / stride)."""
        if self.margin_px:
            x = F.pad(x, [self.margin_px] * 4, mode="replicate")
        weight, bias = self.weight.to(x.dtype), self.bias.to(x.dtype)
        slow = x.dtype != torch.float32 and x.device.type == "cpu"
        if slow and not torch.compiler.is_compiling():
            # PyTorch's own CPU kernel takes 40 times as long. Rounded operands summed in fp32 are
            # what tensor cores compute.
            wide = F.conv2d(x.float(), weight.float(), bias.float(), self.stride)
            return wide.to(x.dtype)
        return F.conv2d(x, weight, bias, self.stride)


class ConvTranspose2x2(nn.ConvTranspose2d):
    """A transposed convolution with kernel 2 and stride 2: each pixel becomes four."""

    bias: Tensor

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs, kernel_size=2, stride=2)

    def forward(self, x: Tensor, output_size: list[int] | None = None) -> Tensor:
        """(B, in, h, w) to (B, out, 2h, 2w)."""
        return F.conv_transpose2d(x, self.weight.to(x.dtype), self.bias.to(x.dtype), stride=2)


class LayerNorm(nn.LayerNorm):
    """Normalises the last axis, in fp32."""

    def forward(self, x: Tensor) -> Tensor:
        """(..., C) to (..., C) fp32."""
        return F.layer_norm(
            x.float(), self.normalized_shape, self.weight.float(), self.bias.float(), self.eps
        )


class GroupNorm(nn.GroupNorm):
    """Normalises groups of channels, in fp32, and rounds to the dtype of its input."""

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, h, w) to the same."""
        weight, bias = self.weight.float(), self.bias.float()
        return F.group_norm(x.float(), self.num_groups, weight, bias, self.eps).to(x.dtype)


class InstanceNorm(nn.InstanceNorm2d):
    """Normalises each channel of each sample, in fp32, without parameters."""

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, h, w) to the same."""
        return F.instance_norm(x.float(), eps=self.eps).to(x.dtype)


class LayerScale(nn.Module):
    """One learnt factor per channel on what a branch adds to the residual stream."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor, branch: Tensor) -> Tensor:
        """Return ``x + gamma * branch``, both (B, N, C), in the dtype of ``x``."""
        return torch.addcmul(x, branch.to(x.dtype), self.gamma.to(x.dtype))


@dataclass(frozen=True, slots=True, eq=False)
class FirstKeys:
    """The first tokens of one sample may be seen: no mask is read, and hidden keys cost nothing.

    Shapes are those of the whole sequence, so that a CUDA graph holds for any number of keys.
    """

    ends: Tensor  # (2,) int32 on the device: 0 and how many may be seen
    whole: Tensor  # (2,) int32: 0 and N
    length: int  # N

    @classmethod
    def of(cls, real: Tensor) -> FirstKeys:
        """Build from which tokens may be seen, (1, N) bool, those first; does not wait."""
        length = real.shape[1]
        count = real.sum(dim=1, dtype=torch.int32)  # (1,)
        ends = torch.cat([torch.zeros_like(count), count])
        whole = torch.cat([torch.zeros_like(count), torch.full_like(count, length)])
        return cls(ends, whole, length)

    def attend(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Return attention over those keys; all (N, H, 64), in 16 bits on a GPU."""
        from torch.nn.attention.varlen import varlen_attn

        found = varlen_attn(q, k, v, self.whole, self.ends, self.length, self.length)
        assert isinstance(found, Tensor)
        return found


class Attention(nn.Module):
    """Multi-head self-attention; softmax runs in fp32 inside PyTorch's fused kernels."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.heads = width // HEAD_WIDTH
        self.qkv = Linear(width, 3 * width)
        self.proj = Linear(width, width)

    def forward(self, x: Tensor, keys: Tensor | FirstKeys | None) -> Tensor:
        """(B, N, C) to (B, N, C); ``keys`` (B, 1, 1, N) bool tells which tokens may be seen."""
        if isinstance(keys, FirstKeys):
            seen = keys.attend(*self._heads(x)[0].unbind(1))  # (N, H, 64)
            return torch.as_tensor(self.proj(seen.flatten(1)[None]))  # (1, N, C)
        q, k, v = self.parts(x)
        x = F.scaled_dot_product_attention(q, k, v, attn_mask=keys)  # (B, H, N, 64)
        out: Tensor = self.proj(x.transpose(1, 2).flatten(2))  # (B, N, C)
        return out

    def parts(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return queries, keys and values of (B, N, C), each (B, H, N, 64)."""
        q, k, v = self._heads(x).permute(2, 0, 3, 1, 4)
        return q, k, v

    def _heads(self, x: Tensor) -> Tensor:
        out: Tensor = self.qkv(x).unflatten(-1, (3, self.heads, HEAD_WIDTH))  # (B, N, 3, H, 64)
        return out


class Mlp(nn.Module):
    """Feed-forward branch with the exact (erf) GELU."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = Linear(width, hidden)
        self.fc2 = Linear(hidden, width)

    def forward(self, x: Tensor) -> Tensor:
        """(B, N, C) to (B, N, C)."""
        out: Tensor = self.fc2(F.gelu(self.fc1(x)))
        return out


class SwiGlu(nn.Module):
    """Feed-forward branch of the giant backbone: ``w3(silu(a) * b)``, a and b halves of ``w12``."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.w12 = Linear(width, 2 * hidden)
        self.w3 = Linear(hidden, width)

    def forward(self, x: Tensor) -> Tensor:
        """(B, N, C) to (B, N, C)."""
        gate, value = self.w12(x).chunk(2, dim=-1)  # each (B, N, hidden)
        out: Tensor = self.w3(F.silu(gate) * value)
        return out


class Block(nn.Module):
    """A pre-norm transformer block on an fp32 residual stream."""

    def __init__(self, width: int, hidden: int, gated: bool) -> None:
        super().__init__()
        self.norm1 = LayerNorm(width, eps=BACKBONE_EPS)
        self.attn = Attention(width)
        self.ls1 = LayerScale(width)
        self.norm2 = LayerNorm(width, eps=BACKBONE_EPS)
        self.mlp = SwiGlu(width, hidden) if gated else Mlp(width, hidden)
        self.ls2 = LayerScale(width)

    def forward(self, x: Tensor, keys: Tensor | FirstKeys | None, dtype: torch.dtype) -> Tensor:
        """(B, N, C) fp32 to the same; matrix products run in ``dtype``."""
        x = self.ls1(x, self.attn(self.norm1(x).to(dtype), keys))
        out: Tensor = self.ls2(x, self.mlp(self.norm2(x).to(dtype)))
        return out


class PatchEmbed(nn.Module):
    """Turns 14x14 pixel patches into tokens, in fp32."""

    def __init__(self, channels: int, width: int, patch_px: int) -> None:
        super().__init__()
        self.proj = Conv2d(channels, width, patch_px, patch_px)

    def forward(self, pixels: Tensor) -> Tensor:
        """(B, channels, 14h, 14w) to (B, h*w, C), rows of the grid one after the other."""
        tokens: Tensor = self.proj(pixels).flatten(2).transpose(1, 2)
        return tokens
