"""What is measured of depth, and how sensors and refiners are compared."""
