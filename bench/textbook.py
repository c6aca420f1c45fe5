"""LingBot-Depth as a textbook would write it: the peer that the real one is measured against.

Stock PyTorch modules, the release's layout only (no norms in the decoder, ReLU, log, exp), nothing
cached, one sample. It takes the state dict of `lingbot_live.model.LingBotDepth`.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lingbot_live.model.model_config import ModelConfig, StackConfig


class Block(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.heads = width // 64
        self.norm1, self.norm2 = nn.LayerNorm(width, 1e-6), nn.LayerNorm(width, 1e-6)
        self.attn = nn.ModuleDict(
            {"qkv": nn.Linear(width, 3 * width), "proj": nn.Linear(width, width)}
        )
        self.mlp = nn.ModuleDict(
            {"fc1": nn.Linear(width, 4 * width), "fc2": nn.Linear(4 * width, width)}
        )
        self.ls1 = nn.ParameterDict({"gamma": nn.Parameter(torch.ones(width))})
        self.ls2 = nn.ParameterDict({"gamma": nn.Parameter(torch.ones(width))})

    def forward(self, x: Tensor) -> Tensor:
        b, n, c = x.shape
        qkv = self.attn["qkv"](self.norm1(x)).reshape(b, n, 3, self.heads, 64)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)
        y = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(b, n, c)
        x = x + self.ls1["gamma"] * self.attn["proj"](y)
        y = self.mlp["fc2"](F.gelu(self.mlp["fc1"](self.norm2(x))))
        return x + self.ls2["gamma"] * y


class Residual(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Identity(), nn.ReLU(), conv3(width, width),
            nn.Identity(), nn.ReLU(), conv3(width, width),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        return x + self.layers(x)


def conv3(inputs: int, outputs: int) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 3, padding=1, padding_mode="replicate")


def upsampler(kind: str, inputs: int, outputs: int) -> nn.Sequential:
    if kind == "conv_transpose":
        first: nn.Module = nn.ConvTranspose2d(inputs, outputs, 2, 2)
        return nn.Sequential(first, conv3(outputs, outputs))
    return nn.Sequential(nn.Upsample(scale_factor=2, mode="bilinear"), conv3(inputs, outputs))


class Stack(nn.Module):
    def __init__(self, config: StackConfig) -> None:
        super().__init__()
        dims = config.dim_res
        self.input_blocks = nn.ModuleList(
            nn.Conv2d(i or d, d, 1) for i, d in zip(config.dim_in, dims, strict=True)
        )
        self.resamplers = nn.ModuleList(
            upsampler(kind, dims[i], dims[i + 1]) for i, kind in enumerate(config.resamplers)
        )
        self.res_blocks = nn.ModuleList(
            nn.Sequential(*(Residual(d) for _ in range(n)))
            for d, n in zip(dims, config.num_res_blocks, strict=True)
        )
        self.output_blocks = nn.ModuleList(
            nn.Conv2d(d, o, 1) if o else nn.Identity()
            for d, o in zip(dims, config.dim_out, strict=True)
        )

    def forward(self, inputs: list[Tensor]) -> list[Tensor]:
        outputs, x = [], self.input_blocks[0](inputs[0])
        for i in range(5):
            if i:
                x = self.resamplers[i - 1](x) + self.input_blocks[i](inputs[i])
            x = self.res_blocks[i](x)
            outputs.append(self.output_blocks[i](x))
        return outputs


class Textbook(nn.Module):
    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        width = config.encoder.backbone.width
        self.encoder = nn.Module()
        self.encoder.register_buffer("image_mean", torch.zeros(1, 3, 1, 1))
        self.encoder.register_buffer("image_std", torch.ones(1, 3, 1, 1))
        self.encoder.output_projections = nn.ModuleList([nn.Conv2d(width, width, 1)])
        vit = self.encoder.backbone = nn.Module()
        vit.cls_token = nn.Parameter(torch.zeros(1, 1, width))
        vit.pos_embed = nn.Parameter(torch.zeros(1, 1370, width))
        vit.patch_embed = nn.ModuleDict({"proj": nn.Conv2d(3, width, 14, 14)})
        vit.depth_patch_embed = nn.ModuleDict({"proj": nn.Conv2d(1, width, 14, 14)})
        vit.blocks = nn.ModuleList(Block(width) for _ in range(config.encoder.backbone.blocks))
        vit.norm = nn.LayerNorm(width, 1e-6)
        assert config.depth_head is not None
        assert config.mask_head is not None
        self.neck = Stack(config.neck)
        self.depth_head, self.mask_head = Stack(config.depth_head), Stack(config.mask_head)

    def positions(self, h: int, w: int) -> Tensor:
        table = self.encoder.backbone.pos_embed[:, 1:]
        if (h, w) == (37, 37):
            return table
        square = table.float().reshape(1, 37, 37, -1).permute(0, 3, 1, 2)
        scale = ((h + 0.1) / 37, (w + 0.1) / 37)
        square = F.interpolate(square, scale_factor=scale, mode="bicubic")
        return square.flatten(2).transpose(1, 2).to(table.dtype)

    def features(self, image: Tensor, depth: Tensor, h: int, w: int) -> Tensor:
        vit = self.encoder.backbone
        kept = (F.max_pool2d((depth != 0).float(), 14) > 0).flatten()
        table = self.positions(h, w)
        picture = vit.patch_embed["proj"](image).flatten(2).transpose(1, 2) + 1 + table
        cells = vit.depth_patch_embed["proj"](depth).flatten(2).transpose(1, 2) + 2 + table
        x = torch.cat([vit.cls_token + vit.pos_embed[:, :1], picture, cells[:, kept]], dim=1)
        for block in vit.blocks:
            x = block(x)
        x = vit.norm(x)
        grid = x[:, 1 : 1 + h * w].transpose(1, 2).reshape(1, -1, h, w)
        return self.encoder.output_projections[0](grid) + x[:, 0, :, None, None]

    def uv(self, h: int, w: int, aspect: float, like: Tensor) -> Tensor:
        diagonal = (1 + aspect**2) ** 0.5
        u_end, v_end = aspect / diagonal * (w - 1) / w, 1 / diagonal * (h - 1) / h
        u, v = torch.linspace(-u_end, u_end, w), torch.linspace(-v_end, v_end, h)
        v, u = torch.meshgrid(v, u, indexing="ij")
        return torch.stack([u, v])[None].to(like)

    @torch.inference_mode()
    def infer(self, image: Tensor, depth: Tensor, num_tokens: int) -> Tensor:
        """Depth (1, H, W) with inf outside the mask, from (1, 3, H, W) and (1, H, W) metres."""
        height, width = image.shape[2:]
        aspect = width / height
        h, w = round((num_tokens / aspect) ** 0.5), round((num_tokens * aspect) ** 0.5)
        size = (14 * h, 14 * w)
        image = F.interpolate(image.float(), size, mode="bilinear", antialias=True)
        image = (image - self.encoder.image_mean) / self.encoder.image_std
        depth = F.interpolate(depth[:, None], size, mode="nearest")
        depth = torch.where(depth > 0.01, depth, 1).log()
        dtype = self.encoder.backbone.cls_token.dtype
        x = self.features(image.to(dtype), depth.to(dtype), h, w)
        uv = [self.uv(h * 2**i, w * 2**i, aspect, x) for i in range(5)]
        maps = self.neck([torch.cat([x, uv[0]], dim=1), *uv[1:]])
        logit, vouched = self.depth_head(maps)[-1], self.mask_head(maps)[-1]
        logit = F.interpolate(logit, (height, width), mode="bilinear")[:, 0]
        vouched = F.interpolate(vouched, (height, width), mode="bilinear")[:, 0]
        return torch.where(vouched.sigmoid() > 0.5, logit.exp().float(), torch.inf)
