"""What a build does on its build host."""
