//! Convolution, pooling and their gradients on the CPU.
