"""
Random configurations of the real libraries, stepped beside the definitions that they become.

    python -m tests.converters.compare [--library torch] [--count 300] [--seed N] [FILE]

A file for each library says how its parameters are drawn, corners among them, and how its own code
is run. What is drawn depends on the seed, the class and the number alone.
"""
