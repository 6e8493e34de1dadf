"""The files below /var/lib/stx-mirror on a build host: records, status, events, what runs.

The controller and the builder both stand on this package, and neither on the other.
"""
