"""``mirrorctl``: the one program that changes the mirror's tree.

It runs on the mirror, as one zip application on the standard library alone (Python 3.9). What is
published, which build is the latest, what may go: all of it is decided here, by the mirror's own
rules, whoever asks.
"""
