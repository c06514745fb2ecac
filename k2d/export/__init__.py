"""Export: a trained student in the forms in which other libraries load it, and its model card."""
