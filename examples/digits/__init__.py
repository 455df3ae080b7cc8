"""The parts of `ddp_digits` that any training has: data, network, processes, tables."""
