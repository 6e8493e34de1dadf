"""Layout, publishing, retention and the two commands of the build mirror.

What a mirror or a watched host gets is one zip application each (:mod:`stxmirror.packing`), which
needs Python 3.9 and nothing else; the modules in them import the standard library alone.
"""

__version__ = "0.1.0"
