"""
Webhooks, without a database: where they may go, what they say, how that is signed and sent.

What waits to be sent is in ``store/operations``: `hooks`, `telling`, `silences`, `deliveries`.
"""
