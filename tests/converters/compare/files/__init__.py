"""
Random files of whole trainings, read by Rheostat beside the code of the project that they are of.

A file for each project says how its files are drawn, as its users write them, and how its own code
reads and steps them. The text alone passes between the two.
"""
