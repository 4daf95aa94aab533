//! Datasets on disk, the packed cache of aligned crops, and augmentation.
