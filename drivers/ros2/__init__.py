"""Cameras of ROS 2."""
