"""Access to a model beyond its outputs: device, timing, cost, gradients, graph, propagation rules."""
