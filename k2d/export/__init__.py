"""Export: a trained student in the formats of other libraries, and its model card."""
