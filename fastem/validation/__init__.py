"""What a user passes becomes arrays and numbers, or a sentence that says what is wrong."""
