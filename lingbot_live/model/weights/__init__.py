"""LingBot-Depth's published weights: which there are, and where they lie here."""
