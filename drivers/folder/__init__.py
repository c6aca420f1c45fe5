"""RGB-D images on disk, played like a camera."""
