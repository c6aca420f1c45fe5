"""LingBot-Depth: the network, its published weights, and the refiner that runs it."""
