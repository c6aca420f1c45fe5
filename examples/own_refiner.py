"""A refiner of your own: a median filter. A package would register its factory by entry point."""

import cv2
import numpy as np

from lingbot_live.camera import first_frame
from lingbot_live.frame import DepthMap, Frame, Mask, RefinerInfo
from lingbot_live.refiner import Refiner
from lingbot_live.registry import create_camera


class MedianRefiner(Refiner):
    """Replaces each depth by the median of its 5x5 neighbours."""

    def __init__(self) -> None:
        super().__init__(RefinerInfo("median", note="5x5"))

    def _refine(self, frame: Frame) -> tuple[DepthMap, Mask]:
        depth_m = cv2.medianBlur(frame.depth_m, 5)
        return depth_m, np.asarray(depth_m > 0)


with create_camera("synthetic:stereo") as camera:
    frame = first_frame(camera, 60)
refined = MedianRefiner().refine(frame)
print(f"valid before {np.mean(frame.depth_raw > 0):.1%}, after {np.mean(refined.depth_m > 0):.1%}")
