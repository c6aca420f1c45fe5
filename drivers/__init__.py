"""One camera make per file; the SDK of each is imported on first use."""
