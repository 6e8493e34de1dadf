"""What build-iso and update-pxe-network-installer share. Standard library, Python 3.9."""
