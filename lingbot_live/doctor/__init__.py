"""What works on this system, and how to mend what does not."""
