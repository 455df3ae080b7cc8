"""PyTorch's schedulers of schedulers."""
