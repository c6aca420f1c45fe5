"""What several makes share."""
