"""What refined depth is for: where the camera is and what stands there. No threads, no files."""
