"""ROS 2's wire without a ROS installation, or through rclpy where one is sourced."""
