"""Known cases with their embeddings in a store: search by image, exam, text and term. No torch."""
