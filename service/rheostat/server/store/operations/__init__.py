"""What can be done to runs: each operation decides by the domain's rules, and writes last."""
