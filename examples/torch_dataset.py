"""Session files as a PyTorch Dataset: colour, raw and refined depth of every frame."""

import sys

import torch
from torch.utils.data import ConcatDataset, DataLoader, Dataset

from lingbot_live.recording import Recording


class SessionDataset(Dataset[dict[str, torch.Tensor]]):
    """One camera of a session file, opened anew in each worker process."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._recording: Recording | None = None
        with Recording(path) as recording:
            self._frames = len(recording)

    def __len__(self) -> int:
        return self._frames

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        if self._recording is None:
            self._recording = Recording(self.path)
        frame, refined = self._recording[index], self._recording.refined(index)
        target = frame.depth_m if refined is None else refined.depth_m
        return {
            "color": torch.tensor(frame.color).permute(2, 0, 1) / 255,
            "depth_m": torch.tensor(frame.depth_m),
            "target_m": torch.tensor(target),
        }


sessions = ConcatDataset([SessionDataset(path) for path in sys.argv[1:]])
for batch in DataLoader(sessions, batch_size=4):
    print({name: tuple(tensor.shape) for name, tensor in batch.items()})
    break
