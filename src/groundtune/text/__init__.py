"""What language and script a text is in, how it is cut and how it is compared."""
