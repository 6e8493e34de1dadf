"""What people write into an inventory: where it stands, and what is wrong with it.

`places` finds variables in the text of files, `references` what a value refers to, `judges` and
`problems` what is wrong; they are pure. `sources` reads the files, by Ansible's own parsers.
"""
