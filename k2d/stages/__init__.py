"""The stages, one file each. A stage reads files, calls functions of other rooms and writes files."""
