"""The live point cloud and the process that draws it."""
