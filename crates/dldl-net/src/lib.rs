//! Network specifications, the weights file and the inference engine.
