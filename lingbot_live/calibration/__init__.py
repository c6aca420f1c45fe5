"""Where the cameras of a rig stand: found by a board, refined by ICP, nudged by hand, kept."""
