"""The command ``stx-watch``: how this server is, for people, for mail and for Prometheus.

``host``, ``keys``, ``builds`` and ``drift`` judge: facts and limits in, verdicts out, no I/O and no
clock. ``facts_*`` collect those facts. ``checks`` pairs the two, ``render`` words the outcome,
``report`` decides what is mailed, ``cli`` is the command.
"""
