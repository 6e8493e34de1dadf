"""The command ``stx-mirror`` on a build host, and what runs inside a stream's systemd unit.

``cli`` reads the command line, ``client`` starts and follows a unit, ``unit`` is the process
inside it that runs the playbook, ``progress`` turns Ansible's events into lines for people,
``state`` keeps the files below /var/lib/stx-mirror, ``show`` says how things stand.
"""
