"""Recordings of ROS: bags, folders and files of rosbag2, each a source of messages."""
