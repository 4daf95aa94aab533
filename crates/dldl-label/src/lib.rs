//! Label sets, label distributions, the methods that learn them, and metrics.
