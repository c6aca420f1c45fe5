"""Classical refiners that need no model."""
