"""Pictures: colour, depth, and what compares them."""
