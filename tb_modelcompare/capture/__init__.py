"""From a model to its layer graph, its activations and its frozen graph, for each framework."""
