"""Series and texts: recurrent, convolutional and attention networks."""
