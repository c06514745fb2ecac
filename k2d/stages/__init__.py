"""The verbs: one file each, a thin shell that reads, calls the pure part and writes."""
