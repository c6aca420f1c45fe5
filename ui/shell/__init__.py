"""What every part of the window may know."""
