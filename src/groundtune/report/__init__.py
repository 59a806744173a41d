"""What a person looks at: HTML, charts, terminal."""
