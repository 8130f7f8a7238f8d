"""From a run to a bundle: graphs, fitted confidence, and a card that says what it is for."""
