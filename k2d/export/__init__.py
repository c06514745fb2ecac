"""Export trained students in the formats of other libraries, with model cards."""
