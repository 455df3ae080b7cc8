"""
Rheostat for PyTorch: learning rate, weight decay, momentum and betas from a run.

>>> from rheostat import Client
>>> from rheostat.torch import RheostatLR
>>> scheduler = RheostatLR(optimizer, Client("http://rheostat:8000").run("gpt-7b"))
"""

from rheostat.torch.scheduler import RheostatLR

__all__ = ["RheostatLR"]
