"""How jobs run: the queue, the workers, and what they tell each other."""
