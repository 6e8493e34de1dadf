"""Layout, publishing, retention and the two commands of the build mirror.

Everything outside ``controller`` is on the standard library alone and runs on Python 3.9:
the mirror host gets it as one zip application.
"""

__version__ = "0.1.0"
