"""What a training program is made of."""
