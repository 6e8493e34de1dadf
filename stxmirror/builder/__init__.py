"""What a build does, part by part, on a build host.

The modules of ``library/`` are thin over this package; ``session`` finds a build by its id, and
the files beside its record are the only state that one part leaves for the next. It runs as the
orchestrator; what has to run as the builder goes through ``sandbox``.
"""
