"""Azure Kinect, live and recorded."""
